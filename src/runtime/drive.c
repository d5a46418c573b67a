/* drive.c: see drive.h; and batch_processor_drive, batch_processor_fd. */
#include "drive.h"

#include <batch/driven.h>

#include "../base/atomics.h"
#include "../base/check.h"
#include "processor.h"
#include "shard.h"
#include "waiter.h"

enum { ITERATIONS_MAX = 16 }; /* then the caller gets to other things; an operation takes four */

bool batch__driver_init(struct batch__shared *shared)
{
    struct batch__driver *driver = &shared->driver;
    *driver = (struct batch__driver){.xthread = batch__thread_self(), .armed_ns = UINT64_MAX};
    return !shared->options.driven || batch__alarm_init(&driver->alarm);
}

void batch__driver_destroy(struct batch__shared *shared)
{
    if (shared->options.driven)
        batch__alarm_destroy(&shared->driver.alarm);
}

bool batch__is_driver(const struct batch__shared *shared)
{
    return shared->options.driven &&
           batch__load_relaxed(&shared->driver.xthread) == batch__thread_self();
}

bool batch__is_driving(const struct batch__shared *shared)
{
    return batch__load_acquire(&shared->driver.xis_busy) != 0;
}

/* What has come so far has set no event, so the first look at the descriptor finds one. */
void batch__driver_watch(struct batch__shared *shared)
{
    struct batch__driver *driver = &shared->driver;
    if (batch__exchange_acq_rel(&driver->xis_watched, 1) == 0)
        batch__event_set(&driver->alarm.event);
}

/* ---- The worker comes and goes -------------------------------------------------------------- */

static void come_back(struct batch__driver *driver, struct batch__inbox *inbox)
{
    if (driver->is_away && batch__inbox_return_sc(inbox))
        driver->sets++;
    driver->is_away = false;
    if (!driver->is_watched && batch__load_relaxed(&driver->xis_watched) != 0) {
        driver->is_watched = true;
        driver->sets++; /* by batch__driver_watch */
    }
    if (driver->sets == 0)
        return;
    uint64_t sets = batch__event_clear(&driver->alarm.event);
    batch__check(sets <= driver->sets);
    driver->sets -= sets;
}

/* A time that has passed is set anew in any case: that ends that the descriptor is readable. */
static void arm(struct batch__driver *driver, uint64_t due_ns, uint64_t now_ns)
{
    if (driver->armed_ns == due_ns && (due_ns == UINT64_MAX || due_ns > now_ns))
        return;
    batch__alarm_at(&driver->alarm, due_ns);
    driver->armed_ns = due_ns;
}

/* Nothing is due. When something is. */
static int64_t leave(struct batch__driver *driver, struct batch__shard *shard)
{
    uint64_t due_ns = batch__core_deadline_ns(&shard->core);
    uint64_t now_ns = due_ns != UINT64_MAX ? batch__clock_now_ns() : 0;
    if (driver->is_watched) {
        arm(driver, due_ns, now_ns);
        driver->is_away = true;
        batch__inbox_leave_sc(&shard->inbox);
    }
    if (due_ns <= now_ns || !batch__inbox_is_empty_sc(&shard->inbox))
        return 0;
    uint64_t left_ns = due_ns - now_ns;
    return due_ns != UINT64_MAX && left_ns < INT64_MAX ? (int64_t)left_ns : INT64_MAX;
}

/* ---- Drive ---------------------------------------------------------------------------------- */

static enum batch__left work(struct batch__shard *shard, uint64_t until_ns)
{
    enum batch__left left = batch__shard_work(shard, 1);
    while (left == BATCH__NOTHING && until_ns > 0 && batch__clock_now_ns() < until_ns) {
        batch__shard_rest(shard, until_ns);
        left = batch__shard_work(shard, 1);
    }
    return left == BATCH__MORE ? batch__shard_work(shard, ITERATIONS_MAX) : left;
}

static int64_t drive(struct batch__shared *shared, uint64_t until_ns)
{
    struct batch__driver *driver = &shared->driver;
    struct batch__shard *shard = shared->shards[0];
    come_back(driver, &shard->inbox);
    if (driver->is_over)
        return BATCH_STOPPED;
    enum batch__left left = work(shard, until_ns);
    if (left == BATCH__NOTHING)
        return leave(driver, shard);
    if (left == BATCH__FINISHED) {
        arm(driver, UINT64_MAX, 0);
        driver->is_over = true;
        batch__shard_end(shard);
        return BATCH_STOPPED;
    }
    if (driver->is_watched) {
        batch__event_set(&driver->alarm.event);
        driver->sets++;
    }
    return 0;
}

int64_t batch__drive(struct batch__shared *shared, uint64_t until_ns)
{
    struct batch__driver *driver = &shared->driver;
    batch__check(shared->options.driven);
    if (batch__exchange_acq_rel(&driver->xis_busy, 1) != 0)
        return BATCH_BUSY;
    batch__store_relaxed(&driver->xthread, batch__thread_self());
    struct batch__role before =
        batch__thread_act_as((struct batch__role){&shared->shards[0]->thread, shared});
    int64_t due_ns = drive(shared, until_ns);
    batch__thread_act_as(before);
    batch__store_release(&driver->xis_busy, 0);
    return due_ns;
}

int batch__drive_for(struct batch__shared *shared, struct batch__waiter *waiter)
{
    int before = batch__cancel_disable();
    while (batch__is_driver(shared) && !batch__waiter_is_complete(waiter)) {
        if (batch__drive(shared, UINT64_MAX) < 0)
            break; /* another thread has begun to drive */
    }
    batch__cancel_restore(before);
    return batch__waiter_wait(waiter);
}

static uint64_t until_of(uint64_t wait_ns)
{
    uint64_t now_ns = wait_ns > 0 ? batch__clock_now_ns() : 0;
    return wait_ns < UINT64_MAX - now_ns ? now_ns + wait_ns : UINT64_MAX;
}

int64_t batch_processor_drive(batch_processor *processor, uint64_t wait_ns)
{
    if (processor == NULL || !processor->shared.options.driven)
        return BATCH_INVALID;
    if (batch__shared_is_own_thread(&processor->shared) || (batch__thread_is_ours() && wait_ns > 0))
        return BATCH_DEADLOCK;
    int before = batch__cancel_disable();
    int64_t due_ns = batch__drive(&processor->shared, until_of(wait_ns));
    batch__cancel_restore(before);
    return due_ns;
}

int batch_processor_fd(batch_processor *processor)
{
    if (processor == NULL || !processor->shared.options.driven)
        return BATCH_INVALID;
    batch__driver_watch(&processor->shared);
    return processor->shared.driver.alarm.fd;
}
