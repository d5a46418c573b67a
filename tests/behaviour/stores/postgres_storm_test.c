/* The PostgreSQL store: several writers of the same rows at the same time, of ours and of others.
 * Each adds 1 until it gets OK; in the end every number is the sum of what was reported. */
#include "driver.h"
#include "postgres_case.h"
#include "random.h"
#include "test.h"

#include <stdatomic.h>

enum { STORM_KEYS = 5, STORM_ADDS = 200, STORM_THREADS = 4 };

struct storm {
    struct postgres_server *server;
    batch_processor *processor; /* NULL: writes by itself, as another program */
    atomic_int conflicts;
    atomic_int others; /* statuses that are neither OK nor CONFLICT */
    batch_result error;
};

static const char *storm_key(size_t i)
{
    static const char *const keys[STORM_KEYS] = {"a", "b", "c", "d", "e"};
    return keys[i % STORM_KEYS];
}

static void *adder_main(void *arg)
{
    struct storm *storm = arg;
    for (size_t i = 0; i < STORM_ADDS; i++) {
        struct request request;
        int status;
        do {
            request_init(&request, storm_key(i), 1, 1);
            status = request_run(storm->processor, &request);
            if (status == BATCH_CONFLICT)
                atomic_fetch_add(&storm->conflicts, 1);
        } while (status == BATCH_CONFLICT);
        if (status != BATCH_OK) {
            if (atomic_fetch_add(&storm->others, 1) == 0)
                storm->error = request.result;
            break;
        }
    }
    return NULL;
}

static void check_storm(struct storm *storm)
{
    if (storm->others != 0)
        fail_msg("%s", storm->error.message);
}

static void check_sums(struct postgres_server *server, const char *table, int64_t wanted)
{
    for (size_t i = 0; i < STORM_KEYS; i++)
        assert_int_equal(
            pg_number(server, "select state::bigint from %s where key = '%s'", table, storm_key(i)),
            wanted);
}

/* ---- Two processors ------------------------------------------------------------------------- */

/* Each on a store of its own, with that in its connection string. */
static void storm_of_two(struct postgres_server *server, const char *extra)
{
    char conninfo[POSTGRES_CONNINFO_SIZE + 96];
    snprintf(conninfo, sizeof conninfo, "%s %s", server->conninfo, extra);
    batch_postgres_options table = pg_text_table(server, "storm");
    static struct storm storms[2];
    batch_store *stores[2];
    pthread_t threads[STORM_THREADS];
    memset(storms, 0, sizeof storms);
    for (size_t i = 0; i < 2; i++) {
        stores[i] = pg_store(server, conninfo, &table);
        batch_options options = pg_number_options(stores[i], 2);
        storms[i].processor = processor_start(&options);
    }
    for (size_t i = 0; i < STORM_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, adder_main, &storms[i % 2]), 0);
    for (size_t i = 0; i < STORM_THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 2; i++) {
        processor_end(storms[i].processor);
        pg_store_end(stores[i]);
        check_storm(&storms[i]);
    }
    print_message("%d conflicts\n", storms[0].conflicts + storms[1].conflicts);
    check_sums(server, "storm", STORM_THREADS * STORM_ADDS / STORM_KEYS);
}

PG_TEST(test_read_committed)
{
    storm_of_two(server, "options='-cdefault_transaction_isolation=read\\\\ committed'");
}

PG_TEST(test_repeatable_read)
{
    storm_of_two(server, "options='-cdefault_transaction_isolation=repeatable\\\\ read'");
}

PG_TEST(test_serializable)
{
    storm_of_two(server, "options='-cdefault_transaction_isolation=serializable'");
}

/* ---- Another program ------------------------------------------------------------------------ */

/* One step of a program that knows nothing of libbatch: read, and write if nobody else has. */
static bool foreign_add(PGconn *connection, const char *key)
{
    const char *values[3] = {key, "1", "0"};
    char state[24];
    PGresult *row = PQexecParams(connection, "select state, ver from train where key = $1", 1, NULL,
                                 values, NULL, NULL, 0);
    if (PQntuples(row) == 1) {
        snprintf(state, sizeof state, "%lld", strtoll(PQgetvalue(row, 0, 0), NULL, 10) + 1);
        values[1] = state;
        values[2] = PQgetvalue(row, 0, 1);
    }
    PGresult *write =
        PQexecParams(connection,
                     "insert into train values ($1, $2, 1) on conflict (key) do update "
                     "set state = excluded.state, ver = train.ver + 1 where train.ver = $3::int",
                     3, NULL, values, NULL, NULL, 0);
    bool is_written = strcmp(PQcmdTuples(write), "1") == 0;
    PQclear(row);
    PQclear(write);
    return is_written;
}

static void *foreign_main(void *arg)
{
    struct storm *storm = arg;
    PGconn *connection = postgres_server_connect(storm->server);
    for (size_t i = 0; i < STORM_ADDS; i++) {
        while (!foreign_add(connection, storm_key(i)))
            atomic_fetch_add(&storm->conflicts, 1);
    }
    PQfinish(connection);
    return NULL;
}

PG_TEST(test_beside_another_program)
{
    static struct storm ours, theirs;
    pthread_t threads[STORM_THREADS];
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "train";
    table.version_column = "ver";
    pg_sql(server, "create table train (key text primary key, state text not null, "
                   "ver int not null)");
    memset(&ours, 0, sizeof ours);
    memset(&theirs, 0, sizeof theirs);
    batch_store *store = pg_store(server, NULL, &table);
    batch_options options = pg_number_options(store, 2);
    ours.processor = processor_start(&options);
    theirs.server = server;
    for (size_t i = 0; i < STORM_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i % 2 == 0 ? adder_main : foreign_main,
                                        i % 2 == 0 ? &ours : &theirs),
                         0);
    for (size_t i = 0; i < STORM_THREADS; i++)
        pthread_join(threads[i], NULL);
    processor_end(ours.processor);
    pg_store_end(store);
    check_storm(&ours);
    print_message("conflicts: %d of ours, %d of theirs\n", ours.conflicts, theirs.conflicts);
    check_sums(server, "train", STORM_THREADS * STORM_ADDS / STORM_KEYS);
}

/* ---- Groups that overlap -------------------------------------------------------------------- */

enum { GROUP = 500, ROUNDS = 30, ALL_KEYS = 750 };

struct grouper {
    batch_processor *processor;
    struct random random;
    size_t first;     /* of the keys */
    int ok[ALL_KEYS]; /* additions that were OK */
    int others;       /* statuses that are neither OK nor CONFLICT */
    int conflicts;
    char keys[GROUP][16];
    size_t order[GROUP];
    struct request requests[GROUP];
};

static void *grouper_main(void *arg)
{
    struct grouper *grouper = arg;
    for (size_t i = 0; i < GROUP; i++) {
        grouper->order[i] = i;
        snprintf(grouper->keys[i], sizeof grouper->keys[i], "key %zu", grouper->first + i);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = GROUP - 1; i > 0; i--) {
            size_t j = random_below(&grouper->random, i + 1);
            size_t swapped = grouper->order[i];
            grouper->order[i] = grouper->order[j];
            grouper->order[j] = swapped;
        }
        for (size_t i = 0; i < GROUP; i++) {
            const char *key = grouper->keys[grouper->order[i]];
            request_init(&grouper->requests[i], key, strlen(key), 1);
        }
        requests_run(grouper->processor, grouper->requests, GROUP);
        for (size_t i = 0; i < GROUP; i++) {
            int status = grouper->requests[i].result.status;
            grouper->ok[grouper->first + grouper->order[i]] += status == BATCH_OK;
            grouper->conflicts += status == BATCH_CONFLICT;
            grouper->others += status != BATCH_OK && status != BATCH_CONFLICT;
        }
    }
    return NULL;
}

/* Two processors save groups that have half of their keys in common, in another order each time. If
 * they took their locks in that order, they would soon wait for each other. */
PG_TEST(test_groups_that_overlap)
{
    static struct grouper groupers[2];
    pthread_t threads[2];
    batch_postgres_options table = pg_text_table(server, "storm");
    batch_store *store = pg_store(server, NULL, &table);
    batch_options options = pg_number_options(store, 2);
    int64_t deadlocks = pg_number(server, "select sum(deadlocks) from pg_stat_database");
    memset(groupers, 0, sizeof groupers);
    for (size_t i = 0; i < 2; i++) {
        groupers[i].processor = processor_start(&options);
        groupers[i].random.state = 7 + (unsigned)i;
        groupers[i].first = i * (ALL_KEYS - GROUP);
        assert_int_equal(pthread_create(&threads[i], NULL, grouper_main, &groupers[i]), 0);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 2; i++)
        processor_end(groupers[i].processor);
    pg_store_end(store);
    for (size_t i = 0; i < ALL_KEYS; i++)
        assert_int_equal(pg_number(server,
                                   "select coalesce(max(state::bigint), 0) from storm "
                                   "where key = 'key %zu'",
                                   i),
                         groupers[0].ok[i] + groupers[1].ok[i]);
    print_message("%d conflicts\n", groupers[0].conflicts + groupers[1].conflicts);
    assert_int_equal(groupers[0].others + groupers[1].others, 0);
    assert_true(groupers[0].conflicts + groupers[1].conflicts < 2 * GROUP * ROUNDS);
    /* Sessions hand in their statistics when they end, at the latest. */
    pg_wait(server, "sessions end",
            "select (count(*) = 0)::int from pg_stat_activity "
            "where backend_type = 'client backend' and pid <> pg_backend_pid()");
    assert_int_equal(pg_number(server, "select sum(deadlocks) from pg_stat_database"), deadlocks);
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
