/* call.h: a batch as the store sees it, and the memory of its resource behind.
 *
 * Owner: the worker of the shard; and while the call is in flight, from its hand-over to the store
 * until batch_call_finish, the thread of the store that has it, which writes only what is marked
 * below. The hand-overs (I/O queue there, inbox back) order the accesses.
 */
#ifndef BATCH_RUNTIME_CALL_H
#define BATCH_RUNTIME_CALL_H

#include <batch/store.h>

#include "../base/align.h"
#include "../core/batch.h"

struct batch__shard;
struct batch__shared;

enum batch__stage { BATCH__STAGE_LOAD, BATCH__STAGE_SAVE, BATCH__STAGES };

struct batch_call {
    struct batch__batch batch; /* first: the core knows the call by this */
    struct batch__shard *shard;

    /* Written by its owner, the store while it is in flight. */
    uint64_t version;
    char *error_text; /* allocated; NULL: none */
    int store_code;
    int8_t status;         /* how the stage ended */
    uint8_t stage;         /* enum batch__stage */
    uint8_t xis_in_flight; /* 1 from hand-over to finish */
    bool is_used : 1;      /* the memory of the resource was cleared once: it is no longer new */
    bool is_check : 1;     /* for save: compare the version, write nothing */
    uint16_t unit;         /* for save: the same for all calls of a unit; 0: alone. While it is
                              queued: how many of it there are from here */
    uint16_t group_index;
    uint32_t group_size;
    uint64_t taken_ns;    /* when it was handed over to the store, on the shard's store_clock: its
                             time runs from then on */
    uint64_t finished_ns; /* when it was finished; 0: on the worker, see shard->called_ns */
    batch_call *next;     /* in a group, or in the inbox */
};

/* A FIFO of calls, chained through `next`. */
struct batch__calls {
    batch_call *first;
    batch_call *last;
    size_t count;
};

void batch__calls_push(struct batch__calls *calls, batch_call *call);
void batch__calls_append(struct batch__calls *calls,
                         struct batch__calls *more); /* empties `more` */

/* Take at most `calls_max`, oldest first, as one group that is handed over to the store now: each
 * gets its place in it, and when it was taken. No unit is split: one that does not fit waits,
 * unless it is the first. Their number. */
size_t batch__calls_take(struct batch__calls *from, batch_call **calls, size_t calls_max,
                         uint64_t now_ns);

/* Bytes of a call with a resource behind it; a multiple of 64. The resource begins after the head,
 * at a multiple of 64 too. */
size_t batch__call_size(size_t resource_size);
static inline size_t batch__call_head_size(void)
{
    return batch__round_up(sizeof(batch_call), BATCH_RESOURCE_ALIGNMENT);
}
/* The memory behind the call, whether or not there is a resource in it. */
static inline void *batch__call_memory(batch_call *call)
{
    return (char *)call + batch__call_head_size();
}

/* Worker. A load: no version, no error; the resource zeroed, unless batch__call_clears_late. */
void batch__call_begin(batch_call *call, struct batch__shard *shard);

/* A large resource is not cleared by the worker, but where it is loaded. */
bool batch__call_clears_late(const struct batch__shared *shared);
/* Zero the resource. Whoever owns the call. */
void batch__call_clear(batch_call *call);

/* Worker. The call is about to be handed to the store. */
void batch__call_hand_over(batch_call *call, enum batch__stage stage);
/* Worker. Drop the error of the batch. */
void batch__call_clear_error(batch_call *call);

#endif
