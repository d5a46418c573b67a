/* Transactions through the whole library: accounts in a memory store, and transfers. */
#include "harness.h"

#include <semaphore.h>
#include <string.h>

enum { ACCOUNTS = 10, THREADS = 4, TRANSFERS = 500, START = 1000 };

struct transfer {
    batch_transaction transaction; /* first */
    batch_part parts[2];
    int64_t amount;
    int64_t seen[2];
    uint32_t runs;
    batch_result result;
    bool is_refused;
};

static void move(void *const *resources, batch_transaction *transaction)
{
    struct transfer *transfer = (struct transfer *)transaction;
    int64_t *from = resources[0], *to = resources[1];
    transfer->runs++;
    transfer->seen[0] = *from;
    transfer->seen[1] = *to;
    transfer->is_refused = *from < transfer->amount;
    if (transfer->is_refused)
        return;
    *from -= transfer->amount;
    *to += transfer->amount;
    transfer->parts[0].changed = transfer->parts[1].changed = true;
}

static const char *const names[ACCOUNTS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};

static void transfer_init(struct transfer *transfer, const char *from, const char *to,
                          int64_t amount)
{
    *transfer = (struct transfer){.transaction = BATCH_TRANSACTION_INIT,
                                  .parts = {BATCH_PART_INIT, BATCH_PART_INIT},
                                  .amount = amount};
    transfer->parts[0].key = from;
    transfer->parts[0].key_size = strlen(from);
    transfer->parts[1].key = to;
    transfer->parts[1].key_size = strlen(to);
    transfer->transaction.parts = transfer->parts;
    transfer->transaction.parts_size = 2;
    transfer->transaction.run = move;
    transfer->transaction.arg = transfer;
}

static batch_store *bank_new(void)
{
    batch_store *store;
    assert_int_equal(batch_memory_open(&store), BATCH_OK);
    int64_t start = START;
    for (int i = 0; i < ACCOUNTS; i++)
        assert_int_equal(batch_memory_write(store, names[i], 1, &start, sizeof start), BATCH_OK);
    return store;
}

static int64_t stored(batch_store *store, const char *name)
{
    int64_t number = 0;
    batch_memory_read(store, name, strlen(name), &number, sizeof number, NULL, NULL);
    return number;
}

static int64_t sum_of(batch_store *store)
{
    int64_t sum = 0;
    for (int i = 0; i < ACCOUNTS; i++)
        sum += stored(store, names[i]);
    return sum;
}

static batch_options bank_options(batch_store *store)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = store;
    options.resource_size = sizeof(int64_t);
    options.window_ns = BATCH_WINDOW_NONE;
    options.deadline_ns = LONG_NS;
    options.replays_max = 20;
    return options;
}

static batch_processor *started(const batch_options *options)
{
    batch_processor *processor = NULL;
    batch_result error = {0};
    if (batch_processor_start(&processor, options, &error) != BATCH_OK)
        fail_msg("%s", error.message);
    return processor;
}

static void ended(batch_processor *processor)
{
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_free(processor), BATCH_OK);
}

TEST(a_transfer_changes_both_accounts)
{
    batch_store *store = bank_new();
    batch_options options = bank_options(store);
    batch_processor *processor = started(&options);
    struct transfer transfer;
    transfer_init(&transfer, "a", "b", 300);
    assert_int_equal(batch_transaction_run(processor, &transfer.transaction, &transfer.result),
                     BATCH_OK);
    assert_true(transfer.result.changed);
    assert_string_equal(transfer.result.message, "done");
    assert_int_equal(transfer.runs, 1);
    assert_int_equal(stored(store, "a"), 700);
    assert_int_equal(stored(store, "b"), 1300);

    transfer_init(&transfer, "a", "b", 701);
    assert_int_equal(batch_transaction_run(processor, &transfer.transaction, &transfer.result),
                     BATCH_OK);
    assert_true(transfer.is_refused);
    assert_false(transfer.result.changed);
    assert_int_equal(sum_of(store), ACCOUNTS * START);
    ended(processor);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

struct teller {
    batch_processor *processor;
    uint32_t number;
    uint32_t refused;
};

static void *transfers(void *arg)
{
    struct teller *teller = arg;
    uint32_t random = teller->number * 7919 + 1;
    for (int i = 0; i < TRANSFERS; i++) {
        random = random * 1664525 + 1013904223;
        uint32_t from = (random >> 8) % ACCOUNTS;
        uint32_t to = (from + 1 + (random >> 16) % (ACCOUNTS - 1)) % ACCOUNTS;
        struct transfer transfer;
        transfer_init(&transfer, names[from], names[to], (random >> 24) * 4);
        MUST(batch_transaction_run(teller->processor, &transfer.transaction, NULL) == BATCH_OK);
        teller->refused += transfer.is_refused;
    }
    return NULL;
}

static void many_transfers(batch_processor *const processors[2], batch_store *store)
{
    pthread_t threads[THREADS];
    struct teller tellers[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        tellers[i] = (struct teller){processors[i % 2], i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, transfers, &tellers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sum_of(store), ACCOUNTS * START);
    for (int i = 0; i < ACCOUNTS; i++)
        assert_true(stored(store, names[i]) >= 0);
}

TEST(many_transfers_keep_the_sum)
{
    static const uint64_t windows_ns[] = {BATCH_WINDOW_NONE, MS / 10, MS};
    for (size_t i = 0; i < 3; i++) {
        for (uint32_t sessions = 0; sessions <= 3; sessions += 3) {
            batch_store *store = bank_new();
            batch_options options = bank_options(store);
            options.window_ns = windows_ns[i];
            options.sessions = sessions;
            options.resource_cache_max = i == 1 ? 5 : 0;
            batch_processor *processor = started(&options);
            many_transfers((batch_processor *[2]){processor, processor}, store);
            batch_stats stats = BATCH_STATS_INIT;
            assert_int_equal(batch_processor_stats(processor, &stats), BATCH_OK);
            assert_int_equal(stats.units_conflicted, 0);
            assert_true(stats.unit_keys.count > 0);
            ended(processor);
            assert_int_equal(batch_store_close(store), BATCH_OK);
        }
    }
}

/* No balancer: both write the same accounts, and every save may meet a conflict. */
TEST(two_processors_on_the_same_accounts_both_finish_and_lose_nothing)
{
    batch_store *store = bank_new();
    batch_options options = bank_options(store);
    options.replays_max = 1000;
    batch_processor *const processors[2] = {started(&options), started(&options)};
    many_transfers(processors, store);
    for (int i = 0; i < 2; i++)
        ended(processors[i]);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

static void write_b_once(enum store_step step, size_t calls_size, void *arg)
{
    batch_store **store = arg;
    int64_t other = 5;
    if (step != STORE_SAVES || *store == NULL)
        return;
    MUST(calls_size == 2);
    MUST(batch_memory_write(*store, "b", 1, &other, sizeof other) == BATCH_OK);
    *store = NULL;
}

/* As it counts as an operation on each. The conflict of their unit counts once. */
TEST(a_transaction_that_is_replayed_counts_once_for_each_key)
{
    batch_store *store = bank_new();
    batch_store *interfered = store;
    struct store_wrapper wrapper;
    store_wrapper_init(&wrapper, "interfered", store);
    wrapper.store.saves_units = 1;
    wrapper.before = write_b_once;
    wrapper.arg = &interfered;
    batch_options options = bank_options(&wrapper.store);
    batch_processor *processor = started(&options);
    struct transfer transfer;
    transfer_init(&transfer, "a", "b", 300);
    assert_int_equal(batch_transaction_run(processor, &transfer.transaction, &transfer.result),
                     BATCH_OK);
    assert_int_equal(transfer.runs, 2);
    assert_int_equal(stored(store, "a"), START - 300);
    assert_int_equal(stored(store, "b"), 305);
    batch_stats stats = BATCH_STATS_INIT;
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_stats(processor, &stats), BATCH_OK);
    assert_int_equal(stats.replays, 2);
    assert_int_equal(stats.units_conflicted, 1);
    assert_int_equal(stats.units_dissolved, 1);
    assert_int_equal(stats.unit_keys.count, 1);
    assert_int_equal(batch_processor_free(processor), BATCH_OK);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

/* ---- Submit, cancel, stop ------------------------------------------------------------------- */

struct submitted {
    struct transfer transfer; /* first */
    batch_processor *processor;
    struct submitted *next; /* submitted when this one is complete */
    sem_t *is_complete;     /* or NULL */
    uint32_t completions;
    int run_in_callback;
};

static void complete(batch_transaction *transaction, const batch_result *result)
{
    struct submitted *submitted = transaction->arg;
    submitted->transfer.result = *result;
    submitted->completions++;
    if (submitted->next != NULL) {
        struct transfer other;
        transfer_init(&other, "a", "b", 1);
        submitted->run_in_callback =
            batch_transaction_run(submitted->processor, &other.transaction, NULL);
        MUST(batch_transaction_submit(submitted->processor,
                                      &submitted->next->transfer.transaction) == BATCH_OK);
    }
    if (submitted->is_complete != NULL)
        sem_post(submitted->is_complete);
}

static void submitted_init(struct submitted *submitted, batch_processor *processor,
                           const char *from, const char *to)
{
    memset(submitted, 0, sizeof *submitted);
    transfer_init(&submitted->transfer, from, to, 10);
    submitted->transfer.transaction.arg = submitted;
    submitted->transfer.transaction.done = complete;
    submitted->processor = processor;
}

TEST(a_transaction_is_submitted_from_the_callback_of_another_and_does_not_wait_there)
{
    batch_store *store = bank_new();
    batch_options options = bank_options(store);
    batch_processor *processor = started(&options);
    struct submitted first, second;
    submitted_init(&first, processor, "a", "b");
    submitted_init(&second, processor, "b", "c");
    sem_t is_complete;
    sem_init(&is_complete, 0, 0);
    first.next = &second;
    second.is_complete = &is_complete;
    assert_int_equal(batch_transaction_submit(processor, &first.transfer.transaction), BATCH_OK);
    while (sem_wait(&is_complete) != 0)
        ;
    ended(processor);
    sem_destroy(&is_complete);
    assert_int_equal(second.completions, 1);
    assert_int_equal(first.completions, 1);
    assert_int_equal(first.run_in_callback, BATCH_DEADLOCK);
    assert_int_equal(first.transfer.result.status, BATCH_OK);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

TEST(a_transaction_that_waits_is_canceled_once_for_all_its_keys)
{
    batch_store *store = bank_new();
    batch_options options = bank_options(store);
    options.window_ns = LONG_NS;
    options.ops_max = 1;
    batch_processor *processor = started(&options);
    struct submitted first, second;
    submitted_init(&first, processor, "a", "b");
    submitted_init(&second, processor, "b", "c");
    second.transfer.transaction.start_by_ns = 1; /* long ago */
    assert_int_equal(batch_transaction_submit(processor, &second.transfer.transaction), BATCH_OK);
    assert_int_equal(batch_transaction_submit(processor, &first.transfer.transaction), BATCH_OK);
    assert_int_equal(batch_transaction_cancel(processor, &first.transfer.transaction), BATCH_OK);
    ended(processor);
    assert_int_equal(second.completions, 1);
    assert_int_equal(second.transfer.result.status, BATCH_EXPIRED);
    assert_int_equal(second.transfer.runs, 0);
    assert_int_equal(first.completions, 1);
    assert_true(first.transfer.result.status == BATCH_OK ||
                first.transfer.result.status == BATCH_CANCELED);
    assert_int_equal(sum_of(store), ACCOUNTS * START);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

TEST(after_a_stop_none_is_accepted)
{
    batch_store *store = bank_new();
    batch_options options = bank_options(store);
    batch_processor *processor = started(&options);
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    struct submitted submitted;
    submitted_init(&submitted, processor, "a", "b");
    batch_transaction *transaction = &submitted.transfer.transaction;
    assert_int_equal(batch_transaction_submit(processor, transaction), BATCH_STOPPED);
    assert_int_equal(batch_transaction_run(processor, transaction, NULL), BATCH_STOPPED);
    assert_int_equal(batch_transaction_submit(NULL, transaction), BATCH_INVALID);
    assert_int_equal(batch_transaction_submit(processor, NULL), BATCH_INVALID);
    assert_int_equal(batch_transaction_run(NULL, transaction, NULL), BATCH_INVALID);
    assert_int_equal(batch_transaction_cancel(NULL, transaction), BATCH_INVALID);
    assert_int_equal(batch_transaction_cancel(processor, NULL), BATCH_INVALID);
    assert_int_equal(batch_processor_free(processor), BATCH_OK);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

TEST(without_a_store_transactions_run_in_memory_that_nobody_keeps)
{
    batch_options options = bank_options(NULL);
    batch_processor *processor = started(&options);
    struct transfer transfer;
    transfer_init(&transfer, "a", "b", -7);
    assert_int_equal(batch_transaction_run(processor, &transfer.transaction, &transfer.result),
                     BATCH_OK);
    assert_true(transfer.result.changed);
    assert_int_equal(transfer.runs, 1);
    ended(processor);
}

/* ---- What fails ------------------------------------------------------------------------------ */

static void refuse_b(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)store;
    (void)session;
    size_t key_size;
    batch_call *culprit = calls[0];
    for (size_t i = 0; i < calls_size; i++)
        culprit = *(const char *)batch_call_key(calls[i], &key_size) == 'b' ? calls[i] : culprit;
    batch_call_set_error(culprit, 42, "b is refused");
    for (size_t i = 0; i < calls_size; i++)
        batch_call_set_error_of(calls[i], culprit); /* for itself without effect */
    for (size_t i = 0; i < calls_size; i++)
        batch_call_finish(calls[i], BATCH_SAVE_FAILED);
}

static void fail_load_of_b(batch_store *store, void *session, batch_call *const *calls,
                           size_t calls_size)
{
    batch_store *inner = store_wrapper_of(store)->inner;
    for (size_t i = 0; i < calls_size; i++) {
        size_t size;
        const char *key = batch_call_key(calls[i], &size);
        if (*key != 'b') {
            inner->load(inner, session, &calls[i], 1);
            continue;
        }
        batch_call_set_error(calls[i], 43, "b cannot be read");
        batch_call_finish(calls[i], BATCH_LOAD_FAILED);
    }
}

TEST(the_reason_of_one_key_is_that_of_the_transaction)
{
    for (int i = 0; i < 2; i++) {
        batch_store *store = bank_new();
        struct store_wrapper wrapper;
        store_wrapper_init(&wrapper, "faulty", store);
        wrapper.store.saves_units = 1;
        if (i == 0)
            wrapper.store.save = refuse_b;
        else
            wrapper.store.load = fail_load_of_b;
        batch_options options = bank_options(&wrapper.store);
        batch_processor *processor = started(&options);
        struct transfer transfer;
        transfer_init(&transfer, "a", "b", 1);
        int status = batch_transaction_run(processor, &transfer.transaction, &transfer.result);
        assert_int_equal(status, i == 0 ? BATCH_SAVE_FAILED : BATCH_LOAD_FAILED);
        assert_int_equal(transfer.result.store_code, i == 0 ? 42 : 43);
        assert_non_null(strstr(transfer.result.message, i == 0 ? "b is refused" : "b cannot be"));
        assert_int_equal(transfer.runs, i == 0 ? 2 : 0); /* the unit is tried once more */
        assert_int_equal(sum_of(store), ACCOUNTS * START);
        ended(processor);
        assert_int_equal(batch_store_close(store), BATCH_OK);
    }
}

/* ---- What is refused ------------------------------------------------------------------------ */

static void must_refuse(batch_processor *processor, struct transfer *transfer, const char *why)
{
    assert_int_equal(batch_transaction_run(processor, &transfer->transaction, &transfer->result),
                     BATCH_INVALID);
    assert_non_null(strstr(transfer->result.message, why));
    assert_int_equal(transfer->runs, 0);
}

TEST(what_is_not_valid_is_refused_with_a_sentence)
{
    batch_store *store = bank_new();
    batch_options options = bank_options(store);
    batch_processor *processor = started(&options);
    struct transfer transfer;
    transfer_init(&transfer, "a", "a", 1);
    must_refuse(processor, &transfer, "a key is given twice");
    transfer_init(&transfer, "a", "b", 1);
    transfer.transaction.parts_size = 65;
    must_refuse(processor, &transfer, "exceeds 64");
    transfer.transaction.parts_size = 0;
    must_refuse(processor, &transfer, "parts_size is 0");
    transfer_init(&transfer, "a", "b", 1);
    transfer.transaction.parts = NULL;
    must_refuse(processor, &transfer, "parts is NULL");
    transfer_init(&transfer, "a", "b", 1);
    transfer.transaction.run = NULL;
    must_refuse(processor, &transfer, "run is NULL");
    transfer_init(&transfer, "a", "b", 1);
    transfer.parts[1].key_size = BATCH_KEY_SIZE_MAX + 1;
    must_refuse(processor, &transfer, "exceeds 65,536");
    transfer_init(&transfer, "a", "b", 1);
    transfer.parts[0].key = NULL;
    must_refuse(processor, &transfer, "is NULL, but its key_size is not 0");
    ended(processor);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

static void must_run_none(const batch_options *options, const char *why)
{
    batch_processor *processor = started(options);
    struct transfer transfer;
    transfer_init(&transfer, "a", "b", 1);
    must_refuse(processor, &transfer, why);
    ended(processor);
}

static int load_nothing(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)resource;
    (void)arg;
    return BATCH_OK;
}

TEST(a_processor_that_cannot_run_transactions_says_why)
{
    batch_store *store = bank_new();
    batch_options options = bank_options(store);
    options.shards = 2;
    must_run_none(&options, "one shard");
    options = bank_options(store);
    options.group_max = 63;
    must_run_none(&options, "group_max of 64");
    options = bank_options(store);
    options.ops_waiting_max = 1; /* busy for ever */
    must_run_none(&options, "more parts than ops_waiting_max");
    struct store_wrapper wrapper;
    store_wrapper_init(&wrapper, "plain", store);
    options = bank_options(&wrapper.store);
    must_run_none(&options, "saves_units");
    options = bank_options(NULL);
    options.load = load_nothing;
    must_run_none(&options, "load and save functions");
    assert_int_equal(batch_store_close(store), BATCH_OK);
}
