/* group.h: what loads and saves have in common: a group is sent in parts until every call of it is
 * resolved.
 *
 * Usually the first part is the whole group. A part is smaller if there are too many bytes for one
 * statement, or after the server rejected one: the bad row is found by bisection, and parts grow
 * again after one succeeded. So one bad row costs twice the logarithm of the group in statements,
 * and does not harm the others.
 *
 * What failed for no row's fault, by a deadlock or a connection lost before anything was sent, is
 * retried after a short pause, until the deadline. Each call has its own: before every part those
 * whose deadline has passed fail. A statement under way is canceled at the latest deadline of its
 * calls.
 *
 * Use: init; while group_finish returns true: group_next, run a statement for the part, resolve its
 * items, and report how it ended; destroy.
 */
#ifndef BATCH_POSTGRES_GROUP_H
#define BATCH_POSTGRES_GROUP_H

#include "connection.h"
#include "item.h"
#include "statement.h"
#include "values.h"

/* What a session keeps from one group to the next; all zeros at first, but for `random`. */
struct batch__postgres_group_memory {
    struct batch__postgres_item *items;     /* room for a group */
    struct batch__postgres_item **pointers; /* room for twice as many */
    size_t items_capacity;
    struct batch__postgres_buffer buffer; /* room for a statement's parameters */
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
    struct batch__postgres_item **part;  /* those of the statement under way */
    size_t part_size;                    /* at most part_max; 0: all that are pending are locked */
    size_t part_max;                     /* 1 to items_size */
    uint64_t pause_ns;                   /* before the next try, if the last one failed */
    bool is_load;
    struct batch__postgres_shape shape; /* of the table, as the items are made for it */
    struct batch__postgres_error error; /* why it is retried */
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
 * locked. Its limit is the latest of its items. False: a deadline has passed; finish first. */
bool batch__postgres_group_next(struct batch__postgres_group *group,
                                struct batch__postgres_limit *ret_limit);

/* Has the table got another shape than the items were made for? Then it has that one from now on,
 * and they are to be made anew. */
bool batch__postgres_group_is_reshaped(struct batch__postgres_group *group);

/* The statement for the part succeeded; or it failed, and nothing of it is stored. */
void batch__postgres_group_succeeded(struct batch__postgres_group *group);
void batch__postgres_group_failed(struct batch__postgres_group *group,
                                  const struct batch__postgres_reply *reply);

/* From now on send at most half of this part at once. False: it is one row, the one to blame. */
bool batch__postgres_group_halve(struct batch__postgres_group *group);

#endif
