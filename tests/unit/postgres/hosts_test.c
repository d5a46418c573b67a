/* hosts_test.c: which host is next, and the pauses between rounds. */
#include "stores/postgres/hosts.h"
#include "test.h"

#define MS UINT64_C(1000000)

/* Fail every host once, at `now_ns`, and return the pause that follows. */
static uint64_t fail_round(struct batch__postgres_hosts *hosts, uint64_t now_ns)
{
    for (size_t i = 0; i < hosts->size; i++)
        batch__postgres_hosts_failed(hosts, now_ns);
    return hosts->not_before_ns - now_ns;
}

TEST(test_hosts_are_tried_in_turn)
{
    struct batch__postgres_hosts hosts;
    batch__postgres_hosts_init(&hosts, 3);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(hosts.current, i % 3);
        assert_int_equal(batch__postgres_hosts_all_failed(&hosts), i >= 3);
        batch__postgres_hosts_failed(&hosts, 1);
    }
}

TEST(test_the_good_host_is_tried_first)
{
    struct batch__postgres_hosts hosts;
    batch__postgres_hosts_init(&hosts, 3);
    batch__postgres_hosts_failed(&hosts, 1);
    batch__postgres_hosts_succeeded(&hosts);
    assert_int_equal(hosts.current, 1);
    assert_false(batch__postgres_hosts_all_failed(&hosts));
    batch__postgres_hosts_failed(&hosts, 1);
    batch__postgres_hosts_failed(&hosts, 1);
    assert_int_equal(hosts.not_before_ns, 0); /* no pause within a round */
    assert_false(batch__postgres_hosts_all_failed(&hosts));
    batch__postgres_hosts_failed(&hosts, 1);
    assert_true(batch__postgres_hosts_all_failed(&hosts));
}

TEST(test_pauses_double_up_to_two_seconds)
{
    static const uint64_t maxima_ms[] = {50, 100, 200, 400, 800, 1600, 2000, 2000, 2000};
    struct batch__postgres_hosts hosts;
    batch__postgres_hosts_init(&hosts, 2);
    for (int pass = 0; pass < 2; pass++) {
        uint64_t now_ns = 1;
        for (size_t i = 0; i < sizeof maxima_ms / sizeof maxima_ms[0]; i++) {
            uint64_t pause_ns = fail_round(&hosts, now_ns);
            assert_in_range(pause_ns, maxima_ms[i] * MS / 2, maxima_ms[i] * MS - 1);
            now_ns += pause_ns;
        }
        batch__postgres_hosts_succeeded(&hosts);
        assert_int_equal(hosts.not_before_ns, 0);
    }
}

TEST(test_sessions_do_not_come_back_at_once)
{
    struct batch__postgres_hosts hosts[2];
    bool is_different = false;
    batch__postgres_hosts_init(&hosts[0], 1);
    batch__postgres_hosts_init(&hosts[1], 1);
    for (int i = 0; i < 4; i++)
        is_different |= fail_round(&hosts[0], 1) != fail_round(&hosts[1], 1);
    assert_true(is_different);
}
