/* simulation.h: a few nodes, one store, and everything that can go wrong between them.
 *
 * A history is what happens in one small world: up to three nodes, each with a core of its own (the
 * real one, src/core), one store of versioned rows, and clients. All of it comes from one seed:
 *
 *   seed -> config and script (script.c) -> history (world.c) -> right or wrong (judge.c)
 *
 * The script is a list of items: an operation is submitted, one is canceled, a node crashes, is
 * paused, stops, its clock jumps, somebody else writes. What the store does with a call follows
 * from the luck of the operation that the call is made for. So an item can be left out and the rest
 * of the history stays much as it was: that is how a failing one is made short (shrink.c).
 *
 *   script.c   the world from a seed
 *   world.c    time: the next thing that happens, until nothing is left to happen
 *   simulated_node.c   what the runtime does around a core: a worker's turns
 *   store_model.c      calls in flight, and the rows: a save is a list with its operations appended
 *   judge.c    the reference model: is told of each step, and says what is wrong
 *   story.c    the history as text
 *   controls.h mistakes that can be switched on, in another build of the same program
 *
 * Nothing is allocated: what the cores ask for comes from an arena of each node, which is empty
 * again when the node starts. Sets of operations are bits of one word.
 */
#ifndef BATCH_TESTS_SIMULATION_H
#define BATCH_TESTS_SIMULATION_H

#include "controls.h"
#include "core/core.h"

#include <setjmp.h>

#define SIM_US    UINT64_C(1000) /* in ns */
#define SIM_S     UINT64_C(1000000000)
#define SIM_NEVER UINT64_MAX

enum {
    SIM_NODES = 3,
    SIM_KEYS = 4,
    SIM_OPS = 48,     /* of a history; each has a letter */
    SIM_ITEMS = 112,  /* of a script */
    SIM_OTHERS = 24,  /* times that somebody else writes */
    SIM_CALLS = 48,   /* in flight; those of dead nodes too */
    SIM_LOG = 80,     /* at least SIM_OPS + SIM_OTHERS */
    SIM_ARENA = 32768 /* bytes for one life of a node */
};

/* ---- What has been seen --------------------------------------------------------------------- */

/* What becomes of an operation. */
#define SIM_OUTCOME_MAP(X)                                                                         \
    X(ok)                                                                                          \
    X(ok_unchanged)                                                                                \
    X(canceled)                                                                                    \
    X(expired)                                                                                     \
    X(stopped)                                                                                     \
    X(busy)                                                                                        \
    X(busy_early)                                                                                  \
    X(no_memory)                                                                                   \
    X(load_failed)                                                                                 \
    X(save_failed)                                                                                 \
    X(conflict)                                                                                    \
    X(unknown_applied)                                                                             \
    X(unknown_not_applied)                                                                         \
    X(died_applied) /* its node crashed before it was told */                                      \
    X(died_not_applied)                                                                            \
    X(not_accepted) /* no node was up */

/* What goes wrong, and the rare ways through the core. */
#define SIM_EVENT_MAP(X)                                                                           \
    X(load_error)                                                                                  \
    X(save_error)                                                                                  \
    X(conflict_told) /* somebody else has saved */                                                 \
    X(conflict_false)                                                                              \
    X(unknown_told_applied)                                                                        \
    X(unknown_told_applied_later)                                                                  \
    X(unknown_told_not_applied)                                                                    \
    X(slow_call)                                                                                   \
    X(call_at_once)                                                                                \
    X(crash)                                                                                       \
    X(crash_save_applied_later)                                                                    \
    X(crash_save_lost)                                                                             \
    X(restart)                                                                                     \
    X(stop)                                                                                        \
    X(pause)                                                                                       \
    X(clock_jump)                                                                                  \
    X(late_worker)                                                                                 \
    X(cancel)                                                                                      \
    X(cancel_in_midst) /* of a turn */                                                             \
    X(stop_in_midst)                                                                               \
    X(expiry_set)                                                                                  \
    X(misrouted)                                                                                   \
    X(allocation_failed)                                                                           \
    X(written_by_others)                                                                           \
    X(deleted)                                                                                     \
    X(replay)                                                                                      \
    X(replay_left) /* by one that was canceled */                                                  \
    X(load_skipped)                                                                                \
    X(looked_again) /* nothing changed on a kept resource */                                       \
    X(batch_left)   /* loaded, and everybody had left */                                           \
    X(closed_by_window)                                                                            \
    X(closed_by_store)                                                                             \
    X(closed_by_size)                                                                              \
    X(closed_by_stop)                                                                              \
    X(closed_by_error)

enum sim_outcome {
#define SIM_ENUM(name) SIM_OUTCOME_##name,
    SIM_OUTCOME_MAP(SIM_ENUM)
#undef SIM_ENUM
        SIM_OUTCOMES
};

enum sim_event {
#define SIM_ENUM(name) SIM_EVENT_##name,
    SIM_EVENT_MAP(SIM_ENUM)
#undef SIM_ENUM
        SIM_EVENTS
};

struct sim_tally {
    uint64_t histories;
    uint64_t calm;
    uint64_t steps; /* events put into a core, actions taken, calls that reached the store */
    uint64_t hash;  /* of all that happened in all histories, whatever their order */
    uint64_t outcomes[SIM_OUTCOMES];
    uint64_t events[SIM_EVENTS];
};

/* ---- The script ----------------------------------------------------------------------------- */

enum sim_item_kind {
    SIM_SUBMIT,
    SIM_CANCEL,
    SIM_CRASH,
    SIM_PAUSE,
    SIM_JUMP,
    SIM_STOP,
    SIM_WRITE,  /* by somebody else */
    SIM_DELETE, /* likewise */
    SIM_WAKE,   /* for nothing */
    SIM_ITEM_KINDS
};

enum sim_verdict { SIM_CHANGES, SIM_LOOKS, SIM_CHANGES_EVEN /* only a log of even size */ };

struct sim_item {
    uint64_t at_ns;
    uint64_t luck;        /* of the calls made for this operation; 0: all goes well */
    uint64_t length_ns;   /* CRASH: down for so long; PAUSE, JUMP */
    uint32_t start_by_ns; /* SUBMIT: after at_ns, 0: any time */
    uint32_t takes_ns;
    uint8_t kind; /* enum sim_item_kind */
    uint8_t node;
    uint8_t key;
    uint8_t target; /* CANCEL: of the latest operations, this one */
    uint8_t after;  /* CANCEL, STOP: so many steps of the worker later, in the midst of a turn */
    uint8_t verdict;
    bool is_canceled; /* before it is submitted */
    bool lacks_memory;
    bool is_left_out;
};

struct sim_config {
    struct batch__core_config core; /* but for the allocator */
    bool is_calm;                   /* nothing goes wrong, everybody is punctual */
    bool is_jumbled;                /* a turn does its parts in any order, actions are taken late */
    uint32_t nodes_size, keys_size;
    uint64_t load_max_ns, save_max_ns;
    uint32_t fault_percent, at_once_percent, late_percent;
    uint64_t luck; /* of the workers */
    uint64_t offset_ns[SIM_NODES];
    uint32_t hash[SIM_KEYS]; /* the key's number, then what the table looks at */
    uint32_t first_name;     /* which names the keys have */
};

struct sim_script {
    struct sim_config config;
    uint32_t items_size;
    struct sim_item items[SIM_ITEMS];
};

/* ---- The world ------------------------------------------------------------------------------ */

enum { SIM_SOMEBODY_ELSE = 255, SIM_POISON = 0x7FFFFFFF };

/* A row, or a copy of it in memory: operations by number, and what others wrote between them. */
struct sim_log {
    uint32_t version;
    uint32_t base; /* of those before the row was last deleted */
    uint32_t size; /* SIM_POISON: freed */
    uint32_t hash; /* of all in it */
    uint8_t ops[SIM_LOG];
};

struct sim_row {
    struct sim_log log;
    uint32_t versions;            /* used so far */
    uint32_t told;                /* somebody has been told what is in the log up to here */
    uint32_t hashes[SIM_LOG + 1]; /* of the first so many */
};

/* A batch of a core, with the resource behind it. */
struct sim_batch {
    struct batch__batch batch;
    struct sim_log resource;
};

enum sim_plan {
    SIM_DO,           /* a save: if the version is right */
    SIM_FAIL,         /* nothing is done */
    SIM_SAY_CONFLICT, /* likewise */
    SIM_LOSE,         /* nothing is done, and nobody knows */
    SIM_DO_AND_LOSE   /* it is done, before or after the node is told that nobody knows */
};

struct sim_call {
    uint64_t apply_ns;  /* when it reaches the row; SIM_NEVER: it has, or will not */
    uint64_t finish_ns; /* when the node is told; SIM_NEVER: it has been, or is dead */
    struct batch__batch *batch;
    uint8_t node;
    uint8_t key;
    uint8_t plan; /* enum sim_plan */
    bool is_save;
    int8_t status;      /* to tell, once it has reached the row */
    struct sim_log log; /* found by a load, or to be saved */
};

struct sim_op {
    batch_op op;
    uint64_t luck;
    uint64_t submitted_ns; /* by the world's time */
    uint64_t accepted_ns;  /* by the core's */
    uint32_t takes_ns;
    uint8_t number;
    uint8_t key;
    uint8_t node;
    uint8_t verdict;      /* enum sim_verdict */
    uint8_t calls;        /* made for it */
    int8_t must_be;       /* how it must be refused; BATCH_OK: it must not */
    int8_t status;        /* told */
    bool lacks_memory;    /* an allocation fails when it is taken */
    bool may_lack_memory; /* one failed */
    bool may_be_full;     /* its key's limit may be reached; it depends on actions not taken */
    bool is_hopeless;     /* it would only expire, and is told so */
    bool may_be_hopeless; /* its key was being saved, and it cannot wait long */
    bool is_canceled;
    bool has_run;
    bool has_left;   /* it ran, and was canceled before it could run again */
    bool is_changed; /* by its last run */
    uint32_t floor;  /* what it must see at the least: somebody was told before it was submitted */
    uint32_t seen_base, seen_size, seen_hash; /* the log after its last run */
};

/* The judge's view of one key on one node: the stages of its batch. */
enum sim_stage {
    SIM_IDLE = 0,
    SIM_LOADING,
    SIM_LOAD_FAILED,
    SIM_OPEN,
    SIM_SAVING,
    SIM_SAVED,
    SIM_DROPPED, /* to be loaded and run again */
    SIM_RELOADING,
    SIM_RERUN,
    SIM_ANSWERED,
    SIM_REPORTED /* and kept, as long as it is not released */
};

struct sim_judged {
    uint8_t stage; /* enum sim_stage */
    int8_t told;   /* what the core was told of the save … */
    bool is_loaded;
    bool is_cached; /* not loaded for this batch */
    uint8_t replays;
    uint8_t ran_size, again_size, again_at, changed;
    uint8_t last_run; /* number + 1 */
    uint64_t told_ns; /* … and when */
    uint64_t free_ns; /* when its last batch ended, by the world's time */
    uint64_t load_ns, loaded_ns, save_ns, first_wait_ns; /* as its record must have them */
    uint64_t joining;    /* the set of those that waited when it was loaded */
    uint32_t flushes;    /* of its node, when it was opened */
    uint32_t load_floor; /* somebody had been told so much when its load began */
    uint64_t waiting;    /* the set of those that are accepted and have not begun */
    uint64_t doomed;     /* the set of those that waited for a load that failed */
    uint8_t ran[SIM_OPS];
    uint8_t again[SIM_OPS];
};

enum sim_node_state { SIM_DOWN = 0, SIM_UP, SIM_STOPPING };

struct sim_node {
    struct batch__core core;
    enum sim_node_state state;
    bool is_stop_wanted, is_cancel_wanted;
    bool is_clean;                       /* all actions have been taken since the last event */
    uint64_t load_mean_ns, save_mean_ns; /* of late: each new time counts for an eighth */
    uint64_t offset_ns;                  /* its clock is so far ahead of the world's time */
    uint64_t elapsed_ns;                 /* in this turn */
    uint64_t awake_ns;                   /* busy or paused until then, by the world's time */
    uint64_t due_ns;                     /* something is due then; calls apart */
    uint64_t restart_ns;                 /* while it is down; SIM_NEVER: for good */
    uint64_t turns;
    uint64_t luck;                   /* of this turn */
    uint8_t cancel_op, cancel_after; /* steps until somebody cancels this one; 0: nobody does */
    uint8_t stop_after;              /* likewise */
    uint8_t inbox[SIM_OPS];
    uint32_t inbox_size;
    uint32_t flushes;   /* times that the store was free to take a batch */
    uint64_t impatient; /* the set of those that may be canceled or have a start_by_ns */
    uint64_t pending;   /* the set of those accepted and not answered */
    uint64_t taken;     /* the set of those the core has, of these */
    struct sim_judged keys[SIM_KEYS];

    /* Its memory. */
    uint32_t arena_size;
    uint32_t arena_live; /* blocks */
    bool fails_next, has_failed;
    _Alignas(64) unsigned char arena[SIM_ARENA];
};

struct sim {
    const struct sim_script *script;
    const struct sim_config *config; /* of the script */
    struct sim_tally *tally;
    bool is_told; /* as text, on stderr */
    bool is_mistaken;
    uint64_t now_ns;
    uint64_t hash;
    uint32_t steps;
    uint32_t item;     /* the next of the script */
    uint32_t ops_size; /* so far */
    uint32_t others_size;

    /* Sets of operations: told OK, after a change or not; UNKNOWN; nothing, for their node died;
     * not applied. In a row, or in one that was deleted. */
    uint64_t ok, ok_unchanged, unknown, died, refused;
    uint64_t stored;

    struct sim_row rows[SIM_KEYS];
    uint32_t calls_size;
    struct sim_call calls[SIM_CALLS];
    struct sim_node nodes[SIM_NODES];
    struct sim_op ops[SIM_OPS];

    jmp_buf on_wrong;
    const char *format; /* of what is wrong: the same place says the same */
    char wrong[256];
};

/* ---- script.c ------------------------------------------------------------------------------- */

void sim_script_make(struct sim_script *script, uint64_t seed);

/* Good for anything: SplitMix64's last step. */
static inline uint64_t sim_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* A number below `limit` from the upper bits of luck; take the lower ones away first. */
static inline uint32_t sim_below(uint64_t luck, uint32_t limit)
{
    return (uint32_t)(((luck & 0xFFFFFFFF) * limit) >> 32);
}

/* ---- world.c -------------------------------------------------------------------------------- */

/* Live through a script. True if all was right; else sim->wrong says what was not. */
bool sim_run(struct sim *sim, const struct sim_script *script, struct sim_tally *tally);

__attribute__((noreturn, format(printf, 2, 3))) void sim_wrong(struct sim *sim, const char *format,
                                                               ...);

#define sim_must(sim, condition, ...)                                                              \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            sim_wrong(sim, __VA_ARGS__);                                                           \
    } while (0)

static inline void sim_saw(struct sim *sim, enum sim_event event)
{
    sim->tally->events[event]++;
}

/* Everything that happens goes through here. */
static inline void sim_step(struct sim *sim, uint64_t what)
{
    sim->steps++;
    sim->hash = (sim->hash ^ what ^ sim->now_ns << 20) * UINT64_C(0x9E3779B97F4A7C15);
    sim->hash ^= sim->hash >> 29;
}

static inline uint64_t sim_bit(uint32_t number)
{
    return UINT64_C(1) << number;
}

static inline struct sim_op *sim_op_of(batch_op *op)
{
    return (struct sim_op *)(void *)op; /* its first member */
}

static inline struct sim_log *sim_resource_of(struct batch__batch *batch)
{
    return &((struct sim_batch *)(void *)batch)->resource;
}

static inline uint32_t sim_key_of(const struct batch__batch *batch)
{
    return batch->hash >> 16;
}

const char *sim_key_name(const struct sim *sim, uint32_t key);
void sim_log_append(struct sim_log *log, uint8_t what);

/* ---- simulated_node.c ----------------------------------------------------------------------- */

void sim_node_start(struct sim *sim, struct sim_node *node);
void sim_node_crash(struct sim *sim, struct sim_node *node, uint64_t down_ns);
void sim_node_turn(struct sim *sim, struct sim_node *node);
void sim_node_cancel(struct sim *sim, struct sim_node *node, uint32_t number);
void sim_node_update(const struct sim *sim, struct sim_node *node); /* when it is next due */

static inline uint32_t sim_node_number(const struct sim *sim, const struct sim_node *node)
{
    return (uint32_t)(node - sim->nodes);
}

/* What its clock shows. */
static inline uint64_t sim_node_now(const struct sim *sim, const struct sim_node *node)
{
    return sim->now_ns + node->elapsed_ns + node->offset_ns;
}

/* The store has finished this call of the node. */
void sim_node_told(struct sim *sim, struct sim_node *node, const struct sim_call *call);

/* ---- store_model.c -------------------------------------------------------------------------- */

void sim_store_init(struct sim *sim);
void sim_store_call(struct sim *sim, struct sim_node *node, struct batch__batch *batch,
                    bool is_save);
void sim_store_apply(struct sim *sim, struct sim_call *call);
void sim_store_end(struct sim *sim, uint32_t call);                     /* nothing is left of it */
void sim_store_node_died(struct sim *sim, const struct sim_node *node); /* its calls live on */
void sim_store_write(struct sim *sim, uint32_t key);
void sim_store_delete(struct sim *sim, uint32_t key);

/* ---- judge.c: told of each step, before the core for events, after it for actions ------------ */

void sim_judge_submit(struct sim *sim, struct sim_node *node, struct sim_op *op, uint64_t now_ns);
void sim_judge_load(struct sim *sim, struct sim_node *node, struct batch__batch *batch);
void sim_judge_loaded(struct sim *sim, struct sim_node *node, uint32_t key, int status,
                      uint64_t now_ns);
void sim_judge_run(struct sim *sim, struct sim_node *node, struct batch__batch *batch,
                   struct sim_op *op);
void sim_judge_save(struct sim *sim, struct sim_node *node, struct batch__batch *batch);
void sim_judge_saved(struct sim *sim, struct sim_node *node, uint32_t key, int status,
                     uint64_t now_ns);
void sim_judge_close(struct sim *sim, const struct sim_node *node, struct sim_judged *key);
void sim_judge_done(struct sim *sim, struct sim_node *node, const struct batch__action *action);
void sim_judge_record(struct sim *sim, struct sim_node *node, struct batch__batch *batch);
void sim_judge_release(struct sim *sim, struct sim_node *node, struct batch__batch *batch);
void sim_judge_row(struct sim *sim, const struct sim_call *call); /* before a save is applied */
void sim_judge_turn(struct sim *sim, struct sim_node *node);      /* at its end */
void sim_judge_rest(struct sim *sim); /* nothing is left to happen, and nobody has stopped */
void sim_judge_end(struct sim *sim);

/* ---- story.c -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) void sim_say_slow(const struct sim *sim,
                                                        const struct sim_node *node,
                                                        const char *format, ...);
#define sim_say(sim, node, ...)                                                                    \
    do {                                                                                           \
        if (__builtin_expect((sim)->is_told, 0))                                                   \
            sim_say_slow(sim, node, __VA_ARGS__);                                                  \
    } while (0)

const char *sim_status_name(int status);
const char *sim_stage_name(const struct sim_judged *key);
char sim_op_letter(uint32_t number);
const char *sim_log_text(const struct sim_log *log);
void sim_say_item(const struct sim *sim, const struct sim_item *item);
void sim_say_config(const struct sim_config *config);

/* ---- shrink.c ------------------------------------------------------------------------------- */

/* Leave out of a failing script all that it fails without. Returns how many histories it took. */
uint64_t sim_shrink(struct sim *sim, struct sim_script *script);

#endif
