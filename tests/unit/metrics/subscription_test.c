/* subscription_test.c: one thread: what a subscription gives, and who frees what in which order. */
#include "metrics_fixture.h"

static void publish_key(struct world *world, uint32_t number, const void *key, size_t key_size)
{
    batch_metric metric;
    memset(&metric, 0, sizeof metric);
    metric.operations = number;
    metric.key = key;
    metric.key_size = key_size;
    batch__hub_publish(&world->hub, &metric);
}

static void publish(struct world *world, uint32_t number)
{
    publish_key(world, number, "key", 3);
}

static void expect(batch_subscription *subscription, uint32_t number)
{
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, 0, &metric), BATCH_OK);
    assert_int_equal(metric.operations, number);
}

static void expect_none(batch_subscription *subscription, int status)
{
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, 0, &metric), status);
}

/* ---- Records -------------------------------------------------------------------------------- */

WORLD_TEST(test_a_record_arrives_as_it_was_published)
{
    batch_subscription *subscription = subscribe(world, 0, false);

    char key[] = "front-page";
    batch_metric sent;
    memset(&sent, 0, sizeof sent); /* padding too: compared as a whole below */
    sent.start_unix_ns = 1;
    sent.start_ns = 2;
    sent.key = key;
    sent.key_size = 10;
    sent.total_ns = 5;
    sent.operations = 6;
    sent.operations_changed = 7;
    sent.close_reason = BATCH_CLOSED_BY_STOP;
    sent.status = BATCH_SAVE_FAILED;
    sent.store_code = 15;
    memcpy(sent.error, "no disk", 8);
    batch__hub_publish(&world->hub, &sent);
    memset(key, 'x', sizeof key); /* it was only lent */

    batch_metric got;
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &got), BATCH_OK);
    assert_memory_equal(got.key, "front-page", 10);
    got.key = sent.key;
    assert_memory_equal(&got, &sent, sizeof got);

    batch_metrics_unsubscribe(subscription);
}

WORLD_TEST(test_keys_of_every_size_are_copied)
{
    batch_subscription *subscription = subscribe(world, 2, false);
    static unsigned char key[BATCH_KEY_SIZE_MAX];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)(i * 7); /* with NULs */

    static const size_t sizes[] = {0, 1, 63, 64, 65, 200, BATCH_KEY_SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        publish_key(world, 1, sizes[i] > 0 ? key : NULL, sizes[i]);
        publish_key(world, 2, "other", 5);
        batch_metric got;
        assert_int_equal(batch_metrics_next(subscription, 0, &got), BATCH_OK);
        publish_key(world, 3, "another", 7); /* takes the place, not the key that is held */
        assert_non_null(got.key);
        assert_int_equal(got.key_size, sizes[i]);
        assert_memory_equal(got.key, key, sizes[i]);
        expect(subscription, 2);
        expect(subscription, 3);
    }
    batch_metrics_unsubscribe(subscription);
}

WORLD_TEST(test_publishing_short_keys_allocates_nothing)
{
    batch_subscription *first = subscribe(world, 4, false);
    batch_subscription *second = subscribe(world, 4, true);
    char key[65] = {0};
    uint64_t before = world->memory.taken;
    for (uint32_t i = 0; i < 100; i++) {
        publish_key(world, i, key, 64);
        expect(first, i);
        expect(second, i);
    }
    assert_int_equal(world->memory.taken, before);
    publish_key(world, 0, key, 65); /* one copy, for both */
    assert_int_equal(world->memory.taken, before + 1);
    expect(first, 0);
    expect(second, 0);
    batch_metrics_unsubscribe(first);
    batch_metrics_unsubscribe(second);
}

WORLD_TEST(test_a_long_key_is_freed_by_its_last_reader)
{
    char key[100] = {0};
    publish_key(world, 0, key, sizeof key); /* to nobody: not even copied */
    batch_subscription *first = subscribe(world, 4, false);
    batch_subscription *second = subscribe(world, 4, false);
    uint64_t before = world->memory.live;
    publish_key(world, 1, key, sizeof key);
    expect(first, 1);
    expect_none(first, BATCH_TIMED_OUT); /* no longer held */
    assert_int_equal(world->memory.live, before + 1);
    expect(second, 1);
    assert_int_equal(world->memory.live, before + 1); /* held */
    expect_none(second, BATCH_TIMED_OUT);
    assert_int_equal(world->memory.live, before);

    publish_key(world, 2, key, sizeof key); /* queued, held, and dropped with the subscription */
    publish_key(world, 3, key, sizeof key);
    expect(first, 2);
    batch_metrics_unsubscribe(first);
    batch_metrics_unsubscribe(second);
}

WORLD_TEST(test_the_queue_wraps_around_in_order)
{
    for (uint32_t queue_max = 1; queue_max <= 5; queue_max++) {
        batch_subscription *subscription = subscribe(world, queue_max, false);
        uint32_t sent = 0, got = 0;
        for (uint32_t round = 0; round < 50; round++) {
            uint32_t fill = 1 + round % queue_max;
            while (sent - got < fill)
                publish(world, sent++);
            uint32_t drain = 1 + (round * 3) % fill;
            for (uint32_t i = 0; i < drain; i++)
                expect(subscription, got++);
        }
        while (got < sent)
            expect(subscription, got++);
        expect_none(subscription, BATCH_TIMED_OUT);
        assert_int_equal(batch_metrics_dropped(subscription), 0);
        batch_metrics_unsubscribe(subscription);
    }
}

WORLD_TEST(test_a_full_queue_drops_the_new_and_counts)
{
    batch_subscription *small = subscribe(world, 2, false);
    batch_subscription *large = subscribe(world, 10, false);
    for (uint32_t i = 0; i < 5; i++)
        publish(world, i);
    assert_int_equal(batch_metrics_dropped(small), 3);
    assert_int_equal(batch_metrics_dropped(large), 0);
    assert_int_equal(batch__hub_dropped(&world->hub), 3);

    expect(small, 0);
    publish(world, 5); /* room again */
    expect(small, 1);
    expect(small, 5);
    expect_none(small, BATCH_TIMED_OUT);
    for (uint32_t i = 0; i < 6; i++)
        expect(large, i);

    batch_metrics_unsubscribe(small); /* what it dropped stays in the total */
    assert_int_equal(batch__hub_dropped(&world->hub), 3);
    batch_metrics_unsubscribe(large);
}

WORLD_TEST(test_every_subscription_gets_every_record_from_then_on)
{
    batch_subscription *subscriptions[6];
    for (uint32_t i = 0; i < 6; i++) {
        subscriptions[i] = subscribe(world, 0, i % 2 == 1);
        publish(world, i);
    }
    for (uint32_t i = 0; i < 6; i++) {
        for (uint32_t number = i; number < 6; number++)
            expect(subscriptions[i], number);
        expect_none(subscriptions[i], BATCH_TIMED_OUT);
    }
    static const size_t order[] = {3, 0, 5, 1, 4, 2}; /* from the middle and both ends */
    for (size_t i = 0; i < 6; i++) {
        batch_metrics_unsubscribe(subscriptions[order[i]]);
        publish(world, 100 + (uint32_t)i);
        for (size_t j = i + 1; j < 6; j++)
            expect(subscriptions[order[j]], 100 + (uint32_t)i);
    }
}

WORLD_TEST(test_listening_is_true_while_somebody_would_get_a_record)
{
    assert_false(batch__hub_is_listening(&world->hub));
    batch_subscription *first = subscribe(world, 1, false);
    batch_subscription *second = subscribe(world, 1, true);
    assert_true(batch__hub_is_listening(&world->hub));
    batch_metrics_unsubscribe(first);
    assert_true(batch__hub_is_listening(&world->hub));
    batch_metrics_unsubscribe(second);
    assert_false(batch__hub_is_listening(&world->hub));

    first = subscribe(world, 1, false);
    batch__hub_end(&world->hub);
    assert_false(batch__hub_is_listening(&world->hub));
    second = subscribe(world, 1, false);
    assert_false(batch__hub_is_listening(&world->hub));
    batch_metrics_unsubscribe(first);
    batch_metrics_unsubscribe(second);
    assert_false(batch__hub_is_listening(&world->hub));
}

/* ---- Arguments ------------------------------------------------------------------------------ */

WORLD_TEST(test_options_out_of_range_are_refused)
{
    batch_subscription *subscription = NULL;
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.queue_max = 1048577;
    assert_int_equal(batch__hub_subscribe(&world->hub, &options, &subscription), BATCH_INVALID);
    assert_null(subscription);
    options.queue_max = 1;
    assert_int_equal(batch__hub_subscribe(&world->hub, &options, &subscription), BATCH_OK);
    batch_metrics_unsubscribe(subscription);
}

static const batch_subscription_options defaults = BATCH_SUBSCRIPTION_OPTIONS_INIT;

WORLD_TEST(test_the_default_queue_keeps_1024_records)
{
    batch_subscription *subscription = NULL;
    assert_int_equal(batch__hub_subscribe(&world->hub, &defaults, &subscription), BATCH_OK);
    for (uint32_t i = 0; i < 1025; i++)
        publish(world, i);
    assert_int_equal(batch_metrics_dropped(subscription), 1);
    batch_metrics_unsubscribe(subscription);
}

WORLD_TEST(test_null_arguments)
{
    batch_subscription *subscription = subscribe(world, 1, false);
    publish(world, 1);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(NULL, 0, &metric), BATCH_INVALID);
    assert_int_equal(batch_metrics_next(subscription, 0, NULL), BATCH_INVALID);
    assert_int_equal(batch_metrics_dropped(NULL), 0);
    batch_metrics_unsubscribe(NULL);
    expect(subscription, 1); /* nothing was lost */
    batch_metrics_unsubscribe(subscription);
}

TEST(test_close_reasons_have_names)
{
    assert_string_equal(batch_close_reason_name(BATCH_CLOSED_BY_WINDOW), "window");
    assert_string_equal(batch_close_reason_name(BATCH_CLOSED_BY_STORE), "store");
    assert_string_equal(batch_close_reason_name(BATCH_CLOSED_BY_SIZE), "size");
    assert_string_equal(batch_close_reason_name(BATCH_CLOSED_BY_STOP), "stop");
    assert_string_equal(batch_close_reason_name(BATCH_CLOSED_BY_ERROR), "error");
    assert_string_equal(batch_close_reason_name(BATCH_CLOSED_BY_AGE), "age");
    assert_non_null(batch_close_reason_name(-1));
    assert_non_null(batch_close_reason_name(BATCH_CLOSE_REASON_COUNT));
}

/* ---- Waiting -------------------------------------------------------------------------------- */

WORLD_TEST(test_waiting_ends_with_its_time)
{
    batch_subscription *subscription = subscribe(world, 1, false);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, 0, &metric), BATCH_TIMED_OUT);
    assert_int_equal(batch_metrics_next(subscription, 1, &metric), BATCH_TIMED_OUT);
    assert_int_equal(batch_metrics_next(subscription, 1000000, &metric), BATCH_TIMED_OUT);
    publish(world, 1);
    assert_int_equal(batch_metrics_next(subscription, UINT64_MAX - 1, &metric), BATCH_OK);
    batch_metrics_unsubscribe(subscription);
}

WORLD_TEST(test_waiting_on_a_thread_of_ours_is_refused)
{
    world->is_ours = true;
    batch_subscription *subscription = subscribe(world, 2, false);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, 1, &metric), BATCH_DEADLOCK);
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_DEADLOCK);
    assert_int_equal(batch_metrics_next(subscription, 0, &metric), BATCH_TIMED_OUT);
    publish(world, 1);
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);

    publish(world, 2);
    batch__hub_end(&world->hub);
    uint32_t asked = world->xasked;
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_ENDED);
    assert_int_equal(world->xasked, asked); /* whoever could say may be gone */
    batch_metrics_unsubscribe(subscription);
}

/* The worker that publishes would be this thread, or wait for it. */
WORLD_TEST(test_a_blocking_subscription_read_on_a_thread_of_ours_drops)
{
    batch_subscription *subscription = subscribe(world, 1, true);
    world->is_ours = true;
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, 0, &metric), BATCH_TIMED_OUT);
    publish(world, 1);
    publish(world, 2);
    assert_int_equal(batch_metrics_dropped(subscription), 1);
    expect(subscription, 1);
    batch_metrics_unsubscribe(subscription);
}

/* ---- Ends ----------------------------------------------------------------------------------- */

WORLD_TEST(test_what_is_queued_at_the_end_is_still_given)
{
    batch_subscription *subscription = subscribe(world, 3, false);
    publish(world, 1);
    publish(world, 2);
    batch__hub_end(&world->hub);
    batch__hub_end(&world->hub); /* harmless */
    publish(world, 3);           /* goes nowhere */
    expect(subscription, 1);
    expect(subscription, 2);
    expect_none(subscription, BATCH_ENDED);
    expect_none(subscription, BATCH_ENDED);
    assert_int_equal(batch_metrics_dropped(subscription), 0);
    batch_metrics_unsubscribe(subscription);
}

WORLD_TEST(test_a_subscription_made_after_the_end_has_ended)
{
    batch__hub_end(&world->hub);
    batch_subscription *dropping = subscribe(world, 1, false);
    batch_subscription *blocking = subscribe(world, 1, true);
    publish(world, 1);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(dropping, BATCH_FOREVER, &metric), BATCH_ENDED);
    assert_int_equal(batch_metrics_next(blocking, BATCH_FOREVER, &metric), BATCH_ENDED);
    batch_metrics_unsubscribe(dropping);
    batch_metrics_unsubscribe(blocking);
}

TEST(test_a_subscription_outlives_its_processor)
{
    struct world world;
    world_begin(&world);
    batch_subscription *first = subscribe(&world, 1, false);
    batch_subscription *second = subscribe(&world, 3, true);
    char key[100] = {1};
    publish_key(&world, 1, key, sizeof key);
    publish_key(&world, 2, key, sizeof key); /* dropped by the first */
    publish(&world, 3);                      /* likewise */
    batch__hub_destroy(&world.hub);          /* without an end before */
    memset(&world.hub, 0xff, sizeof world.hub);

    expect(first, 1);
    expect_none(first, BATCH_ENDED);
    assert_int_equal(batch_metrics_dropped(first), 2);
    batch_metrics_unsubscribe(first);
    expect(second, 1);
    expect(second, 2);
    batch_metrics_unsubscribe(second); /* one record queued, one held */
    assert_int_equal(world.memory.live, 0);
}

WORLD_TEST(test_nobody_subscribed)
{
    publish(world, 1);
}

/* ---- No memory ------------------------------------------------------------------------------ */

TEST(test_no_memory_refuses_cleanly)
{
    struct world world = {.xasked = 0};
    batch_allocator allocator = allocator_functions(&world.memory);
    allocator_refuse(&world.memory, true);
    assert_int_equal(batch__hub_init(&world.hub, &allocator, world_is_ours, &world),
                     BATCH_NO_MEMORY);
    allocator_refuse(&world.memory, false);
    assert_int_equal(batch__hub_init(&world.hub, &allocator, world_is_ours, &world), BATCH_OK);

    batch_subscription *subscription = NULL;
    allocator_refuse(&world.memory, true);
    assert_int_equal(batch__hub_subscribe(&world.hub, &defaults, &subscription), BATCH_NO_MEMORY);
    assert_null(subscription);
    assert_false(batch__hub_is_listening(&world.hub));
    allocator_refuse(&world.memory, false);
    assert_int_equal(batch__hub_subscribe(&world.hub, &defaults, &subscription), BATCH_OK);
    batch_metrics_unsubscribe(subscription);
    world_end(&world);
}

WORLD_TEST(test_no_memory_for_a_long_key_drops_and_counts)
{
    batch_subscription *dropping = subscribe(world, 2, false);
    batch_subscription *blocking = subscribe(world, 1, true);
    char key[100] = {0};
    publish(world, 1); /* the blocking one is full: it is not waited for in vain */
    allocator_refuse(&world->memory, true);
    publish_key(world, 2, key, sizeof key);
    assert_int_equal(batch_metrics_dropped(dropping), 1);
    assert_int_equal(batch_metrics_dropped(blocking), 1);
    assert_int_equal(batch__hub_dropped(&world->hub), 2);
    expect(blocking, 1);
    publish(world, 3); /* short keys need none */
    allocator_refuse(&world->memory, false);
    expect(dropping, 1);
    expect(dropping, 3);
    expect(blocking, 3);
    publish_key(world, 4, key, sizeof key);
    expect(dropping, 4);
    expect(blocking, 4);
    batch_metrics_unsubscribe(dropping);
    batch_metrics_unsubscribe(blocking);
}
