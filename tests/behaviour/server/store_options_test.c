/* What --store and the names of table and columns mean, and the SQL that is made of them. */

#include "table/store_options.h"
#include "test.h"

static struct store_options read_store(const char *text)
{
    struct store_options options = {.kind = STORE_NONE};
    assert_null(store_options_read(&options, text));
    return options;
}

TEST(a_file_or_a_database)
{
    static const struct {
        const char *text;
        enum store_kind kind;
        const char *where;
    } cases[] = {
        {"sqlite:trains.db", STORE_SQLITE, "trains.db"},
        {"sqlite:/a b/postgres:x", STORE_SQLITE, "/a b/postgres:x"},
        {"postgres:host=a,b dbname=trains", STORE_POSTGRES, "host=a,b dbname=trains"},
        {"postgres:postgresql://a/trains", STORE_POSTGRES, "postgresql://a/trains"},
        {"postgres://a/trains", STORE_POSTGRES, "postgres://a/trains"},
        {"postgresql://a/trains", STORE_POSTGRES, "postgresql://a/trains"},
        {"postgres:", STORE_POSTGRES, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_options options = read_store(cases[i].text);
        assert_int_equal(options.kind, cases[i].kind);
        assert_string_equal(options.where, cases[i].where);
    }
}

TEST(what_is_wrong_is_said_without_a_password)
{
    static const char *const wrong[] = {"",        "sqlite:",   "sqlite::memory:",
                                        "secret",  "pg:secret", "mysql://u:secret@h/d",
                                        "trains",  "postgres",  "host=a password=secret",
                                        "SQLITE:x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct store_options options = {.kind = STORE_NONE};
        const char *wrong_because = store_options_read(&options, wrong[i]);
        assert_non_null(wrong_because);
        assert_null(strstr(wrong_because, "secret"));
    }
}

TEST(each_kind_has_its_names_and_others_may_be_given)
{
    struct store_options options = read_store("sqlite:x");
    assert_null(store_options_complete(&options));
    assert_string_equal(options.table, "batch");
    assert_string_equal(options.version_column, "version");
    options = read_store("postgres:");
    *store_options_name(&options, 'S') = "json";
    assert_null(store_options_complete(&options));
    assert_string_equal(options.table, "train");
    assert_string_equal(options.key_column, "key");
    assert_string_equal(options.version_column, "ver");
    assert_string_equal(options.state_column, "json");
    *store_options_name(&options, 'T') = "";
    assert_non_null(store_options_complete(&options));
    assert_null(store_options_name(&options, 'x'));
}

TEST(names_are_quoted)
{
    struct store_options options = read_store("postgres:");
    options.table = "a \"b\"; DROP";
    options.key_column = "%s";
    assert_null(store_options_complete(&options));
    char *sql = store_options_sql(&options, "SELECT %s, 100 % 7, '%d' FROM %t WHERE %k = $1 %");
    assert_string_equal(sql, "SELECT \"state\", 100 % 7, '%d' FROM \"a \"\"b\"\"; DROP\""
                             " WHERE \"%s\" = $1 %");
    free(sql);
}
