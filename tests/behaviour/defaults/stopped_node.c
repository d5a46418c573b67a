/* A process to be stopped while it works, with everything at its default: clicks on many keys of a
 * store, each submitted again as soon as it is complete.
 *
 *     stopped_node STORE PLACE WINDOW KEYS
 *
 * STORE is memory, sqlite (PLACE: a file) or postgres (PLACE: what libpq needs); WINDOW is
 * "default" or "none". For each byte on standard input it waits until every click has been
 * completed a few times more, and answers with a byte. When the input ends it stops, prints how
 * many operations ended with which status, and exits 0 if all of them were BATCH_OK and all counts
 * went on one by one.
 *
 *     stopped_node held load|save SESSIONS
 *
 * One operation, whose load or save writes a byte and then asks whether it is canceled until time
 * has jumped; it fails if it is. Exits 0 if the operation was BATCH_OK. */
#include <batch/metrics.h>
#include <batch/postgres.h>
#include <batch/sqlite.h>
#include <batch/store.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "must.h"

enum { ROUNDS = 3, SHOWN = 5, JUMP_NS = 1500000000 }; /* longer than the time limit */

struct click {
    batch_op op; /* first */
    char key[24];
    uint64_t count, expected;
};

/* Under lock, but for what belongs to the worker. */
static struct {
    batch_processor *processor;
    struct click *clicks;
    uint64_t keys;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t completed;
    bool is_over;
    uint64_t by_status[BATCH_STATUS_COUNT]; /* the worker's, until it has stopped */
    uint64_t wrong;
} node = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static batch_verdict click(void *resource, void *arg)
{
    ((struct click *)arg)->count = ++*(uint64_t *)resource;
    return BATCH_CHANGED;
}

static void count(struct click *one, const batch_result *result)
{
    uint64_t *times = &node.by_status[-result->status];
    if (++*times <= SHOWN && result->status != BATCH_OK)
        fprintf(stderr, "%s: %s\n", batch_status_name(result->status), result->message);
    if (result->status == BATCH_OK && one->expected != 0)
        node.wrong += one->count != one->expected;
    one->expected = result->status == BATCH_OK ? one->count + 1 : 0;
}

static void clicked(batch_op *op, const batch_result *result)
{
    count((struct click *)(void *)op, result);
    pthread_mutex_lock(&node.lock);
    bool is_over = node.is_over;
    if (++node.completed % node.keys == 0)
        pthread_cond_signal(&node.changed);
    pthread_mutex_unlock(&node.lock);
    if (!is_over)
        (void)batch_submit(node.processor, op); /* refused only when the processor stops */
}

/* The table is named after the window: two processes may share a database. */
static batch_store *open_store(const char *name, const char *place, const char *window)
{
    batch_postgres_options postgres = BATCH_POSTGRES_OPTIONS_INIT;
    postgres.table = window;
    batch_store *store = NULL;
    batch_result error = {.status = BATCH_INVALID};
    int status = BATCH_INVALID;
    if (strcmp(name, "memory") == 0)
        status = batch_memory_open(&store);
    else if (strcmp(name, "sqlite") == 0)
        status = batch_sqlite_open(&store, place, NULL, &error);
    else if (strcmp(name, "postgres") == 0)
        status = batch_postgres_open(&store, place, &postgres, &error);
    if (status != BATCH_OK)
        fprintf(stderr, "%s: %s\n", name, error.message);
    MUST(status == BATCH_OK);
    return store;
}

static void start(batch_store *store, const char *window)
{
    batch_options options = BATCH_OPTIONS_INIT;
    batch_result error;
    options.store = store;
    options.resource_size = sizeof(uint64_t);
    if (strcmp(window, "none") == 0)
        options.window_ns = BATCH_WINDOW_NONE;
    int status = batch_processor_start(&node.processor, &options, &error);
    if (status != BATCH_OK)
        fprintf(stderr, "%s\n", error.message);
    MUST(status == BATCH_OK);
    for (uint64_t i = 0; i < node.keys; i++) {
        struct click *one = &node.clicks[i];
        snprintf(one->key, sizeof one->key, "%" PRIu64, i);
        one->op = (batch_op){.key = one->key,
                             .key_size = strlen(one->key),
                             .run = click,
                             .done = clicked,
                             .arg = one};
        MUST(batch_submit(node.processor, &one->op) == BATCH_OK);
    }
}

static void answer(void)
{
    char byte;
    while (read(STDIN_FILENO, &byte, 1) == 1) {
        pthread_mutex_lock(&node.lock);
        uint64_t until = node.completed + ROUNDS * node.keys;
        while (node.completed < until)
            pthread_cond_wait(&node.changed, &node.lock);
        pthread_mutex_unlock(&node.lock);
        MUST(write(STDOUT_FILENO, &byte, 1) == 1);
    }
    pthread_mutex_lock(&node.lock);
    node.is_over = true;
    pthread_mutex_unlock(&node.lock);
}

/* ---- One call that is under way -------------------------------------------------------------- */

struct held {
    batch_store store; /* first */
    bool is_save;
    bool is_over; /* once is enough */
};

static int held_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    (void)reterr;
    *ret_session = store;
    return BATCH_OK;
}

static void held_end(batch_store *store, void *session)
{
    (void)store, (void)session;
}

static void held_close(batch_store *store)
{
    (void)store;
}

/* True: time has jumped, and it is not late. */
static bool hold(const batch_call *call)
{
    const struct timespec a_little = {0, 1000000};
    uint64_t last_ns = batch_now_ns();
    MUST(write(STDOUT_FILENO, "!", 1) == 1);
    for (;;) {
        nanosleep(&a_little, NULL);
        bool is_late = batch_call_is_canceled(call);
        uint64_t now_ns = batch_now_ns();
        if (is_late || now_ns - last_ns > JUMP_NS)
            return !is_late;
        last_ns = now_ns;
    }
}

static void perform(batch_store *store, batch_call *const *calls, size_t size, bool is_save)
{
    struct held *held = (struct held *)(void *)store;
    for (size_t i = 0; i < size; i++) {
        bool is_it = is_save == held->is_save && !held->is_over;
        held->is_over = held->is_over || is_it;
        batch_call_finish(calls[i], !is_it || hold(calls[i]) ? BATCH_OK : BATCH_SAVE_FAILED);
    }
}

static void held_load(batch_store *store, void *session, batch_call *const *calls, size_t size)
{
    (void)session;
    perform(store, calls, size, false);
}

static void held_save(batch_store *store, void *session, batch_call *const *calls, size_t size)
{
    (void)session;
    perform(store, calls, size, true);
}

static int run_held(const char *stage, const char *sessions)
{
    struct held held = {.store = BATCH_STORE_INIT, .is_save = strcmp(stage, "save") == 0};
    held.store.name = "held";
    held.store.session_open = held_open;
    held.store.load = held_load;
    held.store.save = held_save;
    held.store.session_close = held_end;
    held.store.close = held_close;
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = &held.store;
    options.resource_size = sizeof(uint64_t);
    options.sessions = (uint32_t)strtoul(sessions, NULL, 10);
    MUST(batch_processor_start(&node.processor, &options, NULL) == BATCH_OK);
    struct click one = {.key = "held"};
    batch_result result;
    one.op = (batch_op){.key = one.key, .key_size = strlen(one.key), .run = click, .arg = &one};
    int status = batch_run(node.processor, &one.op, &result);
    if (status != BATCH_OK)
        fprintf(stderr, "%s: %s\n", batch_status_name(status), result.message);
    MUST(batch_processor_stop(node.processor, BATCH_FOREVER) == 0);
    batch_processor_free(node.processor);
    return status != BATCH_OK;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "held") == 0)
        return run_held(argv[2], argv[3]);
    MUST(argc == 5);
    batch_store *store = open_store(argv[1], argv[2], argv[3]);
    node.keys = strtoull(argv[4], NULL, 10);
    node.clicks = calloc(node.keys, sizeof *node.clicks);
    MUST(node.clicks != NULL);
    start(store, argv[3]);
    answer();
    MUST(batch_processor_stop(node.processor, BATCH_FOREVER) == 0);
    batch_processor_free(node.processor);
    MUST(batch_store_close(store) == BATCH_OK);
    uint64_t failed = node.wrong;
    fprintf(stderr, "%s, window %s:", argv[1], argv[3]);
    for (int status = 0; status < BATCH_STATUS_COUNT; status++) {
        if (node.by_status[status] > 0)
            fprintf(stderr, " %" PRIu64 " %s", node.by_status[status], batch_status_name(-status));
        failed += status != BATCH_OK ? node.by_status[status] : 0;
    }
    fprintf(stderr, ", %" PRIu64 " wrong counts\n", node.wrong);
    free(node.clicks);
    return failed > 0;
}
