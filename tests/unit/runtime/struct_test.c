/* struct_test.c: reading a struct of another version. */
#include "test.h"

#include <batch/store.h>

#include <string.h>

struct first { /* 1.0 */
    size_t size;
    uint64_t a;
};

struct known { /* 1.1, that of the library */
    size_t size;
    uint64_t a;
    uint32_t b;
    uint32_t c;
};

struct newer { /* 1.2 */
    struct known known;
    uint64_t d[2];
};

static const struct known defaults = {sizeof(struct known), 1, 2, 3};

/* The status, with the message if it is not OK. */
static int read_struct(struct known *ret_known, const void *given, batch_result *reterr)
{
    *ret_known = defaults;
    return batch_struct_read(ret_known, given, sizeof(struct first), "options", reterr);
}

TEST(nothing_given_means_the_defaults)
{
    struct known known;
    assert_int_equal(read_struct(&known, NULL, NULL), BATCH_OK);
    assert_memory_equal(&known, &defaults, sizeof known);
}

TEST(what_an_older_struct_does_not_have_keeps_its_default)
{
    struct first given = {sizeof given, 0};
    struct known known;
    assert_int_equal(read_struct(&known, &given, NULL), BATCH_OK);
    assert_int_equal(known.size, sizeof known);
    assert_int_equal(known.a, 0);
    assert_int_equal(known.b, 2);
    assert_int_equal(known.c, 3);

    struct known between = {offsetof(struct known, c), 7, 8, 9};
    assert_int_equal(read_struct(&known, &between, NULL), BATCH_OK);
    assert_int_equal(known.a, 7);
    assert_int_equal(known.b, 8);
    assert_int_equal(known.c, 3);
}

TEST(newer_struct_is_read_if_it_sets_nothing_unknown)
{
    struct newer given = {{sizeof given, 7, 8, 9}, {0, 0}};
    struct known known;
    assert_int_equal(read_struct(&known, &given, NULL), BATCH_OK);
    assert_int_equal(known.size, sizeof known);
    assert_int_equal(known.c, 9);
    for (size_t i = 0; i < sizeof given.d; i++) { /* wherever it is set */
        ((unsigned char *)given.d)[i] = 1;
        batch_result error = {0};
        assert_int_equal(read_struct(&known, &given, &error), BATCH_INVALID);
        assert_memory_equal(&known, &defaults, sizeof known);
        assert_int_equal(error.status, BATCH_INVALID);
        char text[64];
        snprintf(text, sizeof text, "options: size is %zu, and a member that", sizeof given);
        assert_non_null(strstr(error.message, text));
        ((unsigned char *)given.d)[i] = 0;
    }
}

TEST(size_that_no_version_had_is_refused)
{
    struct first given = {0, 7};
    size_t sizes[] = {0, 1, sizeof(size_t), sizeof given - 1, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        given.size = sizes[i]; /* nothing behind it may be read */
        struct known known;
        batch_result error = {0};
        assert_int_equal(read_struct(&known, &given, &error), BATCH_INVALID);
        assert_memory_equal(&known, &defaults, sizeof known);
        assert_non_null(strstr(error.message, "options: size is "));
        assert_int_equal(read_struct(&known, &given, NULL), BATCH_INVALID);
    }
}

TEST(a_struct_gets_its_defaults_as_far_as_both_know_it)
{
    struct newer given;
    for (size_t size = sizeof(size_t); size <= sizeof given; size++) {
        memset(&given, 0xaa, sizeof given);
        assert_int_equal(batch_struct_init(&given, size, &defaults), BATCH_OK);
        assert_int_equal(given.known.size, size);
        struct newer expected = {.known = defaults};
        expected.known.size = size;
        memset((char *)&expected + size, 0xaa, sizeof expected - size);
        assert_memory_equal(&given, &expected, sizeof given);
    }
}

TEST(no_struct_is_too_small_for_its_size_or_larger_than_4096)
{
    static unsigned char given[4097];
    memset(given, 0xaa, sizeof given);
    const size_t sizes[] = {0, sizeof(size_t) - 1, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(batch_struct_init(given, sizes[i], &defaults), BATCH_INVALID);
    assert_int_equal(batch_struct_init(NULL, sizeof defaults, &defaults), BATCH_INVALID);
    for (size_t i = 0; i < sizeof given; i++)
        assert_int_equal(given[i], 0xaa);
    assert_int_equal(batch_struct_init(given, 4096, &defaults), BATCH_OK);
}
