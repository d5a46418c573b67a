#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "scenario.h"

#include "codec.h"
#include "footprint.h"
#include "pass.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    KEYS_MAX = 80,
    KEY_ROOM = 2400,
    ROUNDS = 2,
    OPS_MAX = KEYS_MAX * 3 * ROUNDS + KEYS_MAX,
    BITS_MAX = 60,
    BIT_MEDDLED = 61, /* set behind the back of the processor */
    TRIES_MAX = 4000
};

enum { PARTS = 2 };

/* An operation; or, of two keys, a transaction. */
struct job {
    batch_op op;
    batch_transaction transaction;
    batch_part parts[PARTS];
    struct scenario *scenario;
    unsigned keys[PARTS];
    int bits[PARTS];
    unsigned keys_size; /* that it changes; a transaction may only read the second one */
    bool meddles;
    bool is_bound; /* to the loop */
    unsigned runs;
    unsigned completions; /* under the lock */
    batch_result result;
};

struct key {
    char bytes[KEY_ROOM];
    size_t size;
    int bits; /* given out */
};

struct scenario {
    const struct fault_case *tried;
    struct faults_plan plan;
    batch_processor *processor;
    batch_subscription *subscription;
    batch_completions *loop; /* NULL: there was none to be had */
    struct key keys[KEYS_MAX];
    struct job jobs[OPS_MAX];
    unsigned jobs_size;
    unsigned is_meddled; /* by the worker, before it completes */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned left; /* jobs that are not complete; under the lock */
};

/* ---- Operations ----------------------------------------------------------------------------- */

static void meddle(struct job *job)
{
    struct scenario *scenario = job->scenario;
    struct backend *backend = scenario->tried->backend;
    const struct key *key = &scenario->keys[job->keys[0]];
    if (scenario->is_meddled != 0)
        return;
    faults_exempt_begin();
    int64_t number = backend->read(backend, key->bytes, key->size);
    backend->write(backend, key->bytes, key->size, number | INT64_C(1) << BIT_MEDDLED);
    scenario->is_meddled = 1;
    faults_exempt_end();
}

static void set_bits(struct job *job, void *const *resources)
{
    job->runs++;
    if (job->meddles)
        meddle(job);
    for (unsigned i = 0; i < job->keys_size; i++)
        *(int64_t *)resources[i] += INT64_C(1) << job->bits[i]; /* twice would not go unseen */
}

static batch_verdict run(void *resource, void *arg)
{
    set_bits(arg, &resource);
    return BATCH_CHANGED;
}

static void run_transaction(void *const *resources, batch_transaction *transaction)
{
    set_bits(transaction->arg, resources);
    for (unsigned i = 0; i < ((struct job *)transaction->arg)->keys_size; i++)
        transaction->parts[i].changed = true;
}

static void completed(struct job *job, const batch_result *result)
{
    struct scenario *scenario = job->scenario;
    pthread_mutex_lock(&scenario->lock);
    job->result = *result;
    job->completions++;
    scenario->left--;
    pthread_cond_signal(&scenario->changed);
    pthread_mutex_unlock(&scenario->lock);
}

static void done(batch_op *op, const batch_result *result)
{
    completed(op->arg, result);
}

static void transaction_done(batch_transaction *transaction, const batch_result *result)
{
    completed(transaction->arg, result);
}

static void job_add_key(struct job *job, unsigned key)
{
    struct key *bytes = &job->scenario->keys[key];
    MUST(bytes->bits < BITS_MAX, "too many operations on one key");
    unsigned part = job->keys_size++;
    job->keys[part] = key;
    job->bits[part] = bytes->bits++;
    job->parts[part] = (batch_part)BATCH_PART_INIT;
    job->parts[part].key = bytes->bytes;
    job->parts[part].key_size = bytes->size;
}

static struct job *job_new(struct scenario *scenario, unsigned key)
{
    MUST(scenario->jobs_size < OPS_MAX, "too many operations");
    struct job *job = &scenario->jobs[scenario->jobs_size++];
    *job = (struct job){
        .op = BATCH_OP_INIT, .transaction = BATCH_TRANSACTION_INIT, .scenario = scenario};
    job_add_key(job, key);
    job->op.key = job->parts[0].key;
    job->op.key_size = job->parts[0].key_size;
    job->op.run = run;
    job->op.done = done;
    job->op.arg = job;
    job->transaction.parts = job->parts;
    job->transaction.parts_size = PARTS;
    job->transaction.run = run_transaction;
    job->transaction.done = transaction_done;
    job->transaction.arg = job;
    return job;
}

/* Keys that are stored in a batch, and that are not; in a metric, and not; in an index, and not. */
static void make_keys(struct scenario *scenario)
{
    static const int widths[] = {1, 40, 100, 2200};
    for (unsigned i = 0; i < scenario->tried->keys; i++) {
        struct key *key = &scenario->keys[i];
        int width = i < 8 ? widths[i % 4] : widths[i % 2];
        key->size = (size_t)snprintf(key->bytes, sizeof key->bytes, "%0*u", width, i);
    }
}

/* ---- The parts of a scenario ---------------------------------------------------------------- */

/* `was_hit`: before the call. A call that needs memory, a lock or a thread, and did not get it, may
 * not say that all is well; but there are other sources of randomness, for some. */
static void check_refusal(const struct scenario *scenario, const char *what, int status,
                          bool was_hit, bool needs_random, const batch_result *error)
{
    enum faults_kind kind = faults_first_kind();
    bool is_hit = faults_is_hit();
    bool needs_it = kind == FAULTS_MEMORY || kind == FAULTS_THREAD || kind == FAULTS_LOCK ||
                    (kind == FAULTS_RANDOM && needs_random);
    if (status == BATCH_OK) {
        MUST(was_hit || !is_hit || !faults_is_direct() || !needs_it ||
                 scenario->plan.mode == FAULTS_INTERRUPT,
             "%s went well in spite of it", what);
        return;
    }
    MUST(is_hit, "%s: %s: %s", what, batch_status_name(status), error->message);
    MUST(scenario->plan.mode != FAULTS_INTERRUPT, "%s: %s", what, error->message);
    MUST(status == BATCH_NO_MEMORY || status == BATCH_SYSTEM || status == BATCH_STORE_FAILED,
         "%s: %s: %s", what, batch_status_name(status), error->message);
    MUST(error->status == status, "%s: %d, but in the result %d", what, status, error->status);
    MUST(strlen(error->message) >= 10, "%s: the message says nothing: '%s'", what, error->message);
}

static bool start(struct scenario *scenario)
{
    const struct fault_case *tried = scenario->tried;
    batch_options options = BATCH_OPTIONS_INIT;
    batch_result error = {0};
    options.sessions = tried->sessions;
    options.shards = tried->shards;
    options.driven = tried->is_driven;
    options.resource_size = sizeof(int64_t);
    options.resource_cache_max = tried->cache_max;
    options.replays_max = 1;
    options.window_ns = tried->window_ns != 0 ? tried->window_ns : BATCH_WINDOW_NONE;
    options.deadline_ns = tried->deadline_ns != 0 ? tried->deadline_ns : UINT64_C(600000000000);
    if (scenario->plan.mode != FAULTS_FROM_THEN_ON && tried->deadline_once_ns != 0)
        options.deadline_ns = tried->deadline_once_ns;
    if (tried->has_codec) {
        options.resource_size = CODEC_RESOURCE_SIZE;
        options.codec = &codec;
    } else if (tried->resource_size != 0) {
        options.resource_size = tried->resource_size;
    }
    bool was_hit = faults_is_hit();
    int status = tried->backend->open(tried->backend, &options, &error);
    check_refusal(scenario, "opening the store", status, was_hit, false, &error);
    if (status != BATCH_OK)
        return false;
    error = (batch_result){0};
    was_hit = faults_is_hit();
    status = batch_processor_start(&scenario->processor, &options, &error);
    check_refusal(scenario, "batch_processor_start", status, was_hit,
                  !tried->backend->tolerates_no_random, &error);
    if (status == BATCH_OK)
        return true;
    MUST(scenario->processor == NULL, "a processor that did not start");
    tried->backend->close(tried->backend);
    return false;
}

/* With a queue that takes more than a huge page. */
static void subscribe(struct scenario *scenario)
{
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.queue_max = 4096;
    bool was_hit = faults_is_hit();
    int status = batch_metrics_subscribe(scenario->processor, &options, &scenario->subscription);
    MUST(status == BATCH_OK || status == BATCH_NO_MEMORY, "%s", batch_status_name(status));
    MUST(status == BATCH_OK || faults_is_hit(), "no memory, and no fault");
    MUST((status == BATCH_OK) == (scenario->subscription != NULL), "a subscription, or none");
    MUST(status != BATCH_OK || was_hit || !faults_is_hit() || !faults_is_direct() ||
             faults_first_kind() != FAULTS_MEMORY || scenario->tried->sessions > 0,
         "subscribed in spite of it");
}

static void open_loop(struct scenario *scenario)
{
    int status = batch_completions_open(&scenario->loop, NULL);
    MUST((status == BATCH_OK) == (scenario->loop != NULL), "a loop, or none");
    MUST(status == BATCH_OK || faults_is_hit(), "no loop, and no fault: %d", status);
}

/* Each key and the next one, in a ring; one canceled. Every other one completes on the loop, and
 * needs no memory for its message: so it is not as operations that are bound. */
static void submit_transactions(struct scenario *scenario)
{
    unsigned keys = scenario->tried->keys;
    pthread_mutex_lock(&scenario->lock);
    scenario->left += keys;
    pthread_mutex_unlock(&scenario->lock);
    for (unsigned i = 0; i < keys; i++) {
        struct job *job = job_new(scenario, i);
        job_add_key(job, (i + 1) % keys);
        job->keys_size -= i % 3 == 2; /* reads it */
        MUST((scenario->loop != NULL && i % 2 == 0
                  ? batch_transaction_submit_to(scenario->processor, &job->transaction,
                                                scenario->loop)
                  : batch_transaction_submit(scenario->processor, &job->transaction)) == BATCH_OK,
             "transaction_submit");
        if (i == 0)
            batch_transaction_cancel(scenario->processor, &job->transaction);
    }
}

/* Two operations on each key; half of them handed over alone, half together; one canceled. Every
 * other one of the first half completes on the loop. */
static void submit_round(struct scenario *scenario)
{
    unsigned first = scenario->jobs_size;
    unsigned count = 2 * scenario->tried->keys;
    batch_op *ops[2 * KEYS_MAX];
    for (unsigned i = 0; i < count; i++) {
        struct job *job = job_new(scenario, i % scenario->tried->keys);
        job->meddles = job->keys[0] == 1;
        job->is_bound = scenario->loop != NULL && i < count / 2 && i % 2 == 0;
        ops[i] = &job->op;
    }
    pthread_mutex_lock(&scenario->lock);
    scenario->left += count;
    pthread_mutex_unlock(&scenario->lock);
    for (unsigned i = 0; i < count / 2; i++) /* submit itself allocates nothing, so: */
        MUST((scenario->jobs[first + i].is_bound
                  ? batch_submit_to(scenario->processor, ops[i], scenario->loop)
                  : batch_submit(scenario->processor, ops[i])) == BATCH_OK,
             "submit");
    MUST(batch_submit_many(scenario->processor, ops + count / 2, count - count / 2) == BATCH_OK,
         "submit_many");
    if (scenario->tried->has_transactions)
        submit_transactions(scenario);
    batch_cancel(scenario->processor, &scenario->jobs[first + count - 1].op);
}

/* Calls may fail meanwhile. */
static void drive_all(struct scenario *scenario)
{
    pthread_mutex_lock(&scenario->lock);
    while (scenario->left > 0) {
        pthread_mutex_unlock(&scenario->lock);
        MUST(batch_processor_drive(scenario->processor, 1000000) >= 0, "drive");
        batch_completions_dispatch(scenario->loop, 0, 0); /* if there is one */
        pthread_mutex_lock(&scenario->lock);
    }
    pthread_mutex_unlock(&scenario->lock);
}

static void wait_for_all(struct scenario *scenario)
{
    if (scenario->tried->is_driven) {
        drive_all(scenario);
        return;
    }
    faults_exempt_begin();
    pthread_mutex_lock(&scenario->lock);
    while (scenario->left > 0 && scenario->loop == NULL)
        pthread_cond_wait(&scenario->changed, &scenario->lock);
    while (scenario->left > 0) {
        pthread_mutex_unlock(&scenario->lock);
        MUST(batch_completions_dispatch(scenario->loop, 0, 1000000) >= 0, "dispatch");
        pthread_mutex_lock(&scenario->lock);
    }
    pthread_mutex_unlock(&scenario->lock);
    faults_exempt_end();
}

static void run_one(struct scenario *scenario, unsigned key)
{
    struct job *job = job_new(scenario, key);
    int status;
    if (scenario->tried->has_transactions) {
        job_add_key(job, (key + 1) % scenario->tried->keys);
        status = batch_transaction_run(scenario->processor, &job->transaction, &job->result);
    } else {
        status = batch_run(scenario->processor, &job->op, &job->result);
    }
    MUST(job->result.status == status, "%d, but in the result %d", status, job->result.status);
    job->completions++;
}

static void read_metrics(struct scenario *scenario)
{
    batch_metric metric;
    int status = BATCH_OK;
    if (scenario->subscription == NULL)
        return;
    while (status == BATCH_OK) {
        status = batch_metrics_next(scenario->subscription, 0, &metric);
        MUST(status != BATCH_OK || metric.status == BATCH_OK || metric.error[0] != '\0',
             "a metric without words");
    }
    MUST(status == BATCH_TIMED_OUT || status == BATCH_ENDED, "%s", batch_status_name(status));
}

/* ---- Afterwards ----------------------------------------------------------------------------- */

/* One that is complete: with a status that is documented for what happened, in words. */
static void check_answer(const struct scenario *scenario, const struct job *job)
{
    const batch_result *result = &job->result;
    const struct backend *backend = scenario->tried->backend;
    int status = result->status;
    bool may_fail = faults_is_hit() || backend->hinder != NULL;
    /* On a loop, if there was no memory for the message of its batch. */
    bool is_general = job->is_bound && strcmp(result->message, batch_status_text(status)) == 0;
    bool names_key = strstr(result->message, "key '") != NULL || (is_general && faults_is_hit());
    MUST(job->completions == 1, "completed %u times", job->completions);
    MUST(result->message[0] != '\0', "%s without a word", batch_status_name(status));
    switch (status) {
    case BATCH_OK:
        MUST(job->runs > 0, "done, and never begun");
        return;
    case BATCH_CANCELED:
        return;
    case BATCH_NO_MEMORY:
        MUST(job->runs == 0, "no memory, but it ran");
        break;
    case BATCH_LOAD_FAILED:
    case BATCH_SAVE_FAILED:
    case BATCH_CONFLICT:
        MUST(names_key, "which key? '%s'", result->message);
        break;
    case BATCH_UNKNOWN:
        MUST(names_key, "which key? '%s'", result->message);
        MUST(backend->may_be_unknown != NULL && (is_general || backend->may_be_unknown(result)),
             "needless doubt: '%s'", result->message);
        break;
    default:
        wrong("an operation was completed with %s: %s", batch_status_name(status), result->message);
    }
    MUST(may_fail, "%s, and no fault: %s", batch_status_name(status), result->message);
    MUST(scenario->plan.mode != FAULTS_INTERRUPT || backend->hinder != NULL,
         "it was interrupted, no more: %s: %s", batch_status_name(status), result->message);
}

static void check_answers(const struct scenario *scenario)
{
    for (unsigned i = 0; i < scenario->jobs_size; i++)
        check_answer(scenario, &scenario->jobs[i]);
}

/* What is stored is what was reported. Exempt. */
static void check_stored(struct scenario *scenario)
{
    struct backend *backend = scenario->tried->backend;
    int64_t must[KEYS_MAX] = {0};
    int64_t may[KEYS_MAX] = {0};
    for (unsigned i = 0; i < scenario->jobs_size; i++) {
        const struct job *job = &scenario->jobs[i];
        for (unsigned k = 0; k < job->keys_size; k++) {
            int64_t bit = INT64_C(1) << job->bits[k];
            if (job->result.status == BATCH_OK)
                must[job->keys[k]] |= bit;
            if (batch_may_be_applied(job->result.status))
                may[job->keys[k]] |= bit;
        }
    }
    if (scenario->is_meddled != 0) {
        must[1] |= INT64_C(1) << BIT_MEDDLED;
        may[1] |= INT64_C(1) << BIT_MEDDLED;
    }
    int64_t numbers[KEYS_MAX];
    for (unsigned i = 0; i < scenario->tried->keys; i++) {
        int64_t number = backend->read(backend, scenario->keys[i].bytes, scenario->keys[i].size);
        numbers[i] = number;
        MUST((number & must[i]) == must[i], "key %u: completed with OK, and not stored: %lx of %lx",
             i, (unsigned long)number, (unsigned long)must[i]);
        MUST((number & ~may[i]) == 0, "key %u: reported as not applied, and stored: %lx, not %lx",
             i, (unsigned long)number, (unsigned long)may[i]);
    }
    for (unsigned i = 0; i < scenario->jobs_size; i++) {
        const struct job *job = &scenario->jobs[i];
        MUST(job->keys_size < PARTS || (numbers[job->keys[0]] >> job->bits[0] & 1) ==
                                           (numbers[job->keys[1]] >> job->bits[1] & 1),
             "half of a transaction over keys %u and %u is stored: %s", job->keys[0], job->keys[1],
             batch_status_name(job->result.status));
    }
}

/* Nothing fails any more. Each key takes an operation again, if not at once: a connection may have
 * to be opened first. */
static void work_again(struct scenario *scenario)
{
    for (unsigned i = 0; i < scenario->tried->keys; i++) {
        int tries = 0;
        run_one(scenario, i);
        for (;;) {
            struct job *job = &scenario->jobs[scenario->jobs_size - 1];
            int status = job->result.status;
            if (status == BATCH_OK)
                break;
            MUST(++tries < TRIES_MAX, "it does not go on: %s", job->result.message);
            MUST(status == BATCH_UNKNOWN || batch_is_retryable(status), "afterwards: %s: %s",
                 batch_status_name(status), job->result.message);
            nanosleep(&(struct timespec){0, 2000000}, NULL);
            if (status != BATCH_UNKNOWN) { /* not applied: its bit is free */
                scenario->jobs_size--;
                scenario->keys[i].bits--;
            }
            run_one(scenario, i);
        }
    }
}

static void end(struct scenario *scenario)
{
    struct backend *backend = scenario->tried->backend;
    MUST(batch_processor_stop(scenario->processor, BATCH_FOREVER) == 0, "stop");
    read_metrics(scenario);
    batch_metrics_unsubscribe(scenario->subscription);
    MUST(batch_completions_close(scenario->loop) == BATCH_OK, "close the loop");
    MUST(batch_processor_free(scenario->processor) == BATCH_OK, "free");
    scenario->processor = NULL;
    backend->close(backend);
}

/* A whole scenario without a fault. Exempt are only what it stands on. */
static void tell_plain(struct scenario *scenario)
{
    MUST(start(scenario), "it does not start again");
    work_again(scenario);
    end(scenario);
}

static void tell_to_the_end(struct scenario *scenario)
{
    struct backend *backend = scenario->tried->backend;
    subscribe(scenario);
    open_loop(scenario);
    for (int round = 0; round < ROUNDS; round++) {
        if (backend->hinder != NULL) {
            faults_exempt_begin();
            backend->hinder(backend);
            faults_exempt_end();
        }
        submit_round(scenario);
        wait_for_all(scenario);
        if (backend->let != NULL) {
            faults_exempt_begin();
            backend->let(backend);
            faults_exempt_end();
        }
        read_metrics(scenario);
    }
    run_one(scenario, 0);
    check_answers(scenario);
    if (faults_is_hit()) {
        faults_disarm(); /* else also stopping is part of it */
        work_again(scenario);
    }
    end(scenario);
}

/* ---- Passes --------------------------------------------------------------------------------- */

/* One pass; true if nothing failed. */
static bool run_scenario(const struct fault_case *tried, const struct faults_plan *plan,
                         const struct footprint *before)
{
    static struct scenario scenario;
    struct backend *backend = tried->backend;
    scenario = (struct scenario){.tried = tried,
                                 .plan = *plan,
                                 .lock = PTHREAD_MUTEX_INITIALIZER,
                                 .changed = PTHREAD_COND_INITIALIZER};
    pass_begin(tried->name, plan);
    make_keys(&scenario);
    backend->state_size = tried->resource_size != 0 ? tried->resource_size : sizeof(int64_t);
    faults_exempt_begin();
    backend->clear(backend);
    faults_exempt_end();

    faults_arm(plan);
    bool has_started = start(&scenario);
    if (has_started)
        tell_to_the_end(&scenario);
    bool is_hit = faults_disarm();
    if (!has_started)
        tell_plain(&scenario);
    faults_exempt_begin();
    check_answers(&scenario);
    check_stored(&scenario);
    faults_exempt_end();
    struct footprint after = footprint_now();
    /* One that was joined may be on its way out of the list. */
    for (int tries = 0; before != NULL && after.threads != before->threads; tries++) {
        MUST(tries < TRIES_MAX, "%u threads, not %u", after.threads, before->threads);
        nanosleep(&(struct timespec){0, 2000000}, NULL);
        after = footprint_now();
    }
    MUST(codec_live() == 0, "%ld resources were not released", (long)codec_live());
    if (before == NULL)
        return !is_hit;
    MUST(after.blocks == before->blocks, "%ld blocks of memory are left",
         (long)(after.blocks - before->blocks));
    MUST(after.files == before->files, "%u files are open, not %u", after.files, before->files);
    return !is_hit;
}

static void sweep(const struct fault_case *tried)
{
    enum { NUMBER_MAX = 100000 };
    struct faults_plan none = {.mode = FAULTS_ONCE, .number = UINT64_MAX};
    struct timespec from, to;
    uint64_t passes_before = pass_count();
    clock_gettime(CLOCK_MONOTONIC, &from);
    pass_watch();
    if (tried->prepare != NULL)
        tried->prepare(tried->backend);
    run_scenario(tried, &none, NULL); /* what libraries allocate once */
    struct footprint before = footprint_now();
    MUST(run_scenario(tried, &none, &before), "a fault where there is none");
    for (int mode = pass_first_mode(); mode < FAULTS_MODES; mode++) {
        struct faults_plan plan = {.mode = (enum faults_mode)mode};
        plan.number = tried->by_path ? 0 : 1;
        uint64_t first = pass_count();
        while (!run_scenario(tried, &plan, &before)) {
            plan.number += tried->by_path ? 0 : 1;
            MUST(pass_count() - first < NUMBER_MAX, "no end of faults");
        }
    }
    alarm(0);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%s: %lu passes, %.1f s\n", tried->name, (unsigned long)(pass_count() - passes_before),
           (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    fflush(stdout);
}

void scenario_sweep(const struct fault_case *cases, size_t cases_size)
{
    for (size_t i = 0; i < cases_size; i++)
        sweep(&cases[i]);
}
