/* shared.h: what the threads of a processor share: what was asked for, and what they meet at.
 *
 * Workers, sessions and calls know this and not the processor, which makes it, fills it in and
 * takes it apart. It is also the owner of every thread of the processor (batch__thread_owner).
 */
#ifndef BATCH_RUNTIME_SHARED_H
#define BATCH_RUNTIME_SHARED_H

#include <batch/batch.h>
#include <batch/store.h>

#include "../metrics/counters.h"
#include "../metrics/subscription.h"
#include "drive.h"
#include "io_queue.h"
#include "lifecycle.h"

struct batch__shard;

enum { BATCH__HASH_KEY_BYTES = 16 }; /* crypto_shorthash_KEYBYTES */

struct batch__shared {
    /* Fixed before the threads start. */
    batch_options options; /* with defaults filled in, and always an allocator */
    batch_codec codec;     /* no function: none */
    batch_release_fn release;
    void *release_arg;
    bool has_load; /* loads go to the store; else a resource is zeroed memory */
    bool has_save;
    bool saves_units;   /* several keys all together or not at all, so transactions may run */
    bool has_pages;     /* the memory of a new resource is pages of zeroes */
    batch_store *store; /* the user's, or one that calls the functions of the options */
    void (*store_stats)(batch_store *store, batch_store_stats *ret_stats); /* NULL: none */
    unsigned char hash_key[BATCH__HASH_KEY_BYTES];
    struct batch__shard **shards; /* options.shards of them */

    /* Between a stop and the threads of others. */
    uint32_t xis_stopping;
    uint32_t xis_aborting;      /* a stop has run out of time: calls are canceled */
    uint32_t xgroup_submitters; /* in batch_submit_many: shards are not closed under them */
    uint32_t xfinishers;        /* threads in batch_call_finish */

    struct batch__io_queue io_queue;
    struct batch__hub hub;
    struct batch__group_counters group_counters;
    struct batch__lifecycle lifecycle;
    struct batch__driver driver;

    char apart[64]; /* what is read for every operation stays in the caches of all processors */
    struct batch__refusals refusals;
    struct batch__events events;
};

/* Does the calling thread work for the processor: as one of its own, or in a stop of it?
 * Then it must not stop or free it. What waits asks whether it is a thread of any processor
 * (batch__thread_is_ours): docs/decisions/023. */
static inline bool batch__shared_is_own_thread(const struct batch__shared *shared)
{
    return batch__thread_owner() == shared;
}

#endif
