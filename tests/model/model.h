/* model.h: a small world: up to three nodes, each with a core of its own (the real one, src/core),
 * one store of versioned rows, and clients. All that happens in it follows from one seed, or from
 * the bytes of a fuzzer. One oracle observes; three drivers decide what happens:
 *
 *   simulation.c  time: a schedule (schedule.c) is carried out by workers (worker.c) on all nodes
 *   orderings.c   any event at any time on one core, in orders that no worker would ever produce
 *   bytes.c       the same, and a fuzzer decides
 *
 *   model_node.c  what surrounds a core: memory, clock, actions, events
 *   model_store.c calls in flight, and the rows: a save is a list with its operations appended
 *   oracle.c, oracle_outcome.c  what is wrong
 *   wrong.c       how a run ends
 *   transcript.c  what happens as text
 *   shrink.c      a failing schedule made short
 *   bugs.h        injected bugs, in another build of the same program
 *
 * Nothing is allocated: what the cores ask for comes from an arena of each node.
 */
#ifndef BATCH_TESTS_MODEL_H
#define BATCH_TESTS_MODEL_H

#include "bugs.h"
#include "draw.h"
#include "model_node.h"
#include "model_store.h"
#include "oracle.h"
#include "schedule.h"
#include "tally.h"
#include "wrong.h"

#include <setjmp.h>

enum { MODEL_PARTS = 3, MODEL_TRANSACTIONS = MODEL_OPS };

struct model_op;

/* Its legs are operations with a letter each, one after the other. */
struct model_transaction {
    batch_transaction transaction; /* first */
    batch_part parts[MODEL_PARTS];
    struct model_op *legs[MODEL_PARTS];
    uint8_t legs_size;
    uint8_t size;     /* the same, until it is complete */
    uint8_t left;     /* legs that are not completed */
    bool is_complete; /* so it is its owner's */
    bool is_unsure;   /* how it must be refused depends on actions not taken */
    uint32_t seen;    /* the set of statuses that legs were completed with, as bits */
};

struct model_op {
    batch_op op; /* of a leg: key and start_by_ns alone */
    uint64_t draw;
    struct model_transaction *transaction; /* NULL: it is none of its legs */
    uint64_t submitted_ns;                 /* by the model's time */
    uint64_t accepted_ns;                  /* by the core's */
    uint32_t takes_ns;
    uint8_t number;
    uint8_t key;
    uint8_t node;
    uint8_t effect;       /* enum schedule_effect */
    uint8_t calls;        /* made for it */
    uint8_t depth;        /* operations that its node had when it was submitted */
    int8_t must_be;       /* how it must be refused; BATCH_OK: it must not */
    int8_t status;        /* completed with */
    uint8_t fails_memory; /* the allocation that fails when it is taken; 0: none */
    bool may_lack_memory; /* one failed */
    bool may_be_full;     /* its key's limit may be reached; it depends on actions not taken */
    bool would_expire;    /* and is refused for it */
    bool may_expire;      /* its key was being saved, and it cannot wait long */
    bool is_canceled;
    bool has_run;
    bool has_left;   /* it ran, and was canceled before its replay */
    bool is_changed; /* by its last run */
    uint32_t floor;  /* it must see so much: that was acknowledged when it was submitted */
    uint32_t seen_base, seen_size, seen_hash; /* the log after its last run */
};

struct model {
    const struct schedule *schedule;
    const struct model_config *config; /* of the schedule */
    struct tally *tally;
    bool is_transcribed; /* on stderr */
    uint64_t now_ns;
    uint64_t hash;
    uint32_t steps;
    uint32_t item;     /* the next of the schedule */
    uint32_t ops_size; /* so far */
    uint32_t others_size;
    uint32_t units; /* saved so far */

    struct oracle oracle;
    struct model_row rows[MODEL_KEYS];
    uint32_t calls_size;
    struct model_call calls[MODEL_CALLS];
    struct model_node nodes[MODEL_NODES];
    struct model_op ops[MODEL_OPS];
    uint32_t transactions_size; /* so far */
    struct model_transaction transactions[MODEL_TRANSACTIONS];

    jmp_buf on_wrong;
    const char *format; /* of `wrong`, and the same for the same check; NULL: nothing is wrong */
    char wrong[256];
};

/* Put the model into its initial state, and call `drive`. True if nothing was wrong; else
 * model->wrong has what. */
bool model_run(struct model *model, const struct schedule *schedule, struct tally *tally,
               void (*drive)(struct model *model, void *arg), void *arg);

/* A client submits an operation; it goes to the inbox of a node, if any is up. */
void model_submit(struct model *model, const struct schedule_item *item);

static inline void saw(struct model *model, enum event event)
{
    model->tally->events[event]++;
}

/* Everything that happens goes through here. */
static inline void model_step(struct model *model, uint64_t what)
{
    model->steps++;
    model->hash = (model->hash ^ what ^ model->now_ns << 20) * UINT64_C(0x9E3779B97F4A7C15);
    model->hash ^= model->hash >> 29;
}

static inline uint64_t op_bit(uint32_t number)
{
    return UINT64_C(1) << number;
}

static inline struct model_op *op_of(batch_op *op)
{
    if (batch__op_is_leg(op)) {
        struct model_transaction *transaction = op->arg;
        return transaction->legs[batch__leg_part(op) - transaction->parts];
    }
    return (struct model_op *)(void *)op; /* its first member */
}

/* As the core has it. */
static inline const batch_op *core_op_of(const struct model_op *op)
{
    const struct model_transaction *transaction = op->transaction;
    if (transaction == NULL)
        return &op->op;
    for (uint32_t i = 0; i < transaction->size; i++) {
        if (transaction->legs[i] == op)
            return &transaction->parts[i].private_leg;
    }
    return NULL;
}

/* May it leave before it runs, or runs again: canceled, or what was decided for its transaction? */
static inline bool may_leave(const struct model_op *op)
{
    return op->is_canceled ||
           (op->transaction != NULL && op->transaction->transaction.private_status != BATCH_OK);
}

/* Hashes are the same for many keys, names are not: of the size alone, but for two of them. */
static inline uint32_t key_number(const struct batch__batch *batch)
{
    if (batch->key_size != 1)
        return batch->key_size == 0 ? 2 : 1;
    return *(const char *)batch->key == 'a' ? 0 : 3;
}

static inline struct oracle_key *oracle_key_of(struct model_node *node,
                                               const struct batch__batch *batch)
{
    return &node->oracle.keys[key_number(batch)];
}

/* What its clock shows. */
static inline uint64_t model_node_now(const struct model *model, const struct model_node *node)
{
    return model->now_ns + node->elapsed_ns + node->offset_ns;
}

static inline uint32_t node_number(const struct model *model, const struct model_node *node)
{
    return (uint32_t)(node - model->nodes);
}

#endif
