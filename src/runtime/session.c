#include "session.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "../platform/probes.h"
#include "allocator.h"
#include "result.h"
#include "shard.h"
#include "shared.h"

enum {
    FUNCTIONS_NS = 50 * 1000,  /* that load and save functions may take in a group */
    FORGET = 8,                /* per group the estimated time of a call falls by a FORGETth */
    GROUP_SHARE = 4,           /* a group of a store may take a GROUP_SHAREth of its time limit */
    SMALL_BYTES = 1024 * 1024, /* that go together in any case … */
    SMALL_CALLS = 512,         /* … but no more calls than that */
    ENCODED_BYTES = 4096,
    NS_PER_BYTE = 50 /* that a store takes, before it is measured: 20 MB/s */
};

/* About so many bytes are stored under a key. What a codec makes of a resource is not known. */
static uint64_t stored_bytes(const batch_options *options)
{
    return options->codec != NULL ? ENCODED_BYTES : options->resource_size;
}

/* ---- The connection ------------------------------------------------------------------------- */

int batch__session_open(struct batch__session *session, struct batch__shared *shared,
                        batch_result *reterr)
{
    batch__check(!session->is_open);
    batch_store *store = shared->store;
    session->shared = shared;
    session->call_ns[0] = FUNCTIONS_NS; /* of functions at first one call at a time */
    if (shared->options.store != NULL)
        session->call_ns[0] = session->call_ns[1] = NS_PER_BYTE * stored_bytes(&shared->options);
    session->calls =
        batch__allocate(&shared->options, shared->options.group_max * sizeof(batch_call *));
    if (session->calls == NULL)
        return batch__result_set(reterr, BATCH_NO_MEMORY, "no memory for a session");
    batch_result error;
    batch__result_set(&error, BATCH_STORE_FAILED, "store %s could not open a session", store->name);
    int status = store->session_open(store, &session->session, &error);
    if (status == BATCH_OK) {
        session->is_open = true;
        return BATCH_OK;
    }
    error.status = status == BATCH_NO_MEMORY ? BATCH_NO_MEMORY : BATCH_STORE_FAILED;
    if (reterr != NULL)
        *reterr = error;
    return error.status;
}

void batch__session_close(struct batch__session *session)
{
    if (session->is_open)
        session->shared->store->session_close(session->shared->store, session->session);
    session->is_open = false;
}

void batch__session_free(struct batch__session *session)
{
    batch__check(!session->is_open);
    if (session->calls != NULL)
        batch__release(&session->shared->options, session->calls);
}

/* ---- Groups --------------------------------------------------------------------------------- */

void batch__session_perform(struct batch__session *session, enum batch__stage stage, size_t count)
{
    struct batch__shared *shared = session->shared;
    batch_store *store = shared->store;
    batch__check(session->is_open);
    batch__check(count > 0);
    if (stage == BATCH__STAGE_LOAD) {
        for (size_t i = 0; i < count && batch__call_clears_late(shared); i++)
            batch__call_clear(session->calls[i]);
        batch__group_counters_load(&shared->group_counters, count);
        batch__probe_group_begin(0, count);
        store->load(store, session->session, session->calls, count);
        batch__probe_group_end(0, count);
    } else {
        batch__group_counters_save(&shared->group_counters, count);
        batch__probe_group_begin(1, count);
        store->save(store, session->session, session->calls, count);
        batch__probe_group_end(1, count);
    }
}

/* Load and save functions are called one after the other, so a session takes one call and leaves
 * the others to other sessions. It takes several only of functions that are faster than getting the
 * next call from the queue; a call that takes longer is noticed at once, and forgotten slowly. */
static size_t functions_at_a_time(const struct batch__session *session)
{
    uint64_t calls = FUNCTIONS_NS / (session->call_ns[0] + 1);
    return calls > 1 ? (size_t)calls : 1;
}

/* The time of a group of fewer calls is mostly that of a commit, and says little. */
static uint64_t small_group(const batch_options *options)
{
    uint64_t calls = SMALL_BYTES / (stored_bytes(options) + 1);
    return calls < SMALL_CALLS ? calls : SMALL_CALLS;
}

/* A store handles a group as one, so it gets all that are ready, but only as many as take a part of
 * their time limit, going by the slower stage: resources may be large, or the machine busy. */
static size_t store_at_a_time(const struct batch__session *session)
{
    const batch_options *options = &session->shared->options;
    uint64_t call_ns = 1;
    for (int stage = 0; stage < BATCH__STAGES; stage++)
        call_ns = session->call_ns[stage] > call_ns ? session->call_ns[stage] : call_ns;
    uint64_t in_time = options->deadline_ns / GROUP_SHARE / call_ns;
    uint64_t small = small_group(options);
    uint64_t calls = in_time > small ? in_time : small;
    return calls > 1 ? (size_t)calls : 1;
}

/* How many calls to take. */
static size_t calls_at_a_time(const struct batch__session *session)
{
    const batch_options *options = &session->shared->options;
    size_t calls = options->store != NULL ? store_at_a_time(session) : functions_at_a_time(session);
    return calls < options->group_max ? calls : options->group_max;
}

static void perform(struct batch__session *session, size_t count)
{
    enum batch__stage stage = (enum batch__stage)session->calls[0]->stage;
    const batch_options *options = &session->shared->options;
    bool is_store = options->store != NULL;
    uint64_t *recent_ns = &session->call_ns[is_store ? stage : 0];
    uint64_t begin_ns = batch__clock_now_ns();
    batch__session_perform(session, stage, count);
    if (is_store && count < small_group(options))
        return;
    uint64_t call_ns = (batch__clock_now_ns() - begin_ns) / count;
    *recent_ns -= *recent_ns / (is_store ? 2 : FORGET);
    if (call_ns > *recent_ns)
        *recent_ns = call_ns;
}

/* With BATCH_WINDOW_NONE: batches stay open until a session is idle. */
static void on_idle(void *arg)
{
    const struct batch__shared *shared = arg;
    for (uint32_t i = 0; i < shared->options.shards; i++)
        batch__inbox_signal_mp(&shared->shards[i]->inbox, BATCH__SIGNAL_STORE_IDLE);
}

void batch__session_main(void *arg)
{
    struct batch__session *session = arg;
    struct batch__shared *shared = session->shared;
    batch__check(batch__shared_is_own_thread(shared));
    bool is_natural = shared->options.window_ns == BATCH_WINDOW_NONE;
    enum batch__io_kind kind = BATCH__IO_NONE;
    for (;;) {
        size_t count =
            batch__io_queue_take(&shared->io_queue, &kind, session->calls, calls_at_a_time(session),
                                 is_natural ? on_idle : NULL, shared);
        if (count == 0)
            break;
        batch__check(count <= shared->options.group_max);
        perform(session, count);
    }
    batch__lifecycle_session_ended(&shared->lifecycle);
}
