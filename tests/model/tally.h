/* tally.h: what has been seen over many schedules. Being safe is not enough: whatever can become of
 * an operation and whatever can go wrong must occur, in each driver that can bring it about. */
#ifndef BATCH_TESTS_MODEL_TALLY_H
#define BATCH_TESTS_MODEL_TALLY_H

#include <stdbool.h>
#include <stdint.h>

enum driver { SIMULATION = 1, ORDERINGS = 2, BYTES = 4, ALL_DRIVERS = 7 };

/* What becomes of an operation, and which drivers must see it. */
#define OUTCOME_MAP(X)                                                                             \
    X(ok, ALL_DRIVERS)                                                                             \
    X(ok_unchanged, ALL_DRIVERS)                                                                   \
    X(canceled, ALL_DRIVERS)                                                                       \
    X(expired, ALL_DRIVERS)                                                                        \
    X(stopped, ALL_DRIVERS)                                                                        \
    X(busy, ALL_DRIVERS)                                                                           \
    X(busy_would_expire, ALL_DRIVERS)                                                              \
    X(no_memory, ALL_DRIVERS)                                                                      \
    X(load_failed, ALL_DRIVERS)                                                                    \
    X(save_failed, ALL_DRIVERS)                                                                    \
    X(conflict, ALL_DRIVERS)                                                                       \
    X(unknown_applied, ALL_DRIVERS)                                                                \
    X(unknown_not_applied, ALL_DRIVERS)                                                            \
    X(crashed_applied, SIMULATION) /* its node crashed before it was completed */                  \
    X(crashed_not_applied, SIMULATION)                                                             \
    X(not_accepted, SIMULATION) /* no node was up */

/* What goes wrong, and the rare ways through the core. */
#define EVENT_MAP(X)                                                                               \
    X(load_error, ALL_DRIVERS)                                                                     \
    X(save_error, ALL_DRIVERS)                                                                     \
    X(conflict_reported, ALL_DRIVERS) /* somebody else has saved */                                \
    X(conflict_false, ALL_DRIVERS)                                                                 \
    X(unknown_reported_applied, ALL_DRIVERS)                                                       \
    X(unknown_reported_applied_later, SIMULATION)                                                  \
    X(unknown_reported_not_applied, ALL_DRIVERS)                                                   \
    X(slow_call, SIMULATION)                                                                       \
    X(call_at_once, ALL_DRIVERS)                                                                   \
    X(crash, SIMULATION)                                                                           \
    X(crash_save_applied_later, SIMULATION)                                                        \
    X(crash_save_lost, SIMULATION)                                                                 \
    X(restart, SIMULATION)                                                                         \
    X(stop, ALL_DRIVERS)                                                                           \
    X(stop_with_work, ALL_DRIVERS)                                                                 \
    X(pause, SIMULATION)                                                                           \
    X(clock_jump, SIMULATION)                                                                      \
    X(late_worker, SIMULATION)                                                                     \
    X(cancel, ALL_DRIVERS)                                                                         \
    X(cancel_between, SIMULATION) /* two actions */                                                \
    X(stop_between, SIMULATION)                                                                    \
    X(expiry_set, ALL_DRIVERS)                                                                     \
    X(misrouted, SIMULATION)                                                                       \
    X(allocation_failed, ALL_DRIVERS)                                                              \
    X(written_by_others, ALL_DRIVERS)                                                              \
    X(deleted, SIMULATION | ORDERINGS)                                                             \
    X(turn_awaited, ALL_DRIVERS) /* by a key, while another has its turn */                        \
    X(turns_left, ALL_DRIVERS)   /* when all other actions have been taken */                      \
    X(backlog, SIMULATION)       /* an iteration left operations in the inbox */                   \
    X(batch_of_many, ALL_DRIVERS)                                                                  \
    X(replay, ALL_DRIVERS)                                                                         \
    X(replay_left, ALL_DRIVERS) /* by one that was canceled */                                     \
    X(load_skipped, ALL_DRIVERS)                                                                   \
    X(rechecked, ALL_DRIVERS)         /* nothing changed on a cached resource */                   \
    X(rechecked_for_age, ALL_DRIVERS) /* nothing changed on one that was loaded too long ago */    \
    X(batch_left, ALL_DRIVERS)        /* loaded, and everybody had left */                         \
    X(closed_by_window, ALL_DRIVERS)                                                               \
    X(closed_by_store, ALL_DRIVERS)                                                                \
    X(closed_by_size, ALL_DRIVERS)                                                                 \
    X(closed_by_stop, ALL_DRIVERS)                                                                 \
    X(closed_by_error, ALL_DRIVERS)                                                                \
    X(closed_by_age, ALL_DRIVERS)                                                                  \
    X(transaction, ALL_DRIVERS)                                                                    \
    X(transaction_of_one, ALL_DRIVERS)                                                             \
    X(transaction_ok, ALL_DRIVERS)                                                                 \
    X(transaction_read, ALL_DRIVERS) /* and changed nothing */                                     \
    X(blocked, ALL_DRIVERS)          /* a key is open, and waits for others */                     \
    X(unit_saved, ALL_DRIVERS)                                                                     \
    X(unit_conflict, ALL_DRIVERS)                                                                  \
    X(unit_dissolved, ALL_DRIVERS)                                                                 \
    X(unit_refused, ALL_DRIVERS)   /* by the store, and dissolved for it */                        \
    X(unit_of_many, ALL_DRIVERS)   /* more than one transaction ties */                            \
    X(replay_goes_on, ALL_DRIVERS) /* part of a replay is saved, and the rest waits for others */

enum outcome {
#define TALLY_ENUM(name, drivers) OUTCOME_##name,
    OUTCOME_MAP(TALLY_ENUM)
#undef TALLY_ENUM
        OUTCOME_COUNT
};

enum event {
#define TALLY_ENUM(name, drivers) EVENT_##name,
    EVENT_MAP(TALLY_ENUM)
#undef TALLY_ENUM
        EVENT_COUNT
};

struct tally {
    uint64_t schedules;
    uint64_t calm;
    uint64_t steps; /* events put into a core, actions taken, calls that reached the store */
    uint64_t hash;  /* of all that happened in all schedules, in whatever order they ran */
    uint64_t outcomes[OUTCOME_COUNT];
    uint64_t events[EVENT_COUNT];
};

void tally_add(struct tally *sum, const struct tally *one);
/* Both counts as JSON, on stdout: `, "outcomes": {...}, "events": {...}`. */
void tally_print(const struct tally *tally);
/* Has everything occurred that this driver can bring about? Reports what has not, on stderr. */
bool tally_is_complete(const struct tally *tally, enum driver driver);

#endif
