/* Several servers on the same trains, and nothing in front of them that sends a train's bookings to
 * one of them: what one saves makes the others load and book again, no client notices, nothing is
 * lost and no seat is sold twice. Without replays, clients must retry. */
#include <signal.h>

#include "http_clients.h"
#include "storage.h"
#include "test.h"

#define SERVERS     2
#define CONNECTIONS 200 /* for each server */
#define TRAINS      10

/* Book until there were `answers_max` answers, and `busy_min` 503 among them, or ten times as many
 * answers. Every booking answered 200 is stored, and nothing else. */
static struct clients_counts book_at_several(const char *const *options, uint64_t answers_max,
                                             uint64_t busy_min)
{
    struct bookings bookings;
    struct server servers[SERVERS];
    char output[512];
    storage_folder(&bookings.folder);
    bookings_begin(&bookings, (size_t)SERVERS * CONNECTIONS);
    clients_spread(bookings.clients, TRAINS);
    for (size_t i = 0; i < SERVERS; i++)
        server_start(&servers[i], TRAIN_SERVER, &bookings.folder, options);
    int round = 0;
    do {
        clients_book_at(bookings.clients, servers, SERVERS, answers_max);
        clients_finish(bookings.clients);
    } while (++round < 10 && clients_counts(bookings.clients).busy < busy_min);
    for (size_t i = 0; i < SERVERS; i++) {
        assert_int_equal(server_end(&servers[i], SIGTERM, output, sizeof output), 0);
        print_message("%s", output);
    }
    assert_int_equal(bookings_audit(&bookings, "--all"), 0);
    struct clients_counts counts = bookings_end(&bookings);
    assert_true(counts.refused >= 100); /* clients did compete */
    assert_int_equal(counts.unknown + counts.other + counts.lost, 0);
    return counts;
}

TEST(servers_that_share_trains_replay_and_report_nothing)
{
    static const char *const options[] = {"--window-ms", "20", NULL};
    struct clients_counts counts = book_at_several(options, 10000, 0);
    assert_int_equal(counts.busy, 0);
    assert_true(counts.ok >= 3000);
}

TEST(so_do_servers_that_cache_trains)
{
    static const char *const options[] = {"--window-ms", "20", "--cache", "1000", NULL};
    struct clients_counts counts = book_at_several(options, 5000, 0);
    assert_int_equal(counts.busy, 0);
    assert_true(counts.ok >= 1500);
}

/* Also the proof that the servers of the tests above do conflict. */
TEST(without_replays_the_second_one_must_retry)
{
    static const char *const options[] = {"--window-ms", "20", "--replays", "0", NULL};
    struct clients_counts counts = book_at_several(options, 2000, 1);
    assert_true(counts.busy >= 1);
    assert_true(counts.ok >= 500);
}

TEST(a_server_without_libbatch_may_share_them_too)
{
    static const char *const batched[] = {"--window-ms", "5", NULL};
    static const char *const direct[] = {NULL};
    struct bookings bookings;
    struct server servers[2];
    storage_folder(&bookings.folder);
    bookings_begin(&bookings, 40);
    clients_spread(bookings.clients, TRAINS);
    server_start(&servers[0], TRAIN_SERVER, &bookings.folder, batched);
    server_start(&servers[1], DIRECT_SERVER, &bookings.folder, direct);
    clients_book_at(bookings.clients, servers, 2, 1000);
    clients_finish(bookings.clients);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(server_end(&servers[i], SIGTERM, NULL, 0), 0);
    assert_int_equal(bookings_audit(&bookings, "--all"), 0);
    struct clients_counts counts = bookings_end(&bookings);
    assert_int_equal(counts.unknown + counts.other + counts.lost, 0);
}

TEST_GROUP(storage_begin, storage_end)
