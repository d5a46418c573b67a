/* oracle.h: the reference model, and what it holds against the core. For each key of each node it
 * knows the stage of the batch, who waits, who ran and in what order; of the store it sees the
 * rows. It observes an event before the core gets it, and an action before it is performed. Sets of
 * operations are bits of one word.
 *
 *   - every accepted operation is completed once, and the core counts as many as there are
 *   - an operation runs once, and again only after a conflict or if its resource had been cached;
 *     in the order of submission; never when canceled, late, refused, or after its load failed
 *   - an operation that ran is never completed with CANCELED, EXPIRED, STOPPED, BUSY or NO_MEMORY,
 *     unless it was canceled before its replay
 *   - a batch is loaded for some operation, saved if and only if something changed, and completed
 *     with what its save returned: all of it, in order, and no other operation
 *   - with OK it is stored; with an error it is not stored, then or later
 *   - a save adds to what is stored, and takes nothing away
 *   - no operation sees less than what was acknowledged before it
 *   - a conflict is replayed as often and as long as is allowed; only what ended well is cached, no
 *     more than may be; what changed nothing on a cached resource is rechecked on one that was
 *     loaded
 *   - a window is as long as it should be; without one no more batches close than the store can
 *     take
 *   - a window ends no later than it may, however many operations are still in the inbox; what has
 *     come by then is in its batch, and what comes later is not
 *   - keys take turns: while a key has operations to run, no other key has two turns, and none is
 *     longer than a turn may be, or shorter than it must be; and nothing runs while an outcome is
 *     to be completed
 *   - what was loaded too long ago takes nobody new; and what changed nothing on it is not
 *     completed, but loaded again and replayed, once
 *   - in a calm schedule every operation is OK when its window, which began no later than it was
 *     submitted, has ended, and its key was free and is loaded, and a save more; if resources are
 *     cached, a load after that window
 *   - when nothing is left to happen no operation waits; when all nodes have stopped no key and no
 *     memory is left
 */
#ifndef BATCH_TESTS_MODEL_ORACLE_H
#define BATCH_TESTS_MODEL_ORACLE_H

#include "model_store.h"

struct model_op;
struct model_transaction;

/* The stages of the batch of one key on one node. */
enum oracle_stage {
    STAGE_IDLE = 0,
    STAGE_LOADING,
    STAGE_LOAD_FAILED,
    STAGE_OPEN,
    STAGE_SAVING,
    STAGE_SAVED,
    STAGE_DROPPED, /* to be loaded and replayed */
    STAGE_RELOADING,
    STAGE_REPLAYING,
    STAGE_COMPLETED,
    STAGE_CACHED /* recorded, and its resource not released */
};

struct oracle_key {
    uint8_t stage;   /* enum oracle_stage */
    int8_t reported; /* the status of the save that the core got … */
    bool is_loaded;
    bool is_cached;    /* not loaded for this batch */
    bool is_rechecked; /* loaded again, as it was too old */
    bool is_isolated;  /* replayed, as the store refused its unit */
    uint8_t tied; /* the set of keys that transactions tied it to, itself among them; 0: none */
    uint8_t replays;
    uint8_t ran_size, replay_size, replay_at, changed;
    uint8_t last_run;    /* number + 1 */
    uint64_t saved_ns;   /* … and when */
    uint64_t decided_ns; /* when all of its unit were */
    uint64_t replay_by_ns;
    uint64_t free_ns; /* when its last batch ended, by the model's time */
    uint64_t load_ns, loaded_ns, save_ns, first_wait_ns; /* as its record must have them */
    uint64_t joining;      /* the set of those that waited when it was loaded … */
    bool may_join;         /* … and of others: all left that it was loaded for */
    uint64_t at_end;       /* the set of those that waited when its window may have ended */
    uint64_t begun_min_ns; /* the window of the batch that takes new ones began then, or later … */
    uint64_t begun_ns;     /* … but not later than this */
    bool is_window_over;
    bool is_window_unsure; /* it may have ended, or not */
    uint64_t op_mean_ns;   /* what an operation takes */
    uint8_t had_turn;      /* the set of keys that had a turn since this one waits for its own */
    uint64_t opened;       /* in this iteration of its node */
    uint32_t flushes;      /* of its node, when it was opened */
    uint32_t load_floor;   /* so much was acknowledged when its load began */
    uint64_t waiting;      /* the set of those that are accepted and have not begun */
    uint64_t load_failed;  /* the set of those that waited for a load that failed */
    uint8_t ran[MODEL_OPS];
    uint8_t replay[MODEL_OPS];
};

struct oracle_node {
    bool is_clean;                       /* all actions have been taken since the last event */
    uint64_t load_mean_ns, save_mean_ns; /* each new time counts for an eighth */
    uint32_t flushes;                    /* times that the store was free to take a batch */
    uint64_t free_calls;                 /* so many more, since it was clean */
    uint64_t unit_max;                   /* how many keys may be tied together now */
    uint64_t impatient; /* the set of those that may be canceled or have a start_by_ns */
    uint64_t pending;   /* the set of those accepted and not completed */
    uint64_t taken;     /* the set of those the core has, of these */
    uint64_t to_refuse; /* the set of those that must be completed without having run */
    uint8_t turn_key;   /* whose turn it is … */
    const struct batch__batch *turn_batch; /* … as the core has it */
    bool is_turn_over;
    bool is_turn_left; /* it has no more to run */
    uint64_t turn_ops, turn_began_ns;
    struct oracle_key keys[MODEL_KEYS];
};

/* Sets of operations, by how they were completed. */
struct oracle {
    uint64_t ok, ok_unchanged, unknown;
    uint64_t refused; /* not applied */
    uint64_t crashed; /* nothing was reported, for their node died */
    uint64_t stored;  /* in a row, or in one that was deleted */
};

/* A moving average: each new time counts for an eighth. */
static inline void oracle_mean_add(uint64_t *mean_ns, uint64_t time_ns)
{
    *mean_ns = *mean_ns == 0 ? time_ns : *mean_ns - *mean_ns / 8 + time_ns / 8;
}

void oracle_accepted(struct model *model, struct model_node *node, struct model_op *op,
                     uint64_t now_ns);
void oracle_flushed(struct model_node *node, uint64_t calls_max);
/* Windows may end, and what waits in them may join. */
void oracle_may_close(const struct model *model, struct model_node *node, uint64_t now_ns);
void oracle_expired(struct model *model, struct model_node *node, uint64_t now_ns);
void oracle_load(struct model *model, struct model_node *node, struct batch__batch *batch);
void oracle_loaded(struct model *model, struct model_node *node, uint32_t key, int status,
                   uint64_t finished_ns, uint64_t now_ns);
void oracle_run(struct model *model, struct model_node *node, struct batch__batch *batch,
                struct model_op *op);
/* When the core's time was `before_ns` it began, in the turn of that key. */
void oracle_ran(struct model_node *node, uint32_t turn_key, uint64_t before_ns);
/* Has the key whose turn it is left the queue? */
void oracle_look_at_turn(struct model_node *node);
/* Before each of its legs does. */
void oracle_transaction_runs(struct model *model, struct model_node *node,
                             const struct model_transaction *transaction);
void oracle_save(struct model *model, struct model_node *node, struct batch__batch *batch);
void oracle_saved(struct model *model, struct model_node *node, uint32_t key, int status,
                  uint64_t now_ns);
void oracle_applied(struct model *model, const struct model_call *call); /* before it is */
void oracle_unit_applied(struct model *model);                           /* after all of it is */

/* Shared with the other files of the oracle. */
/* May it have stopped waiting, though it is completed later? */
bool oracle_has_left(const struct model_op *op);
/* The window of those that wait from now on. */
void oracle_begin_window(struct oracle_key *key, uint64_t now_ns);
/* Was it loaded too long ago? */
bool oracle_is_too_old(const struct model_node *node, const struct oracle_key *key);
void oracle_close(struct model *model, struct model_node *node, const struct batch__batch *batch);
/* Operations that were canceled are not replayed: pass over those before `until`, or NULL: all. */
void oracle_pass_canceled(struct model *model, struct oracle_key *key,
                          const struct model_op *until);
/* One that is canceled may leave a replay at any time before it runs again. */
void oracle_leaves_replay(struct model *model, struct model_node *node, struct model_op *op);
/* All must have: now those run that came later, or fail. */
void oracle_replay_left(struct model *model, struct oracle_key *key);
/* Of the operations that waited for a load that failed, the next that has to be completed with it;
 * NULL: none. */
const struct model_op *oracle_load_failed(const struct model *model, const struct oracle_key *key);

#endif
