/* model_store.h: a store with one row for each key, and the calls on their way to it.
 *
 * A call has two moments: when it reaches the row, and when its node learns of it. In between the
 * node may crash, be paused, or see the row change; and a save whose outcome was reported as
 * unknown may still reach the row later, as may that of a node that is dead. A save is applied if
 * the row has the version that it was loaded with; versions are never used again, not even for a
 * row that is deleted and made again. What it is applied to must be a prefix of what it brings.
 */
#ifndef BATCH_TESTS_MODEL_STORE_H
#define BATCH_TESTS_MODEL_STORE_H

#include "schedule.h"

struct model;
struct model_node;

enum { LOG_OTHERS = 255, LOG_DELETED = 254, LOG_FREED = 0x7FFFFFFF, MODEL_HISTORY = 512 };

/* A row, or a copy of it in memory: operations by number, and what others wrote between them. */
struct model_log {
    uint32_t version;
    uint32_t base; /* of those before the row was last deleted */
    uint32_t size; /* LOG_FREED: it was released */
    uint32_t hash; /* of all in it */
    uint8_t ops[MODEL_LOG];
};

struct model_row {
    struct model_log log;
    uint32_t versions;     /* used so far */
    uint32_t history_size; /* of all that was stored, also before the row was deleted */
    uint8_t history[MODEL_HISTORY];
    uint32_t acknowledged; /* the log up to here has been seen, or was reported as stored */
    uint32_t hashes[MODEL_LOG + 1]; /* of the first so many */
};

/* A batch of a core, with the resource behind it. */
struct model_batch {
    struct batch__batch batch;
    struct model_log resource;
};

enum model_plan {
    PLAN_APPLY,         /* a save: if the version is right */
    PLAN_FAIL,          /* nothing is done */
    PLAN_CONFLICT,      /* likewise */
    PLAN_LOSE,          /* nothing is done, and nobody knows */
    PLAN_APPLY_AND_LOSE /* it is done, before or after the node learns that nobody knows */
};

struct model_call {
    uint64_t apply_ns;  /* when it reaches the row; MODEL_NEVER: it has, or will not */
    uint64_t finish_ns; /* when the node learns of it; MODEL_NEVER: it has, or is dead */
    uint64_t latency_ns;
    struct batch__batch *batch;
    uint8_t node;
    uint8_t key;
    uint8_t plan; /* enum model_plan */
    bool is_save;
    bool is_unchanged;
    bool is_check;        /* of a unit: only its version is compared */
    bool is_settled;      /* of a unit: one of its calls has ended, and how */
    uint32_t unit;        /* all calls of a unit reach their rows together; 0: alone */
    int8_t status;        /* to report, once it has reached the row */
    struct model_log log; /* found by a load, or to be saved */
};

static inline struct model_log *resource_of(struct batch__batch *batch)
{
    return &((struct model_batch *)(void *)batch)->resource;
}

void log_append(struct model_log *log, uint8_t what);

void model_store_init(struct model *model);
/* The same for all calls of a unit, which follow each other; `first` is in model->calls. */
void model_store_unit(struct model *model, uint32_t first);
/* True if it ends at once: the last of model->calls. */
bool model_store_call(struct model *model, struct model_node *node, struct batch__batch *batch,
                      bool is_save);
/* Something goes wrong with it, as `drawn` has it. */
void model_store_fault(struct model *model, struct model_call *call, uint64_t drawn);
void model_store_apply(struct model *model, struct model_call *call);
/* Its node is about to learn of it, as it is then. True if nothing is left of it, and another has
 * taken its place. */
bool model_store_finish(struct model *model, uint32_t call, struct model_call *ret_finished);
void model_store_end(struct model *model, uint32_t call); /* nothing is left of it */
void model_store_crashed(struct model *model, const struct model_node *node); /* its calls go on */
void model_store_write(struct model *model, uint32_t key);
void model_store_delete(struct model *model, uint32_t key);

#endif
