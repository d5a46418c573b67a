/* transaction_scenarios.c: transactions in a whole processor, at random: submitters, the worker,
 * sessions that save units, another program that writes in between, and a stop. Watched as in
 * whole_scenarios.c; and both keys of a transaction must come out alike. */
#include "scenarios.h"

#include <batch/batch.h>
#include <batch/store.h>

enum { OPS = 2, TRANSACTIONS = 2, ALL = OPS + TRANSACTIONS, KEYS = 2, STOPPED_BIT = 16 };

static batch_processor *processor;
static batch_op ops[OPS]; /* op i is on key i */
static batch_transaction transactions[TRANSACTIONS];
static batch_part parts[TRANSACTIONS][KEYS];
static bool is_accepted[ALL]; /* operations, then transactions; each written by its submitter */
static uint32_t completions[ALL];
static int statuses[ALL];
static const char keys[KEYS] = {'a', 'b'};

/* What is stored, and how often another program has added 1 to it. Written by the session that has
 * the key. */
static uint64_t stored[KEYS], versions[KEYS], others[KEYS];

/* ---- The store ------------------------------------------------------------------------------ */

static int key_of(const batch_call *call)
{
    size_t size;
    const char *key = batch_call_key(call, &size);
    explorer_check(size == 1);
    return *key == keys[0] ? 0 : 1;
}

static int session_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    (void)reterr;
    *ret_session = store;
    return BATCH_OK;
}

static void session_close(batch_store *store, void *session)
{
    explorer_check(session == store);
}

static void load(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)store;
    (void)session;
    for (size_t i = 0; i < calls_size; i++) {
        int key = key_of(calls[i]);
        batch_call_set_version(calls[i], versions[key]);
        batch_call_finish(calls[i], batch_call_decode(calls[i], &stored[key], sizeof stored[key]));
    }
}

static int unit_outcome(batch_call *const *calls, size_t size)
{
    int status = explorer_choose(8) == 0 ? BATCH_SAVE_FAILED : BATCH_OK;
    for (size_t i = 0; i < size; i++) {
        int key = key_of(calls[i]);
        if (explorer_choose(8) == 0) {
            stored[key]++;
            others[key]++;
            versions[key]++;
        }
        if (status == BATCH_OK && batch_call_version(calls[i]) != versions[key])
            status = BATCH_CONFLICT;
    }
    return status;
}

static void unit_store(batch_call *const *calls, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const void *state;
        size_t state_size;
        int key = key_of(calls[i]);
        if (batch_call_is_check(calls[i]))
            continue;
        explorer_check(batch_call_encode(calls[i], &state, &state_size) == BATCH_OK);
        stored[key] = *(const uint64_t *)state;
        batch_call_set_version(calls[i], ++versions[key]);
    }
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)store;
    (void)session;
    for (size_t i = 0, size; i < calls_size; i += size) {
        uint64_t unit = batch_call_unit(calls[i]);
        for (size = 1; i + size < calls_size && unit != 0; size++) {
            if (batch_call_unit(calls[i + size]) != unit)
                break;
        }
        int status = unit_outcome(&calls[i], size);
        if (status == BATCH_OK)
            unit_store(&calls[i], size);
        for (size_t k = 0; k < size; k++)
            batch_call_finish(calls[i + k], status);
    }
}

static void close_nothing(batch_store *store)
{
    (void)store;
}

/* ---- Operations and transactions ------------------------------------------------------------ */

static batch_verdict run(void *resource, void *arg)
{
    (void)arg;
    ++*(uint64_t *)resource;
    return BATCH_CHANGED;
}

static void run_transaction(void *const *resources, batch_transaction *transaction)
{
    for (int i = 0; i < KEYS; i++) {
        ++*(uint64_t *)resources[i];
        transaction->parts[i].changed = true;
    }
}

static void complete(size_t number, const batch_result *result)
{
    completions[number]++;
    statuses[number] = result->status;
}

static void done(batch_op *op, const batch_result *result)
{
    complete((size_t)(op - ops), result);
}

static void transaction_done(batch_transaction *transaction, const batch_result *result)
{
    complete(OPS + (size_t)(transaction - transactions), result);
}

static void transactions_init(void)
{
    for (int i = 0; i < TRANSACTIONS; i++) {
        transactions[i] = (batch_transaction)BATCH_TRANSACTION_INIT;
        transactions[i].parts = parts[i];
        transactions[i].parts_size = KEYS;
        transactions[i].run = run_transaction;
        transactions[i].done = transaction_done;
        for (int k = 0; k < KEYS; k++) {
            parts[i][k] = (batch_part)BATCH_PART_INIT;
            parts[i][k].key = &keys[(i + k) % KEYS]; /* in another order each */
            parts[i][k].key_size = 1;
        }
    }
}

static void begin(void)
{
    static batch_store store;
    batch_options options = BATCH_OPTIONS_INIT;
    store = (batch_store)BATCH_STORE_INIT;
    store.name = "units";
    store.session_open = session_open;
    store.session_close = session_close;
    store.load = load;
    store.save = save;
    store.close = close_nothing;
    store.saves_units = 1;
    options.store = &store;
    options.sessions = explorer_choose(3);
    options.window_ns = explorer_choose(2) == 0 ? 1000000 : BATCH_WINDOW_NONE;
    options.resource_size = sizeof(uint64_t);
    options.replays_max = 1;
    for (int i = 0; i < OPS; i++) {
        ops[i] = (batch_op)BATCH_OP_INIT;
        ops[i].key = &keys[i];
        ops[i].key_size = 1;
        ops[i].run = run;
        ops[i].done = done;
    }
    for (int i = 0; i < ALL; i++) {
        is_accepted[i] = false;
        completions[i] = 0;
        statuses[i] = 1;
    }
    for (int i = 0; i < KEYS; i++)
        stored[i] = versions[i] = others[i] = 0;
    transactions_init();
    explorer_check(batch_processor_start(&processor, &options, NULL) == BATCH_OK);
}

static void stop_it(void)
{
    explorer_check(batch_processor_stop(processor, BATCH_FOREVER) == 0);
}

/* What was reported is what is stored: of a transaction in both keys. */
static void end(void)
{
    stop_it();
    explorer_check(batch_processor_free(processor) == BATCH_OK);
    uint64_t certain[KEYS] = {others[0], others[1]};
    for (int i = 0; i < ALL; i++) {
        explorer_check(completions[i] == (is_accepted[i] ? 1 : 0));
        if (!is_accepted[i])
            continue;
        explorer_saw((uint32_t)-statuses[i]);
        for (int key = 0; key < KEYS; key++)
            certain[key] += statuses[i] == BATCH_OK && (i >= OPS || i == key);
    }
    explorer_check(stored[0] == certain[0] && stored[1] == certain[1]);
}

/* ---- Threads -------------------------------------------------------------------------------- */

static void accepted(size_t number, int status)
{
    is_accepted[number] = status == BATCH_OK;
    explorer_check(status == BATCH_OK || status == BATCH_STOPPED);
    if (status == BATCH_STOPPED)
        explorer_saw(STOPPED_BIT);
}

static void submit_and_run(void)
{
    batch_result result;
    accepted(0, batch_submit(processor, &ops[0]));
    int status = batch_transaction_run(processor, &transactions[0], &result);
    explorer_check(status == result.status);
    is_accepted[OPS] = status != BATCH_STOPPED;
    if (is_accepted[OPS])
        complete(OPS, &result);
}

static void submit_and_cancel(void)
{
    int status = batch_transaction_submit(processor, &transactions[1]);
    accepted(OPS + 1, status);
    accepted(1, batch_submit(processor, &ops[1]));
    if (status == BATCH_OK)
        explorer_check(batch_transaction_cancel(processor, &transactions[1]) == BATCH_OK);
}

static void begin_completed(void)
{
    begin();
    explorer_want(1u << -BATCH_OK | 1u << -BATCH_SAVE_FAILED | 1u << -BATCH_CONFLICT |
                  1u << -BATCH_CANCELED);
}

static void begin_stopped(void)
{
    begin();
    explorer_want(1u << STOPPED_BIT | 1u << -BATCH_OK | 1u << -BATCH_SAVE_FAILED);
}

const struct explorer_scenario transaction_scenarios[] = {
    {.name = "transaction-completions",
     .begin = begin_completed,
     .threads = {submit_and_run, submit_and_cancel},
     .end = end,
     .runs = 400,
     .whims = 2},
    {.name = "transaction-stop",
     .begin = begin_stopped,
     .threads = {submit_and_run, submit_and_cancel, stop_it},
     .end = end,
     .runs = 400,
     .whims = 2},
};
const size_t transaction_scenarios_size =
    sizeof transaction_scenarios / sizeof *transaction_scenarios;
