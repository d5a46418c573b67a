/* error_test.c: what an error of the server means, and how its text becomes one line. */
#include "stores/postgres/error.h"
#include "test.h"

#include <batch/postgres.h>

#define ROW         BATCH__POSTGRES_ERROR_ROW
#define ENVIRONMENT BATCH__POSTGRES_ERROR_ENVIRONMENT
#define TRANSIENT   BATCH__POSTGRES_ERROR_TRANSIENT
#define ROW_LOCKED  BATCH__POSTGRES_ERROR_ROW_LOCKED
#define STALE       BATCH__POSTGRES_ERROR_STALE

TEST(test_every_sqlstate_has_a_class)
{
    static const struct {
        const char *sqlstate; /* "": an error without one */
        enum batch__postgres_error_class plain;
        enum batch__postgres_error_class in_context;
    } cases[] = {
        {"", ROW, ROW},
        {"22012", ROW, ROW},
        {"23505", ROW, ROW},
        {"44000", ROW, ROW},
        {"54000", ROW, ROW},
        {"P0001", ROW, ROW},
        {"U0001", ROW, ROW}, /* of the user's invention */
        {"40001", TRANSIENT, TRANSIENT},
        {"40P01", TRANSIENT, TRANSIENT},
        {"57014", TRANSIENT, TRANSIENT},
        {"55P03", TRANSIENT, ROW_LOCKED},
        {"25006", STALE, ENVIRONMENT},
        {"26000", STALE, ENVIRONMENT},
        {"0A000", STALE, ENVIRONMENT},
        {"42P01", STALE, ENVIRONMENT},
        {"42883", STALE, ENVIRONMENT},
        {"3F000", STALE, ENVIRONMENT},
        {"42501", ENVIRONMENT, ENVIRONMENT}, /* a new connection would not help */
        {"25P02", ENVIRONMENT, ENVIRONMENT},
        {"53100", ENVIRONMENT, ENVIRONMENT},
        {"53200", ENVIRONMENT, ENVIRONMENT},
        {"55000", STALE, ENVIRONMENT},
        {"55006", ENVIRONMENT, ENVIRONMENT},
        {"57P01", ENVIRONMENT, ENVIRONMENT},
        {"57P03", STALE, ENVIRONMENT}, /* another server may take it */
        {"58030", ENVIRONMENT, ENVIRONMENT},
        {"XX001", ENVIRONMENT, ENVIRONMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct batch__postgres_error error = {.code = batch__postgres_code(cases[i].sqlstate)};
        assert_int_equal(batch__postgres_classify(&error), cases[i].plain);
        error.has_context = true;
        assert_int_equal(batch__postgres_classify(&error), cases[i].in_context);
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
