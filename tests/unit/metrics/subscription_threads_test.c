/* subscription_threads_test.c: readers that wait for records, workers that wait for room, and both
 * at once with everything else that may happen meanwhile.
 *
 * Nothing here sleeps. That a reader waits is known because the hub asks is_ours just before,
 * with its lock held; that a worker waits for room in a blocking subscription is known once a
 * subscription that does not block has the same record, since the worker keeps the lock from there
 * until it waits.
 */
#include "metrics_fixture.h"

#include "base/atomics.h"
#include "platform/platform.h"

static void wait_until_asked(const struct world *world, uint32_t count)
{
    while (batch__load_relaxed(&world->xasked) < count)
        batch__thread_yield();
}

static void start(struct batch__thread *thread, void (*body)(void *arg), void *arg)
{
    MUST(batch__thread_start(thread, "test", NULL, body, arg));
}

/* ---- Records that can be recognized --------------------------------------------------------- */

/* The key of a record repeats one byte, which depends on its number; every 8th is long. */
static void publish(struct world *world, uint32_t worker, uint32_t number)
{
    unsigned char key[200];
    memset(key, (int)(number % 251), sizeof key);
    batch_metric metric;
    memset(&metric, 0, sizeof metric);
    metric.start_ns = worker;
    metric.operations = number;
    metric.key = key;
    metric.key_size = number % 8 == 7 ? 65 + number % 100 : number % 65;
    batch__hub_publish(&world->hub, &metric);
}

static void check_key(const batch_metric *metric)
{
    uint32_t number = metric->operations;
    MUST(metric->key_size == (number % 8 == 7 ? 65 + number % 100 : number % 65));
    const unsigned char *key = metric->key;
    for (size_t i = 0; i < metric->key_size; i++)
        MUST(key[i] == number % 251);
}

static void expect(batch_subscription *subscription, uint32_t number)
{
    batch_metric metric;
    MUST(batch_metrics_next(subscription, BATCH_FOREVER, &metric) == BATCH_OK);
    MUST(metric.operations == number);
    check_key(&metric);
}

static void expect_none(batch_subscription *subscription, int status)
{
    batch_metric metric;
    MUST(batch_metrics_next(subscription, 0, &metric) == status);
}

/* A worker that publishes the numbers from `first` to `last`. */
struct worker {
    struct batch__thread thread;
    struct world *world;
    uint32_t id;
    uint32_t first;
    uint32_t last;
    uint32_t xpublished;
};

static void worker_main(void *arg)
{
    struct worker *worker = arg;
    for (uint32_t number = worker->first; number <= worker->last; number++) {
        publish(worker->world, worker->id, number);
        batch__store_relaxed(&worker->xpublished, number);
    }
}

static void worker_start(struct worker *worker, struct world *world, uint32_t id, uint32_t first,
                         uint32_t last)
{
    *worker = (struct worker){.world = world, .id = id, .first = first, .last = last};
    start(&worker->thread, worker_main, worker);
}

/* ---- Readers that wait ---------------------------------------------------------------------- */

struct reader {
    struct batch__thread thread;
    batch_subscription *subscription;
    int status;
    batch_metric metric;
};

static void reader_main(void *arg)
{
    struct reader *reader = arg;
    reader->status = batch_metrics_next(reader->subscription, BATCH_FOREVER, &reader->metric);
}

WORLD_TEST(test_a_record_wakes_every_waiting_reader)
{
    enum { READERS = 3 };
    struct reader readers[READERS];
    for (size_t i = 0; i < READERS; i++) {
        readers[i].subscription = subscribe(world, 1, i == 1);
        start(&readers[i].thread, reader_main, &readers[i]);
    }
    wait_until_asked(world, READERS + 1); /* the one that blocks asks twice */
    publish(world, 0, 7);
    for (size_t i = 0; i < READERS; i++) {
        batch__thread_join(&readers[i].thread);
        assert_int_equal(readers[i].status, BATCH_OK);
        assert_int_equal(readers[i].metric.operations, 7);
        check_key(&readers[i].metric);
        batch_metrics_unsubscribe(readers[i].subscription);
    }
}

TEST(test_the_end_wakes_every_waiting_reader)
{
    enum { READERS = 3 };
    struct world world;
    world_begin(&world);
    struct reader readers[READERS];
    for (size_t i = 0; i < READERS; i++) {
        readers[i].subscription = subscribe(&world, 1, i == 1);
        start(&readers[i].thread, reader_main, &readers[i]);
    }
    wait_until_asked(&world, READERS);
    batch__hub_destroy(&world.hub); /* while they wait */
    for (size_t i = 0; i < READERS; i++) {
        batch__thread_join(&readers[i].thread);
        assert_int_equal(readers[i].status, BATCH_ENDED);
        batch_metrics_unsubscribe(readers[i].subscription);
    }
    assert_int_equal(world.memory.live, 0);
}

/* ---- Workers that wait ---------------------------------------------------------------------- */

/* Two subscriptions, one blocking and full with record 1, and a worker that waits with record 2. */
struct blocked {
    struct world world;
    batch_subscription *watch; /* does not block; the next record in it is 3 */
    batch_subscription *full;
    struct worker worker; /* publishes 1, 2 and 3 */
};

static void blocked_begin(struct blocked *blocked)
{
    world_begin(&blocked->world);
    blocked->watch = subscribe(&blocked->world, 0, false);
    blocked->full = subscribe(&blocked->world, 1, true);
    worker_start(&blocked->worker, &blocked->world, 0, 1, 3);
    expect(blocked->watch, 1);
    expect(blocked->watch, 2);
    assert_int_equal(batch__load_relaxed(&blocked->worker.xpublished), 1);
}

static void blocked_end(struct blocked *blocked)
{
    world_end(&blocked->world);
}

#define BLOCKED_TEST(name) TEST_OF(name, struct blocked, blocked, blocked_begin, blocked_end)

BLOCKED_TEST(test_a_blocking_subscription_holds_up_the_worker_and_loses_nothing)
{
    expect_none(blocked->watch, BATCH_TIMED_OUT); /* 3 is not published yet */
    expect(blocked->full, 1);
    expect(blocked->watch, 3); /* now it is, and the worker waits once more */
    expect(blocked->full, 2);
    expect(blocked->full, 3);
    batch__thread_join(&blocked->worker.thread);
    expect_none(blocked->full, BATCH_TIMED_OUT);
    assert_int_equal(batch__hub_dropped(&blocked->world.hub), 0);
    batch_metrics_unsubscribe(blocked->full);
    batch_metrics_unsubscribe(blocked->watch);
}

BLOCKED_TEST(test_unsubscribing_lets_a_waiting_worker_go_on)
{
    batch_metrics_unsubscribe(blocked->full);
    expect(blocked->watch, 3);
    batch__thread_join(&blocked->worker.thread);
    assert_int_equal(batch__hub_dropped(&blocked->world.hub), 0);
    batch_metrics_unsubscribe(blocked->watch);
}

BLOCKED_TEST(test_the_end_lets_a_waiting_worker_go_on)
{
    batch__hub_end(&blocked->world.hub);
    batch__thread_join(&blocked->worker.thread);
    assert_int_equal(batch_metrics_dropped(blocked->full), 1);
    expect(blocked->full, 1);
    expect_none(blocked->full, BATCH_ENDED);
    expect_none(blocked->watch, BATCH_ENDED);
    batch_metrics_unsubscribe(blocked->watch);
    batch_metrics_unsubscribe(blocked->full);
}

WORLD_TEST(test_nothing_is_queued_after_the_end)
{
    batch_subscription *watch = subscribe(world, 0, false);
    batch_subscription *behind = subscribe(world, 9, true);
    batch_subscription *full = subscribe(world, 1, true); /* the worker meets it first */
    struct worker worker;
    worker_start(&worker, world, 0, 1, 2);
    expect(watch, 1);
    expect(watch, 2);
    batch__hub_end(&world->hub);
    batch__thread_join(&worker.thread);
    expect(behind, 1);
    expect_none(behind, BATCH_ENDED); /* though there was room for 2 */
    assert_int_equal(batch_metrics_dropped(behind), 1);
    batch_metrics_unsubscribe(behind);
    batch_metrics_unsubscribe(full);
    batch_metrics_unsubscribe(watch);
}

BLOCKED_TEST(test_others_go_on_while_a_worker_waits)
{
    batch_metrics_unsubscribe(blocked->watch);
    batch_subscription *dropping = subscribe(&blocked->world, 1, false);
    batch_subscription *blocking = subscribe(&blocked->world, 1, true);
    expect_none(dropping, BATCH_TIMED_OUT);
    expect_none(blocking, BATCH_TIMED_OUT);
    assert_true(batch__hub_is_listening(&blocked->world.hub));

    expect(blocked->full, 1);
    expect(dropping, 3); /* they are younger than record 2 */
    expect(blocking, 3);
    expect(blocked->full, 2);
    expect(blocked->full, 3);
    batch__thread_join(&blocked->worker.thread);
    batch_metrics_unsubscribe(dropping);
    batch_metrics_unsubscribe(blocking);
    batch_metrics_unsubscribe(blocked->full);
}

WORLD_TEST(test_the_list_may_change_around_a_waiting_worker)
{
    batch_subscription *watch = subscribe(world, 0, false);
    batch_subscription *behind = subscribe(world, 9, true);
    batch_subscription *next = subscribe(world, 9, true);
    batch_subscription *full = subscribe(world, 1, true); /* the worker meets it before these */
    batch_subscription *before = subscribe(world, 9, true);
    struct worker worker;
    worker_start(&worker, world, 0, 1, 2);
    expect(watch, 1);
    expect(watch, 2);

    batch_metrics_unsubscribe(next);
    batch_metrics_unsubscribe(before);
    batch_subscription *younger = subscribe(world, 9, true);
    batch_metrics_unsubscribe(full);
    batch__thread_join(&worker.thread);
    expect_none(younger, BATCH_TIMED_OUT);
    expect(behind, 1);
    expect(behind, 2);
    batch_metrics_unsubscribe(behind);
    batch_metrics_unsubscribe(younger);
    batch_metrics_unsubscribe(watch);
}

/* Two workers wait at one subscription, then it is read or unsubscribed. */
static void two_workers_wait(bool is_read)
{
    struct world world;
    world_begin(&world);
    batch_subscription *watch = subscribe(&world, 0, false);
    batch_subscription *full = subscribe(&world, 1, true);
    publish(&world, 0, 5);
    expect(watch, 5);
    struct worker workers[2];
    for (uint32_t i = 0; i < 2; i++)
        worker_start(&workers[i], &world, i, 6, 6);
    expect(watch, 6);
    expect(watch, 6);
    if (is_read) {
        expect(full, 5);
        expect(full, 6);
        expect(full, 6);
        expect_none(full, BATCH_TIMED_OUT);
    }
    batch_metrics_unsubscribe(full);
    for (uint32_t i = 0; i < 2; i++)
        batch__thread_join(&workers[i].thread);
    batch_metrics_unsubscribe(watch);
    world_end(&world);
}

TEST(test_two_workers_wait_for_one_subscription)
{
    two_workers_wait(true);
    two_workers_wait(false);
}

WORLD_TEST(test_a_worker_waits_for_one_subscription_after_the_other)
{
    batch_subscription *watch = subscribe(world, 0, false);
    batch_subscription *second = subscribe(world, 1, true);
    batch_subscription *first = subscribe(world, 1, true);
    struct worker worker;
    worker_start(&worker, world, 0, 1, 2);
    expect(watch, 1);
    expect(watch, 2);
    expect(first, 1);
    expect(first, 2);                                             /* so it is past this one, */
    assert_int_equal(batch__load_relaxed(&worker.xpublished), 1); /* but not past the other */
    expect(second, 1);
    expect(second, 2);
    batch__thread_join(&worker.thread);
    batch_metrics_unsubscribe(first);
    batch_metrics_unsubscribe(second);
    batch_metrics_unsubscribe(watch);
}

/* ---- Storms --------------------------------------------------------------------------------- */

enum { WORKERS = 3, READERS = 4, RECORDS = 3000 };

/* Reads until the end. Of each worker records come in order; a blocking one gets all of them. */
struct listener {
    struct batch__thread thread;
    batch_subscription *subscription;
    bool is_blocking;
    uint64_t got;
    uint32_t latest[WORKERS];
};

static void listener_main(void *arg)
{
    struct listener *listener = arg;
    batch_metric metric;
    uint64_t timeout_ns = 0;
    for (;;) {
        int status = batch_metrics_next(listener->subscription, timeout_ns, &metric);
        if (status == BATCH_ENDED)
            return;
        timeout_ns = timeout_ns == 0 ? 1000 : timeout_ns == 1000 ? BATCH_FOREVER : 0;
        if (status == BATCH_TIMED_OUT)
            continue;
        MUST(status == BATCH_OK);
        check_key(&metric);
        uint32_t *latest = &listener->latest[metric.start_ns];
        MUST(metric.operations > *latest);
        MUST(!listener->is_blocking || metric.operations == *latest + 1);
        *latest = metric.operations;
        listener->got++;
    }
}

/* Comes and goes, mostly without reading all that it is given. */
struct passer_by {
    struct batch__thread thread;
    struct world *world;
    struct random random;
    uint32_t *xis_over;
};

static void passer_by_main(void *arg)
{
    struct passer_by *passer_by = arg;
    while (batch__load_acquire(passer_by->xis_over) == 0) {
        uint64_t random = random_next(&passer_by->random);
        batch_subscription *subscription =
            subscribe(passer_by->world, 1 + (uint32_t)(random % 3), (random & 8) != 0);
        batch_metric metric;
        for (uint64_t i = 0; i < (random >> 4) % 4; i++) {
            int status = batch_metrics_next(subscription, (random >> 6) % 2000, &metric);
            MUST(status == BATCH_OK || status == BATCH_TIMED_OUT);
            if (status == BATCH_OK)
                check_key(&metric);
        }
        if ((random & 8) != 0) /* blocks */
            MUST(batch_metrics_dropped(subscription) == 0);
        batch_metrics_unsubscribe(subscription);
    }
}

WORLD_TEST(test_a_storm_of_workers_readers_and_passers_by)
{
    struct random random = {random_seed()};
    uint32_t xis_over = 0;

    struct listener listeners[READERS];
    for (size_t i = 0; i < READERS; i++) {
        listeners[i] = (struct listener){.is_blocking = i % 2 == 0};
        uint32_t queue_max = 1 + (uint32_t)(random_next(&random) % 8);
        listeners[i].subscription = subscribe(world, queue_max, listeners[i].is_blocking);
    }
    struct worker workers[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++)
        worker_start(&workers[i], world, i, 1, RECORDS);
    for (size_t i = 0; i < READERS; i++)
        start(&listeners[i].thread, listener_main, &listeners[i]);
    struct passer_by passers_by[2];
    for (size_t i = 0; i < 2; i++) {
        passers_by[i] = (struct passer_by){
            .world = world, .random = {random_next(&random)}, .xis_over = &xis_over};
        start(&passers_by[i].thread, passer_by_main, &passers_by[i]);
    }

    for (size_t i = 0; i < WORKERS; i++)
        batch__thread_join(&workers[i].thread);
    batch__store_release(&xis_over, 1u);
    for (size_t i = 0; i < 2; i++)
        batch__thread_join(&passers_by[i].thread);
    batch__hub_end(&world->hub);

    uint64_t dropped = 0;
    for (size_t i = 0; i < READERS; i++) {
        batch__thread_join(&listeners[i].thread);
        uint64_t dropped_here = batch_metrics_dropped(listeners[i].subscription);
        assert_int_equal(listeners[i].got + dropped_here, WORKERS * RECORDS);
        if (listeners[i].is_blocking)
            assert_int_equal(dropped_here, 0);
        dropped += dropped_here;
        batch_metrics_unsubscribe(listeners[i].subscription);
    }
    assert_true(batch__hub_dropped(&world->hub) >= dropped);
}

/* A life: two workers publish to a blocking subscription that is soon full and never read to the
 * end; who ends it first, its owner or the hub, and who is last, is left to chance. */
struct short_life {
    struct world world;
    batch_subscription *subscriptions[2];
    uint64_t random;
};

static void unsubscriber_main(void *arg)
{
    struct short_life *lived = arg;
    batch_metric metric;
    for (uint64_t i = 0; i < lived->random % 3; i++) {
        /* Not for ever: the workers may both wait at the other one. */
        int status = batch_metrics_next(lived->subscriptions[0], 50000, &metric);
        MUST(status == BATCH_OK || status == BATCH_ENDED || status == BATCH_TIMED_OUT);
    }
    batch_metrics_unsubscribe(lived->subscriptions[lived->random / 3 % 2]);
    batch_metrics_unsubscribe(lived->subscriptions[1 - lived->random / 3 % 2]);
}

static void live_once(uint64_t random)
{
    struct short_life lived = {.random = random >> 8};
    world_begin(&lived.world);
    lived.subscriptions[0] = subscribe(&lived.world, 1, true);
    lived.subscriptions[1] = subscribe(&lived.world, 1 + (uint32_t)(random % 2), (random & 2) != 0);
    struct worker workers[2];
    for (uint32_t i = 0; i < 2; i++)
        worker_start(&workers[i], &lived.world, i, 5, 8);
    struct batch__thread unsubscriber;
    start(&unsubscriber, unsubscriber_main, &lived);
    if ((random & 4) != 0)
        batch__hub_end(&lived.world.hub); /* while they are at it */
    for (uint32_t i = 0; i < 2; i++)
        batch__thread_join(&workers[i].thread);
    batch__hub_destroy(&lived.world.hub); /* maybe before the last unsubscribe, maybe after */
    batch__thread_join(&unsubscriber);
    MUST(lived.world.memory.live == 0);
}

TEST(test_many_lives_end_in_every_order)
{
    struct random random = {random_seed()};
    for (unsigned i = 0; i < 1000; i++)
        live_once(random_next(&random));
}
