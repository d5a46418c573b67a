/* allocations_test.c: once warm, no operation costs an allocation: neither from the processor's
 * allocator nor, behind its back, from malloc. The calls to malloc of everything that is linked
 * into this program, the library included, go through the wrappers below (the linker's --wrap). */
#include "harness.h"

#include <batch/completions.h>
#include <batch/driven.h>

#include <stdatomic.h>

static atomic_uint_fast64_t mallocs;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **ret_memory, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **ret_memory, size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    atomic_fetch_add(&mallocs, 1);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    atomic_fetch_add(&mallocs, 1);
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    atomic_fetch_add(&mallocs, 1);
    return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&mallocs, 1);
    return __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    atomic_fetch_add(&mallocs, 1);
    return __real_posix_memalign(ret_memory, alignment, size);
}

/* ---- A load that goes round ------------------------------------------------------------------ */

enum { OPS = 1000, KEYS = 100 };
#ifndef MANY_TURNS
#define MANY_TURNS 1000 /* a million operations */
#endif

struct wheel {
    batch_processor *processor;
    batch_op ops[OPS];
    batch_op *all[OPS];
    char keys[KEYS][40];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned left; /* under lock */
    bool is_driven;
};

static batch_verdict add(void *resource, void *arg)
{
    (void)arg;
    ++*(int64_t *)resource;
    return BATCH_CHANGED;
}

static void count_down(batch_op *op, const batch_result *result)
{
    struct wheel *wheel = op->arg;
    MUST(result->status == BATCH_OK);
    pthread_mutex_lock(&wheel->lock);
    if (--wheel->left == 0)
        pthread_cond_signal(&wheel->changed);
    pthread_mutex_unlock(&wheel->lock);
}

static void wheel_init(struct wheel *wheel, batch_processor *processor, size_t key_size)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->processor = processor;
    MUST(pthread_mutex_init(&wheel->lock, NULL) == 0);
    MUST(pthread_cond_init(&wheel->changed, NULL) == 0);
    for (int i = 0; i < KEYS; i++)
        snprintf(wheel->keys[i], sizeof wheel->keys[i], "%038d", i);
    for (int i = 0; i < OPS; i++) {
        wheel->ops[i] = (batch_op)BATCH_OP_INIT;
        wheel->ops[i].key = wheel->keys[i % KEYS] + 38 - key_size;
        wheel->ops[i].key_size = key_size;
        wheel->ops[i].run = add;
        wheel->ops[i].done = count_down;
        wheel->ops[i].arg = wheel;
        wheel->all[i] = &wheel->ops[i];
    }
}

/* Every operation once: half of them alone, half together. */
static void wheel_turn(struct wheel *wheel)
{
    wheel->left = OPS;
    for (int i = 0; i < OPS / 2; i++)
        MUST(batch_submit(wheel->processor, &wheel->ops[i]) == BATCH_OK);
    MUST(batch_submit_many(wheel->processor, wheel->all + OPS / 2, OPS / 2) == BATCH_OK);
    pthread_mutex_lock(&wheel->lock);
    while (wheel->left > 0 && !wheel->is_driven)
        pthread_cond_wait(&wheel->changed, &wheel->lock);
    pthread_mutex_unlock(&wheel->lock);
    while (wheel->is_driven && wheel->left > 0) /* on this very thread */
        MUST(batch_processor_drive(wheel->processor, BATCH_FOREVER) >= 0);
}

static void run_a_few(struct wheel *wheel)
{
    for (int i = 0; i < 10; i++)
        MUST(batch_run(wheel->processor, &wheel->ops[i], NULL) == BATCH_OK);
}

static void count_allocations(enum harness_kind kind, bool is_driven, uint32_t sessions,
                              uint32_t shards, uint64_t window_ns, unsigned turns)
{
    struct harness harness;
    harness_begin_with(&harness, kind, .driven = is_driven, .sessions = sessions, .shards = shards,
                       .window_ns = window_ns);
    struct wheel *wheel = malloc(sizeof *wheel);
    wheel_init(wheel, harness.processor, 20);
    wheel->is_driven = is_driven;
    wheel_turn(wheel);
    run_a_few(wheel);

    harness.memory.taken = 0;
    atomic_store(&mallocs, 0);
    for (unsigned i = 0; i < turns; i++)
        wheel_turn(wheel);
    run_a_few(wheel);
    assert_int_equal(harness.memory.taken, 0);
    /* The memory store's sessions make a buffer each when they first load what is stored. */
    assert_in_range(atomic_load(&mallocs), 0, sessions);

    pthread_cond_destroy(&wheel->changed);
    pthread_mutex_destroy(&wheel->lock);
    free(wheel);
    harness_end(&harness);
}

TEST(no_allocation_for_each_operation)
{
    count_allocations(HARNESS_STORE, false, 0, 1, BATCH_WINDOW_NONE, MANY_TURNS);
    count_allocations(HARNESS_STORE, false, 2, 2, BATCH_WINDOW_NONE, 100);
    count_allocations(HARNESS_FUNCTIONS, false, 1, 1, BATCH_WINDOW_NONE, 50);
    count_allocations(HARNESS_BARE, false, 1, 1, BATCH_WINDOW_NONE, 100);
    count_allocations(HARNESS_STORE, false, 2, 1, 1 * MS, 50);
    count_allocations(HARNESS_STORE, true, 0, 1, BATCH_WINDOW_NONE, MANY_TURNS);
    count_allocations(HARNESS_STORE, true, 2, 1, BATCH_WINDOW_NONE, 100);
}

/* ---- Transactions that complete on an event loop --------------------------------------------- */

enum { TRANSFERS = 100, TURNS = 100 };

struct transfer {
    batch_transaction transaction; /* first */
    batch_part parts[2];
    unsigned *left;
};

static void move(void *const *resources, batch_transaction *transaction)
{
    --*(int64_t *)resources[0];
    ++*(int64_t *)resources[1];
    transaction->parts[0].changed = transaction->parts[1].changed = true;
}

static void count_transfer(batch_transaction *transaction, const batch_result *result)
{
    MUST(result->status == BATCH_OK);
    --*((struct transfer *)transaction)->left;
}

static void transfers_turn(struct transfer *transfers, batch_processor *processor,
                           batch_completions *completions)
{
    for (int i = 0; i < TRANSFERS; i++)
        MUST(batch_transaction_submit_to(processor, &transfers[i].transaction, completions) ==
             BATCH_OK);
    *transfers[0].left = TRANSFERS;
    while (*transfers[0].left > 0)
        MUST(batch_completions_dispatch(completions, 0, BATCH_FOREVER) >= 0);
}

HARNESS_TEST(no_allocation_for_each_transaction_on_a_loop, HARNESS_BARE)
{
    struct transfer *transfers = calloc(TRANSFERS, sizeof *transfers);
    unsigned left = 0;
    static const char keys[] = "abcdefghij";
    for (int i = 0; i < TRANSFERS; i++) {
        transfers[i] = (struct transfer){BATCH_TRANSACTION_INIT, {BATCH_PART_INIT}, &left};
        for (int k = 0; k < 2; k++) {
            transfers[i].parts[k].key = &keys[(i + k * (1 + i % 3)) % 10];
            transfers[i].parts[k].key_size = 1;
        }
        transfers[i].transaction.parts = transfers[i].parts;
        transfers[i].transaction.parts_size = 2;
        transfers[i].transaction.run = move;
        transfers[i].transaction.done = count_transfer;
    }
    batch_completions *completions;
    assert_int_equal(batch_completions_open(&completions, NULL), BATCH_OK);
    transfers_turn(transfers, harness->processor, completions);
    harness->memory.taken = 0;
    atomic_store(&mallocs, 0);
    for (int i = 0; i < TURNS; i++)
        transfers_turn(transfers, harness->processor, completions);
    assert_int_equal(harness->memory.taken, 0);
    assert_int_equal(atomic_load(&mallocs), 0);
    assert_int_equal(batch_completions_close(completions), BATCH_OK);
    free(transfers);
}

/* ---- Seeded bugs: the counters count --------------------------------------------------------- */

static batch_verdict add_and_allocate(void *resource, void *arg)
{
    void *volatile memory = malloc(16); /* volatile: not to be optimized away */
    free(memory);
    return add(resource, arg);
}

HARNESS_TEST(counters_see_an_allocation_in_an_operation, HARNESS_STORE)
{
    struct wheel *wheel = malloc(sizeof *wheel);
    wheel_init(wheel, harness->processor, 20);
    for (int i = 0; i < OPS; i++)
        wheel->ops[i].run = add_and_allocate;
    wheel_turn(wheel);
    atomic_store(&mallocs, 0);
    wheel_turn(wheel);
    assert_true(atomic_load(&mallocs) >= OPS);
    pthread_cond_destroy(&wheel->changed);
    pthread_mutex_destroy(&wheel->lock);
    free(wheel);
}

/* A key longer than what a batch has room for is copied: once for a batch, not for an operation. */
HARNESS_TEST(long_key_costs_one_allocation_for_each_batch, HARNESS_STORE)
{
    struct wheel *wheel = malloc(sizeof *wheel);
    wheel_init(wheel, harness->processor, 38);
    wheel_turn(wheel);
    uint64_t batches = harness_stats(harness).batches;
    harness->memory.taken = 0;
    for (int i = 0; i < 20; i++)
        wheel_turn(wheel);
    harness_stop(harness);
    batches = harness_stats(harness).batches - batches;
    assert_in_range(harness->memory.taken, 1, batches);
    pthread_cond_destroy(&wheel->changed);
    pthread_mutex_destroy(&wheel->lock);
    free(wheel);
}
