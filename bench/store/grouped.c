/* grouped.c: the operations through libbatch, as many outstanding as asked for.
 *
 * Each completion resubmits its operation, on another key chosen at random, from the worker itself:
 * no thread of the benchmark runs meanwhile. Completed operations are collected and resubmitted
 * some at a time (batch_submit_many), but never so many that the store waits for them: at most one
 * in RESUBMIT_SHARE of what is outstanding. One operation in SAMPLE is timed when there are many,
 * as reading the clock takes longer than the operation.
 *
 * Mode single is the same with one call per group, so one commit per key.
 */
#include "grouped.h"

#include "common/say.h"

#include <batch/metrics.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESUBMIT_MAX = 256,
    RESUBMIT_SHARE = 64,
    SAMPLE = 64,
    SAMPLE_OUTSTANDING_MIN = 4096 /* with fewer, every operation is timed */
};

#define DEADLINE_NS 60000000000u /* saves wait for each other, and none is urgent */

struct grouped {
    struct runner base;
    batch_processor *processor;
    struct key *keys;
    uint32_t keys_size;
    uint32_t ops_size;
    batch_op *ops;
    uint64_t *begun_ns; /* of every operation that is timed: ops[0], ops[sample], … */
    uint32_t sample;
    int xstopping;

    /* The rest belongs to the worker (before it runs, to grouped_start). */
    uint64_t random;
    uint64_t in_flight; /* submitted and not completed */
    uint32_t completed_size;
    uint32_t completed_max;
    batch_op *completed[RESUBMIT_MAX]; /* and not resubmitted */
    char error[BATCH_MESSAGE_SIZE];    /* the first */
    struct tally tally;
};

static batch_verdict increment(void *resource, void *arg)
{
    (void)arg;
    state_increment(resource);
    return BATCH_CHANGED;
}

/* Operations submitted together are timed from the same moment. */
static void take_times(struct grouped *grouped)
{
    uint64_t now_ns = 0;
    for (uint32_t i = 0; i < grouped->completed_size; i++) {
        size_t index = (size_t)(grouped->completed[i] - grouped->ops);
        if (index % grouped->sample != 0)
            continue;
        if (now_ns == 0)
            now_ns = batch_now_ns();
        grouped->begun_ns[index / grouped->sample] = now_ns;
    }
}

static void resubmit(struct grouped *grouped)
{
    uint32_t size = grouped->completed_size;
    if (size == 0)
        return;
    take_times(grouped);
    grouped->completed_size = 0;
    int status = batch_submit_many(grouped->processor, grouped->completed, size);
    if (status == BATCH_OK)
        grouped->in_flight += size;
    else if (status != BATCH_STOPPED) /* impossible: the limits allow all of them */
        tally_add(&grouped->tally.xcompleted[-status], size);
}

/* Choose a key, and put the operation with those to be resubmitted. */
static void collect(struct grouped *grouped, batch_op *op)
{
    op->key = &grouped->keys[random_below(&grouped->random, grouped->keys_size)];
    grouped->completed[grouped->completed_size++] = op;
}

static void done(batch_op *op, const batch_result *result)
{
    struct grouped *grouped = op->arg;
    size_t index = (size_t)(op - grouped->ops);
    tally_completed(&grouped->tally, result->status);
    if (result->status != BATCH_OK && grouped->error[0] == '\0')
        snprintf(grouped->error, sizeof grouped->error, "%s", result->message);
    if (index % grouped->sample == 0)
        tally_latency(&grouped->tally, batch_now_ns() - grouped->begun_ns[index / grouped->sample]);
    grouped->in_flight--;
    if (__atomic_load_n(&grouped->xstopping, __ATOMIC_RELAXED))
        return;
    collect(grouped, op);
    if (grouped->completed_size >= grouped->completed_max || grouped->in_flight == 0)
        resubmit(grouped);
}

static void grouped_read(struct runner *runner, struct tally *sum)
{
    struct grouped *grouped = (struct grouped *)runner;
    batch_stats stats = BATCH_STATS_INIT;
    batch_processor_stats(grouped->processor, &stats);
    memset(sum, 0, sizeof *sum);
    tally_sum(sum, &grouped->tally);
    sum->commits = stats.save_group.count;
    sum->rows = stats.batches_saved;
}

static void grouped_stop(struct runner *runner)
{
    struct grouped *grouped = (struct grouped *)runner;
    __atomic_store_n(&grouped->xstopping, 1, __ATOMIC_RELAXED);
    batch_processor_stop(grouped->processor, BATCH_FOREVER);
    if (grouped->error[0] != '\0')
        say("the first error: %s", grouped->error);
}

static void grouped_free(struct runner *runner)
{
    struct grouped *grouped = (struct grouped *)runner;
    batch_processor_free(grouped->processor);
    free(grouped->keys);
    free(grouped->ops);
    free(grouped->begun_ns);
    free(grouped);
}

static struct grouped *grouped_new(const struct settings *settings)
{
    struct grouped *grouped = calloc(1, sizeof *grouped);
    if (grouped == NULL)
        return NULL;
    uint32_t outstanding = settings->outstanding;
    uint32_t completed_max = outstanding / RESUBMIT_SHARE;
    if (completed_max < 1)
        completed_max = 1;
    if (completed_max > RESUBMIT_MAX)
        completed_max = RESUBMIT_MAX;
    grouped->base = (struct runner){grouped_read, grouped_stop, grouped_free};
    grouped->keys = keys_new(settings->keys);
    grouped->keys_size = settings->keys;
    grouped->ops = calloc(outstanding, sizeof *grouped->ops);
    grouped->ops_size = outstanding;
    grouped->sample = outstanding < SAMPLE_OUTSTANDING_MIN ? 1 : SAMPLE;
    grouped->begun_ns = calloc(outstanding / grouped->sample + 1, sizeof *grouped->begun_ns);
    grouped->random = batch_now_ns() | 1;
    grouped->completed_max = completed_max;
    if (grouped->keys != NULL && grouped->ops != NULL && grouped->begun_ns != NULL)
        return grouped;
    grouped_free(&grouped->base);
    return NULL;
}

static bool processor_start(struct grouped *grouped, const struct settings *settings,
                            batch_store *store)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.sessions = settings->sessions;
    options.store = store;
    options.resource_size = settings->size;
    options.window_ns = settings->window_ns;
    options.deadline_ns = DEADLINE_NS;
    options.ops_max = UINT32_MAX;
    options.ops_waiting_max =
        2 * (uint64_t)settings->outstanding; /* a completion counts until it returns */
    options.group_max = settings->mode == MODE_SINGLE ? 1 : settings->group_max;
    batch_result error;
    if (batch_processor_start(&grouped->processor, &options, &error) == BATCH_OK)
        return true;
    say("%s", error.message);
    return false;
}

/* The first submit of every operation, before the worker has seen any. */
static bool submit_all(struct grouped *grouped)
{
    batch_op **all = malloc(grouped->ops_size * sizeof *all);
    if (all == NULL)
        return false;
    uint64_t now_ns = batch_now_ns();
    for (uint32_t i = 0; i < grouped->ops_size; i++) {
        batch_op *op = &grouped->ops[i];
        op->key = &grouped->keys[random_below(&grouped->random, grouped->keys_size)];
        op->key_size = KEY_SIZE;
        op->run = increment;
        op->done = done;
        op->arg = grouped;
        if (i % grouped->sample == 0)
            grouped->begun_ns[i / grouped->sample] = now_ns;
        all[i] = op;
    }
    grouped->in_flight = grouped->ops_size;
    int status = batch_submit_many(grouped->processor, all, grouped->ops_size);
    free(all);
    return status == BATCH_OK;
}

struct runner *grouped_start(const struct settings *settings, struct target *target)
{
    struct grouped *grouped = grouped_new(settings);
    if (grouped == NULL) {
        say("no memory for %u operations", settings->outstanding);
        return NULL;
    }
    batch_store *store = target->store_open(target);
    if (store == NULL || !processor_start(grouped, settings, store)) {
        grouped_free(&grouped->base);
        return NULL;
    }
    if (!submit_all(grouped)) {
        say("no memory to begin with %u operations", settings->outstanding);
        grouped_stop(&grouped->base);
        grouped_free(&grouped->base);
        return NULL;
    }
    return &grouped->base;
}
