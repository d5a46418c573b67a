/* The PostgreSQL store: transactions that check what is not there, which takes locks of its own. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* pthread_barrier_t */
#endif
#include "driver.h"
#include "postgres_case.h"
#include "test.h"

enum { PARTS = BATCH_PARTS_MAX, TRANSACTIONS_MAX = 64, KEY_SIZE = 32, LOCKS_MAX = 257 };

/* A transaction that adds 1 to all its keys but the first, which it only reads. */
struct job {
    batch_transaction transaction; /* first */
    batch_part parts[PARTS];
    char keys[PARTS][KEY_SIZE];
    int64_t seen; /* under the first key */
    batch_result result;
    pthread_barrier_t *barrier; /* to meet another one at, when it runs first; or NULL */
    struct latch *latch;
};

struct jobs {
    batch_store *store;
    batch_processor *processor;
    struct latch latch;
    struct job job[TRANSACTIONS_MAX];
};

static void run_job(void *const *resources, batch_transaction *transaction)
{
    struct job *job = (struct job *)transaction;
    if (job->barrier != NULL)
        pthread_barrier_wait(job->barrier);
    job->barrier = NULL;
    job->seen = *(const int64_t *)resources[0];
    for (size_t i = 1; i < transaction->parts_size; i++) {
        ++*(int64_t *)resources[i];
        transaction->parts[i].changed = true;
    }
}

static void job_done(batch_transaction *transaction, const batch_result *result)
{
    struct job *job = (struct job *)transaction;
    job->result = *result;
    latch_count_down(job->latch);
}

/* They all begin in one window, so they are saved in one group, or in few. */
static struct jobs *jobs_new(struct postgres_server *server)
{
    struct jobs *jobs = calloc(1, sizeof *jobs);
    assert_non_null(jobs);
    jobs->store = pg_store(server, NULL, NULL);
    batch_options options = number_options(jobs->store, 1);
    options.window_ns = 20000000;
    jobs->processor = processor_start(&options);
    return jobs;
}

static void jobs_free(struct jobs *jobs)
{
    processor_end_with_store(jobs->processor, jobs->store);
    free(jobs);
}

/* The key of a part; NULL: one that nobody else has. */
static void job_set_key(struct job *job, size_t part, const char *key, size_t number)
{
    if (key != NULL)
        snprintf(job->keys[part], KEY_SIZE, "%s", key);
    else
        snprintf(job->keys[part], KEY_SIZE, "%zu of %zu", part, number);
    job->parts[part] = (batch_part)BATCH_PART_INIT;
    job->parts[part].key = job->keys[part];
    job->parts[part].key_size = strlen(job->keys[part]);
}

/* `jobs_size` transactions: the first one reads `read` (or NULL), each writes `tied` (or NULL). */
static void jobs_submit(struct jobs *jobs, size_t jobs_size, size_t parts_size, const char *read,
                        const char *tied, pthread_barrier_t *barrier)
{
    assert_true(jobs_size <= TRANSACTIONS_MAX);
    latch_init(&jobs->latch, jobs_size);
    for (size_t i = 0; i < jobs_size; i++) {
        struct job *job = &jobs->job[i];
        *job = (struct job){.transaction = BATCH_TRANSACTION_INIT, .latch = &jobs->latch};
        for (size_t part = 0; part < parts_size; part++)
            job_set_key(job, part, part == 0 && i == 0 ? read : part == 1 ? tied : NULL, i);
        job->barrier = i == 0 ? barrier : NULL;
        job->transaction.parts = job->parts;
        job->transaction.parts_size = parts_size;
        job->transaction.run = run_job;
        job->transaction.done = job_done;
    }
    for (size_t i = 0; i < jobs_size; i++)
        assert_int_equal(batch_transaction_submit(jobs->processor, &jobs->job[i].transaction),
                         BATCH_OK);
}

static void jobs_wait(struct jobs *jobs)
{
    latch_wait(&jobs->latch);
    latch_destroy(&jobs->latch);
}

static void assert_all_ok(const struct jobs *jobs, size_t jobs_size)
{
    for (size_t i = 0; i < jobs_size; i++) {
        if (jobs->job[i].result.status != BATCH_OK)
            fail_msg("%s", jobs->job[i].result.message);
    }
}

/* ---- Locks ---------------------------------------------------------------------------------- */

/* Each statement notes how many locks it has. */
static void note_locks(struct postgres_server *server)
{
    pg_sql(server, "create table seen (locks bigint)");
    pg_sql(server, "create function note() returns trigger language plpgsql as "
                   "'begin insert into seen select count(*) from pg_locks "
                   "where locktype = ''advisory'' and pid = pg_backend_pid(); return null; end'");
    pg_sql(server, "create trigger notes before insert on batch for each statement "
                   "execute function note()");
}

/* 64 transactions of 64 keys: alone, so that they lock their own keys; and tied to one unit. */
PG_TEST(test_transactions_that_check_what_is_not_there_leave_locks_for_others)
{
    static const char *const tied[] = {NULL, "tied"};
    for (size_t i = 0; i < 2; i++) {
        struct jobs *jobs = jobs_new(server);
        note_locks(server);
        jobs_submit(jobs, TRANSACTIONS_MAX, PARTS, NULL, tied[i], NULL);
        jobs_wait(jobs);
        assert_all_ok(jobs, TRANSACTIONS_MAX);
        int64_t least = pg_number(server, "select min(locks) from seen");
        int64_t most = pg_number(server, "select max(locks) from seen");
        if (least < (tied[i] == NULL ? 2 : 1) || most > LOCKS_MAX)
            fail_msg("%lld to %lld locks", (long long)least, (long long)most);
        jobs_free(jobs);
        pg_sql(server, "drop table batch, seen; drop function note");
    }
}

/* Two that each insert what the other one did not find; one of them is tied to so many keys that it
 * does not lock them one by one. At most one of the two may have found nothing. */
PG_TEST(test_a_large_unit_and_a_small_one_that_make_what_the_other_one_did_not_find)
{
    enum { ROUNDS = 12, LARGE = 8 };
    struct jobs *large = jobs_new(server), *small = jobs_new(server);
    pg_sql(server, "create function slow() returns trigger language plpgsql as "
                   "'begin perform pg_sleep(0.01); return null; end'");
    pg_sql(server, "create trigger slows before insert on batch for each statement "
                   "execute function slow()");
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_t barrier;
        pg_sql(server, "delete from batch");
        pthread_barrier_init(&barrier, NULL, 2);
        jobs_submit(large, LARGE, PARTS, "one", "other", &barrier);
        jobs_submit(small, 1, 2, "other", "one", &barrier);
        jobs_wait(large);
        jobs_wait(small);
        pthread_barrier_destroy(&barrier);
        bool is_large = large->job[0].result.status == BATCH_OK;
        bool is_small = small->job[0].result.status == BATCH_OK;
        assert_true(is_large || is_small);
        if (is_large && is_small && large->job[0].seen == 0 && small->job[0].seen == 0)
            fail_msg("in round %d both were saved, and each had found nothing", round);
    }
    jobs_free(large);
    jobs_free(small);
}

/* ---- Writes that are switched off ----------------------------------------------------------- */

PG_TEST(test_a_check_of_what_is_not_there_does_not_write_where_writes_are_switched_off)
{
    struct jobs *jobs = jobs_new(server);
    jobs_submit(jobs, 1, 2, "first", "one", NULL);
    jobs_wait(jobs);
    assert_all_ok(jobs, 1);
    pg_configure(server, "default_transaction_read_only", "on");
    jobs_submit(jobs, 1, 2, "second", "other", NULL);
    jobs_wait(jobs);
    pg_sql(server, "set default_transaction_read_only = off");
    const batch_result *result = &jobs->job[0].result; /* its load fails, when it is tried again */
    if ((result->status != BATCH_SAVE_FAILED && result->status != BATCH_LOAD_FAILED) ||
        strstr(result->message, "default_transaction_read_only is on") == NULL)
        fail_msg("%s: %s", batch_status_name(result->status), result->message);
    pg_expect(server, "1", "select count(*) from batch");
    pg_configure(server, "default_transaction_read_only", "off");
    jobs_free(jobs);
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
