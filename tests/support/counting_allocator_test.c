/* The allocator that the tests count with: it counts, and fails where it is to, and only there. */
#include "counting_allocator.h"
#include "test.h"

TEST(counts_what_is_taken_and_live)
{
    struct allocator allocator = {0};
    batch_allocator functions = allocator_functions(&allocator);
    void *one = functions.allocate(7, functions.arg);
    void *two = functions.allocate(8, functions.arg);
    assert_int_equal(allocator.live, 2);
    functions.release(one, functions.arg);
    functions.release(NULL, functions.arg);
    assert_int_equal(allocator.live, 1);
    functions.release(two, functions.arg);
    assert_int_equal(allocator.live, 0);
    assert_int_equal(allocator.taken, 2);
}

/* Which of four calls are given memory, as bits. */
static unsigned given(struct allocator *allocator)
{
    batch_allocator functions = allocator_functions(allocator);
    unsigned bits = 0;
    for (unsigned i = 0; i < 4; i++) {
        void *memory = functions.allocate(1, functions.arg);
        bits |= (memory != NULL ? 1u : 0u) << i;
        functions.release(memory, functions.arg);
    }
    assert_int_equal(allocator->taken, 4);
    assert_int_equal(allocator->live, 0);
    return bits;
}

TEST(fails_once_or_from_there_on)
{
    struct allocator once = {.fail_at = 2}, from_there = {.fail_at = 2, .fails_from_there = true};
    struct allocator refusing = {0};
    assert_int_equal(given(&once), 0xD);
    assert_int_equal(given(&from_there), 0x1);
    allocator_refuse(&refusing, true);
    assert_int_equal(given(&refusing), 0x0);
}

TEST(lists_its_blocks)
{
    struct allocator allocator = {.is_listed = true};
    batch_allocator functions = allocator_functions(&allocator);
    void *blocks[4];
    for (int i = 0; i < 4; i++)
        blocks[i] = functions.allocate(16, functions.arg);
    functions.release(blocks[1], functions.arg);
    functions.release(blocks[3], functions.arg);
    assert_int_equal(allocator.live, 2);
    allocator_release_all(&allocator);
    assert_int_equal(allocator.live, 0);
    assert_null(allocator.blocks);
}
