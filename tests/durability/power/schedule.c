/* schedule.c: see schedule.h. */
#include "schedule.h"

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
    CUTS_EACH = 25,
    LONG_ONE_IN = 100,
    STEPS_LONG = 6000
};

struct history;

struct request {
    batch_op op; /* first */
    struct history *history;
    unsigned key;
    uint32_t id;    /* 0: it reads */
    struct log log; /* what was read */
    int status;
};

struct history {
    struct store_wrapper wrapper; /* of SQLite's, which looks at versions */
    batch_store *sqlite;
    const struct history_rules *rules;
    struct findings *findings;
    struct random random;
    uint32_t keys;
    uint32_t filler_max;
    bool is_long; /* lives that last until the log is copied to the file */
    char names[KEYS_MAX][KEY_SIZE];
    struct ledger ledgers[KEYS_MAX];
    bool is_wrong;
    bool is_broken;
    char *text; /* what is wrong */
    size_t text_size;

    /* A life. */
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

__attribute__((format(printf, 2, 3))) static void wrong(struct history *history, const char *format,
                                                        ...)
{
    va_list arguments;
    if (!history->is_wrong) {
        va_start(arguments, format);
        vsnprintf(history->text, history->text_size, format, arguments);
        va_end(arguments);
    }
    history->is_wrong = true;
}

__attribute__((format(printf, 2, 3))) static void broken(struct history *history,
                                                         const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    history->findings->broken += !history->is_broken;
    history->is_broken = true;
    wrong(history, "%s", text);
}

/* ---- The store, and a look at versions ------------------------------------------------------ */

static void look_at_version(struct history *history, const batch_call *call)
{
    size_t key_size;
    const char *name = batch_call_key(call, &key_size);
    unsigned key = 0;
    while (memcmp(history->names[key], name, key_size) != 0)
        key++;
    uint64_t version = batch_call_version(call);
    const struct log *log = batch_call_resource(call);
    struct ledger *ledger = &history->ledgers[key];
    if (log->saves > 0 && ledger->version_base == 0)
        ledger->version_base = version - log->saves;
    if (log->saves == 0 ? version != 0 : version != ledger->version_base + log->saves)
        broken(history, "key %u: version %llu after %u saves, but base %llu", key,
               (unsigned long long)version, log->saves, (unsigned long long)ledger->version_base);
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    struct history *history = store_wrapper_of(store)->arg;
    for (size_t i = 0; i < calls_size; i++)
        look_at_version(history, calls[i]);
    history->sqlite->save(history->sqlite, session, calls, calls_size);
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
    const struct history *history = arg;
    uint32_t size;
    free(log->encoded);
    log->encoded = log_encode(log, log->saves + 1, history->filler_max, &size);
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

static batch_verdict append(void *resource, void *arg)
{
    const struct request *request = arg;
    struct log *log = resource;
    log->ids[log->count++] = request->id;
    return BATCH_CHANGED;
}

static void round_send(struct history *history);
static void round_end(struct history *history);

static void done(batch_op *op, const batch_result *result)
{
    struct request *request = (struct request *)(void *)op;
    struct history *history = request->history;
    request->status = result->status;
    if (result->status != BATCH_OK && !disk_is_off())
        broken(history, "key %u, operation %u, power on: %s", request->key, request->id,
               result->message);
    if (--history->pending == 0)
        round_end(history);
}

static void request_fill(struct history *history, unsigned at, unsigned key, uint32_t id)
{
    struct request *request = &history->requests[at];
    request->op = (batch_op)BATCH_OP_INIT;
    request->op.key = history->names[key];
    request->op.key_size = strlen(history->names[key]);
    request->op.run = id == 0 ? read_log : append;
    request->op.done = done;
    request->op.arg = request;
    request->history = history;
    request->key = key;
    request->id = id;
}

/* Hand them over together, so that they are one batch for each key and one group. */
static void submit(struct history *history, unsigned count)
{
    batch_op *ops[ROUND_MAX];
    for (unsigned i = 0; i < count; i++)
        ops[i] = &history->requests[i].op;
    history->count = history->pending = count;
    if (batch_submit_many(history->processor, ops, count) != BATCH_OK)
        abort();
}

static void round_send(struct history *history)
{
    unsigned wanted = 1 + (unsigned)random_below(&history->random, ROUND_MAX);
    unsigned count = 0;
    for (unsigned i = 0; i < wanted; i++) {
        unsigned key = (unsigned)random_below(&history->random, history->keys);
        if (!ledger_is_full(&history->ledgers[key]))
            request_fill(history, count++, key, ledger_send(&history->ledgers[key]));
    }
    history->rounds_left--;
    history->findings->operations += count;
    history->count = 0;
    if (count > 0)
        submit(history, count);
    else
        round_end(history);
}

static void life_end(struct history *history)
{
    pthread_mutex_lock(&history->lock);
    history->is_over = true;
    pthread_cond_signal(&history->changed);
    pthread_mutex_unlock(&history->lock);
}

/* Every key has been read: judge the cut before. */
static void settle(struct history *history)
{
    struct verdicts *verdicts = &history->findings->verdicts;
    for (unsigned key = 0; key < history->keys; key++) {
        struct verdicts before = *verdicts;
        ledger_settle(&history->ledgers[key], &history->requests[key].log, verdicts);
        if (verdicts->lost != before.lost || verdicts->ghosts != before.ghosts)
            wrong(history, "key %u: %llu acknowledged operations lost, %llu not to be there", key,
                  (unsigned long long)(verdicts->lost - before.lost),
                  (unsigned long long)(verdicts->ghosts - before.ghosts));
    }
}

static void acknowledge(struct history *history)
{
    for (unsigned i = 0; i < history->count; i++) {
        const struct request *request = &history->requests[i];
        if (request->status == BATCH_OK)
            ledger_acknowledge(&history->ledgers[request->key], request->id);
    }
}

static void round_end(struct history *history)
{
    bool is_whole = true;
    for (unsigned i = 0; i < history->count; i++)
        is_whole = is_whole && history->requests[i].status == BATCH_OK;
    if (!history->is_reading)
        acknowledge(history);
    else if (is_whole)
        settle(history);
    history->is_reading = false;
    if (!is_whole || history->is_broken || history->rounds_left == 0)
        life_end(history);
    else
        round_send(history);
}

/* ---- A life --------------------------------------------------------------------------------- */

static int life_open(struct history *history)
{
    batch_result error;
    batch_sqlite_options sqlite_options = BATCH_SQLITE_OPTIONS_INIT;
    sqlite_options.durability = history->rules->durability;
    int status = batch_sqlite_open(&history->sqlite, "/power.db", &sqlite_options, &error);
    if (status == BATCH_OK) {
        store_wrapper_init(&history->wrapper, "power", history->sqlite);
        history->wrapper.store.save = save;
        history->wrapper.arg = history;
        batch_codec codec = {sizeof codec, decode, encode, release, history};
        batch_options options = BATCH_OPTIONS_INIT;
        options.sessions = 0;
        options.store = &history->wrapper.store;
        options.resource_size = sizeof(struct log);
        options.codec = &codec;
        options.window_ns = BATCH_WINDOW_NONE;
        options.deadline_ns = BATCH_FOREVER;
        status = batch_processor_start(&history->processor, &options, &error);
        if (status != BATCH_OK)
            batch_store_close(history->sqlite);
    }
    if (status != BATCH_OK && !disk_is_off())
        broken(history, "cannot be opened: %s", error.message);
    return status;
}

static void life_close(struct history *history)
{
    if (batch_processor_stop(history->processor, BATCH_FOREVER) != 0 ||
        batch_processor_free(history->processor) != BATCH_OK ||
        batch_store_close(history->sqlite) != BATCH_OK)
        abort();
}

/* Read every key, judge, and send so many rounds, as long as there is power. */
static void life_run(struct history *history, unsigned rounds)
{
    if (life_open(history) != BATCH_OK)
        return;
    history->rounds_left = rounds;
    history->is_reading = true;
    history->is_over = false;
    for (unsigned key = 0; key < history->keys; key++)
        request_fill(history, key, key, 0);
    submit(history, history->keys);
    pthread_mutex_lock(&history->lock);
    while (!history->is_over)
        pthread_cond_wait(&history->changed, &history->lock);
    pthread_mutex_unlock(&history->lock);
    life_close(history);
}

/* ---- A history ------------------------------------------------------------------------------ */

static struct history *history_make(uint64_t seed, const struct history_rules *rules,
                                    struct findings *findings)
{
    static const uint32_t fillers[] = {0, 300, 3000, 12000};
    struct history *history = calloc(1, sizeof *history);
    if (history == NULL || pthread_mutex_init(&history->lock, NULL) != 0 ||
        pthread_cond_init(&history->changed, NULL) != 0)
        abort();
    history->rules = rules;
    history->findings = findings;
    history->random.state = seed;
    history->keys = 1 + (uint32_t)random_below(&history->random, KEYS_MAX);
    history->is_long = random_below(&history->random, LONG_ONE_IN) == 0;
    history->filler_max = history->is_long ? 12000 : fillers[random_below(&history->random, 4)];
    for (unsigned key = 0; key < history->keys; key++)
        snprintf(history->names[key], KEY_SIZE, "key %u", key);
    disk_reset(random_next(&history->random), rules->lies);
    return history;
}

static void history_free(struct history *history)
{
    pthread_cond_destroy(&history->changed);
    pthread_mutex_destroy(&history->lock);
    free(history);
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

static void life_and_cut(struct history *history)
{
    static const uint32_t steps_max[] = {12, 40, 80, 160};
    struct random *random = &history->random;
    uint64_t steps = history->is_long ? STEPS_LONG : steps_max[random_below(random, 4)];
    unsigned rounds = 1 + (unsigned)random_below(random, history->is_long ? 40 : 6);
    disk_arm(1 + random_below(random, steps));
    life_run(history, rounds);
    disk_cut();
    history->findings->cuts++;
    history->findings->places[disk_place()]++;
    disk_reboot();
}

bool history_run(uint64_t seed, uint64_t cuts_max, const struct history_rules *rules,
                 struct findings *findings, char *ret_text, size_t text_size)
{
    struct history *history = history_make(seed, rules, findings);
    history->text = ret_text;
    history->text_size = text_size;
    if (history->is_long)
        make_small_pages();
    if (cuts_max > CUTS_EACH)
        cuts_max = CUTS_EACH;
    for (uint64_t cut = 0; cut < cuts_max && !history->is_broken; cut++) {
        if (history->is_wrong && !rules->goes_on)
            break;
        life_and_cut(history);
    }
    if (!history->is_broken)
        life_run(history, 0);
    findings->histories++;
    bool is_right = !history->is_wrong;
    disk_cut();
    history_free(history);
    return is_right;
}
