/* schedule.h: what is to happen in one run: a configuration, and items with a time each. An
 * operation is submitted, one is canceled, a node crashes, is paused, stops, its clock jumps,
 * somebody else writes.
 *
 * What the store does with a call follows from the draw of the operation that the call is made for.
 * So an item can be left out and the rest goes much as it went: that is how shrink.c makes a
 * failing schedule short. */
#ifndef BATCH_TESTS_MODEL_SCHEDULE_H
#define BATCH_TESTS_MODEL_SCHEDULE_H

#include "core/core.h"
#include "draw.h"

#define MODEL_US    UINT64_C(1000) /* in ns */
#define MODEL_S     UINT64_C(1000000000)
#define MODEL_NEVER UINT64_MAX

enum {
    MODEL_NODES = 3,
    MODEL_KEYS = 4,
    MODEL_OPS = 48,     /* of a schedule; each has a letter */
    MODEL_ITEMS = 112,  /* of a schedule */
    MODEL_OTHERS = 24,  /* times that somebody else writes */
    MODEL_CALLS = 48,   /* in flight; those of dead nodes too */
    MODEL_LOG = 80,     /* at least MODEL_OPS + MODEL_OTHERS */
    MODEL_ARENA = 32768 /* bytes for one incarnation of a node */
};

enum schedule_kind {
    ITEM_SUBMIT,
    ITEM_CANCEL,
    ITEM_CRASH,
    ITEM_PAUSE,
    ITEM_JUMP,
    ITEM_STOP,
    ITEM_WRITE,  /* by somebody else */
    ITEM_DELETE, /* likewise */
    ITEM_WAKE,   /* for nothing */
    ITEM_KINDS
};

enum schedule_effect { CHANGES, CHANGES_NOTHING, CHANGES_EVEN /* only a log of even size */ };

struct schedule_item {
    uint64_t at_ns;
    uint64_t draw;        /* of the calls made for this operation; 0: all goes well */
    uint64_t length_ns;   /* CRASH: down for so long; PAUSE, JUMP */
    uint32_t start_by_ns; /* SUBMIT: after at_ns, 0: any time */
    uint32_t takes_ns;
    uint8_t kind; /* enum schedule_kind */
    uint8_t node;
    uint8_t key;
    uint8_t keys; /* SUBMIT of a transaction: others, as bits */
    bool is_transaction;
    uint8_t target;       /* CANCEL: of the latest operations, this one */
    uint8_t after;        /* CANCEL, STOP: so many steps of the worker later, between actions */
    uint8_t effect;       /* enum schedule_effect */
    uint8_t fails_memory; /* the allocation of submit that fails, from 1; 0: none */
    bool is_canceled;     /* before it is submitted */
    bool is_left_out;
};

struct model_config {
    struct batch__core_config core; /* but for the allocator */
    bool is_calm;                   /* nothing goes wrong, everybody is punctual */
    bool is_shuffled; /* an iteration does its parts in any order, actions are taken late */
    bool is_busy;     /* workers take and run a few operations at a time */
    bool is_untimed;  /* the driver ends the calls of the store, and decides how */
    uint32_t nodes_size, keys_size;
    uint64_t load_max_ns, save_max_ns;
    bool has_transactions;
    uint32_t fault_percent, at_once_percent, late_percent;
    uint64_t draw; /* of the workers */
    uint64_t offset_ns[MODEL_NODES];
    uint32_t hash[MODEL_KEYS];
};

struct schedule {
    struct model_config config;
    uint32_t items_size;
    struct schedule_item items[MODEL_ITEMS];
};

/* What a schedule is made of: how many of a hundred items submit, or of a hundred operations are
 * such; the kinds beside each other. */
struct schedule_weights {
    uint32_t submit;
    uint32_t kinds[ITEM_KINDS];
    uint32_t transaction, misroute, unchanged, even, start_by, takes, canceled, no_memory;
};

/* The parts that the drivers share. */
void schedule_configure(struct model_config *config, struct schedule_weights *weights,
                        struct draw *draw);
void schedule_submit(struct schedule_item *item, const struct model_config *config,
                     const struct schedule_weights *weights, struct draw *draw);

/* All of it, from a seed. One in four is calm: nothing goes wrong, and everybody is punctual. In
 * the others each kind of fault is there or not, and more or less of it, so that there are some
 * with one fault alone and some with everything. */
void schedule_make(struct schedule *schedule, uint64_t seed);

#endif
