/* The memory of resources, of every size: zeroed for each load, aligned, no more than promised, and
 * given back. */
#include "harness.h"

#include <unistd.h>

enum { KEYS = 8, KEPT_MAX = 32 * 1024 * 1024 };

static const size_t sizes[] = {1,      7,       63,      64,      65,       1000,    4095,
                               4096,   4097,    5001,    65536,   70001,    131071,  131072,
                               700000, 1048576, 1048577, 4000001, 16777215, 16777216};

/* Every byte is zero when it is loaded, also where the batch before left something. */
static int load_of_zeroes(batch_call *call, void *resource, void *arg)
{
    const unsigned char *bytes = resource;
    size_t size = *(const size_t *)arg;
    (void)call;
    MUST((uintptr_t)resource % BATCH_RESOURCE_ALIGNMENT == 0);
    MUST(bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
    return BATCH_OK;
}

static int save_nothing(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)resource;
    (void)arg;
    return BATCH_OK;
}

static void dirty(struct job *job)
{
    if (job->harness->options.load == NULL)
        MUST(load_of_zeroes(NULL, job->resource, &job->harness->options.resource_size) == BATCH_OK);
    memset(job->resource, 0x5A, job->harness->options.resource_size);
}

/* One operation on each key; `meanwhile` is called when all have work. */
static void use_all_keys(struct harness *harness, void (*meanwhile)(struct harness *harness))
{
    struct job jobs[KEYS];
    gate_close(&harness->run_gate);
    for (int i = 0; i < KEYS; i++) {
        job_init_number(&jobs[i], harness, i, 0);
        jobs[i].on_run = dirty;
    }
    jobs[0].gate = &harness->run_gate;
    jobs_submit_many(jobs, KEYS);
    gate_await(&harness->run_gate, 1);
    meanwhile(harness);
    gate_open(&harness->run_gate);
    jobs_wait(jobs, KEYS);
    harness_settle(harness);
}

/* ---- Of a user's allocator ------------------------------------------------------------------- */

static uint64_t base_bytes; /* what a processor takes without any key */

static void check_bytes(struct harness *harness)
{
    size_t size = harness->options.resource_size;
    uint64_t bytes = harness->memory.bytes - base_bytes;
    if (size >= 4096 && (double)bytes > 1.2 * (double)(size * KEYS))
        fail_msg("%d keys of %zu bytes take %llu", KEYS, size, (unsigned long long)bytes);
}

/* With load functions, in sessions and on the worker; and with nothing to load. */
TEST(resources_of_every_size_are_zeroed_aligned_and_no_larger_than_promised)
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int way = 0; way < 3; way++) {
            struct harness harness;
            size_t size = sizes[i];
            harness_init_with(&harness, HARNESS_BARE, .sessions = way == 0 ? 2 : 0,
                              .resource_size = size, .arg = &size);
            if (way < 2) {
                harness.options.load = load_of_zeroes;
                harness.options.save = save_nothing;
            }
            harness_start(&harness);
            struct job first; /* now all is there that does not depend on the number of keys */
            job_init(&first, &harness, "first", 0);
            first.on_run = dirty;
            assert_int_equal(job_run(&first), BATCH_OK);
            base_bytes = harness.memory.bytes - size; /* its memory is used again */
            use_all_keys(&harness, check_bytes);
            use_all_keys(&harness, check_bytes);
            if (size >= 4096)
                assert_true(harness.memory.bytes < base_bytes + KEPT_MAX + 4096);
            harness_end(&harness);
        }
    }
}

/* ---- Of the system --------------------------------------------------------------------------- */

/* No sanitizer's memory: it has shadows. */
#if !defined(__has_feature)
#define __has_feature(name) 0
#endif
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { HAS_SHADOWS = 1 };
#else
enum { HAS_SHADOWS = 0 };
#endif

static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    MUST(file != NULL);
    size_t size = 0, pages = 0;
    MUST(fscanf(file, "%zu %zu", &size, &pages) == 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t resident_before;

static void check_resident(struct harness *harness)
{
    size_t size = harness->options.resource_size;
    size_t taken = resident() - resident_before;
    if (!HAS_SHADOWS && taken > size * KEYS + size * KEYS / 5 + 1024 * 1024)
        fail_msg("%d keys of %zu bytes take %zu", KEYS, size, taken);
}

TEST(large_resources_take_their_size_of_the_system_and_are_given_back)
{
    static const size_t large[] = {700000, 1048576, 5000000, 16777216};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        struct harness harness;
        size_t size = large[i];
        harness_init_with(&harness, HARNESS_BARE, .sessions = 2, .resource_size = size,
                          .arg = &size);
        harness.options.allocator = (batch_allocator){NULL, NULL, NULL};
        harness.options.load = load_of_zeroes;
        harness.options.save = save_nothing;
        harness_start(&harness);
        resident_before = resident();
        use_all_keys(&harness, check_resident);
        use_all_keys(&harness, check_resident);
        if (!HAS_SHADOWS)
            assert_true(resident() < resident_before + KEPT_MAX + 1024 * 1024);
        harness_end(&harness);
    }
}
