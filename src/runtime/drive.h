/* drive.h: a processor without a worker thread: whoever drives it is its worker meanwhile.
 *
 * The thread that drives has the role of the worker while it is in batch__drive: its callbacks get
 * BATCH_DEADLOCK where those of a worker do. One thread at a time: the second one finds it busy.
 *
 * `xthread` is the thread that drove last; at first the one that started the processor. Where it
 * would wait for the processor, it drives instead, as nobody else would. Others wait for it.
 *
 * In between the worker is away (inbox.h), if anybody watches the file descriptor: then what is
 * pushed sets the event, and the timer is at the next deadline. Without a watcher nobody is told,
 * so a submit costs no system call. An event is set once each time the worker goes away, at most;
 * who sets it may be late, so `sets` counts how often that has not been taken back: the descriptor
 * does not stay readable, and it is not read in vain.
 */
#ifndef BATCH_RUNTIME_DRIVE_H
#define BATCH_RUNTIME_DRIVE_H

#include "../platform/platform.h"

struct batch__shared;
struct batch__waiter;

struct batch__driver {
    struct batch__alarm alarm;
    const void *xthread;
    uint32_t xis_busy;    /* a thread drives */
    uint32_t xis_watched; /* the descriptor is, from now on */

    /* Of the thread that drives. */
    bool is_watched;
    bool is_away;
    bool is_over;      /* the shard has ended */
    uint64_t sets;     /* of the event, that were not taken back */
    uint64_t armed_ns; /* the timer */
};

/* If the options ask for it. False if the system has no descriptors. */
bool batch__driver_init(struct batch__shared *shared);
void batch__driver_destroy(struct batch__shared *shared);

/* Any thread. Is the processor driven, and does the calling thread do it? */
bool batch__is_driver(const struct batch__shared *shared);
/* Any thread. Is a thread in batch__drive? */
bool batch__is_driving(const struct batch__shared *shared);
/* Any thread. The descriptor is watched from now on. */
void batch__driver_watch(struct batch__shared *shared);

/* Any thread that may run callbacks. Do what is due; if nothing is, wait for something until
 * `until_ns` first. The time in nanoseconds until something is due; INT64_MAX: unknown; BATCH_BUSY;
 * BATCH_STOPPED: there will be nothing any more. */
int64_t batch__drive(struct batch__shared *shared, uint64_t until_ns);

/* A caller that may wait, for its operation: by driving, if nobody else would. The status. */
int batch__drive_for(struct batch__shared *shared, struct batch__waiter *waiter);

#endif
