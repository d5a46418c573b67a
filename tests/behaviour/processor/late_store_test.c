/* late_store_test.c: a store that only notes calls, and finishes them later on a thread of its own,
 * as one that sends them over a network does. */
#include "harness.h"

#include "late_store.h"

/* One that passes calls on to a memory store. */
struct late_memory {
    struct late_store late; /* first */
    batch_store *inner;
    void *session;
};

static void finish(struct late_call call, void *arg)
{
    const struct late_memory *memory = arg;
    (call.is_save ? memory->inner->save : memory->inner->load)(memory->inner, memory->session,
                                                               &call.call, 1);
}

static void late_open(struct late_memory *memory)
{
    batch_result error;
    MUST(batch_memory_open(&memory->inner) == BATCH_OK);
    MUST(memory->inner->session_open(memory->inner, &memory->session, &error) == BATCH_OK);
    late_store_open(&memory->late, finish, memory);
}

static void late_close(struct late_memory *memory)
{
    late_store_close(&memory->late);
    memory->inner->session_close(memory->inner, memory->session);
    MUST(batch_store_close(memory->inner) == BATCH_OK);
    MUST(batch_store_close(&memory->late.wrapper.store) == BATCH_OK);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

TEST(calls_may_be_finished_later_from_another_thread)
{
    enum { JOBS = 400 };
    for (uint32_t sessions = 0; sessions < 3; sessions++) {
        for (uint32_t shards = 1; shards < 4; shards += 2) {
            struct late_memory memory;
            late_open(&memory);
            struct harness harness;
            harness_begin_with(&harness, HARNESS_STORE, .store = &memory.late.wrapper.store,
                               .sessions = sessions, .shards = shards);
            struct job *jobs = calloc(JOBS, sizeof *jobs);
            for (int i = 0; i < JOBS; i++) {
                job_init_number(&jobs[i], &harness, i % 100, 1);
                job_submit(&jobs[i]);
            }
            for (int i = 0; i < JOBS; i++) {
                assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
                assert_int_equal(jobs[i].seen, i / 100 + 1);
            }
            harness_end(&harness);
            late_close(&memory);
            free(jobs);
        }
    }
}

TEST(worker_goes_on_while_a_late_store_has_its_calls)
{
    struct late_memory memory;
    late_open(&memory);
    late_store_hold(&memory.late, true);
    struct harness harness;
    harness_begin_with(&harness, HARNESS_STORE, .store = &memory.late.wrapper.store, .sessions = 0);
    struct job held, canceled;
    job_init(&held, &harness, "a", 1);
    job_init(&canceled, &harness, "b", 1);
    job_submit(&held);
    job_submit(&canceled);
    late_store_await(&memory.late, 2);
    batch_cancel(harness.processor, &canceled.op);
    assert_int_equal(job_wait(&canceled), BATCH_CANCELED);
    assert_false(job_is_complete(&held));
    late_store_hold(&memory.late, false);
    assert_int_equal(job_wait(&held), BATCH_OK);
    harness_end(&harness);
    late_close(&memory);
}

TEST(stop_waits_for_a_late_store)
{
    for (uint32_t sessions = 0; sessions < 2; sessions++) {
        struct late_memory memory;
        late_open(&memory);
        late_store_hold(&memory.late, true);
        struct harness harness;
        harness_begin_with(&harness, HARNESS_STORE, .store = &memory.late.wrapper.store,
                           .sessions = sessions);
        struct job job;
        job_send(&job, &harness, "k", 1);
        late_store_await(&memory.late, 1);
        assert_int_equal(batch_processor_stop(harness.processor, 1 * MS), 1);
        assert_int_equal(batch_processor_free(harness.processor), BATCH_BUSY);
        late_store_hold(&memory.late, false);
        harness_stop(&harness);
        assert_int_equal(job.result.status, BATCH_LOAD_FAILED); /* memory fails what is late */
        harness_end(&harness);
        late_close(&memory);
    }
}

/* The thread that finishes the last call may still be in batch_call_finish when stop returns. */
TEST(processor_may_be_freed_as_soon_as_a_late_store_has_finished)
{
    struct late_memory memory;
    late_open(&memory);
    for (int i = 0; i < 1500; i++) {
        struct harness harness;
        harness_begin_with(&harness, HARNESS_STORE, .store = &memory.late.wrapper.store,
                           .sessions = 0);
        struct job job;
        job_send(&job, &harness, "k", 1);
        harness_end(&harness);
        assert_int_equal(job.result.status, BATCH_OK);
    }
    late_close(&memory);
}
