/* history.h: one random history of a core, checked by a model.
 *
 * From a seed come a configuration, a few keys, some dozens of operations, a store with its
 * failures, and an order of events that no worker would ever produce twice. The model beside it is
 * small: for each key, what the store holds (a list of the operations that were applied) and which
 * stage its batch is in; for each operation, what may still become of it. It says what is wrong:
 *
 *   - every operation is answered exactly once, in order of its key among those of its batch
 *   - it runs at most once, after the one submitted before it, and only while its key is loaded
 *   - what ran is never called canceled, expired, busy, stopped or out of memory
 *   - what was canceled or late, as of the moment before it would begin, does not begin
 *   - OK is said only after a successful save, or if nothing changed; then it is in the store
 *     exactly once; what is not applied is not in the store; UNKNOWN may be either
 *   - one load and at most one save for a batch; no load for nobody, no save for nothing
 *   - after a conflict, and only then, the same operations run again in the same order, on what is
 *     stored then, as often as is allowed and no more often; the canceled leave
 *   - a kept resource is that of a batch that ended well; a batch that changed nothing on it is not
 *     answered before it has run on what was loaded for it
 *   - what somebody else wrote is never lost
 *   - a save error reaches all that ran in that batch, a load error all that waited, nobody else
 *   - a batch that its window closed was open for all of it, and its deadline counts from there
 *   - in the end everything is answered without a stop, and all memory is given back
 *   - in a calm history (one in four: no faults, punctual wakes) everything is OK within
 *     save + max(load, window) + save
 *
 * history.c drives, model.c judges. A mistake can be ordered: a step done wrong on purpose, outside
 * of the core, that must be found; so it is known that the model can find anything at all.
 */
#ifndef BATCH_TESTS_HISTORY_H
#define BATCH_TESTS_HISTORY_H

#include "trace.h"

#include <batch/metrics.h>

enum history_mistake {
    HISTORY_NO_MISTAKE,
    HISTORY_SAVED_IS_TOLD_TWICE,
    HISTORY_A_CALL_IS_FORGOTTEN,
    HISTORY_A_REFUSED_SAVE_IS_CALLED_OK,
    HISTORY_A_LOST_SAVE_IS_CALLED_FAILED, /* it was applied */
    HISTORY_THE_RESOURCE_IS_NOT_LOADED_AGAIN,
    HISTORY_AN_OPERATION_IS_RUN_TWICE,
    HISTORY_AN_ANSWER_IS_GIVEN_TWICE,
    HISTORY_AN_ANSWER_IS_LOST,
    HISTORY_A_CANCEL_IS_TAKEN_BACK,
    HISTORY_EXPIRE_IS_NOT_CALLED,
    HISTORY_THE_STORE_IS_SLOW,
    HISTORY_AN_UNKNOWN_IS_CALLED_FAILED,
    HISTORY_THE_VERSION_IS_NOT_CHECKED,
    HISTORY_A_CONFLICT_IS_CALLED_FAILED, /* somewhere on the way: nothing runs again */
    HISTORY_A_REPLAY_FORGETS_AN_OPERATION,
    HISTORY_MISTAKES
};

/* What has been seen over many histories. */
struct history_tally {
    uint64_t histories;
    uint64_t answers[BATCH_STATUS_COUNT];
    uint64_t closed[BATCH_CLOSE_REASON_COUNT];
    uint64_t batches_unchanged;
    uint64_t batches_left;     /* loaded, and everybody had left */
    uint64_t batches_together; /* more than one operation */
    uint64_t unknown_applied, unknown_not_applied;
    uint64_t stops_with_work;
    uint64_t replays, replays_left; /* left: by some that were canceled */
    uint64_t loads_skipped;
    uint64_t looks_again; /* at what is stored: nothing changed on a kept resource */
    uint64_t written_by_others;
    uint64_t refused_early;
    uint64_t events;
};

enum { HISTORY_KEYS = 4, HISTORY_OPS = 48, HISTORY_CALLS = HISTORY_KEYS };

enum history_stage {
    HISTORY_IDLE = 0,
    HISTORY_LOADING,
    HISTORY_LOAD_FAILED,
    HISTORY_OPEN,
    HISTORY_SAVING,
    HISTORY_SAVED,
    HISTORY_DROPPED, /* to be loaded and run again */
    HISTORY_RELOADING,
    HISTORY_RERUN,
    HISTORY_ANSWERED,
    HISTORY_REPORTED /* and kept, as long as it is not released */
};

enum { HISTORY_SOMEBODY_ELSE = 255 };

/* A list of operations, by number, and of what others wrote between them. */
struct history_log {
    uint32_t size;
    uint32_t version; /* of what is stored, or was when it was loaded or saved */
    uint8_t ops[HISTORY_OPS * 4];
};

/* A batch of the core with the resource behind it. */
struct history_batch {
    struct batch__batch batch;
    struct history_log resource;
};

struct history_op {
    batch_op op;
    uint32_t key;
    uint64_t submitted_ns;
    uint64_t takes_ns;
    batch_verdict verdict;
    bool is_submitted, is_canceled, has_run, is_answered;
    bool must_not_run;    /* it waited for a load that failed */
    bool has_left;        /* it ran, and was canceled before it could run again */
    bool may_lack_memory; /* an allocation failed when it was submitted */
    int must_be;          /* how it was refused when submitted; BATCH_OK: it was not */
    bool is_applied;      /* by a save whose outcome nobody knows */
    int status;
};

struct history_key {
    char name[40];
    size_t size;
    enum history_stage stage;
    struct batch__batch *batch;
    uint32_t last_run; /* number + 1 */
    struct history_log ran;
    struct history_log again; /* what is to run again … */
    uint32_t again_at;        /* … from here on */
    uint64_t changed;
    bool is_loaded;
    bool is_cached; /* it was not loaded for this batch */
    uint32_t replays;
    int told;             /* what the core was told of the save … */
    uint64_t told_ns;     /* … and when */
    uint32_t others_size; /* times that somebody else wrote */
    struct history_log stored;
};

struct history_call {
    struct batch__batch *batch;
    bool is_save;
    uint64_t finish_ns; /* in a calm history */
};

struct history {
    uint64_t random;
    const uint8_t *bytes; /* what is left of what was given; NULL: none were */
    size_t bytes_size;
    enum history_mistake mistake;
    bool is_mistaken; /* once is enough */

    struct batch__core core;
    struct batch__core_config config;
    struct allocator memory;
    uint64_t now_ns;

    /* How this history goes. */
    bool is_calm;
    bool is_taken_at_once; /* all actions after each event, as a worker does */
    uint32_t keys_size, ops_size;
    uint64_t load_max_ns, save_max_ns;
    uint32_t fault_percent, cancel_percent, unchanged_percent, start_by_percent, long_percent;
    uint32_t no_memory_percent;
    uint32_t others_percent;

    struct history_op ops[HISTORY_OPS];
    struct history_key keys[HISTORY_KEYS];
    struct history_call calls[HISTORY_CALLS];
    uint32_t calls_size;
    uint32_t submitted; /* operations so far */
    uint32_t unanswered;
    bool is_stopped;

    struct history_tally *tally;
    char error[256];
    jmp_buf *on_error;
};

/* Run the history of a seed. NULL if all is well, else what is wrong, valid until the next call. */
const char *history_run(struct history *h, uint64_t seed, enum history_mistake mistake,
                        struct history_tally *tally);

/* Run the history in which each choice is one of these bytes, for a fuzzer. It comes to rest when
 * they are used up. */
const char *history_run_bytes(struct history *h, const uint8_t *bytes, size_t bytes_size,
                              struct history_tally *tally);

/* model.c: told of each step, before the core for events, after it for actions. */
__attribute__((noreturn, format(printf, 2, 3))) void history_wrong(struct history *h,
                                                                   const char *format, ...);
void model_submit(struct history *h, struct history_op *op);
void model_load(struct history *h, struct batch__batch *batch);
void model_loaded(struct history *h, struct batch__batch *batch, int status);
void model_run(struct history *h, struct batch__batch *batch, struct history_op *op);
void model_save(struct history *h, struct batch__batch *batch);
void model_saved(struct history *h, struct batch__batch *batch, int told, bool is_applied);
void model_done(struct history *h, const struct batch__action *action);
void model_record(struct history *h, struct batch__batch *batch);
void model_release(struct history *h, struct batch__batch *batch);
void model_end(struct history *h);

struct history_key *model_key(struct history *h, const struct batch__batch *batch);

#endif
