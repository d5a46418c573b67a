/* crash_driver.h: what the programs that kill share: arguments, rounds, and the line that they
 * print.
 */
#ifndef BATCH_TEST_CRASH_DRIVER_H
#define BATCH_TEST_CRASH_DRIVER_H

#include "clients.h"
#include "crash_audit.h"
#include "random.h"

enum { TARGET_SIZE = 320, HANG_SECONDS = 60 };

struct crash {
    uint64_t kills_wanted;
    uint64_t seed;
    bool must_find;
    struct clients clients;
    char target[TARGET_SIZE]; /* of the clients */
    struct random random;
    struct findings findings;
    uint64_t kills;
    uint64_t looks;
};

/* Read the arguments; `crash` has the defaults, and `kills_variable` of the environment may have
 * another one for kills. Make the folder of the clients. */
void crash_begin(struct crash *crash, const char *help, const char *kills_variable, int argc,
                 char **argv);

/* One round after the other, until there are enough kills or something is wrong. The seconds. */
double crash_run(struct crash *crash, void (*run_round)(struct crash *crash));

/* The line, but for its end: the caller may add to it. */
void crash_print(const struct crash *crash, const char *store);
void crash_print_end(const struct crash *crash, double seconds);

/* Empty the journal and start both nodes; and look for what is wrong, when no node runs. */
void crash_begin_round(struct crash *crash);
void crash_end_round(struct crash *crash);

/* Until the node has had so many operations more completed. Ends the program after HANG_SECONDS. */
void crash_await(struct crash *crash, unsigned node, unsigned more);

/* All keys were read by another connection, at one moment, while nodes write: no operation may be
 * in some of its keys only. Releases the logs. */
void crash_look(struct crash *crash, struct log logs[KEYS]);

/* Sleep for a random time. */
void crash_rest(struct crash *crash, uint64_t max_us);

#endif
