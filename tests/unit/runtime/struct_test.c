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
        assert_non_null(strstr(error.message, "options: size is 40, and a member that"));
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
