/* The table from keys to batches: collisions, growth, removal, and a long random walk beside a
 * model. */
#include "random.h"
#include "trace.h"

struct fixture {
    struct allocator memory;
    struct batch__table table;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    batch_allocator allocator = allocator_functions(&f->memory);
    batch__table_init(&f->table, &allocator);
}

static void end(struct fixture *f)
{
    batch__table_destroy(&f->table);
    assert_int_equal(f->memory.live, 0);
}

#define TABLE_TEST(name) TEST_OF(name, struct fixture, f, begin, end)

static void make(struct batch__batch *batch, const char *key, uint32_t hash)
{
    *batch = (struct batch__batch){.key = key, .key_size = (uint32_t)strlen(key), .hash = hash};
}

static void add(struct fixture *f, struct batch__batch *batch)
{
    assert_true(batch__table_reserve(&f->table));
    batch__table_add(&f->table, batch);
}

static struct batch__batch *find(struct fixture *f, const struct batch__batch *batch)
{
    return batch__table_find(&f->table, batch->key, batch->key_size, batch->hash);
}

TABLE_TEST(an_empty_table_finds_nothing_and_has_no_memory)
{
    assert_null(batch__table_find(&f->table, "a", 1, 7));
    assert_null(batch__table_find_hash(&f->table, 7));
    batch__table_prefetch_slot(&f->table, 7);
    batch__table_prefetch_batch(&f->table, 7, 0);
    assert_int_equal(f->memory.taken, 0);
}

TABLE_TEST(one_of_a_hash_is_found_by_it)
{
    struct batch__batch batches[2];
    make(&batches[0], "a", 7);
    make(&batches[1], "b", 7 + 64); /* the same slot */
    add(f, &batches[0]);
    add(f, &batches[1]);
    assert_ptr_equal(batch__table_find_hash(&f->table, 7), &batches[0]);
    assert_ptr_equal(batch__table_find_hash(&f->table, 7 + 64), &batches[1]);
    assert_null(batch__table_find_hash(&f->table, 7 + 128));
    assert_null(batch__table_find_hash(&f->table, 9));
}

TABLE_TEST(keys_with_one_hash_are_told_apart)
{
    static const char *const keys[] = {"a", "b", "aa", "ab", "", "abc"};
    struct batch__batch batches[6];
    for (size_t i = 0; i < 6; i++) {
        make(&batches[i], keys[i], 42);
        assert_null(find(f, &batches[i]));
        add(f, &batches[i]);
    }
    for (size_t i = 0; i < 6; i++)
        assert_ptr_equal(find(f, &batches[i]), &batches[i]);
    assert_null(batch__table_find(&f->table, "c", 1, 42));
    assert_null(batch__table_find(&f->table, "a", 1, 43));
    batch__table_remove(&f->table, &batches[0]);
    assert_null(find(f, &batches[0]));
    for (size_t i = 1; i < 6; i++)
        assert_ptr_equal(find(f, &batches[i]), &batches[i]);
}

TABLE_TEST(it_grows_and_finds_all_at_most_half_full)
{
    enum { COUNT = 5000 };
    static struct batch__batch batches[COUNT];
    static char keys[COUNT][8];
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof keys[i], "%u", (unsigned)i);
        make(&batches[i], keys[i], trace_hash(keys[i], strlen(keys[i])));
        add(f, &batches[i]);
        assert_true(f->table.count <= f->table.size / 2);
    }
    for (uint32_t i = 0; i < COUNT; i++)
        assert_ptr_equal(find(f, &batches[i]), &batches[i]);
    assert_int_equal(f->memory.live, 1); /* the smaller ones were given back */
}

/* An entry stands at home unless somebody else does, and the table grows for the one that would
 * make it more than half full. */
TABLE_TEST(entries_stand_at_home_and_half_full_is_not_too_full)
{
    static struct batch__batch batches[33];
    static char keys[33][8];
    for (uint32_t i = 0; i < 33; i++) {
        snprintf(keys[i], sizeof keys[i], "%u", (unsigned)i);
        make(&batches[i], keys[i], 2 * i);
        add(f, &batches[i]);
        assert_int_equal(f->table.size, i < 32 ? 64 : 128);
        assert_ptr_equal(f->table.slots[2 * i].batch, &batches[i]);
    }
}

TABLE_TEST(without_memory_it_fills_to_seven_eighths_and_then_says_no)
{
    static struct batch__batch batches[64];
    static char keys[64][8];
    uint32_t count = 0;
    make(&batches[0], "first", 63);
    add(f, &batches[count++]);
    assert_int_equal(f->table.size, 64);
    f->memory.fail_at = 1;
    f->memory.fails_from_there = true;
    while (batch__table_reserve(&f->table)) {
        snprintf(keys[count], sizeof keys[count], "%u", (unsigned)count);
        make(&batches[count], keys[count], 63); /* one long run, over the end of the slots */
        batch__table_add(&f->table, &batches[count++]);
    }
    assert_int_equal(count, 56);
    for (uint32_t i = 0; i < count; i++)
        assert_ptr_equal(find(f, &batches[i]), &batches[i]);
    assert_null(batch__table_find(&f->table, "none", 4, 63));
    batch__table_remove(&f->table, &batches[10]);
    assert_true(batch__table_reserve(&f->table));
    f->memory.fail_at = 0;
    assert_true(batch__table_reserve(&f->table));
    assert_int_equal(f->table.size, 128);
    assert_null(find(f, &batches[10]));
    assert_ptr_equal(find(f, &batches[55]), &batches[55]);
}

/* Hashes have 32 bits, so a larger table would not be used. Only its size and count are looked
 * at before that. */
TABLE_TEST(it_does_not_grow_beyond_what_a_hash_can_tell)
{
    f->table.size = UINT64_C(1) << 31;
    f->table.count = f->table.size / 2;
    assert_true(batch__table_reserve(&f->table));
    f->table.count = f->table.size / 8 * 7;
    assert_false(batch__table_reserve(&f->table));
    assert_int_equal(f->memory.taken, 0);
    f->table.size = 0;
    f->table.count = 0;
}

/* Every way to remove one of a run that goes over the end of the slots, with homes that lie at its
 * beginning, at the end, and beyond. */
TABLE_TEST(removal_closes_the_hole_in_a_run_over_the_end)
{
    static const uint32_t homes[] = {61, 62, 62, 63, 61, 0, 1, 0, 62, 3};
    enum { COUNT = sizeof homes / sizeof homes[0] };
    static const char *const keys[COUNT] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    for (size_t removed = 0; removed < COUNT; removed++) {
        struct batch__batch batches[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            make(&batches[i], keys[i], homes[i] + 64 * (uint32_t)i);
            add(f, &batches[i]);
        }
        assert_int_equal(f->table.size, 64);
        batch__table_remove(&f->table, &batches[removed]);
        for (size_t i = 0; i < COUNT; i++)
            assert_ptr_equal(find(f, &batches[i]), i == removed ? NULL : &batches[i]);
        for (size_t i = 0; i < COUNT; i++) {
            if (i != removed)
                batch__table_remove(&f->table, &batches[i]);
        }
        assert_int_equal(f->table.count, 0);
        for (size_t i = 0; i < 64; i++)
            assert_null(f->table.slots[i].batch);
    }
}

/* A table of small hashes is crowded and wraps often; the model is an array of who is in. */
TABLE_TEST(a_random_walk_agrees_with_the_model)
{
    enum { COUNT = 300, STEPS = 200000 };
    static struct batch__batch batches[COUNT];
    static char keys[COUNT][8];
    bool is_in[COUNT] = {false};
    uint64_t count = 0;
    struct random random = {1};
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof keys[i], "%u", (unsigned)i);
        make(&batches[i], keys[i], trace_hash(keys[i], strlen(keys[i])) % 97 * 11);
    }
    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)random_below(&random, step / 1000 % 2 == 0 ? COUNT : 30);
        assert_ptr_equal(find(f, &batches[i]), is_in[i] ? &batches[i] : NULL);
        if (is_in[i]) {
            batch__table_remove(&f->table, &batches[i]);
            count--;
        } else {
            add(f, &batches[i]);
            count++;
        }
        is_in[i] = !is_in[i];
        assert_int_equal(f->table.count, count);
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_ptr_equal(find(f, &batches[i]), is_in[i] ? &batches[i] : NULL);
}
