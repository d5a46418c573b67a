/* batched.c: the transactions through libbatch, as many outstanding as asked for. Each completion
 * submits the next one, from the worker itself: no thread of the benchmark runs meanwhile. */
#include "batched.h"

#include "common/say.h"

#include <batch/metrics.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct transfer {
    batch_transaction transaction; /* first */
    batch_part parts[ROWS_MAX];
    struct movement movement;
    uint64_t begin_ns;
};

struct batched {
    struct runner base;
    const struct settings *settings;
    batch_processor *processor;
    struct transfer *transfers;
    batch_op first; /* its completion, on the worker, submits all transactions */
    int xstopping;

    /* The rest belongs to the worker. */
    uint64_t random;
    char error[BATCH_MESSAGE_SIZE]; /* the first */
    struct tally tally;
};

static void move(void *const *resources, batch_transaction *transaction)
{
    struct transfer *transfer = (struct transfer *)(void *)transaction;
    for (uint32_t i = 0; i < transfer->movement.size; i++) {
        state_move(resources[i], transfer->movement.amounts[i]);
        transfer->parts[i].changed = true;
    }
}

static void submit(struct batched *batched, struct transfer *transfer)
{
    transfer->movement = movement_choose(batched->settings, &batched->random);
    transfer->transaction.parts_size = transfer->movement.size;
    for (uint32_t i = 0; i < transfer->movement.size; i++) {
        transfer->parts[i].key = transfer->movement.keys[i].text;
        transfer->parts[i].key_size = KEY_SIZE;
    }
    transfer->begin_ns = batch_now_ns();
    int status = batch_transaction_submit(batched->processor, &transfer->transaction);
    if (status != BATCH_OK &&
        status != BATCH_STOPPED) /* impossible: the limits allow all of them */
        tally_completed(&batched->tally, status);
}

static void done(batch_transaction *transaction, const batch_result *result)
{
    struct transfer *transfer = (struct transfer *)(void *)transaction;
    struct batched *batched = transaction->arg;
    tally_completed(&batched->tally, result->status);
    tally_latency(&batched->tally, batch_now_ns() - transfer->begin_ns);
    if (result->status != BATCH_OK && batched->error[0] == '\0')
        snprintf(batched->error, sizeof batched->error, "%s", result->message);
    if (!__atomic_load_n(&batched->xstopping, __ATOMIC_RELAXED))
        submit(batched, transfer);
}

static void change_nothing(void *const *resources, batch_transaction *transaction)
{
    (void)resources;
    (void)transaction;
}

/* Does it work at all? */
static bool try_one(struct batched *batched)
{
    struct movement movement = movement_choose(batched->settings, &batched->random);
    batch_part parts[ROWS_MAX] = {BATCH_PART_INIT, BATCH_PART_INIT, BATCH_PART_INIT};
    batch_transaction transaction = BATCH_TRANSACTION_INIT;
    batch_result result;
    for (uint32_t i = 0; i < movement.size; i++) {
        parts[i].key = movement.keys[i].text;
        parts[i].key_size = KEY_SIZE;
    }
    transaction.parts = parts;
    transaction.parts_size = movement.size;
    transaction.run = change_nothing;
    if (batch_transaction_run(batched->processor, &transaction, &result) == BATCH_OK)
        return true;
    say("%s", result.message);
    return false;
}

static batch_verdict nothing(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_UNCHANGED;
}

static void submit_all(batch_op *op, const batch_result *result)
{
    struct batched *batched = op->arg;
    if (result->status != BATCH_OK)
        snprintf(batched->error, sizeof batched->error, "%s", result->message);
    for (uint32_t i = 0; result->status == BATCH_OK && i < batched->settings->outstanding; i++)
        submit(batched, &batched->transfers[i]);
}

static void batched_read(struct runner *runner, struct tally *sum)
{
    struct batched *batched = (struct batched *)runner;
    batch_stats stats = BATCH_STATS_INIT;
    batch_processor_stats(batched->processor, &stats);
    memset(sum, 0, sizeof *sum);
    tally_sum(sum, &batched->tally);
    sum->commits = stats.save_group.count;
    sum->xretries = stats.units_dissolved;
}

static void batched_stop(struct runner *runner)
{
    struct batched *batched = (struct batched *)runner;
    __atomic_store_n(&batched->xstopping, 1, __ATOMIC_RELAXED);
    batch_processor_stop(batched->processor, BATCH_FOREVER);
    if (batched->error[0] != '\0')
        say("the first error: %s", batched->error);
}

static void batched_free(struct runner *runner)
{
    struct batched *batched = (struct batched *)runner;
    batch_processor_free(batched->processor);
    free(batched->transfers);
    free(batched);
}

/* All but the number of sessions, the window and the limits that `outstanding` needs is at its
 * default. */
static bool processor_start(struct batched *batched, struct target *target)
{
    const struct settings *settings = batched->settings;
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = target->store_open(target);
    options.sessions = batched->base.sessions;
    options.resource_size = sizeof(struct state);
    options.window_ns = settings->window_ns;
    options.resource_cache_max = settings->cache;
    uint64_t legs = 2 * ROWS_MAX * (uint64_t)settings->outstanding;
    options.ops_waiting_max = legs > 1048576 ? legs : 0;
    options.key_ops_waiting_max = options.ops_waiting_max;
    batch_result error;
    if (options.store == NULL)
        return false;
    if (batch_processor_start(&batched->processor, &options, &error) == BATCH_OK)
        return true;
    say("%s", error.message);
    return false;
}

struct runner *batched_start(const struct settings *settings, struct target *target)
{
    struct batched *batched = calloc(1, sizeof *batched);
    if (batched != NULL)
        batched->transfers = calloc(settings->outstanding, sizeof *batched->transfers);
    if (batched == NULL || batched->transfers == NULL) {
        say("no memory for %u transactions", settings->outstanding);
        free(batched);
        return NULL;
    }
    uint32_t sessions = settings->sessions > 0 ? settings->sessions : target->batched_sessions;
    batched->base = (struct runner){NULL, sessions, batched_read, batched_stop, batched_free};
    batched->settings = settings;
    batched->random = batch_now_ns() | 1;
    if (!processor_start(batched, target)) {
        batched_free(&batched->base);
        return NULL;
    }
    if (!try_one(batched)) {
        batched_stop(&batched->base);
        batched_free(&batched->base);
        return NULL;
    }
    for (uint32_t i = 0; i < settings->outstanding; i++) {
        struct transfer *transfer = &batched->transfers[i];
        transfer->transaction = (batch_transaction){
            .parts = transfer->parts, .run = move, .done = done, .arg = batched};
    }
    batched->first = (batch_op){
        .key = "first", .key_size = 5, .run = nothing, .done = submit_all, .arg = batched};
    batch_submit(batched->processor, &batched->first);
    return &batched->base;
}
