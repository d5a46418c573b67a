/* error_test.c: what an error of the server means, and how its text becomes one line. */
#include "stores/postgres/error.h"
#include "test.h"

#include <batch/postgres.h>

TEST(test_every_sqlstate_has_a_class)
{
    static const struct {
        const char *sqlstate; /* "": an error without one */
        bool has_context;
        enum batch__postgres_error_class class;
    } cases[] = {
        {"", false, BATCH__POSTGRES_ERROR_ROW},
        {"23505", false, BATCH__POSTGRES_ERROR_ROW},
        {"22021", true, BATCH__POSTGRES_ERROR_ROW},
        {"P0001", true, BATCH__POSTGRES_ERROR_ROW},
        {"40001", false, BATCH__POSTGRES_ERROR_TRANSIENT},
        {"40P01", true, BATCH__POSTGRES_ERROR_TRANSIENT},
        {"57014", false, BATCH__POSTGRES_ERROR_TRANSIENT},
        {"55P03", true, BATCH__POSTGRES_ERROR_ROW_LOCKED},
        {"55P03", false, BATCH__POSTGRES_ERROR_TABLE_LOCKED},
        {"25006", false, BATCH__POSTGRES_ERROR_CONNECTION},
        {"26000", false, BATCH__POSTGRES_ERROR_CONNECTION},
        {"0A000", false, BATCH__POSTGRES_ERROR_CONNECTION},
        {"42P01", false, BATCH__POSTGRES_ERROR_FATAL},
        {"53100", false, BATCH__POSTGRES_ERROR_FATAL},
        {"53200", false, BATCH__POSTGRES_ERROR_ROW}, /* no memory: fewer rows may do */
        {"57P01", false, BATCH__POSTGRES_ERROR_FATAL},
        {"58030", false, BATCH__POSTGRES_ERROR_FATAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct batch__postgres_error error = {.code = batch__postgres_code(cases[i].sqlstate),
                                              .has_context = cases[i].has_context};
        assert_int_equal(batch__postgres_classify(&error), cases[i].class);
    }
}

TEST(test_codes_are_sqlstates)
{
    static const char *const none[] = {"", "4000", "400011", "4000a", "40 01", "4000_"};
    char sqlstate[6];
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_int_equal(batch__postgres_code(none[i]), 0);
    assert_int_equal(batch__postgres_code(NULL), 0);
    batch_postgres_sqlstate(batch__postgres_code("0A00Z"), sqlstate);
    assert_string_equal(sqlstate, "0A00Z");
    batch_postgres_sqlstate(-1, sqlstate);
    assert_string_equal(sqlstate, "");
}

TEST(test_texts_become_one_line)
{
    static const char *const cases[][2] = {
        {"", ""},
        {" \n\t", ""},
        {"no connection\n", "no connection"},
        {"\n one\n\ttwo  three ", "one two three"},
        {"0123456789abcdef", "0123456789abcde"},  /* truncated */
        {"0123456789abcd  ef", "0123456789abcd"}, /* and no blank at the end */
    };
    char line[16];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(line, 'x', sizeof line);
        batch__postgres_one_line(line, sizeof line, cases[i][0]);
        assert_string_equal(line, cases[i][1]);
    }
}
