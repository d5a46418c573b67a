/* power_schedule.c: see power_schedule.h. */
#include "power_schedule.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_wrapper.h"

enum {
    KEYS_MAX = 12,
    KEY_SIZE = 16,
    ROUND_MAX = 24,
    PARTS_MAX = 3,
    SENT_TOGETHER_MAX = 256, /* transactions between two cuts */
    CUTS_EACH = 25,
    LONG_ONE_IN = 100,
    STEPS_LONG = 6000
};

struct schedule;

/* An operation of one key; or of several, in a transaction. */
struct parts {
    unsigned size;
    unsigned keys[PARTS_MAX];
    uint32_t ids[PARTS_MAX]; /* 0: it reads */
};

struct request {
    batch_op op; /* of one part */
    batch_transaction transaction;
    batch_part transaction_parts[PARTS_MAX];
    struct schedule *schedule;
    struct parts parts;
    struct log log; /* what was read */
    int status;
};

struct schedule {
    struct store_wrapper wrapper; /* of SQLite's, which looks at versions */
    batch_store *sqlite;
    const struct schedule_rules *rules;
    struct findings *findings;
    struct random random;
    uint32_t keys;
    uint32_t filler_max;
    bool is_long; /* incarnations that last until the log is copied to the file */
    char names[KEYS_MAX][KEY_SIZE];
    struct ledger ledgers[KEYS_MAX];
    struct parts sent_together[SENT_TOGETHER_MAX]; /* since what is stored was read */
    unsigned sent_together_size;
    bool is_wrong;
    bool is_broken;
    char *text; /* what is wrong */
    size_t text_size;

    /* An incarnation. */
    batch_processor *processor;
    unsigned rounds_left;
    unsigned count; /* operations of this round */
    unsigned pending;
    bool is_reading; /* in this round */
    struct request requests[ROUND_MAX];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_over; /* under lock */
};

__attribute__((format(printf, 2, 3))) static void wrong(struct schedule *schedule,
                                                        const char *format, ...)
{
    va_list arguments;
    if (!schedule->is_wrong) {
        va_start(arguments, format);
        vsnprintf(schedule->text, schedule->text_size, format, arguments);
        va_end(arguments);
    }
    schedule->is_wrong = true;
}

__attribute__((format(printf, 2, 3))) static void broken(struct schedule *schedule,
                                                         const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    schedule->findings->broken += !schedule->is_broken;
    schedule->is_broken = true;
    wrong(schedule, "%s", text);
}

/* ---- The store, and a look at versions ------------------------------------------------------ */

static void look_at_version(struct schedule *schedule, const batch_call *call)
{
    size_t key_size;
    const char *name = batch_call_key(call, &key_size);
    unsigned key = 0;
    while (memcmp(schedule->names[key], name, key_size) != 0)
        key++;
    uint64_t version = batch_call_version(call);
    const struct log *log = batch_call_resource(call);
    struct ledger *ledger = &schedule->ledgers[key];
    if (log->saves > 0 && ledger->version_base == 0)
        ledger->version_base = version - log->saves;
    if (log->saves == 0 ? version != 0 : version != ledger->version_base + log->saves)
        broken(schedule, "key %u: version %llu after %u saves, but base %llu", key,
               (unsigned long long)version, log->saves, (unsigned long long)ledger->version_base);
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    struct schedule *schedule = store_wrapper_of(store)->arg;
    for (size_t i = 0; i < calls_size; i++)
        look_at_version(schedule, calls[i]);
    size_t size = schedule->rules->splits ? 1 : calls_size; /* calls in a transaction */
    for (size_t i = 0; i < calls_size; i += size)
        schedule->sqlite->save(schedule->sqlite, session, calls + i, size);
}

static int decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    (void)arg;
    if (bytes == NULL || log_decode(resource, bytes, (uint32_t)bytes_size))
        return BATCH_OK;
    return BATCH_LOAD_FAILED;
}

static int encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    struct log *log = resource;
    const struct schedule *schedule = arg;
    uint32_t size;
    free(log->encoded);
    log->encoded = log_encode(log, log->saves + 1, schedule->filler_max, &size);
    if (log->encoded == NULL)
        return BATCH_SAVE_FAILED;
    *ret_bytes = log->encoded;
    *ret_bytes_size = size;
    return BATCH_OK;
}

static void release(void *resource, void *arg)
{
    (void)arg;
    free(((struct log *)resource)->encoded);
}

/* ---- Operations, on the worker -------------------------------------------------------------- */

static batch_verdict read_log(void *resource, void *arg)
{
    struct request *request = arg;
    const struct log *log = resource;
    request->log.count = log->count;
    memcpy(request->log.ids, log->ids, log->count * sizeof log->ids[0]);
    return BATCH_UNCHANGED;
}

static void append_id(struct log *log, uint32_t id)
{
    log->ids[log->count++] = id;
}

static batch_verdict append(void *resource, void *arg)
{
    const struct request *request = arg;
    append_id(resource, request->parts.ids[0]);
    return BATCH_CHANGED;
}

static void append_to_all(void *const *resources, batch_transaction *transaction)
{
    const struct parts *parts = &((struct request *)transaction->arg)->parts;
    for (unsigned i = 0; i < parts->size; i++) {
        transaction->parts[i].changed = parts->ids[i] != 0;
        if (parts->ids[i] != 0)
            append_id(resources[i], parts->ids[i]);
    }
}

static void round_send(struct schedule *schedule);
static void round_end(struct schedule *schedule);

static void completed(struct request *request, const batch_result *result)
{
    struct schedule *schedule = request->schedule;
    request->status = result->status;
    if (result->status != BATCH_OK && !disk_is_off())
        broken(schedule, "key %u, operation %u, power on: %s", request->parts.keys[0],
               request->parts.ids[0], result->message);
    if (--schedule->pending == 0)
        round_end(schedule);
}

static void done(batch_op *op, const batch_result *result)
{
    completed(op->arg, result);
}

static void transaction_done(batch_transaction *transaction, const batch_result *result)
{
    completed(transaction->arg, result);
}

static void request_fill(struct schedule *schedule, unsigned at, const struct parts *parts)
{
    struct request *request = &schedule->requests[at];
    request->op = (batch_op)BATCH_OP_INIT;
    request->op.key = schedule->names[parts->keys[0]];
    request->op.key_size = strlen(schedule->names[parts->keys[0]]);
    request->op.run = parts->ids[0] == 0 ? read_log : append;
    request->op.done = done;
    request->op.arg = request;
    request->transaction = (batch_transaction)BATCH_TRANSACTION_INIT;
    request->transaction.parts = request->transaction_parts;
    request->transaction.parts_size = parts->size;
    request->transaction.run = append_to_all;
    request->transaction.done = transaction_done;
    request->transaction.arg = request;
    for (unsigned i = 0; i < parts->size; i++) {
        request->transaction_parts[i] = (batch_part)BATCH_PART_INIT;
        request->transaction_parts[i].key = schedule->names[parts->keys[i]];
        request->transaction_parts[i].key_size = strlen(schedule->names[parts->keys[i]]);
    }
    request->schedule = schedule;
    request->parts = *parts;
}

/* Hand them over together, so that they are one batch for each key and one group. A round that is
 * not for reading is sent by the worker, which takes them when all of them are there. */
static void submit(struct schedule *schedule, unsigned count)
{
    schedule->count = schedule->pending = count;
    if (schedule->is_reading) {
        batch_op *ops[ROUND_MAX];
        for (unsigned i = 0; i < count; i++)
            ops[i] = &schedule->requests[i].op;
        if (batch_submit_many(schedule->processor, ops, count) != BATCH_OK)
            abort();
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        struct request *request = &schedule->requests[i];
        int status = request->parts.size == 1
                         ? batch_submit(schedule->processor, &request->op)
                         : batch_transaction_submit(schedule->processor, &request->transaction);
        if (status != BATCH_OK)
            abort();
    }
}

/* One key, or some that follow each other; in a transaction, some may only be read. False: one of
 * them has no room for more. */
static bool choose_parts(struct schedule *schedule, struct parts *parts)
{
    struct random *random = &schedule->random;
    unsigned key = (unsigned)random_below(random, schedule->keys);
    bool is_together = random_below(random, 3) == 0 && schedule->keys >= PARTS_MAX &&
                       schedule->sent_together_size < SENT_TOGETHER_MAX;
    parts->size = is_together ? 2 + (unsigned)random_below(random, PARTS_MAX - 1) : 1;
    for (unsigned i = 0; i < parts->size; i++) {
        parts->keys[i] = (key + i) % schedule->keys;
        if (ledger_is_full(&schedule->ledgers[parts->keys[i]]))
            return false;
    }
    for (unsigned i = 0; i < parts->size; i++) {
        bool is_read = i > 0 && random_below(random, 4) == 0;
        parts->ids[i] = is_read ? 0 : ledger_send(&schedule->ledgers[parts->keys[i]]);
    }
    if (is_together)
        schedule->sent_together[schedule->sent_together_size++] = *parts;
    return true;
}

static void round_send(struct schedule *schedule)
{
    unsigned wanted = 1 + (unsigned)random_below(&schedule->random, ROUND_MAX);
    unsigned count = 0;
    for (unsigned i = 0; i < wanted; i++) {
        struct parts parts;
        if (choose_parts(schedule, &parts))
            request_fill(schedule, count++, &parts);
    }
    schedule->rounds_left--;
    schedule->findings->operations += count;
    schedule->count = 0;
    if (count > 0)
        submit(schedule, count);
    else
        round_end(schedule);
}

static void incarnation_end(struct schedule *schedule)
{
    pthread_mutex_lock(&schedule->lock);
    schedule->is_over = true;
    pthread_cond_signal(&schedule->changed);
    pthread_mutex_unlock(&schedule->lock);
}

static bool is_in(const struct log *log, uint32_t id)
{
    for (uint32_t i = 0; i < log->count; i++) {
        if (log->ids[i] == id)
            return true;
    }
    return false;
}

/* Transactions are in all keys that they changed, or in none. */
static void settle_together(struct schedule *schedule)
{
    for (unsigned i = 0; i < schedule->sent_together_size; i++) {
        const struct parts *parts = &schedule->sent_together[i];
        bool is_there = is_in(&schedule->requests[parts->keys[0]].log, parts->ids[0]);
        for (unsigned k = 1; k < parts->size; k++) {
            if (parts->ids[k] == 0 ||
                is_in(&schedule->requests[parts->keys[k]].log, parts->ids[k]) == is_there)
                continue;
            schedule->findings->verdicts.torn++;
            wrong(schedule, "keys %u and %u: a transaction is in one of them", parts->keys[0],
                  parts->keys[k]);
        }
        schedule->findings->together += is_there;
    }
    schedule->sent_together_size = 0;
}

/* Every key has been read: check the cut before. */
static void settle(struct schedule *schedule)
{
    struct verdicts *verdicts = &schedule->findings->verdicts;
    settle_together(schedule);
    for (unsigned key = 0; key < schedule->keys; key++) {
        struct verdicts before = *verdicts;
        ledger_settle(&schedule->ledgers[key], &schedule->requests[key].log, verdicts);
        if (verdicts->lost != before.lost || verdicts->ghosts != before.ghosts)
            wrong(schedule, "key %u: %llu acknowledged operations lost, %llu not to be there", key,
                  (unsigned long long)(verdicts->lost - before.lost),
                  (unsigned long long)(verdicts->ghosts - before.ghosts));
    }
}

static void acknowledge(struct schedule *schedule)
{
    for (unsigned i = 0; i < schedule->count; i++) {
        const struct request *request = &schedule->requests[i];
        const struct parts *parts = &request->parts;
        for (unsigned k = 0; request->status == BATCH_OK && k < parts->size; k++) {
            if (parts->ids[k] != 0)
                ledger_acknowledge(&schedule->ledgers[parts->keys[k]], parts->ids[k]);
        }
    }
}

static void round_end(struct schedule *schedule)
{
    bool is_whole = true;
    for (unsigned i = 0; i < schedule->count; i++)
        is_whole = is_whole && schedule->requests[i].status == BATCH_OK;
    if (!schedule->is_reading)
        acknowledge(schedule);
    else if (is_whole)
        settle(schedule);
    schedule->is_reading = false;
    if (!is_whole || schedule->is_broken || schedule->rounds_left == 0)
        incarnation_end(schedule);
    else
        round_send(schedule);
}

/* ---- An incarnation
 * --------------------------------------------------------------------------------- */

static int incarnation_open(struct schedule *schedule)
{
    batch_result error;
    batch_sqlite_options sqlite_options = BATCH_SQLITE_OPTIONS_INIT;
    sqlite_options.durability = schedule->rules->durability;
    int status = batch_sqlite_open(&schedule->sqlite, "/power.db", &sqlite_options, &error);
    if (status == BATCH_OK) {
        store_wrapper_init(&schedule->wrapper, "power", schedule->sqlite);
        schedule->wrapper.store.save = save;
        schedule->wrapper.store.saves_units = 1;
        schedule->wrapper.arg = schedule;
        batch_codec codec = {.size = sizeof codec,
                             .decode = decode,
                             .encode = encode,
                             .release = release,
                             .arg = schedule};
        batch_options options = BATCH_OPTIONS_INIT;
        options.sessions = 0;
        options.store = &schedule->wrapper.store;
        options.resource_size = sizeof(struct log);
        options.codec = &codec;
        options.window_ns = BATCH_WINDOW_NONE;
        options.deadline_ns = BATCH_FOREVER;
        status = batch_processor_start(&schedule->processor, &options, &error);
        if (status != BATCH_OK)
            batch_store_close(schedule->sqlite);
    }
    if (status != BATCH_OK && !disk_is_off())
        broken(schedule, "cannot be opened: %s", error.message);
    return status;
}

static void incarnation_close(struct schedule *schedule)
{
    if (batch_processor_stop(schedule->processor, BATCH_FOREVER) != 0 ||
        batch_processor_free(schedule->processor) != BATCH_OK ||
        batch_store_close(schedule->sqlite) != BATCH_OK)
        abort();
}

/* Read every key, check, and send so many rounds, as long as there is power. */
static void incarnation_run(struct schedule *schedule, unsigned rounds)
{
    if (incarnation_open(schedule) != BATCH_OK)
        return;
    schedule->rounds_left = rounds;
    schedule->is_reading = true;
    schedule->is_over = false;
    for (unsigned key = 0; key < schedule->keys; key++)
        request_fill(schedule, key, &(struct parts){.size = 1, .keys = {key}});
    submit(schedule, schedule->keys);
    pthread_mutex_lock(&schedule->lock);
    while (!schedule->is_over)
        pthread_cond_wait(&schedule->changed, &schedule->lock);
    pthread_mutex_unlock(&schedule->lock);
    incarnation_close(schedule);
}

/* ---- A schedule ------------------------------------------------------------------------------ */

static struct schedule *schedule_make(uint64_t seed, const struct schedule_rules *rules,
                                      struct findings *findings)
{
    static const uint32_t fillers[] = {0, 300, 3000, 12000};
    struct schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL || pthread_mutex_init(&schedule->lock, NULL) != 0 ||
        pthread_cond_init(&schedule->changed, NULL) != 0)
        abort();
    schedule->rules = rules;
    schedule->findings = findings;
    schedule->random.state = seed;
    schedule->keys = 1 + (uint32_t)random_below(&schedule->random, KEYS_MAX);
    schedule->is_long = random_below(&schedule->random, LONG_ONE_IN) == 0;
    schedule->filler_max = schedule->is_long ? 12000 : fillers[random_below(&schedule->random, 4)];
    for (unsigned key = 0; key < schedule->keys; key++)
        snprintf(schedule->names[key], KEY_SIZE, "key %u", key);
    disk_reset(random_next(&schedule->random), rules->lies);
    return schedule;
}

static void schedule_free(struct schedule *schedule)
{
    pthread_cond_destroy(&schedule->changed);
    pthread_mutex_destroy(&schedule->lock);
    free(schedule);
}

/* A file with small pages, so that the log has many, and checkpoints come soon. */
static void make_small_pages(void)
{
    sqlite3 *db;
    if (sqlite3_open("/power.db", &db) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA page_size=512; VACUUM", NULL, NULL, NULL) != SQLITE_OK)
        abort();
    sqlite3_close(db);
}

static void run_and_cut(struct schedule *schedule)
{
    static const uint32_t steps_max[] = {12, 40, 80, 160};
    struct random *random = &schedule->random;
    uint64_t steps = schedule->is_long ? STEPS_LONG : steps_max[random_below(random, 4)];
    unsigned rounds = 1 + (unsigned)random_below(random, schedule->is_long ? 40 : 6);
    disk_arm(1 + random_below(random, steps));
    incarnation_run(schedule, rounds);
    disk_cut();
    schedule->findings->cuts++;
    schedule->findings->places[disk_place()]++;
    disk_reboot();
}

bool schedule_run(uint64_t seed, uint64_t cuts_max, const struct schedule_rules *rules,
                  struct findings *findings, char *ret_text, size_t text_size)
{
    struct schedule *schedule = schedule_make(seed, rules, findings);
    schedule->text = ret_text;
    schedule->text_size = text_size;
    if (schedule->is_long)
        make_small_pages();
    if (cuts_max > CUTS_EACH)
        cuts_max = CUTS_EACH;
    for (uint64_t cut = 0; cut < cuts_max && !schedule->is_broken; cut++) {
        if (schedule->is_wrong && !rules->goes_on)
            break;
        run_and_cut(schedule);
    }
    if (!schedule->is_broken)
        incarnation_run(schedule, 0);
    findings->schedules++;
    bool is_right = !schedule->is_wrong;
    disk_cut();
    schedule_free(schedule);
    return is_right;
}
