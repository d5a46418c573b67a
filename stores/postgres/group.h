/* group.h: what loads and saves have in common: a group is sent in parts until every call of it is
 * resolved.
 *
 * Usually the first part is the whole group. Units (unit.h) are never divided. A part is smaller if
 * there are too many bytes for one statement, or while blame.h looks for the row that an error
 * belongs to, so that the others do not suffer for it.
 *
 * What may pass is retried after a short pause, until the deadline; a single row that goes on
 * failing so, or that others have locked, is set aside meanwhile. Each call has a deadline of its
 * own: before every part those whose deadline has passed fail. A statement under way is canceled at
 * the latest deadline of its calls.
 *
 * Use: init; while group_finish returns true: group_next; if the part is empty and no probe, wait;
 * else run a statement for it, resolve its items, and report how it ended; destroy.
 */
#ifndef BATCH_POSTGRES_GROUP_H
#define BATCH_POSTGRES_GROUP_H

#include "blame.h"
#include "connection.h"
#include "item.h"
#include "statement.h"
#include "unit.h"
#include "values.h"

/* What a session keeps from one group to the next; all zeros at first, but for `random`. */
struct batch__postgres_group_memory {
    struct batch__postgres_item *items;     /* room for a group */
    struct batch__postgres_item **pointers; /* room for three times as many */
    size_t items_capacity;
    struct batch__postgres_buffer buffer; /* room for a statement's parameters */
    struct batch__postgres_buffer locks;  /* likewise, for a statement that locks */
    uint64_t random;
};

void batch__postgres_group_memory_free(struct batch__postgres_group_memory *memory);

/* A group of loads or of saves under way. */
struct batch__postgres_group {
    struct batch__postgres_connection *connection;
    struct batch__postgres_group_memory *memory;
    struct batch__postgres_item *items;
    size_t items_size;                   /* at least 1 */
    struct batch__postgres_item **order; /* all items, in the order in which to send them */
    struct batch__postgres_item **part;  /* those of the statement under way, in that order */
    size_t part_size;                    /* 0: a probe, or all that are pending are set aside */
    size_t part_units;                   /* of how many units (unit.h) they are */
    bool has_units;                      /* of more than one item */
    struct batch__postgres_item **leads; /* those with a check of version 0 come last; without units
                                            the same as `order`: parts are of neighbours */
    size_t leads_size;
    bool is_probe; /* a statement for no rows */
    bool is_load;
    struct batch__postgres_blame blame;
    size_t culprits;   /* so many were looked for */
    bool is_paused;    /* before the next try */
    uint64_t pause_ns; /* for how long, at most; 0: there was none since the last success */
    uint64_t aside_ns; /* likewise, before what was set aside is retried */
    struct batch__postgres_shape shape;       /* of the table, as the items are made for it */
    struct batch__postgres_error error;       /* why all is retried */
    struct batch__postgres_error aside_error; /* why one was set aside, the last one */
};

/* Make the items of a group. False: no memory; its calls are finished. */
bool batch__postgres_group_init(struct batch__postgres_group *group,
                                struct batch__postgres_connection *connection,
                                struct batch__postgres_group_memory *memory, bool is_load,
                                batch_call *const *calls, size_t calls_size);
void batch__postgres_group_destroy(struct batch__postgres_group *group);

/* Fail what is canceled, and finish what is resolved. False: nothing is pending any more. */
bool batch__postgres_group_finish(struct batch__postgres_group *group);

/* Make the connection ready, and choose the next part of the items that are neither resolved nor
 * set aside. Its limit is the latest of its items. False: finish first, since a deadline has
 * passed, or the table is not fit for use any more. */
bool batch__postgres_group_next(struct batch__postgres_group *group,
                                struct batch__postgres_limit *ret_limit);

/* Has the table got another shape than the items were made for? Then it has that one from now on,
 * and they are to be made anew. */
bool batch__postgres_group_is_reshaped(struct batch__postgres_group *group);

/* All that are pending are set aside: pause, and take them back. False: a deadline has passed. */
bool batch__postgres_group_wait(struct batch__postgres_group *group,
                                const struct batch__postgres_limit *limit);

/* Who of the one unit in the part is to blame for its failure; NULL: not known. */
struct batch__postgres_item *batch__postgres_group_culprit(struct batch__postgres_group *group);

/* The statement for the part succeeded; or it failed, and nothing of it is stored. */
void batch__postgres_group_succeeded(struct batch__postgres_group *group);
void batch__postgres_group_failed(struct batch__postgres_group *group,
                                  const struct batch__postgres_reply *reply);

#endif
