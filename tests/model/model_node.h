/* model_node.h: what surrounds a core: its memory, its clock, its inbox and its signals. Performs
 * the core's actions and puts events into it, one at a time, and reports each to the oracle. Others
 * decide when: worker.c does as the runtime does, orderings.c anything. */
#ifndef BATCH_TESTS_MODEL_NODE_H
#define BATCH_TESTS_MODEL_NODE_H

#include "model_store.h"
#include "oracle.h"

enum model_node_state { NODE_DOWN = 0, NODE_UP, NODE_STOPPING };

struct model_node {
    struct batch__core core;
    struct oracle_node oracle;
    enum model_node_state state;
    bool is_stop_wanted, is_cancel_wanted;
    uint64_t offset_ns;  /* its clock is so far ahead of the model's time */
    uint64_t elapsed_ns; /* in this iteration */
    uint64_t awake_ns;   /* busy or paused until then, by the model's time */
    uint64_t due_ns;     /* something is due then; calls apart */
    uint64_t restart_ns; /* while it is down; MODEL_NEVER: for good */
    uint64_t iterations;
    uint64_t draw;                   /* of this iteration */
    uint8_t cancel_op, cancel_after; /* steps until somebody cancels this one; 0: nobody does */
    uint8_t stop_after;              /* likewise */
    uint32_t runs_left;              /* in this iteration */
    uint8_t inbox[MODEL_OPS];
    uint32_t inbox_size;

    /* Its memory: an arena, which is empty again when the node starts. */
    uint32_t arena_size;
    uint32_t arena_live;   /* blocks */
    uint32_t arena_failed; /* allocations of this submit */
    uint32_t arena_fails;  /* so many allocations later; 0: never */
    _Alignas(64) unsigned char arena[MODEL_ARENA];
};

void model_node_start(struct model *model, struct model_node *node);
void model_node_crash(struct model *model, struct model_node *node, uint64_t down_ns);
/* It has stopped, and everything is completed. */
void model_node_end(struct model *model, struct model_node *node);

/* Events. From any thread, at any time: the flag of an operation, then the signal. */
void model_node_flag_canceled(struct model *model, struct model_node *node, uint32_t number);
void model_node_accept(struct model *model, struct model_node *node, uint32_t number);
/* A call ends. True if nothing is left of it, and another has taken its place. */
bool model_node_finish_call(struct model *model, uint32_t at);
void model_node_cancel(struct model *model, struct model_node *node);
void model_node_expire(struct model *model, struct model_node *node);
void model_node_flush(struct model *model, struct model_node *node, uint64_t calls_max);
void model_node_stop(struct model *model, struct model_node *node);

/* Take one action; false if there is none, or none but to run an operation and runs_left is 0. */
bool model_node_act(struct model *model, struct model_node *node);

#endif
