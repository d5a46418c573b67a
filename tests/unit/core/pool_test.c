/* The pool of batch objects, and the keys that they hold a copy of. */
#include "trace.h"

enum { OBJECT_BYTES = (sizeof(struct batch__batch) + 256 + 63) / 64 * 64 };

struct fixture {
    struct allocator memory;
    struct batch__pool pool;
};

static const struct batch__pages no_pages = {NULL, NULL};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    batch_allocator allocator = allocator_functions(&f->memory);
    batch__pool_init(&f->pool, &allocator, &no_pages, OBJECT_BYTES, 0);
}

static void end(struct fixture *f)
{
    batch__pool_destroy(&f->pool);
    assert_int_equal(f->memory.live, 0);
}

#define POOL_TEST(name) TEST_OF(name, struct fixture, f, begin, end)

/* ---- Objects -------------------------------------------------------------------------------- */

POOL_TEST(an_object_is_aligned_zeroed_and_has_a_copy_of_its_key)
{
    char key[] = "seat";
    struct batch__batch *batch = batch__pool_take(&f->pool, key, 4, 99);
    key[0] = 'x';
    assert_int_equal((uintptr_t)batch % 64, 0);
    assert_memory_equal(batch->key, "seat", 4);
    assert_int_equal(batch->key_size, 4);
    assert_int_equal(batch->hash, 99);
    assert_int_equal(batch->phase, BATCH__POOLED);
    assert_null(batch->waiting.head);
    assert_int_equal(batch->saved_ns, 0);
    const char *behind = (const char *)(batch + 1);
    for (size_t i = 0; i < OBJECT_BYTES - sizeof *batch; i++)
        assert_int_equal(behind[i], 0); /* the object is new */
    batch__pool_give(&f->pool, batch);
}

POOL_TEST(what_lies_behind_the_batch_stays_from_use_to_use)
{
    struct batch__batch *batch = batch__pool_take(&f->pool, "a", 1, 1);
    memset(batch, 0x5A, OBJECT_BYTES);
    *batch = (struct batch__batch){
        .key = batch->key_inline, .key_size = 1, .phase = BATCH__ENDED, .changed = 7};
    batch__pool_give(&f->pool, batch);
    struct batch__batch *again = batch__pool_take(&f->pool, "b", 1, 2);
    assert_ptr_equal(again, batch);
    assert_int_equal(((const char *)(again + 1))[0], 0x5A);
    assert_int_equal(again->phase, BATCH__POOLED);
    assert_int_equal(again->changed, 0);
    batch__pool_give(&f->pool, again);
}

POOL_TEST(objects_do_not_overlap_and_are_used_again)
{
    enum { COUNT = 1000 };
    static struct batch__batch *batches[COUNT];
    uint64_t taken = 0;
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            batches[i] = batch__pool_take(&f->pool, &i, sizeof i, i);
            assert_non_null(batches[i]);
            memset(batches[i] + 1, (int)i, OBJECT_BYTES - sizeof *batches[i]);
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            const unsigned char *behind = (const unsigned char *)(batches[i] + 1);
            assert_int_equal(behind[0], i % 256);
            assert_int_equal(behind[OBJECT_BYTES - sizeof *batches[i] - 1], i % 256);
            assert_memory_equal(batches[i]->key, &i, sizeof i);
            batch__pool_give(&f->pool, batches[i]);
        }
        if (round == 0)
            taken = f->memory.taken;
    }
    assert_int_equal(f->memory.taken, taken);
    assert_true(taken < COUNT / 10);
}

TEST(without_a_head_all_of_an_object_is_cleared)
{
    struct allocator memory = {0};
    batch_allocator allocator = allocator_functions(&memory);
    struct batch__pool pool;
    enum { SIZE = 4096 };
    batch__pool_init(&pool, &allocator, &no_pages, SIZE, 0);
    struct batch__batch *batch = batch__pool_take(&pool, "a", 1, 1);
    const unsigned char *bytes = (const unsigned char *)batch;
    for (size_t at = sizeof *batch; at < SIZE; at++)
        assert_int_equal(bytes[at], 0);
    batch__pool_give(&pool, batch);
    batch__pool_destroy(&pool);
}

/* ---- Large objects -------------------------------------------------------------------------- */

enum { HEAD_BYTES = (sizeof(struct batch__batch) + 63) / 64 * 64 };

TEST(a_large_object_is_aligned_and_only_its_head_is_cleared)
{
    static const size_t sizes[] = {4096, 5120, 65536, 1048576};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct allocator memory = {0};
        batch_allocator allocator = allocator_functions(&memory);
        struct batch__pool pool;
        batch__pool_init(&pool, &allocator, &no_pages, sizes[i], HEAD_BYTES);
        struct batch__batch *first = batch__pool_take(&pool, "a", 1, 1);
        struct batch__batch *second = batch__pool_take(&pool, "b", 1, 2);
        assert_int_equal(memory.taken, 2);
        assert_int_equal((uintptr_t)first % 64 + (uintptr_t)second % 64, 0);
        const unsigned char *bytes = (const unsigned char *)first;
        for (size_t at = sizeof *first; at < HEAD_BYTES; at++)
            assert_int_equal(bytes[at], 0);
        for (size_t at = HEAD_BYTES; at < sizes[i]; at++)
            assert_int_equal(bytes[at], 0xA5); /* as it came from the allocator */
        memset(first + 1, 1, sizes[i] - sizeof *first);
        memset(second + 1, 2, sizes[i] - sizeof *second);
        assert_int_equal(bytes[sizes[i] - 1], 1);
        assert_in_range(memory.bytes, 2 * sizes[i], 2 * sizes[i] + 160);
        batch__pool_give(&pool, first);
        batch__pool_give(&pool, second);
        assert_ptr_equal(batch__pool_take(&pool, "a", 1, 1), second); /* free ones come first */
        assert_int_equal(memory.taken, 2);
        batch__pool_give(&pool, second);
        batch__pool_destroy(&pool);
        assert_int_equal(memory.live, 0);
    }
}

TEST(large_objects_beyond_a_limit_are_given_back_at_once)
{
    enum { SIZE = 1024 * 1024, COUNT = 100, KEPT = 32 };
    struct allocator memory = {0};
    batch_allocator allocator = allocator_functions(&memory);
    struct batch__pool pool;
    batch__pool_init(&pool, &allocator, &no_pages, SIZE, HEAD_BYTES);
    struct batch__batch *batches[COUNT];
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            batches[i] = batch__pool_take(&pool, &i, sizeof i, i);
            assert_non_null(batches[i]);
        }
        assert_int_equal(memory.live, COUNT);
        for (uint32_t i = 0; i < COUNT; i++)
            batch__pool_give(&pool, batches[i]);
        assert_int_equal(memory.live, KEPT);
        assert_int_equal(memory.taken, COUNT + (COUNT - KEPT) * round);
    }
    batch__pool_destroy(&pool);
    assert_int_equal(memory.live, 0);
}

/* Memory that begins where a cache line does, behind one that must stay as it is. */
static void *allocate_behind_a_line(size_t size, void *arg)
{
    (void)arg;
    char *line = aligned_alloc(64, (size + 127) / 64 * 64);
    assert_non_null(line);
    memset(line, 0x5A, 64);
    return line + 64;
}

static void release_behind_a_line(void *memory, void *arg)
{
    (void)arg;
    if (memory == NULL)
        return;
    char *line = (char *)memory - 64;
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(line[i], 0x5A);
    free(line);
}

TEST(a_large_object_keeps_to_its_memory)
{
    batch_allocator allocator = {allocate_behind_a_line, release_behind_a_line, NULL};
    struct batch__pool pool;
    batch__pool_init(&pool, &allocator, &no_pages, 4096, HEAD_BYTES);
    struct batch__batch *batch = batch__pool_take(&pool, "a", 1, 1);
    memset(batch + 1, 1, 4096 - sizeof *batch);
    batch__pool_give(&pool, batch);
    batch__pool_destroy(&pool);
}

static size_t mapped;
static bool is_map_refused;

static void *map(size_t size)
{
    if (is_map_refused)
        return NULL;
    mapped += size;
    void *memory = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    assert_non_null(memory);
    return memset(memory, 0, size);
}

static void unmap(void *memory, size_t size)
{
    mapped -= size;
    free(memory);
}

TEST(the_largest_objects_are_pages_where_there_are_any)
{
    const struct batch__pages pages = {map, unmap};
    static const size_t sizes[] = {4096, 131072 - 64, 131072, 16777216 + 64};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bool is_of_pages = sizes[i] >= 131072;
        struct allocator memory = {.fail_at = 1};
        batch_allocator allocator = allocator_functions(&memory);
        struct batch__pool pool;
        batch__pool_init(&pool, &allocator, &pages, sizes[i], HEAD_BYTES);
        assert_int_equal(batch__pool_has_pages(&pages, sizes[i]), is_of_pages);
        is_map_refused = true;
        assert_null(batch__pool_take(&pool, "a", 1, 1));
        is_map_refused = false;
        struct batch__batch *batch = batch__pool_take(&pool, "a", 1, 1);
        if (is_of_pages) { /* then nothing was asked of the allocator yet */
            memory.fail_at = 0;
            assert_int_equal(memory.taken, 0);
        }
        assert_non_null(batch);
        assert_int_equal(mapped, is_of_pages ? sizes[i] : 0);
        assert_int_equal(memory.live, !is_of_pages);
        batch__pool_give(&pool, batch);
        batch__pool_destroy(&pool);
        assert_int_equal(mapped + memory.live, 0);
    }
}

/* ---- Slabs ---------------------------------------------------------------------------------- */

POOL_TEST(slabs_double_up_to_two_megabytes)
{
    size_t before = f->pool.slab_bytes;
    struct batch__batch *taken = NULL;
    for (uint64_t slabs = 0; slabs < 10;) {
        struct batch__batch *batch = batch__pool_take(&f->pool, "a", 1, 1);
        batch->todo_next = taken;
        taken = batch;
        if (f->memory.taken == slabs)
            continue;
        slabs = f->memory.taken;
        size_t expected = before * 2 < 2097152 ? before * 2 : 2097152;
        assert_int_equal(f->pool.slab_bytes, expected);
        before = expected;
    }
    assert_int_equal(before, 2097152);
    while (taken != NULL) {
        struct batch__batch *next = taken->todo_next;
        batch__pool_give(&f->pool, taken);
        taken = next;
    }
}

POOL_TEST(a_slab_is_used_to_its_last_object)
{
    struct batch__batch *taken = NULL;
    size_t slab_bytes = 0, count = 0;
    for (;;) {
        struct batch__batch *batch = batch__pool_take(&f->pool, "a", 1, 1);
        batch->todo_next = taken;
        taken = batch;
        if (f->memory.taken > 1)
            break;
        slab_bytes = (size_t)f->memory.bytes;
        count++;
    }
    assert_in_range(slab_bytes - count * OBJECT_BYTES, 0, sizeof(void *) + 64);
    while (taken != NULL) {
        struct batch__batch *next = taken->todo_next;
        batch__pool_give(&f->pool, taken);
        taken = next;
    }
}

POOL_TEST(without_memory_for_object_or_key_nothing_is_taken)
{
    char key[100] = "long";
    f->memory.fail_at = 1;
    assert_null(batch__pool_take(&f->pool, "a", 1, 1));
    struct batch__batch *batch = batch__pool_take(&f->pool, "a", 1, 1);
    assert_non_null(batch);
    f->memory.fail_at = f->memory.taken + 1;
    assert_null(batch__pool_take(&f->pool, key, sizeof key, 2));
    struct batch__batch *second = batch__pool_take(&f->pool, key, sizeof key, 2);
    assert_non_null(second);
    assert_memory_equal(second->key, key, sizeof key);
    batch__pool_give(&f->pool, batch);
    batch__pool_give(&f->pool, second);
    assert_int_equal(f->memory.live, 1); /* the slab; not the key */
}

/* ---- Keys ----------------------------------------------------------------------------------- */

/* Bytes with a length: short ones in place, long ones in memory of their own. */
POOL_TEST(keys_of_every_length_are_kept_whole)
{
    static const size_t sizes[] = {0, 1, 23, 24, 25, 26, 1000, BATCH_KEY_SIZE_MAX};
    static unsigned char key[BATCH_KEY_SIZE_MAX];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)(i * 7);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t live = f->memory.live;
        struct batch__batch *batch = batch__pool_take(&f->pool, key, sizes[i], 1);
        assert_non_null(batch->key);
        assert_int_equal(batch->key_size, sizes[i]);
        assert_memory_equal(batch->key, key, sizes[i]);
        batch__pool_give(&f->pool, batch);
        assert_true(f->memory.live <= live + 1);
    }
    assert_int_equal(f->memory.live, 1);
}

static void submit_bytes(struct trace *t, char name, const void *key, size_t key_size)
{
    trace_op(t, name)->op.key = key;
    trace_op(t, name)->op.key_size = key_size;
    trace_submit_one(t, trace_op(t, name));
}

TEST(the_empty_key_is_a_key)
{
    struct trace *t = trace_new(&(struct trace_options){.load_ms = 1, .save_ms = 1});
    submit_bytes(t, 'A', NULL, 0);
    submit_bytes(t, 'B', "", 0);
    submit_bytes(t, 'C', "\0", 1);
    trace_at(t, 200);
    trace_expect(t, "[  0] : load\n"
                    "[  0] \\00: load\n"
                    "[  1] : run A\n"
                    "[  1] : run B\n"
                    "[  1] \\00: run C\n"
                    "[100] : save, closed by window\n"
                    "[100] \\00: save, closed by window\n"
                    "[101] : done A B OK\n"
                    "[101] : release\n"
                    "[101] \\00: done C OK\n"
                    "[101] \\00: release\n");
    trace_end(t);
}

TEST(a_key_is_not_ended_by_a_zero_byte)
{
    struct trace *t = trace_new(NULL);
    submit_bytes(t, 'A', "k\0a", 3);
    submit_bytes(t, 'B', "k\0b", 3);
    submit_bytes(t, 'C', "k", 1);
    submit_bytes(t, 'D', "k\0a", 3);
    trace_expect(t, "[  0] k\\00a: load\n"
                    "[  0] k\\00b: load\n"
                    "[  0] k: load\n");
    assert_int_equal(t->core.table.count, 3);
    trace_end(t);
}

TEST(keys_as_long_as_they_may_be_that_differ_in_the_last_byte)
{
    static unsigned char one[BATCH_KEY_SIZE_MAX], other[BATCH_KEY_SIZE_MAX];
    struct trace *t = trace_new(&(struct trace_options){.load_ms = 1, .save_ms = 1});
    memset(one, 'k', sizeof one);
    memset(other, 'k', sizeof other);
    other[sizeof other - 1] = 'l';
    submit_bytes(t, 'A', one, sizeof one);
    submit_bytes(t, 'B', other, sizeof other);
    submit_bytes(t, 'C', one, sizeof one);
    assert_int_equal(t->core.table.count, 2);
    trace_at(t, 200);
    assert_int_equal(t->completed_as[-BATCH_OK], 3);
    assert_int_equal(t->saves, 2);
    trace_end(t);
}

/* The key of an operation is the caller's and may be gone once it is completed, while later ones of
 * the same key go on. */
TEST(a_batch_does_not_need_the_key_of_an_operation_that_was_completed)
{
    struct trace *t = trace_new(&(struct trace_options){.ops_max = 1, .load_ms = 1, .save_ms = 1});
    static const char text[] = "a key that is longer than what is stored in place";
    char *key = malloc(sizeof text);
    char *same = malloc(sizeof text);
    assert_true(key != NULL && same != NULL);
    memcpy(key, text, sizeof text);
    memcpy(same, text, sizeof text);
    submit_bytes(t, 'A', key, strlen(key));
    submit_bytes(t, 'B', same, strlen(same));
    trace_at(t, 2);
    assert_int_equal(t->completed_as[-BATCH_OK], 1);
    memset(key, 'x', strlen(key));
    free(key);
    assert_ptr_equal(trace_batch(t, same)->waiting.head, &trace_op(t, 'B')->op);
    trace_at(t, 10);
    assert_int_equal(t->completed_as[-BATCH_OK], 2);
    trace_end(t);
    free(same);
}
