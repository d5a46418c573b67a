#include "text.h"

#include "../base/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    SECONDS_POWER_MIN = 10, /* buckets of times: from 2^10 ns, a microsecond, … */
    SECONDS_POWER_MAX = 36, /* … to 2^36 ns, a minute */
    NUMBER_POWER_MIN = 1,   /* of numbers of operations and calls */
    NUMBER_POWER_MAX = 16
};

struct writer {
    const struct batch__text_source *source;
    int form;
    char *buffer;
    size_t size;
    size_t length; /* of the whole text; may exceed the size */
};

/* ---- Writing -------------------------------------------------------------------------------- */

static void print(struct writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void print(struct writer *writer, const char *format, ...)
{
    size_t room = writer->length < writer->size ? writer->size - writer->length : 0;
    va_list arguments;
    va_start(arguments, format);
    int length =
        vsnprintf(room > 0 ? writer->buffer + writer->length : NULL, room, format, arguments);
    va_end(arguments);
    batch__check(length >= 0);
    writer->length += (size_t)length;
}

/* The value of a label: a quote, a backslash and the end of a line are escaped. */
static void print_escaped(struct writer *writer, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            print(writer, "\\n");
        else if (*text == '"' || *text == '\\')
            print(writer, "\\%c", *text);
        else
            print(writer, "%c", *text);
    }
}

/* The name and the labels of a sample; `label` may be NULL. */
static void print_name(struct writer *writer, const char *name, const char *suffix, size_t index,
                       const char *label, const char *value)
{
    const char *const *names = writer->source->names;
    print(writer, "libbatch_%s%s", name, suffix);
    if (names == NULL && label == NULL) {
        print(writer, " ");
        return;
    }
    print(writer, "{");
    if (names != NULL) {
        print(writer, "processor=\"");
        print_escaped(writer, names[index]);
        print(writer, "\"%s", label != NULL ? "," : "");
    }
    if (label != NULL)
        print(writer, "%s=\"%s\"", label, value);
    print(writer, "} ");
}

static void print_seconds(struct writer *writer, uint64_t ns)
{
    print(writer, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

/* ---- Families ------------------------------------------------------------------------------- */

enum kind { COUNTER, GAUGE, GAUGE_SECONDS };

/* One number of batch_stats, or an array of them with one label. */
struct family {
    const char *name; /* without _total */
    const char *help;
    size_t offset; /* in batch_stats */
    enum kind kind;
    uint8_t count;     /* of the array; 0: no array */
    const char *label; /* of the array */
    const char *(*value)(const struct batch__text_source *source, size_t index);
};

static const char *status_value(const struct batch__text_source *source, size_t index)
{
    return source->status_name(-(int)index) + sizeof "BATCH_" - 1;
}

static const char *reason_value(const struct batch__text_source *source, size_t index)
{
    (void)source;
    return batch_close_reason_name((int)index);
}

static const char *event_value(const struct batch__text_source *source, size_t index)
{
    (void)source;
    return batch_event_name((int)index);
}

#define AT(member) offsetof(batch_stats, member)

static const struct family families[] = {
    {"operations_accepted", "Operations that a worker has received.", AT(operations_accepted),
     COUNTER, 0, NULL, NULL},
    {"operations_completed", "Operations that have completed, by outcome.",
     AT(operations_completed), COUNTER, BATCH_STATUS_COUNT, "status", status_value},
    {"operations_refused", "Operations that were not accepted, by what the call returned.",
     AT(operations_refused), COUNTER, BATCH_STATUS_COUNT, "status", status_value},
    {"operations_waiting", "Operations that are accepted and not completed.",
     AT(operations_waiting), GAUGE, 0, NULL, NULL},
    {"oldest_operation_age_seconds", "For how long the oldest operation has waited; 0: none waits.",
     AT(oldest_waiting_ns), GAUGE_SECONDS, 0, NULL, NULL},
    {"batches", "Batches that have ended, by why they accepted no more operations.",
     AT(batches_closed), COUNTER, BATCH_CLOSE_REASON_COUNT, "closed_by", reason_value},
    {"batches_saved", "Batches whose save has succeeded.", AT(batches_saved), COUNTER, 0, NULL,
     NULL},
    {"batches_open", "Keys that have work.", AT(batches_open), GAUGE, 0, NULL, NULL},
    {"replays", "Batches that were loaded and run again after a conflict.", AT(replays), COUNTER, 0,
     NULL, NULL},
    {"loads_skipped", "Batches that began with a cached resource.", AT(loads_skipped), COUNTER, 0,
     NULL, NULL},
    {"resources_cached", "Resources in memory between batches.", AT(resources_cached), GAUGE, 0,
     NULL, NULL},
    {"loads_queued", "Loads that wait for a session.", AT(loads_queued), GAUGE, 0, NULL, NULL},
    {"saves_queued", "Saves that wait for a session.", AT(saves_queued), GAUGE, 0, NULL, NULL},
    {"sessions", "Session threads.", AT(sessions), GAUGE, 0, NULL, NULL},
    {"sessions_busy", "Session threads that are in a call of the store.", AT(sessions_busy), GAUGE,
     0, NULL, NULL},
    {"events", "What an operator should know of, by kind.", AT(events), COUNTER, BATCH_EVENT_COUNT,
     "event", event_value},
    {"records_dropped", "Records of batches that no subscription had room for.",
     AT(metrics_dropped), COUNTER, 0, NULL, NULL},
    {"store_wal_bytes", "The size of the store's write-ahead log (SQLite).", AT(store_wal_bytes),
     GAUGE, 0, NULL, NULL},
    {"store_reconnects", "Connections that were lost and opened again (PostgreSQL).",
     AT(store_reconnects), COUNTER, 0, NULL, NULL},
    {"units_conflicted", "Units of keys tied together by transactions whose save met a conflict.",
     AT(units_conflicted), COUNTER, 0, NULL, NULL},
    {"units_dissolved", "Units that were given up, to be replayed in smaller ones.",
     AT(units_dissolved), COUNTER, 0, NULL, NULL},
    {"unit_keys_max", "How many keys transactions may tie together now.", AT(unit_keys_max), GAUGE,
     0, NULL, NULL},
};

#undef AT

static void print_head(struct writer *writer, const char *name, const char *type, const char *help)
{
    bool is_open = writer->form == BATCH_TEXT_OPENMETRICS;
    const char *suffix = strcmp(type, "counter") == 0 && !is_open ? "_total" : "";
    print(writer, "# HELP libbatch_%s%s %s\n", name, suffix, help);
    print(writer, "# TYPE libbatch_%s%s %s\n", name, suffix, type);
    const char *unit = strrchr(name, '_');
    if (is_open && unit != NULL && (strcmp(unit, "_seconds") == 0 || strcmp(unit, "_bytes") == 0))
        print(writer, "# UNIT libbatch_%s %s\n", name, unit + 1);
}

static void print_family(struct writer *writer, const struct family *family)
{
    const char *suffix = family->kind == COUNTER ? "_total" : "";
    print_head(writer, family->name, family->kind == COUNTER ? "counter" : "gauge", family->help);
    for (size_t i = 0; i < writer->source->processors_size; i++) {
        const char *stats = (const char *)&writer->source->stats[i];
        const uint64_t *numbers = (const void *)(stats + family->offset);
        if (family->count == 0) {
            print_name(writer, family->name, suffix, i, NULL, NULL);
            if (family->kind == GAUGE_SECONDS)
                print_seconds(writer, numbers[0]);
            else
                print(writer, "%" PRIu64 "\n", numbers[0]);
        }
        for (size_t j = 0; j < family->count; j++) {
            print_name(writer, family->name, suffix, i, family->label,
                       family->value(writer->source, j));
            print(writer, "%" PRIu64 "\n", numbers[j]);
        }
    }
}

/* ---- Histograms ----------------------------------------------------------------------------- */

struct histogram_family {
    const char *name;
    const char *help;
    bool is_time;
};

static const struct histogram_family histogram_families[BATCH_HISTOGRAM_KIND_COUNT] = {
    [BATCH_HISTOGRAM_OPERATION_NS] = {"operation_seconds",
                                      "From the acceptance of an operation to its completion.",
                                      true},
    [BATCH_HISTOGRAM_LOAD_NS] = {"load_seconds", "Time to load, including the wait for a session.",
                                 true},
    [BATCH_HISTOGRAM_SAVE_NS] = {"save_seconds", "Time to save, including the wait for a session.",
                                 true},
    [BATCH_HISTOGRAM_TOTAL_NS] = {"batch_seconds",
                                  "From the beginning of a batch to its last completion.", true},
    [BATCH_HISTOGRAM_FIRST_WAIT_NS] =
        {"first_wait_seconds",
         "From the acceptance of the first operation of a batch until it ran.", true},
    [BATCH_HISTOGRAM_BATCH_OPERATIONS] = {"batch_operations", "Operations per batch.", false},
    [BATCH_HISTOGRAM_LOAD_GROUP] = {"load_group_calls",
                                    "Calls per group passed to the store's load.", false},
    [BATCH_HISTOGRAM_SAVE_GROUP] = {"save_group_calls",
                                    "Calls per group passed to the store's save.", false},
    [BATCH_HISTOGRAM_UNIT_KEYS] =
        {"unit_keys", "Keys that transactions tied together, per unit that was stored.", false},
};

static void print_histogram(struct writer *writer, const struct histogram_family *family,
                            size_t index, const batch_histogram *histogram)
{
    int power = family->is_time ? SECONDS_POWER_MIN : NUMBER_POWER_MIN;
    int power_max = family->is_time ? SECONDS_POWER_MAX : NUMBER_POWER_MAX;
    uint64_t count = 0;
    size_t bucket = 0;
    for (; power <= power_max; power++) {
        uint64_t bound = (UINT64_C(1) << power) - 1; /* the end of a bucket of ours too */
        for (; batch_histogram_bucket_max(bucket) <= bound; bucket++)
            count += histogram->counts[bucket];
        char text[32];
        if (family->is_time)
            snprintf(text, sizeof text, "%" PRIu64 ".%09" PRIu64, bound / 1000000000,
                     bound % 1000000000);
        else
            snprintf(text, sizeof text, "%" PRIu64 ".0", bound);
        print_name(writer, family->name, "_bucket", index, "le", text);
        print(writer, "%" PRIu64 "\n", count);
    }
    print_name(writer, family->name, "_bucket", index, "le", "+Inf");
    print(writer, "%" PRIu64 "\n", histogram->count);
    print_name(writer, family->name, "_sum", index, NULL, NULL);
    if (family->is_time)
        print_seconds(writer, histogram->sum);
    else
        print(writer, "%" PRIu64 "\n", histogram->sum);
    print_name(writer, family->name, "_count", index, NULL, NULL);
    print(writer, "%" PRIu64 "\n", histogram->count);
}

static void print_histograms(struct writer *writer)
{
    for (int kind = 0; kind < BATCH_HISTOGRAM_KIND_COUNT; kind++) {
        const struct histogram_family *family = &histogram_families[kind];
        print_head(writer, family->name, "histogram", family->help);
        for (size_t i = 0; i < writer->source->processors_size; i++) {
            batch_histogram histogram;
            memset(&histogram, 0, sizeof histogram);
            writer->source->histogram(writer->source->arg, i, kind, &histogram);
            print_histogram(writer, family, i, &histogram);
        }
    }
}

size_t batch__text_write(const struct batch__text_source *source, int form, char *buffer,
                         size_t buffer_size)
{
    struct writer writer = {source, form, buffer, buffer_size, 0};
    print_head(&writer, "info", "gauge", "The version of libbatch.");
    for (size_t i = 0; i < source->processors_size; i++) {
        print_name(&writer, "info", "", i, "version", source->version);
        print(&writer, "1\n");
    }
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        print_family(&writer, &families[i]);
    print_histograms(&writer);
    if (form == BATCH_TEXT_OPENMETRICS)
        print(&writer, "# EOF\n");
    return writer.length;
}
