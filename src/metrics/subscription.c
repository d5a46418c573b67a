/* subscription.c: see subscription.h.
 *
 * One lock and one condition for all: readers that wait for a record, workers that wait for room,
 * and an unsubscriber that waits for these workers to go. Each is woken by what it waits for and
 * checks its condition; since a record goes to every reader, a wake-up that is not for a reader is
 * rare.
 *
 * Subscriptions are in one of two lists, by whether they block. New ones are put in front, and a
 * worker gives the lock back only while it waits at a subscription in the second list. It therefore
 * never meets a subscription that is younger than its record, and it may continue from where it
 * waited as long as that one is still in the list: `workers` counts those who wait at it, and it is
 * taken out when none does.
 */
#include "subscription.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "../loop/loop.h"
#include "../platform/platform.h"

#include <string.h>

#define QUEUE_MAX_DEFAULT 1024u
#define QUEUE_MAX_LARGEST 1048576u

/* A key that is too long for a slot, shared by all slots with the same record. */
struct key_copy {
    uint32_t users; /* under the lock */
    unsigned char bytes[];
};

struct batch__hub_shared {
    batch_allocator allocator;
    bool (*is_ours)(void *arg);
    void *arg;
    uint32_t xlistening; /* subscriptions that get records; written under the lock */
    uint64_t xdropped;   /* written under the lock */

    struct batch__lock lock; /* guards all below, and in the subscriptions what is marked so */
    bool is_ended;
    uint32_t users;                      /* the hub, until it is destroyed, and each subscription */
    struct batch_subscription *first[2]; /* dropping, blocking; in them: not yet taken out */
};

struct slot {
    batch_metric metric; /* its key is one of the next two */
    struct key_copy *key_long;
    unsigned char key[BATCH__KEY_RECORDED];
};

struct batch_subscription {
    batch_op event; /* first; of `loop` */
    struct batch__hub_shared *shared;
    batch_completions *loop; /* NULL: none; then neither of the next two is used */
    batch_ready_fn ready;
    void *ready_arg;
    uint64_t xdropped; /* written under the lock */

    /* Under the lock. */
    struct batch_subscription *next;
    bool is_blocking;
    bool is_closed; /* being unsubscribed */
    bool is_out;    /* its event is on its way, or being dispatched */
    bool has_read_end;
    bool is_awaited;  /* its reader waits */
    bool is_ours;     /* blocking, and last read on a thread of a processor */
    uint32_t workers; /* that wait at it for room */
    uint32_t begin;   /* the oldest record; < queue_max */
    uint32_t count;   /* <= queue_max */
    uint32_t queue_max;

    /* The reader's: the key of the record it was given last. */
    struct key_copy *given_long;
    unsigned char given[BATCH__KEY_RECORDED];

    struct slot slots[]; /* queue_max of them */
};

/* ---- Memory --------------------------------------------------------------------------------- */

static void *take_memory(const struct batch__hub_shared *shared, size_t size)
{
    return shared->allocator.allocate(size, shared->allocator.arg);
}

static void give_memory(const struct batch__hub_shared *shared, void *memory)
{
    shared->allocator.release(memory, shared->allocator.arg);
}

/* NULL if memory is short. The caller is its one user. */
static struct key_copy *key_copy_make(const struct batch__hub_shared *shared, const void *key,
                                      size_t key_size)
{
    struct key_copy *copy = take_memory(shared, sizeof *copy + key_size);
    if (copy == NULL)
        return NULL;
    copy->users = 1;
    memcpy(copy->bytes, key, key_size);
    return copy;
}

/* `copy` may be NULL. Locks: takes the lock. */
static void key_copy_leave(struct batch__hub_shared *shared, struct key_copy *copy)
{
    if (copy == NULL)
        return;
    batch__lock_take(&shared->lock);
    batch__check(copy->users > 0);
    bool is_last = --copy->users == 0;
    batch__lock_give(&shared->lock);
    if (is_last)
        give_memory(shared, copy);
}

/* Locks: takes the lock. */
static void shared_leave(struct batch__hub_shared *shared)
{
    batch__lock_take(&shared->lock);
    batch__check(shared->users > 0);
    bool is_last = --shared->users == 0;
    batch__lock_give(&shared->lock);
    if (!is_last)
        return;
    batch__check(shared->is_ended);
    batch__check(shared->first[0] == NULL);
    batch__check(shared->first[1] == NULL);
    batch__lock_destroy(&shared->lock);
    give_memory(shared, shared);
}

/* ---- The hub -------------------------------------------------------------------------------- */

int batch__hub_init(struct batch__hub *hub, const batch_allocator *allocator,
                    bool (*is_ours)(void *arg), void *arg)
{
    struct batch__hub_shared *shared = allocator->allocate(sizeof *shared, allocator->arg);
    if (shared == NULL)
        return BATCH_NO_MEMORY;
    *shared = (struct batch__hub_shared){
        .allocator = *allocator, .is_ours = is_ours, .arg = arg, .users = 1};
    if (!batch__lock_init(&shared->lock)) {
        give_memory(shared, shared);
        return BATCH_SYSTEM;
    }
    hub->shared = shared;
    return BATCH_OK;
}

/* Locks: held. There is news for the loop of a subscription, if it has one. */
static void send_event(batch_subscription *subscription)
{
    if (subscription->loop == NULL || subscription->is_out || subscription->is_closed)
        return;
    subscription->is_out = true;
    batch__loop_use(subscription->loop, 1);
    batch__loop_push_event_mp(subscription->loop, &subscription->event);
}

void batch__hub_end(struct batch__hub *hub)
{
    struct batch__hub_shared *shared = hub->shared;
    batch__lock_take(&shared->lock);
    bool is_first = !shared->is_ended;
    shared->is_ended = true;
    for (size_t list = 0; list < 2 && is_first; list++) {
        for (batch_subscription *one = shared->first[list]; one != NULL; one = one->next)
            send_event(one);
    }
    batch__store_relaxed(&shared->xlistening, 0u);
    batch__lock_wake_all(&shared->lock);
    batch__lock_give(&shared->lock);
}

void batch__hub_destroy(struct batch__hub *hub)
{
    batch__hub_end(hub);
    shared_leave(hub->shared);
    hub->shared = NULL;
}

bool batch__hub_is_listening(const struct batch__hub *hub)
{
    return batch__load_relaxed(&hub->shared->xlistening) != 0;
}

uint64_t batch__hub_dropped(const struct batch__hub *hub)
{
    return batch__load_relaxed(&hub->shared->xdropped);
}

/* ---- Publish -------------------------------------------------------------------------------- */

/* Locks: held; given back while waiting. On return there is room, or the subscription takes no
 * more, or its reader may be the thread that would wait. */
static void wait_for_room(struct batch__hub_shared *shared, batch_subscription *subscription)
{
    while (subscription->count == subscription->queue_max && !subscription->is_closed &&
           !shared->is_ended && !subscription->is_ours) {
        subscription->workers++;
        batch__lock_wait(&shared->lock, UINT64_MAX);
        subscription->workers--;
    }
    if (subscription->is_closed && subscription->workers == 0)
        batch__lock_wake_all(&shared->lock); /* the unsubscriber waits for this */
}

/* Locks: held. `has_key` is false if memory for the key was short. */
static void offer(struct batch__hub_shared *shared, batch_subscription *subscription,
                  const batch_metric *metric, struct key_copy *key_long, bool has_key)
{
    if (subscription->is_closed)
        return;
    if (!has_key || shared->is_ended || subscription->count == subscription->queue_max) {
        batch__count(&subscription->xdropped, 1);
        batch__count(&shared->xdropped, 1);
        return;
    }
    batch__check(subscription->begin < subscription->queue_max);
    uint32_t at = subscription->begin + subscription->count; /* < 2 * queue_max, 2^21 at most */
    if (at >= subscription->queue_max)
        at -= subscription->queue_max;
    struct slot *slot = &subscription->slots[at];
    slot->metric = *metric;
    slot->key_long = key_long;
    if (key_long != NULL)
        key_long->users++;
    batch__check(key_long != NULL || metric->key_size <= sizeof slot->key);
    if (key_long == NULL && metric->key_size > 0)
        memcpy(slot->key, metric->key, metric->key_size);
    subscription->count++;
    if (subscription->is_awaited)
        batch__lock_wake_all(&shared->lock);
    send_event(subscription);
}

void batch__hub_publish(struct batch__hub *hub, const batch_metric *metric)
{
    if (!batch__hub_is_listening(hub))
        return;
    struct batch__hub_shared *shared = hub->shared;
    struct key_copy *key_long = NULL;
    bool has_key = true;
    if (metric->key_size > BATCH__KEY_RECORDED) {
        key_long = key_copy_make(shared, metric->key, metric->key_size);
        has_key = key_long != NULL;
    }

    batch__lock_take(&shared->lock);
    for (size_t list = 0; list < 2; list++) {
        batch_subscription *subscription = shared->first[list];
        while (subscription != NULL) {
            if (subscription->is_blocking && has_key)
                wait_for_room(shared, subscription);
            offer(shared, subscription, metric, key_long, has_key);
            subscription = subscription->next; /* read now: the list may have changed meanwhile */
        }
    }
    batch__lock_give(&shared->lock);
    key_copy_leave(shared, key_long);
}

/* ---- Subscribe and unsubscribe -------------------------------------------------------------- */

/* Nobody else knows it any more. */
static void subscription_free(batch_subscription *subscription)
{
    struct batch__hub_shared *shared = subscription->shared;
    batch_completions *loop = subscription->loop;
    key_copy_leave(shared, subscription->given_long);
    for (uint32_t i = 0; i < subscription->count; i++) {
        uint32_t at = (subscription->begin + i) % subscription->queue_max;
        key_copy_leave(shared, subscription->slots[at].key_long);
    }
    give_memory(shared, subscription);
    shared_leave(shared);
    if (loop != NULL)
        batch__loop_leave(loop, 1);
}

/* On the loop. */
static void on_event(batch_op *event, const batch_result *result)
{
    batch_subscription *subscription = (batch_subscription *)(void *)event;
    struct batch__hub_shared *shared = subscription->shared;
    batch__check(result->status == BATCH_OK);
    batch__lock_take(&shared->lock);
    bool is_closed = subscription->is_closed;
    bool is_told = shared->is_ended && subscription->count == 0; /* of the end */
    batch__lock_give(&shared->lock);
    if (!is_closed)
        subscription->ready(subscription, subscription->ready_arg);

    batch__lock_take(&shared->lock);
    is_closed = subscription->is_closed;
    subscription->is_out = false;
    is_told = is_told || subscription->has_read_end;
    if (subscription->count > 0 || (shared->is_ended && !is_told))
        send_event(subscription);
    batch__lock_give(&shared->lock);
    if (is_closed)
        subscription_free(subscription);
}

static bool is_valid(const batch_subscription_options *options)
{
    bool has_loop = options->completions != NULL;
    return options->queue_max <= QUEUE_MAX_LARGEST && has_loop == (options->ready != NULL) &&
           !(has_loop && options->block);
}

int batch__hub_subscribe(struct batch__hub *hub, const batch_subscription_options *options,
                         batch_subscription **ret_subscription)
{
    if (!is_valid(options))
        return BATCH_INVALID;
    uint32_t queue_max = options->queue_max != 0 ? options->queue_max : QUEUE_MAX_DEFAULT;

    struct batch__hub_shared *shared = hub->shared;
    batch_subscription *subscription =
        take_memory(shared, sizeof *subscription + queue_max * sizeof(struct slot));
    if (subscription == NULL)
        return BATCH_NO_MEMORY;
    *subscription = (batch_subscription){.event = BATCH_OP_INIT,
                                         .shared = shared,
                                         .loop = options->completions,
                                         .ready = options->ready,
                                         .ready_arg = options->ready_arg,
                                         .is_blocking = options->block,
                                         .queue_max = queue_max};
    subscription->event.done = on_event;
    if (subscription->loop != NULL)
        batch__loop_use(subscription->loop, 1);

    batch__lock_take(&shared->lock);
    struct batch_subscription **first = &shared->first[options->block ? 1 : 0];
    subscription->next = *first;
    *first = subscription;
    shared->users++;
    if (!shared->is_ended)
        batch__store_relaxed(&shared->xlistening, shared->xlistening + 1);
    *ret_subscription = subscription; /* before its loop hears of it */
    if (shared->is_ended)
        send_event(subscription);
    batch__lock_give(&shared->lock);
    return BATCH_OK;
}

/* Locks: held; given back while a worker that waits at the subscription finds out. */
static void take_out(struct batch__hub_shared *shared, batch_subscription *subscription)
{
    batch__check(!subscription->is_closed);
    subscription->is_closed = true;
    if (!shared->is_ended)
        batch__store_relaxed(&shared->xlistening, shared->xlistening - 1);
    if (subscription->workers > 0)
        batch__lock_wake_all(&shared->lock);
    while (subscription->workers > 0)
        batch__lock_wait(&shared->lock, UINT64_MAX);

    struct batch_subscription **link = &shared->first[subscription->is_blocking ? 1 : 0];
    while (*link != subscription) {
        batch__check(*link != NULL);
        link = &(*link)->next;
    }
    *link = subscription->next;
}

void batch_metrics_unsubscribe(batch_subscription *subscription)
{
    if (subscription == NULL)
        return;
    struct batch__hub_shared *shared = subscription->shared;
    int before = batch__cancel_disable(); /* the allocator is the user's */
    batch__lock_take(&shared->lock);
    take_out(shared, subscription);
    bool is_out = subscription->is_out;
    batch__lock_give(&shared->lock);
    if (!is_out) /* else its event frees it */
        subscription_free(subscription);
    batch__cancel_restore(before);
}

/* ---- Read ----------------------------------------------------------------------------------- */

/* The reader is canceled. Locks: held. */
static void stop_waiting(void *arg)
{
    batch_subscription *subscription = arg;
    subscription->is_awaited = false;
}

/* Locks: held; given back while waiting. BATCH_OK: there is a record. */
static int wait_for_record(struct batch__hub_shared *shared, batch_subscription *subscription,
                           uint64_t timeout_ns)
{
    if (subscription->count > 0)
        return BATCH_OK;
    if (shared->is_ended)
        return BATCH_ENDED;
    if (timeout_ns == 0)
        return BATCH_TIMED_OUT;
    if (shared->is_ours(shared->arg))
        return BATCH_DEADLOCK;

    uint64_t now_ns = batch__clock_now_ns();
    uint64_t until_ns = timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
    batch__check(!subscription->is_awaited); /* one reader */
    subscription->is_awaited = true;
    while (subscription->count == 0 && !shared->is_ended &&
           (until_ns == UINT64_MAX || batch__clock_now_ns() < until_ns))
        batch__lock_wait_cancelable(&shared->lock, until_ns, stop_waiting, subscription);
    subscription->is_awaited = false;

    if (subscription->count > 0)
        return BATCH_OK;
    return shared->is_ended ? BATCH_ENDED : BATCH_TIMED_OUT;
}

/* Locks: held. */
static void note_reader(const struct batch__hub_shared *shared, batch_subscription *subscription)
{
    if (subscription->is_blocking && !shared->is_ended)
        subscription->is_ours = shared->is_ours(shared->arg);
}

/* Locks: held. There is a record. */
static void take_record(struct batch__hub_shared *shared, batch_subscription *subscription,
                        batch_metric *ret_metric)
{
    batch__check(subscription->count > 0);
    batch__check(subscription->given_long == NULL);
    const struct slot *slot = &subscription->slots[subscription->begin];
    *ret_metric = slot->metric;
    if (slot->key_long != NULL) {
        subscription->given_long = slot->key_long; /* and with it the slot's part in it */
        ret_metric->key = slot->key_long->bytes;
    } else {
        memcpy(subscription->given, slot->key, sizeof slot->key);
        ret_metric->key = subscription->given;
    }
    if (++subscription->begin == subscription->queue_max)
        subscription->begin = 0;
    subscription->count--;
    if (subscription->workers > 0)
        batch__lock_wake_all(&shared->lock);
}

int batch_metrics_next(batch_subscription *subscription, uint64_t timeout_ns,
                       batch_metric *ret_metric)
{
    if (subscription == NULL || ret_metric == NULL)
        return BATCH_INVALID;
    struct batch__hub_shared *shared = subscription->shared;
    struct key_copy *given = subscription->given_long;
    subscription->given_long = NULL;
    int before = batch__cancel_disable(); /* the allocator is the user's */
    key_copy_leave(shared, given);
    batch__cancel_restore(before);

    batch__lock_take(&shared->lock);
    note_reader(shared, subscription);
    int status = wait_for_record(shared, subscription, timeout_ns);
    if (status == BATCH_OK)
        take_record(shared, subscription, ret_metric);
    subscription->has_read_end = status == BATCH_ENDED;
    batch__lock_give(&shared->lock);
    return status;
}

uint64_t batch_metrics_dropped(const batch_subscription *subscription)
{
    return subscription != NULL ? batch__load_relaxed(&subscription->xdropped) : 0;
}

const char *batch_close_reason_name(int reason)
{
    switch (reason) {
    case BATCH_CLOSED_BY_WINDOW:
        return "window";
    case BATCH_CLOSED_BY_STORE:
        return "store";
    case BATCH_CLOSED_BY_SIZE:
        return "size";
    case BATCH_CLOSED_BY_STOP:
        return "stop";
    case BATCH_CLOSED_BY_ERROR:
        return "error";
    case BATCH_CLOSED_BY_AGE:
        return "age";
    default:
        return "unknown";
    }
}
