/* batched.c: serves requests with libbatch, which is what this program is an example of.
 *
 * A train is a key. A booking is an operation that looks at the train in memory and changes it;
 * libbatch loads the train, runs all bookings of one window on it, saves it, and only then answers
 * them all. A refusal waits for the end of its batch too: it was judged on bookings that are not
 * saved yet, and if the save fails, the seat is not taken. A look at a train is an operation that
 * changes nothing, so that it sees what is saved by the time it is answered.
 *
 * Threads: serve() on any thread of the HTTP server; run_… and done on the worker of libbatch;
 * decode and encode on its session threads; release on the worker. */
#include <batch/batch.h>
#include <batch/metrics.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "options.h"
#include "store_open.h"
#include "train_codec.h"

/* A slow disk makes answers late, not wrong: saves may begin for this long after their batch. */
#define DEADLINE_NS UINT64_C(10000000000)

struct batched {
    struct service service; /* first, so that a service is a batched */
    batch_store *store;
    batch_processor *processor;
    uint32_t seats; /* of a new train */
    atomic_uint_fast64_t xprobes;
};

/* ---- What libbatch calls: the train's codec, the operations, the end of an operation --------- */

static int decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    const struct batched *batched = arg;
    return train_decode(resource, bytes, bytes_size, batched->seats) == NULL ? BATCH_OK
                                                                             : BATCH_LOAD_FAILED;
}

static int encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    (void)arg;
    *ret_bytes = train_encode(resource, ret_bytes_size);
    return *ret_bytes != NULL ? BATCH_OK : BATCH_NO_MEMORY;
}

static void release(void *resource, void *arg)
{
    (void)arg;
    train_release(resource);
}

static batch_verdict run_book(void *resource, void *arg)
{
    struct request *request = arg;
    const struct target *target = &request->target;
    request->answer = train_book(resource, target->seat, target->person, target->person_size);
#ifdef TRAIN_SERVER_ANSWERS_EARLY /* tests: the mistake that the kill rig must find */
    request->status = BATCH_OK;
    request->service->answered(request);
#endif
    return request->answer == TRAIN_BOOKED ? BATCH_CHANGED : BATCH_UNCHANGED;
}

static batch_verdict run_look(void *resource, void *arg)
{
    answer_keep_train(arg, resource);
    return BATCH_UNCHANGED;
}

static batch_verdict run_probe(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_UNCHANGED;
}

static void done(batch_op *op, const batch_result *result)
{
    struct request *request = (struct request *)op;
#ifdef TRAIN_SERVER_ANSWERS_EARLY
    if (request->target.kind == TARGET_BOOK)
        return;
#endif
    request->status = result->status;
    if (result->status != BATCH_OK)
        memcpy(request->message, result->message, sizeof request->message);
    request->service->answered(request);
}

/* ---- The service ----------------------------------------------------------------------------- */

static void serve(struct service *service, struct request *request)
{
    struct batched *batched = (struct batched *)service;
    request->service = service;
    request->op = (batch_op)BATCH_OP_INIT;
    request->op.key = request->target.train;
    request->op.key_size = request->target.train_size;
    request->op.run = request->target.kind == TARGET_BOOK ? run_book : run_look;
    request->op.done = done;
    request->op.arg = request;
    int status = batch_submit(batched->processor, &request->op);
    if (status != BATCH_OK) { /* not accepted: done will not come */
        request->status = status;
        snprintf(request->message, sizeof request->message, "%s", batch_status_text(status));
        service->answered(request);
    }
}

/* Look at the train without a name, which is never stored: a batch of its own, which takes the way
 * that all take, through a worker and a session. */
static bool probe(struct service *service)
{
    struct batched *batched = (struct batched *)service;
    batch_op op = BATCH_OP_INIT;
    op.run = run_probe;
    bool read = batch_run(batched->processor, &op, NULL) == BATCH_OK;
    atomic_fetch_add_explicit(&batched->xprobes, 1, memory_order_relaxed);
    return read;
}

static void totals(struct service *service, struct service_totals *ret_totals)
{
    struct batched *batched = (struct batched *)service;
    batch_stats stats = BATCH_STATS_INIT;
    batch_processor_stats(batched->processor, &stats);
    uint64_t probes = atomic_load_explicit(&batched->xprobes, memory_order_relaxed);
    if (probes > stats.batches) /* the last one was never accepted, or is not counted yet */
        probes = stats.batches;
    *ret_totals = (struct service_totals){
        .batches = stats.batches - probes,
        .operations = stats.batch_operations.sum - probes,
        .commits = stats.save_group.count,
        .saves = stats.save_ns.count,
        .save_ns = stats.save_ns.sum,
    };
}

static bool stop(struct service *service, uint64_t timeout_ns)
{
    struct batched *batched = (struct batched *)service;
    return batch_processor_stop(batched->processor, timeout_ns) == 0;
}

static void close_service(struct service *service)
{
    struct batched *batched = (struct batched *)service;
    batch_processor_free(batched->processor);
    batch_store_close(batched->store);
    free(batched);
}

static int start(struct batched *batched, const struct options *options, batch_result *reterr)
{
    int status =
        store_open(&batched->store, &batched->service.names_are_text, &options->store, reterr);
    if (status != BATCH_OK)
        return status;
    batch_codec codec = {sizeof codec, decode, encode, release, batched};
    batch_options processor_options = BATCH_OPTIONS_INIT;
    processor_options.store = batched->store;
    processor_options.codec = &codec;
    processor_options.resource_size = sizeof(struct train);
    processor_options.window_ns =
        options->window_ms == 0 ? BATCH_WINDOW_NONE : options->window_ms * UINT64_C(1000000);
    processor_options.deadline_ns = DEADLINE_NS;
    processor_options.sessions = options->sessions;
    processor_options.replays_max = options->replays;
    processor_options.resource_cache_max = options->cache;
    status = batch_processor_start(&batched->processor, &processor_options, reterr);
    if (status != BATCH_OK)
        batch_store_close(batched->store);
    return status;
}

struct service *batched_open(const struct options *options)
{
    struct batched *batched = calloc(1, sizeof *batched);
    if (batched == NULL) {
        fputs("train-server: out of memory\n", stderr);
        return NULL;
    }
    batched->service = (struct service){.answers_later = true,
                                        .serve = serve,
                                        .probe = probe,
                                        .totals = totals,
                                        .stop = stop,
                                        .close = close_service};
    batched->seats = options->seats;
    batch_result error = {0};
    if (start(batched, options, &error) != BATCH_OK) {
        fprintf(stderr, "train-server: cannot keep trains: %s\n", error.message);
        free(batched);
        return NULL;
    }
    return &batched->service;
}
