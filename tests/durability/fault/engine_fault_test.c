/* engine_fault_test.c: every fault in turn in libbatch itself: with load and save functions, with
 * the memory store, and with a store and a codec that fail in every way that they may. */
#include "pass.h"
#include "scenario.h"
#include "store_wrapper.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A few rows, for the functions ---------------------------------------------------------- */

enum { ROWS_MAX = 128 };

struct row {
    char key[2400];
    size_t key_size;
    int64_t number;
    uint64_t version; /* 0: not there */
};

struct rows {
    struct backend backend; /* first */
    pthread_mutex_t lock;
    struct row rows[ROWS_MAX];
    unsigned failures; /* of save so far: each kind in turn */
};

/* Locks: held. */
static struct row *row_of(struct rows *rows, const void *key, size_t key_size)
{
    struct row *row = rows->rows;
    while (row->version != 0 && (row->key_size != key_size || memcmp(row->key, key, key_size) != 0))
        row++;
    memcpy(row->key, key, key_size);
    row->key_size = key_size;
    return row;
}

static int rows_load(batch_call *call, void *resource, void *arg)
{
    struct rows *rows = arg;
    size_t key_size;
    const void *key = batch_call_key(call, &key_size);
    if (faults_callback_fails()) {
        batch_call_set_error(call, 7, "the rows cannot be read");
        return 1;
    }
    pthread_mutex_lock(&rows->lock);
    const struct row *row = row_of(rows, key, key_size);
    *(int64_t *)resource = row->version != 0 ? row->number : 0;
    batch_call_set_version(call, row->version);
    pthread_mutex_unlock(&rows->lock);
    return BATCH_OK;
}

static int rows_save(batch_call *call, void *resource, void *arg)
{
    static const int statuses[] = {BATCH_SAVE_FAILED, BATCH_CONFLICT, BATCH_UNKNOWN, 5};
    struct rows *rows = arg;
    size_t key_size;
    const void *key = batch_call_key(call, &key_size);
    bool does_fail = faults_callback_fails();
    pthread_mutex_lock(&rows->lock);
    struct row *row = row_of(rows, key, key_size);
    int status = row->version == batch_call_version(call) ? BATCH_OK : BATCH_CONFLICT;
    unsigned failure = does_fail ? rows->failures++ : 0;
    bool may_be_unknown = failure % 4 >= 2;
    bool writes = status == BATCH_OK && (!does_fail || (may_be_unknown && failure % 8 >= 4));
    if (writes) {
        row->number = *(int64_t *)resource;
        batch_call_set_version(call, ++row->version);
    }
    pthread_mutex_unlock(&rows->lock);
    if (does_fail)
        status = statuses[failure % 4];
    if (status != BATCH_OK)
        batch_call_set_error(call, 8, "the row cannot be written");
    return status;
}

static void rows_clear(struct backend *backend)
{
    struct rows *rows = (struct rows *)backend;
    memset(rows->rows, 0, sizeof rows->rows);
}

static int rows_open(struct backend *backend, batch_options *options, batch_result *reterr)
{
    (void)reterr;
    options->load = rows_load;
    options->save = rows_save;
    options->arg = backend;
    return BATCH_OK;
}

static void rows_close(struct backend *backend)
{
    (void)backend;
}

static int64_t rows_read(struct backend *backend, const void *key, size_t key_size)
{
    struct rows *rows = (struct rows *)backend;
    pthread_mutex_lock(&rows->lock);
    const struct row *row = row_of(rows, key, key_size);
    int64_t number = row->version != 0 ? row->number : 0;
    pthread_mutex_unlock(&rows->lock);
    return number;
}

static void rows_write(struct backend *backend, const void *key, size_t key_size, int64_t number)
{
    struct rows *rows = (struct rows *)backend;
    pthread_mutex_lock(&rows->lock);
    struct row *row = row_of(rows, key, key_size);
    row->number = number;
    row->version++;
    pthread_mutex_unlock(&rows->lock);
}

/* Only what a save says for itself. */
static bool is_by_save(const batch_result *result)
{
    return result->store_code == 8;
}

/* ---- The memory store, and one around it that fails ----------------------------------------- */

struct memory_case {
    struct backend backend; /* first */
    batch_store *store;     /* until it is cleared: so that it can be read */
    struct store_wrapper around;
    bool is_around;
    unsigned failures; /* of `around` so far: each kind in turn */
    pthread_mutex_t lock;
};

static unsigned next_failure(struct memory_case *tried)
{
    pthread_mutex_lock(&tried->lock);
    unsigned failure = tried->failures++;
    pthread_mutex_unlock(&tried->lock);
    return failure;
}

static int around_session_open(batch_store *around, void **ret_session, batch_result *reterr)
{
    static const int statuses[] = {BATCH_STORE_FAILED, BATCH_NO_MEMORY, 5};
    struct memory_case *tried = store_wrapper_of(around)->arg;
    if (faults_callback_fails()) {
        unsigned failure = next_failure(tried);
        if (failure % 2 == 0)
            strcpy(reterr->message, "no session today");
        return statuses[failure % 3];
    }
    return tried->store->session_open(tried->store, ret_session, reterr);
}

/* Fail some, and hand over the others. The number of those. */
static size_t fail_some(struct memory_case *tried, batch_call *const *calls, size_t calls_size,
                        const int statuses[4], int code, batch_call **ret_others)
{
    size_t others = 0;
    for (size_t i = 0; i < calls_size; i++) {
        if (!faults_callback_fails()) {
            ret_others[others++] = calls[i];
            continue;
        }
        unsigned failure = next_failure(tried);
        if (failure % 3 != 0)
            batch_call_set_error(calls[i], code, failure % 3 == 1 ? "not today" : NULL);
        else
            batch_call_set_error(calls[i], code,
                                 "a text that is longer than what there is room "
                                 "for: a text that is longer than what there is "
                                 "room for: a text that is longer than what there "
                                 "is room for: a text that is longer than that");
        batch_call_finish(calls[i], statuses[failure % 4]);
    }
    return others;
}

enum { GROUP = 256 };

static void around_load(batch_store *around, void *session, batch_call *const *calls,
                        size_t calls_size)
{
    static const int statuses[4] = {BATCH_LOAD_FAILED, BATCH_NO_MEMORY, BATCH_UNKNOWN, 5};
    struct memory_case *tried = store_wrapper_of(around)->arg;
    batch_call *others[GROUP];
    size_t size = fail_some(tried, calls, calls_size, statuses, 7, others);
    tried->store->load(tried->store, session, others, size);
}

static void around_save(batch_store *around, void *session, batch_call *const *calls,
                        size_t calls_size)
{
    static const int statuses[4] = {BATCH_SAVE_FAILED, BATCH_CONFLICT, BATCH_UNKNOWN, 5};
    struct memory_case *tried = store_wrapper_of(around)->arg;
    batch_call *others[GROUP];
    size_t size = fail_some(tried, calls, calls_size, statuses, 8, others);
    tried->store->save(tried->store, session, others, size);
}

/* ---- The backends ---------------------------------------------------------------------------- */

static void memory_clear(struct backend *backend)
{
    struct memory_case *tried = (struct memory_case *)backend;
    if (batch_store_close(tried->store) != BATCH_OK) {
        fprintf(stderr, "%s: the store is in use\n", backend->name);
        exit(1);
    }
    tried->store = NULL;
}

static int memory_open(struct backend *backend, batch_options *options, batch_result *reterr)
{
    struct memory_case *tried = (struct memory_case *)backend;
    memory_clear(backend);
    int status = batch_memory_open(&tried->store);
    if (status != BATCH_OK) { /* it has no words for it */
        reterr->status = status;
        strcpy(reterr->message, batch_status_text(status));
        return status;
    }
    options->store = tried->store;
    if (!tried->is_around)
        return BATCH_OK;
    store_wrapper_init(&tried->around, "around", tried->store);
    tried->around.store.session_open = around_session_open;
    tried->around.store.load = around_load;
    tried->around.store.save = around_save;
    tried->around.arg = tried;
    options->store = &tried->around.store;
    return BATCH_OK;
}

static void memory_close(struct backend *backend)
{
    (void)backend;
}

static int64_t memory_read(struct backend *backend, const void *key, size_t key_size)
{
    const struct memory_case *tried = (struct memory_case *)backend;
    int64_t number = 0;
    if (!batch_memory_read(tried->store, key, key_size, &number, sizeof number, NULL, NULL))
        return 0;
    return number;
}

static void memory_write(struct backend *backend, const void *key, size_t key_size, int64_t number)
{
    const struct memory_case *tried = (struct memory_case *)backend;
    if (batch_memory_write(tried->store, key, key_size, &number, sizeof number) != BATCH_OK)
        abort();
}

#define MEMORY_BACKEND(shown)                                                                      \
    {                                                                                              \
        .name = (shown), .clear = memory_clear, .open = memory_open, .close = memory_close,        \
        .read = memory_read, .write = memory_write                                                 \
    }

/* Behind the back of every processor: a number is written, or there is no memory and it is not. */
static void sweep_behind(void)
{
    bool is_hit = true;
    for (uint64_t number = 1; is_hit; number++) {
        const struct faults_plan plan = {.mode = FAULTS_ONCE, .number = number};
        batch_store *store = NULL;
        int64_t stored[2] = {0, 0};
        faults_arm(&plan);
        int status = batch_memory_open(&store);
        int written = status == BATCH_OK ? batch_memory_write(store, "k", 1, &number, 8) : status;
        is_hit = faults_disarm();
        if (status == BATCH_OK) {
            bool is_there = batch_memory_read(store, "k", 1, stored, sizeof stored, NULL, NULL);
            if (is_there != (written == BATCH_OK) || (is_there && stored[0] != (int64_t)number) ||
                batch_memory_delete(store, "k", 1) != is_there)
                written = 1;
        }
        if ((written != BATCH_OK && written != BATCH_NO_MEMORY) ||
            (written != BATCH_OK && !is_hit) || batch_store_close(store) != BATCH_OK) {
            fprintf(stderr, "memory store, behind, fault %lu: %d\n", (unsigned long)number,
                    written);
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    static struct rows rows = {.backend = {.name = "functions",
                                           .clear = rows_clear,
                                           .open = rows_open,
                                           .close = rows_close,
                                           .read = rows_read,
                                           .write = rows_write,
                                           .may_be_unknown = is_by_save},
                               .lock = PTHREAD_MUTEX_INITIALIZER};
    static struct memory_case memory = {.backend = MEMORY_BACKEND("memory"),
                                        .lock = PTHREAD_MUTEX_INITIALIZER};
    static struct memory_case around = {
        .backend = MEMORY_BACKEND("around"), .is_around = true, .lock = PTHREAD_MUTEX_INITIALIZER};
    around.backend.may_be_unknown = is_by_save;
    struct fault_case cases[] = {
        {.name = "functions",
         .backend = &rows.backend,
         .keys = 9,
         .sessions = 1,
         .shards = 1,
         .window_ns = 1000000},
        {.name = "memory store",
         .backend = &memory.backend,
         .keys = 9,
         .shards = 2,
         .cache_max = 4,
         .has_codec = true},
        {.name = "memory store, transactions",
         .backend = &memory.backend,
         .keys = 9,
         .shards = 1,
         .cache_max = 4,
         .has_transactions = true,
         .has_codec = true},
        {.name = "memory store, many keys",
         .backend = &memory.backend,
         .keys = 70,
         .sessions = 2,
         .shards = 1},
        {.name = "driven", .backend = &memory.backend, .keys = 9, .shards = 1, .is_driven = true},
        {.name = "a store that fails, with a codec",
         .backend = &around.backend,
         .keys = 9,
         .sessions = 1,
         .shards = 1,
         .has_codec = true},
        {.name = "a store that fails, resources cached",
         .backend = &around.backend,
         .keys = 9,
         .sessions = 3,
         .shards = 2,
         .cache_max = 64,
         .has_codec = true},
    };
    (void)argc;
    faults_init();
    size_t cases_size = sizeof cases / sizeof cases[0];
    scenario_sweep(cases, cases_size);
    /* The number of a call depends on which thread comes first, so one may be passed over. */
    for (size_t i = 0; i < cases_size; i++)
        cases[i].by_path = true;
    scenario_sweep(cases, cases_size);
    sweep_behind();
    memory_clear(&memory.backend);
    memory_clear(&around.backend);
    pass_report(argv[0]);
    return 0;
}
