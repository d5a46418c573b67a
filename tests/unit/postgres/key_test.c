/* key_test.c: the key of a connection, as libpq's trace shows it. That libpq writes it in this form
 * is seen where statements are canceled. */
#include "stores/postgres/key.h"
#include "test.h"

static const char traced[] =
    "2026-11-26 01:33:00.712300\tF\t85\tStartupMessage\t 3 0 \"user\" \"batch\"\n"
    "2026-11-26 01:33:00.712311\tB\t25\tParameterStatus\t \"server_encoding\" \"UTF8\"\n"
    "2026-11-26 01:33:00.712327\tB\t12\tBackendKeyData\t 21473 -458230293\n"
    "2026-11-26 01:33:00.712330\tB\t5\tReadyForQuery\t I\n";

TEST(test_the_key_is_in_the_trace)
{
    struct batch__postgres_key key = {.is_known = false};
    batch__postgres_key_find(&key, traced, 21473);
    assert_true(key.is_known);
    assert_int_equal(key.process, 21473);
    assert_int_equal(key.secret, (uint32_t)-458230293);
    batch__postgres_key_find(&key, "B\t12\tBackendKeyData\t 5 6\n", 5); /* without times */
    assert_true(key.is_known);
    assert_int_equal(key.secret, 6);
}

/* After the first host was not good enough, say. */
TEST(test_the_last_key_counts)
{
    struct batch__postgres_key key = {.is_known = false};
    batch__postgres_key_find(&key,
                             "\tB\t12\tBackendKeyData\t 7 1\n"
                             "\tB\t12\tBackendKeyData\t 7 2\n"
                             "\tB\t12\tBackendKeyData\t 8 3\n",
                             7);
    assert_true(key.is_known);
    assert_int_equal(key.secret, 2);
}

TEST(test_what_is_in_doubt_is_no_key)
{
    static const char *const traces[] = {
        "",
        "\tB\t12\tBackendKeyData\t ",
        "\tB\t12\tBackendKeyData\t 7\n",
        "\tB\t12\tBackendKeyData\t 8 1\n", /* another process */
        "\tB\t40\tBackendKeyData\t 7 1\n", /* a longer secret, of which this is the beginning */
        "\tF\t12\tBackendKeyData\t 7 1\n", /* not from the server */
        "\tB\t12\tBackendKeyData\t NNNN NNNN\n", /* of a regression test */
    };
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
        struct batch__postgres_key key = {.is_known = true};
        batch__postgres_key_find(&key, traces[i], 7);
        if (key.is_known)
            fail_msg("%s", traces[i]);
    }
}
