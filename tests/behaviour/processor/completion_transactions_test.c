/* completion_transactions_test.c: transactions that complete on the thread of an event loop. */
#include "loop.h"

#include <string.h>

enum { START = 1000, MANY = 8 };

/* A processor on a memory store: saves may be held, and made to fail. */
struct bank {
    struct store_wrapper wrapper; /* first */
    batch_store *memory;
    struct allocator allocator;
    batch_processor *processor;
    struct gate save_gate;
    bool refuses; /* set while nothing is saved */
};

struct transfer {
    batch_transaction transaction; /* first */
    batch_part parts[2];
    struct bank *bank;
    struct loop *loop;
    void (*on_done)(struct transfer *transfer);
    int64_t seen; /* on the first account, before it ran */
    uint32_t runs, completions;
    batch_result result;
};

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    struct bank *bank = (struct bank *)(void *)store;
    gate_pass(&bank->save_gate);
    if (!bank->refuses) {
        bank->memory->save(bank->memory, session, calls, calls_size);
        return;
    }
    allocator_refuse(&bank->allocator, false);
    for (size_t i = 0; i < calls_size; i++)
        batch_call_set_error(calls[i], 28, "no room");
    allocator_refuse(&bank->allocator, true);
    for (size_t i = 0; i < calls_size; i++)
        batch_call_finish(calls[i], BATCH_SAVE_FAILED);
}

static void bank_begin(struct bank *bank)
{
    memset(bank, 0, sizeof *bank);
    gate_init(&bank->save_gate);
    assert_int_equal(batch_memory_open(&bank->memory), BATCH_OK);
    store_wrapper_init(&bank->wrapper, "bank", bank->memory);
    bank->wrapper.store.saves_units = 1;
    bank->wrapper.store.save = save;
    int64_t start = START;
    for (char key = 'a'; key <= 'f'; key++)
        assert_int_equal(batch_memory_write(bank->memory, &key, 1, &start, sizeof start), BATCH_OK);
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = &bank->wrapper.store;
    options.resource_size = sizeof(int64_t);
    options.window_ns = BATCH_WINDOW_NONE;
    options.deadline_ns = LONG_NS;
    options.sessions = 1;
    options.allocator = allocator_functions(&bank->allocator);
    assert_int_equal(batch_processor_start(&bank->processor, &options, NULL), BATCH_OK);
}

static void bank_stop(struct bank *bank)
{
    assert_int_equal(batch_processor_stop(bank->processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_free(bank->processor), BATCH_OK);
    bank->processor = NULL;
}

static void bank_end(struct bank *bank)
{
    if (bank->processor != NULL)
        bank_stop(bank);
    assert_int_equal(bank->allocator.live, 0);
    int64_t sum = 0;
    for (char key = 'a'; key <= 'f'; key++) {
        int64_t cents = 0;
        batch_memory_read(bank->memory, &key, 1, &cents, sizeof cents, NULL, NULL);
        sum += cents;
    }
    assert_int_equal(sum, 6 * START);
    assert_int_equal(batch_store_close(&bank->wrapper.store), BATCH_OK);
    assert_int_equal(batch_store_close(bank->memory), BATCH_OK);
    gate_destroy(&bank->save_gate);
}

#define BANK_TEST(name) TEST_OF(name, struct bank, bank, bank_begin, bank_end)

static void move(void *const *resources, batch_transaction *transaction)
{
    struct transfer *transfer = (struct transfer *)transaction;
    transfer->runs++;
    transfer->seen = *(int64_t *)resources[0];
    *(int64_t *)resources[0] -= 1;
    *(int64_t *)resources[1] += 1;
    transfer->parts[0].changed = transfer->parts[1].changed = true;
}

static void complete(batch_transaction *transaction, const batch_result *result)
{
    struct transfer *transfer = (struct transfer *)transaction;
    MUST(pthread_equal(transfer->loop->thread, pthread_self()));
    transfer->result = *result;
    transfer->completions++;
    if (transfer->on_done != NULL)
        transfer->on_done(transfer);
}

static void transfer_init(struct transfer *transfer, struct bank *bank, struct loop *loop,
                          const char *from, const char *to)
{
    *transfer = (struct transfer){.transaction = BATCH_TRANSACTION_INIT,
                                  .parts = {BATCH_PART_INIT, BATCH_PART_INIT},
                                  .bank = bank,
                                  .loop = loop};
    transfer->parts[0].key = from;
    transfer->parts[1].key = to;
    transfer->parts[0].key_size = transfer->parts[1].key_size = 1;
    transfer->transaction.parts = transfer->parts;
    transfer->transaction.parts_size = 2;
    transfer->transaction.run = move;
    transfer->transaction.done = complete;
}

static int submit(struct transfer *transfer)
{
    return batch_transaction_submit_to(transfer->bank->processor, &transfer->transaction,
                                       transfer->loop->completions);
}

static void send(struct transfer *transfer, struct bank *bank, struct loop *loop, const char *from,
                 const char *to)
{
    transfer_init(transfer, bank, loop, from, to);
    assert_int_equal(submit(transfer), BATCH_OK);
}

/* ---- Where, and in which order -------------------------------------------------------------- */

BANK_TEST(done_is_called_by_dispatch_on_its_thread_and_nowhere_else)
{
    struct loop loop;
    struct transfer transfers[MANY];
    loop_open(&loop);
    for (int i = 0; i < MANY; i++)
        send(&transfers[i], bank, &loop, "a", i % 2 == 0 ? "b" : "c");
    loop_await_readable(&loop);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(transfers[i].completions, 0);
    loop_dispatch(&loop, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(transfers[i].completions, 1);
        assert_int_equal(transfers[i].runs, 1);
        assert_int_equal(transfers[i].seen, START - i); /* they begin in order */
        assert_int_equal(transfers[i].result.status, BATCH_OK);
        assert_int_equal(transfers[i].result.store_code, 0);
        assert_true(transfers[i].result.batch_operations > 0);
        assert_true(transfers[i].result.changed);
        assert_string_equal(transfers[i].result.message, "done");
    }
    loop_close(&loop);
}

struct add {
    batch_op op; /* first */
    struct loop *loop;
    int64_t seen;
    uint32_t completions;
};

static batch_verdict add_nothing(void *resource, void *arg)
{
    ((struct add *)arg)->seen = *(int64_t *)resource;
    return BATCH_UNCHANGED;
}

static void add_done(batch_op *op, const batch_result *result)
{
    struct add *add = (struct add *)(void *)op;
    MUST(pthread_equal(add->loop->thread, pthread_self()));
    MUST(result->status == BATCH_OK);
    add->completions++;
}

BANK_TEST(operations_and_transactions_share_loops_and_keys)
{
    struct loop loops[2];
    struct transfer transfers[MANY];
    struct add adds[MANY];
    loop_open(&loops[0]);
    loop_open(&loops[1]);
    gate_close(&bank->save_gate);
    for (int i = 0; i < MANY; i++) {
        send(&transfers[i], bank, &loops[i % 2], "a", "b");
        adds[i] = (struct add){.op = BATCH_OP_INIT, .loop = &loops[i % 2]};
        adds[i].op.key = "a";
        adds[i].op.key_size = 1;
        adds[i].op.run = add_nothing;
        adds[i].op.done = add_done;
        adds[i].op.arg = &adds[i];
        assert_int_equal(batch_submit_to(bank->processor, &adds[i].op, adds[i].loop->completions),
                         BATCH_OK);
    }
    gate_open(&bank->save_gate);
    loop_dispatch(&loops[1], MANY);
    loop_dispatch(&loops[0], MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(transfers[i].completions, 1);
        assert_int_equal(adds[i].completions, 1);
        assert_int_equal(transfers[i].seen, START - i);
        assert_int_equal(adds[i].seen, START - i - 1);
    }
    loop_close(&loops[0]);
    loop_close(&loops[1]);
}

/* ---- How it ended --------------------------------------------------------------------------- */

/* Its result is in the transaction itself: so its message needs no memory. */
BANK_TEST(one_that_fails_says_why_without_memory)
{
    struct loop loop;
    struct transfer transfer;
    loop_open(&loop);
    bank->refuses = true;
    send(&transfer, bank, &loop, "a", "b");
    loop_await_readable(&loop);
    bank_stop(bank); /* before it is dispatched; nothing of its memory is in use any more */
    loop_dispatch(&loop, 1);
    assert_int_equal(transfer.completions, 1);
    assert_int_equal(transfer.result.status, BATCH_SAVE_FAILED);
    assert_int_equal(transfer.result.store_code, 28);
    assert_true(transfer.result.changed);
    assert_non_null(strstr(transfer.result.message, "no room"));
    assert_non_null(strstr(transfer.result.message, "key '"));
    loop_close(&loop);
}

BANK_TEST(those_that_never_began_say_why)
{
    struct loop loop;
    struct transfer first, canceled, expired;
    loop_open(&loop);
    gate_close(&bank->save_gate);
    send(&first, bank, &loop, "a", "b");
    gate_await(&bank->save_gate, 1);
    send(&canceled, bank, &loop, "b", "c"); /* waits for "b", which is being saved */
    assert_int_equal(batch_transaction_cancel(bank->processor, &canceled.transaction), BATCH_OK);
    loop_dispatch(&loop, 1);
    assert_int_equal(canceled.completions, 1);
    assert_int_equal(canceled.result.status, BATCH_CANCELED);
    assert_string_equal(canceled.result.message, batch_status_text(BATCH_CANCELED));
    transfer_init(&expired, bank, &loop, "b", "d");
    expired.transaction.start_by_ns = 1;
    assert_int_equal(submit(&expired), BATCH_OK);
    loop_dispatch(&loop, 1);
    assert_int_equal(expired.result.status, BATCH_EXPIRED);
    assert_string_equal(expired.result.message, batch_status_text(BATCH_EXPIRED));
    assert_int_equal(canceled.runs + expired.runs + first.completions, 0);
    gate_open(&bank->save_gate);
    loop_dispatch(&loop, 1);
    assert_int_equal(first.result.status, BATCH_OK);
    loop_close(&loop);
}

/* ---- In use until it is dispatched ---------------------------------------------------------- */

static void submit_once_more(struct transfer *transfer)
{
    if (transfer->completions == 1)
        MUST(submit(transfer) == BATCH_OK);
}

BANK_TEST(transaction_is_its_owners_again_in_done_and_not_before)
{
    struct loop loop;
    struct transfer transfer;
    batch_result result;
    loop_open(&loop);
    send(&transfer, bank, &loop, "a", "b");
    transfer.on_done = submit_once_more;
    loop_await_readable(&loop);
    assert_int_equal(batch_completions_close(loop.completions), BATCH_BUSY);
    assert_int_equal(submit(&transfer), BATCH_INVALID);
    assert_int_equal(batch_transaction_run(bank->processor, &transfer.transaction, &result),
                     BATCH_INVALID);
    assert_non_null(strstr(result.message, "in use"));
    assert_int_equal(batch_transaction_cancel(bank->processor, &transfer.transaction), BATCH_OK);
    loop_dispatch(&loop, 1);
    assert_int_equal(transfer.result.status, BATCH_OK);
    loop_dispatch(&loop, 1);
    assert_int_equal(transfer.completions, 2);
    assert_int_equal(transfer.result.status, BATCH_OK);
    loop_close(&loop);
}

static void free_it(struct transfer *transfer)
{
    transfer->loop->wakes += transfer->result.status == BATCH_OK;
    free(transfer);
}

BANK_TEST(done_may_free_it)
{
    struct loop loop;
    struct transfer *transfer = malloc(sizeof *transfer);
    loop_open(&loop);
    transfer_init(transfer, bank, &loop, "a", "b");
    transfer->on_done = free_it;
    assert_int_equal(submit(transfer), BATCH_OK);
    loop_dispatch(&loop, 1);
    assert_int_equal(loop.wakes, 1);
    loop_close(&loop);
}

/* ---- The end -------------------------------------------------------------------------------- */

static void stopped(batch_processor *processor, void *arg)
{
    struct transfer *transfer = arg;
    MUST(transfer->completions == 1);
    MUST(batch_processor_free(processor) == BATCH_OK);
    transfer->bank->processor = NULL;
}

BANK_TEST(end_of_a_stop_comes_after_them)
{
    struct loop loop;
    struct transfer transfer;
    loop_open(&loop);
    gate_close(&bank->save_gate);
    send(&transfer, bank, &loop, "a", "b");
    gate_await(&bank->save_gate, 1);
    assert_int_equal(batch_processor_stop_to(bank->processor, loop.completions, stopped, &transfer),
                     BATCH_OK);
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 0);
    gate_open(&bank->save_gate);
    loop_dispatch(&loop, 2);
    assert_null(bank->processor);
    assert_int_equal(transfer.result.status, BATCH_OK);
    loop_close(&loop);
}

BANK_TEST(one_that_is_refused_is_not_expected)
{
    struct loop loop;
    struct transfer transfer;
    loop_open(&loop);
    batch_completions *completions = loop.completions;
    batch_processor *processor = bank->processor;
    batch_transaction *transaction = &transfer.transaction;
    transfer_init(&transfer, bank, &loop, "a", "a");
    assert_int_equal(submit(&transfer), BATCH_INVALID);
    transfer_init(&transfer, bank, &loop, "a", "b");
    assert_int_equal(batch_transaction_submit_to(NULL, transaction, completions), BATCH_INVALID);
    assert_int_equal(batch_transaction_submit_to(processor, NULL, completions), BATCH_INVALID);
    assert_int_equal(batch_transaction_submit_to(processor, transaction, NULL), BATCH_INVALID);
    transfer.transaction.done = NULL;
    assert_int_equal(submit(&transfer), BATCH_INVALID);
    transfer.transaction.done = complete;
    batch_stats stats = BATCH_STATS_INIT;
    assert_int_equal(batch_processor_stats(processor, &stats), BATCH_OK);
    assert_int_equal(stats.operations_refused[-BATCH_INVALID], 4); /* all of this processor */
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    assert_int_equal(submit(&transfer), BATCH_STOPPED);
    assert_int_equal(transfer.completions, 0);
    loop_close(&loop);
}

/* ---- Several loops, each on a thread of its own ---------------------------------------------- */

enum { LOOPS = 4, ROUNDS = 200, EACH = 6 };

struct clerk {
    struct bank *bank;
    struct loop loop;
    unsigned index;
};

static void *transfer_often(void *arg)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f"};
    struct clerk *clerk = arg;
    struct transfer transfers[EACH];
    loop_open(&clerk->loop);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < EACH; i++) {
            unsigned from = (i + round) % 6, to = (from + 1 + clerk->index) % 6;
            transfer_init(&transfers[i], clerk->bank, &clerk->loop, keys[from], keys[to]);
            MUST(submit(&transfers[i]) == BATCH_OK);
        }
        loop_dispatch(&clerk->loop, EACH);
        for (unsigned i = 0; i < EACH; i++)
            MUST(transfers[i].completions == 1 && transfers[i].result.status == BATCH_OK);
    }
    loop_close(&clerk->loop);
    return NULL;
}

BANK_TEST(every_loop_gets_its_own)
{
    pthread_t threads[LOOPS];
    struct clerk *clerks = calloc(LOOPS, sizeof *clerks);
    for (unsigned i = 0; i < LOOPS; i++) {
        clerks[i].bank = bank;
        clerks[i].index = i;
        threads[i] = thread_start(transfer_often, &clerks[i]);
    }
    for (unsigned i = 0; i < LOOPS; i++)
        thread_join(threads[i]);
    free(clerks);
}
