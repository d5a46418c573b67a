/* subscription.h: the subscriptions of one processor, and how a batch's record reaches them.
 *
 * A subscription is a ring of records for one reader. A hub is all subscriptions of one processor.
 * Both share one lock, in a piece of memory that the hub and every subscription hold together and
 * the last one of them frees: so a subscription may be used longer than its processor, and
 * unsubscribing may race with stopping and freeing it. Every record goes to every subscription, so
 * a lock for each would spare the workers nothing.
 *
 * A worker that finds a blocking subscription full waits for room with the lock given back:
 * meanwhile others read, publish, subscribe and unsubscribe. It has served all subscriptions that
 * do not block before it begins to wait, and continues when there is room, or the subscription or
 * the hub has ended. It does not wait for a reader that is a thread of a processor: that might be
 * itself, or wait for it in turn. Such a subscription drops what it has no room for, until another
 * thread reads it.
 *
 * A subscription may have an event loop. Its event is on its way from the first record, or the end,
 * that the loop has not been told of until `ready` has returned; and after that again, if there is
 * more. An unsubscriber that finds it on its way leaves the memory to it.
 *
 * The lock is held to copy a record and never while the allocator is called. With a key of up to
 * BATCH__KEY_RECORDED bytes publishing allocates nothing; a longer one is allocated once for all
 * subscriptions.
 *
 * Threads: see each function. Order of calls: init; subscribe and publish; end, after the last
 * publish; destroy.
 */
#ifndef BATCH_METRICS_SUBSCRIPTION_H
#define BATCH_METRICS_SUBSCRIPTION_H

#include <batch/metrics.h>

enum { BATCH__KEY_RECORDED = 64 };

struct batch__hub_shared;

struct batch__hub {
    struct batch__hub_shared *shared;
};

/* `is_ours(arg)` returns whether the calling thread is one of a processor, this one or another; it
 * must not block and is not called after batch__hub_end. The allocator is copied; it must work
 * until the last subscription is freed. BATCH_OK, BATCH_NO_MEMORY or BATCH_SYSTEM. */
int batch__hub_init(struct batch__hub *hub, const batch_allocator *allocator,
                    bool (*is_ours)(void *arg), void *arg);

/* End the hub if it has not ended, and leave it to its subscriptions. No other call may be using
 * `hub`; subscriptions may be in use. */
void batch__hub_destroy(struct batch__hub *hub);

/* Is a record worth filling? Thread: any. One relaxed load: a subscriber that had returned from
 * subscribing before a batch's operations were submitted is always seen. */
bool batch__hub_is_listening(const struct batch__hub *hub);

/* Give a record to every subscription. `metric->key` is copied. Thread: any worker, several at
 * once. May wait, if a subscription asks for that. */
void batch__hub_publish(struct batch__hub *hub, const batch_metric *metric);

/* No more records: readers get what is queued, then BATCH_ENDED. Whatever is published from here on
 * goes nowhere, and a worker that waits for room drops its record. Thread: any; may be called
 * again. */
void batch__hub_end(struct batch__hub *hub);

/* As batch_metrics_subscribe, with options of this version. BATCH_OK, BATCH_INVALID if they are not
 * valid, or BATCH_NO_MEMORY. Thread: any. */
int batch__hub_subscribe(struct batch__hub *hub, const batch_subscription_options *options,
                         batch_subscription **ret_subscription);

/* Records dropped so far, over all subscriptions, those that are gone included. Thread: any. */
uint64_t batch__hub_dropped(const struct batch__hub *hub);

#endif
