/* The SQLite store: others use the same file, in this process and in another one. The plain
 * connection of the fixture stands for the other process. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#endif
#include "driver.h"
#include "sqlite_fixture.h"
#include "test.h"

#include <batch/metrics.h>

#include <stdatomic.h>
#include <time.h>

/* An operation that adds 1 to "key" and is not waited for. */
struct waiting {
    struct request request;
    struct latch ran;
    struct latch completed;
};

static void count_down(void *latch)
{
    latch_count_down(latch);
}

/* Begin it; it has run when this returns, and its save is about to be tried. */
static void waiting_begin(struct waiting *waiting, batch_processor *processor)
{
    latch_init(&waiting->ran, 1);
    latch_init(&waiting->completed, 1);
    request_init(&waiting->request, "key", 3, 1);
    waiting->request.meddle = count_down;
    waiting->request.meddle_arg = &waiting->ran;
    waiting->request.latch = &waiting->completed;
    assert_int_equal(batch_submit(processor, &waiting->request.op), BATCH_OK);
    latch_wait(&waiting->ran);
}

static int waiting_end(struct waiting *waiting)
{
    latch_wait(&waiting->completed);
    latch_destroy(&waiting->ran);
    latch_destroy(&waiting->completed);
    return waiting->request.result.status;
}

/* Let what waits try for a while. What comes of the test does not depend on it. */
static void let_it_try(void)
{
    nanosleep(&(struct timespec){0, 30000000}, NULL);
}

/* ---- Another process ------------------------------------------------------------------------ */

SQLITE_TEST(test_a_save_waits_for_another_process)
{
    batch_store *store = sqlite_file_store(file, NULL);
    batch_processor *processor = number_processor(store, 1);
    sqlite_file_execute(file, "BEGIN IMMEDIATE");
    assert_int_equal(number_add(processor, "key", 3, 0), 0); /* reading waits for nobody */
    struct waiting waiting;
    waiting_begin(&waiting, processor);
    let_it_try();
    sqlite_file_execute(file, "COMMIT");
    assert_int_equal(waiting_end(&waiting), BATCH_OK);
    assert_int_equal(number_add(processor, "key", 3, 0), 1);
    processor_end_with_store(processor, store);
}

static uint64_t lock_waits(batch_processor *processor)
{
    batch_stats stats = BATCH_STATS_INIT;
    assert_int_equal(batch_processor_stats(processor, &stats), BATCH_OK);
    return stats.events[BATCH_EVENT_LOCK_WAIT];
}

SQLITE_TEST(test_a_long_wait_for_another_process_is_counted_once)
{
    batch_store *store = sqlite_file_store(file, NULL);
    batch_processor *processor = number_processor(store, 1);
    for (uint64_t waits = 0; waits < 2; waits++) {
        assert_int_equal(lock_waits(processor), waits);
        sqlite_file_execute(file, "BEGIN IMMEDIATE");
        struct waiting waiting;
        waiting_begin(&waiting, processor);
        while (lock_waits(processor) == waits)
            let_it_try();
        let_it_try();
        sqlite_file_execute(file, "COMMIT");
        assert_int_equal(waiting_end(&waiting), BATCH_OK);
        assert_int_equal(lock_waits(processor), waits + 1);
    }
    processor_end_with_store(processor, store);
}

SQLITE_TEST(test_a_save_waits_no_longer_than_its_deadline)
{
    batch_store *store = sqlite_file_store(file, NULL);
    batch_options options = number_options(store, 1);
    /* On a slow machine the save is not tried before the deadline: then with more time. */
    options.deadline_ns = 50000000;
    struct request request;
    sqlite_file_execute(file, "BEGIN IMMEDIATE");
    do {
        batch_processor *processor = processor_start(&options);
        request_init(&request, "key", 3, 1);
        int status = request_run(processor, &request);
        assert_true(status == BATCH_SAVE_FAILED || status == BATCH_LOAD_FAILED);
        processor_end(processor);
        options.deadline_ns *= 2;
    } while (request.result.store_code == 0);
    assert_int_equal(request.result.status, BATCH_SAVE_FAILED);
    assert_int_equal(request.result.store_code & 0xff, SQLITE_BUSY);
    assert_non_null(strstr(request.result.message, "locked"));
    sqlite_file_execute(file, "COMMIT");
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM batch"), 0);

    options.deadline_ns = LONG_NS;
    batch_processor *processor = processor_start(&options);
    assert_int_equal(number_add(processor, "key", 3, 1), 1);
    processor_end_with_store(processor, store);
}

SQLITE_TEST(test_a_save_gives_up_waiting_when_the_time_to_stop_is_over)
{
    batch_store *store = sqlite_file_store(file, NULL);
    batch_processor *processor = number_processor(store, 1);
    sqlite_file_execute(file, "BEGIN IMMEDIATE");
    struct waiting waiting;
    waiting_begin(&waiting, processor);
    let_it_try();
    batch_processor_stop(processor, 1);
    assert_int_equal(waiting_end(&waiting), BATCH_SAVE_FAILED);
    processor_end(processor);
    sqlite_file_execute(file, "COMMIT");
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM batch"), 0);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

enum { BUSY_KEYS = 20 };

/* Saves that wait for another process take one session, whatever number there is; the others read.
 * What waits gathers: the first group, and all that came later. */
SQLITE_TEST(test_reads_do_not_wait_for_saves_behind_another_process)
{
    static const uint32_t sessions[] = {2, 3, 8};
    for (size_t i = 0; i < sizeof sessions / sizeof sessions[0]; i++) {
        batch_store *store = sqlite_file_store(file, NULL);
        batch_options options = number_options(store, sessions[i]);
        batch_processor *processor = processor_start(&options);
        assert_int_equal(number_add(processor, "read", 4, 1), (int64_t)i + 1);
        batch_stats before = BATCH_STATS_INIT;
        assert_int_equal(batch_processor_stats(processor, &before), BATCH_OK);

        sqlite_file_execute(file, "BEGIN IMMEDIATE");
        struct request requests[BUSY_KEYS];
        char keys[BUSY_KEYS][8];
        struct latch ran, complete;
        latch_init(&ran, BUSY_KEYS);
        latch_init(&complete, BUSY_KEYS);
        for (size_t j = 0; j < BUSY_KEYS; j++) {
            size_t key_size = (size_t)sprintf(keys[j], "%zu", j);
            request_init(&requests[j], keys[j], key_size, 1);
            requests[j].meddle = count_down;
            requests[j].meddle_arg = &ran;
            requests[j].latch = &complete;
            assert_int_equal(batch_submit(processor, &requests[j].op), BATCH_OK);
            batch_stats stats = BATCH_STATS_INIT; /* the first hangs, then the others come */
            do
                batch_processor_stats(processor, &stats);
            while (stats.save_group.count == before.save_group.count);
            assert_int_equal(number_add(processor, "read", 4, 0), (int64_t)i + 1);
        }
        latch_wait(&ran);
        sqlite_file_execute(file, "COMMIT");
        latch_wait(&complete);
        latch_destroy(&ran);
        latch_destroy(&complete);
        for (size_t j = 0; j < BUSY_KEYS; j++)
            assert_int_equal(requests[j].result.status, BATCH_OK);
        batch_stats after = BATCH_STATS_INIT;
        assert_int_equal(batch_processor_stats(processor, &after), BATCH_OK);
        assert_int_equal(after.save_group.count, before.save_group.count + 2);
        processor_end_with_store(processor, store);
    }
}

SQLITE_TEST(test_nobody_waits_behind_a_later_deadline)
{
    batch_store *store = sqlite_file_store(file, NULL);
    batch_options options = number_options(store, 1);
    batch_processor *patient = processor_start(&options);
    options.deadline_ns = 50000000;
    batch_processor *impatient = processor_start(&options);
    sqlite_file_execute(file, "BEGIN IMMEDIATE");
    struct waiting waiting;
    waiting_begin(&waiting, patient);
    struct request request;
    request_init(&request, "another key", 11, 1);
    int status = request_run(impatient, &request);
    assert_true(status == BATCH_SAVE_FAILED || status == BATCH_LOAD_FAILED);
    sqlite_file_execute(file, "COMMIT");
    assert_int_equal(waiting_end(&waiting), BATCH_OK);
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM batch"), 1);
    processor_end(patient);
    processor_end_with_store(impatient, store);
}

SQLITE_TEST(test_a_snapshot_that_stays_open_stops_nobody)
{
    batch_store *store = sqlite_file_store(file, NULL);
    batch_processor *processor = number_processor(store, 2);
    assert_int_equal(number_add(processor, "key", 3, 1), 1);
    sqlite_file_execute(file, "BEGIN");
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM batch"), 1);
    for (int64_t i = 2; i <= 200; i++)
        assert_int_equal(number_add(processor, "key", 3, 1), i);
    sqlite_file_execute(file, "COMMIT");
    processor_end_with_store(processor, store);
}

/* ---- This process --------------------------------------------------------------------------- */

enum { OPENERS = 8, OPENINGS = 40 };

struct opener {
    char path[128];
    pthread_barrier_t *barrier; /* where all begin at once, or NULL */
    batch_result error;
};

static void *opener_main(void *arg)
{
    struct opener *opener = arg;
    if (opener->barrier != NULL)
        pthread_barrier_wait(opener->barrier);
    batch_store *store = NULL;
    if (batch_sqlite_open(&store, opener->path, NULL, &opener->error) == BATCH_OK)
        opener->error.status = batch_store_close(store);
    return NULL;
}

SQLITE_TEST(test_many_may_open_a_new_file_at_once)
{
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, OPENERS);
    for (int i = 0; i < OPENINGS; i++) {
        struct opener openers[OPENERS];
        pthread_t threads[OPENERS];
        for (size_t j = 0; j < OPENERS; j++) {
            openers[j] = (struct opener){.barrier = &barrier};
            snprintf(openers[j].path, sizeof openers[j].path, "%s/%d.db", file->folder, i);
            assert_int_equal(pthread_create(&threads[j], NULL, opener_main, &openers[j]), 0);
        }
        for (size_t j = 0; j < OPENERS; j++)
            pthread_join(threads[j], NULL);
        for (size_t j = 0; j < OPENERS; j++) {
            if (openers[j].error.status != BATCH_OK)
                fail_msg("%s", openers[j].error.message);
        }
    }
    pthread_barrier_destroy(&barrier);
}

/* A file that is not in WAL mode yet is put into it, which nobody else may be using it for. */
SQLITE_TEST(test_opening_waits_for_another_process)
{
    sqlite_file_execute(file, "PRAGMA journal_mode=DELETE; CREATE TABLE other (x)");
    static const char *const locks[] = {"BEGIN; SELECT * FROM other", "BEGIN IMMEDIATE",
                                        "BEGIN EXCLUSIVE"};
    for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++) {
        sqlite_file_execute(file, locks[i]);
        struct opener opener = {.barrier = NULL};
        pthread_t thread;
        strcpy(opener.path, file->path);
        assert_int_equal(pthread_create(&thread, NULL, opener_main, &opener), 0);
        let_it_try();
        sqlite_file_execute(file, "COMMIT");
        pthread_join(thread, NULL);
        if (opener.error.status != BATCH_OK)
            fail_msg("%s: %s", locks[i], opener.error.message);
        sqlite_file_execute(file, "PRAGMA journal_mode=DELETE");
    }
}

enum { STORES = 2, ADDERS = 8, ADDS = 100, KEYS = 10 };

struct adder {
    batch_processor *processor;
    size_t number;
    size_t added;
    batch_result unexpected; /* status OK: none */
};

/* Add 1 to a key of its own, and to one that all share, until it went well. */
static void *adder_main(void *arg)
{
    struct adder *adder = arg;
    char key[16];
    size_t key_size = (size_t)sprintf(key, "own %zu", adder->number);
    for (size_t i = 0; i < ADDS; i++) {
        struct request request;
        if (i % 2 == 0)
            request_init(&request, key, key_size, 1);
        else
            request_init(&request, "shared", 6, 1);
        while (request_run(adder->processor, &request) == BATCH_CONFLICT)
            ;
        if (request.result.status != BATCH_OK) {
            adder->unexpected = request.result;
            break;
        }
        adder->added++;
    }
    return NULL;
}

SQLITE_TEST(test_nobody_in_a_process_is_refused_because_the_file_is_busy)
{
    batch_store *stores[STORES];
    batch_processor *processors[2 * STORES];
    for (size_t i = 0; i < STORES; i++) {
        stores[i] = sqlite_file_store(file, NULL);
        batch_options options = number_options(stores[i], 4);
        processors[2 * i] = processor_start(&options);
        processors[2 * i + 1] = processor_start(&options);
    }
    struct adder adders[ADDERS];
    pthread_t threads[ADDERS];
    for (size_t i = 0; i < ADDERS; i++) {
        adders[i] = (struct adder){.processor = processors[i % (2 * STORES)], .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, adder_main, &adders[i]), 0);
    }
    for (size_t i = 0; i < ADDERS; i++) {
        pthread_join(threads[i], NULL);
        if (adders[i].unexpected.status != BATCH_OK)
            fail_msg("%s", adders[i].unexpected.message);
        assert_int_equal(adders[i].added, ADDS);
    }
    for (size_t i = 0; i < 2 * STORES; i++)
        processor_end(processors[i]);
    batch_processor *processor = number_processor(stores[0], 1);
    assert_int_equal(number_add(processor, "shared", 6, 0), ADDERS * ADDS / 2);
    processor_end(processor);
    for (size_t i = 0; i < STORES; i++)
        assert_int_equal(batch_store_close(stores[i]), BATCH_OK);
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM batch"), ADDERS + 1);
}
