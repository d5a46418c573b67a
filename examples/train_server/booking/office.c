/* office.c: see office.h. The office that uses libbatch.
 *
 * A train is a key. A booking is an operation that reads the train in memory and changes it:
 * libbatch loads the train, runs all bookings of one window on it, saves it, and only then
 * completes them. A refusal too completes at the end of its batch: it was decided on bookings that
 * were not saved yet, and if the save fails, the seat is free. A view is an operation that changes
 * nothing, so it shows only what is stored by the time it is complete.
 *
 * Threads: office_book and office_view on any; done on that of the loop which dispatches what the
 * booking completes to; run_… and release on the worker of libbatch; decode and encode on its
 * session threads. */
#include "booking/office.h"

#include <batch/metrics.h>
#include <batch/postgres.h>
#include <batch/sqlite.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "booking/train_codec.h"

/* A slow disk makes bookings late, not wrong: saves may begin for this long after their batch. */
#define DEADLINE_NS UINT64_C(10000000000)

struct office {
    batch_store *store;
    batch_processor *processor;
    uint32_t seats; /* of a new train */
    atomic_uint_fast64_t xprobes;
};

/* ---- A train as bytes of the store ----------------------------------------------------------- */

static int decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    const struct office *office = arg;
    const char *wrong = train_decode(resource, bytes, bytes_size, office->seats);
    return wrong == NULL ? BATCH_OK : BATCH_LOAD_FAILED;
}

static int encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    struct train *train = resource;
    (void)arg;
    free(train->json);
    *ret_bytes = train->json = train_encode(train, ret_bytes_size);
    return train->json != NULL ? BATCH_OK : BATCH_NO_MEMORY;
}

static void release(void *resource, void *arg)
{
    (void)arg;
    train_release(resource);
}

/* ---- Operations ------------------------------------------------------------------------------ */

static batch_verdict run_book(void *resource, void *arg)
{
    struct booking *booking = arg;
    booking->result = train_book(resource, booking->seat, booking->person, booking->person_size);
    return booking->result == TRAIN_BOOKED ? BATCH_CHANGED : BATCH_UNCHANGED;
}

static batch_verdict run_view(void *resource, void *arg)
{
    struct booking *booking = arg;
    free(booking->json); /* the batch may be a replay */
    booking->json = train_encode(resource, &booking->json_size);
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
    struct booking *booking = (struct booking *)op;
    booking->status = result->status;
    if (result->status != BATCH_OK)
        memcpy(booking->message, result->message, sizeof booking->message);
    booking->done(booking);
}

static void submit(struct office *office, struct booking *booking, batch_run_fn run)
{
    booking->op = (batch_op)BATCH_OP_INIT;
    booking->op.key = booking->train;
    booking->op.key_size = booking->train_size;
    booking->op.run = run;
    booking->op.done = done;
    booking->op.arg = booking;
    int status = batch_submit_to(office->processor, &booking->op, booking->completions);
    if (status != BATCH_OK) { /* not accepted: done will not be called */
        booking->status = status;
        snprintf(booking->message, sizeof booking->message, "%s", batch_status_text(status));
        booking->done(booking);
    }
}

void office_book(struct office *office, struct booking *booking)
{
    submit(office, booking, run_book);
}

void office_view(struct office *office, struct booking *booking)
{
    submit(office, booking, run_view);
}

/* The train without a name is never stored: this is a batch of its own, and takes the way of all
 * others, through a worker and a session. */
bool office_probe(struct office *office)
{
    batch_op op = BATCH_OP_INIT;
    op.run = run_probe;
    bool read = batch_run(office->processor, &op, NULL) == BATCH_OK;
    atomic_fetch_add_explicit(&office->xprobes, 1, memory_order_relaxed);
    return read;
}

struct office_totals office_totals(struct office *office)
{
    batch_stats stats = BATCH_STATS_INIT;
    batch_processor_stats(office->processor, &stats);
    uint64_t probes = atomic_load_explicit(&office->xprobes, memory_order_relaxed);
    if (probes > stats.batches) /* the last one was not accepted, or is not counted yet */
        probes = stats.batches;
    return (struct office_totals){
        .batches = stats.batches - probes,
        .operations = stats.batch_operations.sum - probes,
        .commits = stats.save_group.count,
        .saves = stats.save_ns.count,
        .save_ns = stats.save_ns.sum,
    };
}

size_t office_metrics(struct office *office, bool is_open, char *text, size_t size)
{
    return batch_metrics_text(&office->processor, NULL, 1,
                              is_open ? BATCH_TEXT_OPENMETRICS : BATCH_TEXT_PROMETHEUS, text, size);
}

/* ---- Open and close -------------------------------------------------------------------------- */

static int store_open(batch_store **ret_store, const struct store_options *options,
                      batch_result *reterr)
{
    if (options->kind == STORE_SQLITE) {
        batch_sqlite_options sqlite = BATCH_SQLITE_OPTIONS_INIT;
        sqlite.table = options->table;
        sqlite.key_column = options->key_column;
        sqlite.version_column = options->version_column;
        sqlite.state_column = options->state_column;
        return batch_sqlite_open(ret_store, options->where, &sqlite, reterr);
    }
    batch_postgres_options postgres = BATCH_POSTGRES_OPTIONS_INIT;
    postgres.table = options->table;
    postgres.key_column = options->key_column;
    postgres.version_column = options->version_column;
    postgres.state_column = options->state_column;
    return batch_postgres_open(ret_store, options->where, &postgres, reterr);
}

static int processor_start(struct office *office, const struct office_options *options,
                           batch_result *reterr)
{
    batch_codec codec = {.size = sizeof codec, .decode = decode, .encode = encode};
    codec.release = release;
    codec.arg = office;
    batch_options batch = BATCH_OPTIONS_INIT;
    batch.store = office->store;
    batch.codec = &codec;
    batch.resource_size = sizeof(struct train);
    batch.window_ns =
        options->window_ms == 0 ? BATCH_WINDOW_NONE : options->window_ms * UINT64_C(1000000);
    batch.deadline_ns = DEADLINE_NS;
    batch.sessions = options->sessions;
    batch.replays_max = options->replays;
    batch.resource_cache_max = options->cache;
    return batch_processor_start(&office->processor, &batch, reterr);
}

int office_open(struct office **ret_office, const struct office_options *options,
                batch_result *reterr)
{
    *reterr = (batch_result){.status = BATCH_NO_MEMORY, .message = "out of memory"};
    struct office *office = calloc(1, sizeof *office);
    if (office == NULL)
        return BATCH_NO_MEMORY;
    office->seats = options->seats;
    int status = store_open(&office->store, &options->store, reterr);
    if (status == BATCH_OK)
        status = processor_start(office, options, reterr);
    if (status == BATCH_OK)
        *ret_office = office;
    else
        office_close(office);
    return status;
}

bool office_stop(struct office *office, uint64_t timeout_ns)
{
    return batch_processor_stop(office->processor, timeout_ns) == BATCH_OK;
}

void office_close(struct office *office)
{
    batch_processor_free(office->processor);
    batch_store_close(office->store);
    free(office);
}
