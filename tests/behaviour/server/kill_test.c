/* kill -9 of the server under load, again and again on one file: every booking that was answered
 * 200 is there afterwards, and no seat is sold twice. The same test must find out a server that
 * answers before it saves. */
#include <signal.h>

#include "http_clients.h"
#include "random.h"
#include "storage.h"
#include "test.h"

#define KILLS       50
#define KILLS_EARLY 5
#define CONNECTIONS 200

/* Kill `program` `kills` times under load. Returns what train-audit says at the end. */
static int kill_often(const char *program, int kills, struct clients_counts *ret_counts)
{
    static const char *const options[] = {"--window-ms", "10", NULL};
    struct bookings bookings;
    struct server server;
    const char *chosen = getenv("TRAIN_SERVER_SEED");
    struct random random = {chosen != NULL ? strtoull(chosen, NULL, 10) : 20261123};
    storage_folder(&bookings.folder);
    bookings_begin(&bookings, CONNECTIONS);
    for (int i = 0; i < kills; i++) {
        server_start(&server, program, &bookings.folder, options);
        clients_book(bookings.clients, &server, 1 + random_below(&random, 3000));
        assert_int_equal(server_end(&server, SIGKILL, NULL, 0), -SIGKILL);
        clients_drain(bookings.clients); /* also answers that were sent just before */
    }

    /* The server too must find its file in order. */
    struct response response;
    server_start(&server, program, &bookings.folder, options);
    assert_int_equal(ask(&server, "/book?train=after&person=all&seat=0", &response), 200);
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);

    print_message("%d kills: ", kills);
    int code = bookings_audit(&bookings, NULL);
    *ret_counts = bookings_end(&bookings);
    print_message("%lu refused, %lu unknown when the server was killed\n",
                  (unsigned long)ret_counts->refused, (unsigned long)ret_counts->lost);
    return code;
}

TEST(every_200_survives_kill_9_and_no_seat_is_sold_twice)
{
    struct clients_counts counts;
    assert_int_equal(kill_often(TRAIN_SERVER, KILLS, &counts), 0);
    assert_true(counts.ok >= 1000);
    assert_true(counts.refused >= 500); /* clients did compete */
    assert_true(counts.lost >= KILLS);  /* and were under way when it was killed */
    assert_int_equal(counts.other + counts.busy + counts.unknown, 0);
}

TEST(a_server_that_answers_before_it_saves_is_found_out)
{
    struct clients_counts counts;
    assert_int_equal(kill_often(TRAIN_SERVER_EARLY, KILLS_EARLY, &counts), 1);
}

TEST_GROUP(storage_begin, storage_end)
