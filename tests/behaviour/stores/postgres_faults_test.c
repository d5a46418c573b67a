/* The PostgreSQL store: the server is killed, stopped, stands still, disappears behind the network,
 * throws its sessions out, or asks to try again. What was reported must be true, and service must
 * come back by itself. */
#include "driver.h"
#include "fault_proxy.h"
#include "store_wrapper.h"
#include "postgres_case.h"
#include "test.h"

#include <stdatomic.h>

#define MS 1000000u

/* Deadlines that tests must reach; a slow machine may not get to the point before, then with twice
 * the time, up to this. */
enum { DEADLINE_MS = 200, DEADLINE_MAX_MS = 30000 };

struct pg_case;
typedef void (*fault_fn)(struct pg_case *pg);

/* A table of numbers, and a store on it through a proxy. One processor on it has all the time there
 * is; another one is in a hurry. */
struct pg_case {
    struct postgres_server *server;
    struct fault_proxy *proxy;
    batch_store *store;
    struct store_wrapper wrapper;
    batch_processor *patient;
    batch_processor *hurried;
    fault_fn meet; /* before each group that does this, or NULL */
    enum store_step met_at;
    atomic_bool is_armed; /* nothing is met before that */
    atomic_bool is_met;
};

static void before(enum store_step step, size_t calls_size, void *arg)
{
    struct pg_case *pg = arg;
    (void)calls_size;
    if (pg->meet != NULL && step == pg->met_at)
        pg->meet(pg);
}

static int set_up(void **state)
{
    static struct pg_case pg;
    char conninfo[POSTGRES_CONNINFO_SIZE];
    pg_set_up(state);
    pg = (struct pg_case){.server = *state};
    pg.proxy = fault_proxy_start(pg.server->port);
    postgres_server_conninfo_at(pg.server, fault_proxy_port(pg.proxy), conninfo);
    batch_postgres_options table = pg_text_table(pg.server, "numbers");
    pg.store = pg_store(pg.server, conninfo, &table);
    store_wrapper_init(&pg.wrapper, pg.store->name, pg.store);
    pg.wrapper.before = before;
    pg.wrapper.arg = &pg;
    batch_options options = pg_number_options(pg.store, 1);
    pg.patient = processor_start(&options);
    *state = &pg;
    return 0;
}

static int tear_down(void **state)
{
    struct pg_case *pg = *state;
    processor_end(pg->patient);
    pg_store_end(pg->store);
    fault_proxy_end(pg->proxy);
    return 0;
}

#define FAULT_TEST(name) TEST_ON(name, struct pg_case *pg, set_up, tear_down)

static void hurried_start(struct pg_case *pg, uint64_t deadline_ms)
{
    batch_options options = pg_number_options(&pg->wrapper.store, 1);
    options.deadline_ns = deadline_ms * MS;
    pg->hurried = processor_start(&options);
}

/* Add 1 on a processor. */
static int add(batch_processor *processor, struct request *request)
{
    request_init(request, "key", 3, 1);
    return request_run(processor, request);
}

static int64_t stored(struct pg_case *pg)
{
    return pg_number(pg->server, "select coalesce(max(state), '0')::bigint from numbers "
                                 "where key = 'key'");
}

/* Add 1 with patience, until it goes well; what is not applied is tried again. The number then. */
static int64_t add_until_ok(struct pg_case *pg)
{
    struct request request;
    do {
        add(pg->patient, &request);
        if (request.result.status == BATCH_UNKNOWN)
            fail_msg("unknown, with nothing wrong: %s", request.result.message);
    } while (request.result.status != BATCH_OK);
    return request.seen;
}

/* No session is at work any more. */
static void wait_until_idle(struct pg_case *pg)
{
    pg_wait(pg->server, "sessions end what they do",
            "select (count(*) = 0)::int from pg_stat_activity where state <> 'idle' "
            "and backend_type = 'client backend' and pid <> pg_backend_pid()");
}

/* ---- Killed under load ---------------------------------------------------------------------- */

enum { ADDERS = 4, ADDER_KEYS = 16 };

struct load {
    batch_processor *processor;
    atomic_bool ends;
    atomic_int ok[ADDER_KEYS];
    atomic_int unknown[ADDER_KEYS];
    atomic_int ok_all;
    atomic_int not_ok;
    atomic_uint next;
};

static void *adder_main(void *arg)
{
    struct load *load = arg;
    while (!atomic_load(&load->ends)) {
        unsigned number = atomic_fetch_add(&load->next, 1) % ADDER_KEYS;
        char key[8];
        int size = snprintf(key, sizeof key, "k%u", number);
        struct request request;
        request_init(&request, key, (size_t)size, 1);
        int status = request_run(load->processor, &request);
        if (status == BATCH_OK) {
            atomic_fetch_add(&load->ok[number], 1);
            atomic_fetch_add(&load->ok_all, 1);
        } else {
            if (status == BATCH_UNKNOWN)
                atomic_fetch_add(&load->unknown[number], 1);
            atomic_fetch_add(&load->not_ok, 1);
            pg_rest();
        }
    }
    return NULL;
}

static void wait_for_more(atomic_int *count, int more)
{
    int wanted = atomic_load(count) + more;
    while (atomic_load(count) < wanted)
        pg_rest();
}

static void check_numbers(struct pg_case *pg, struct load *load)
{
    int unknown = 0;
    for (unsigned i = 0; i < ADDER_KEYS; i++) {
        int64_t number = pg_number(pg->server,
                                   "select coalesce(max(state::bigint), 0) from numbers "
                                   "where key = 'k%u'",
                                   i);
        int64_t least = load->ok[i], most = load->ok[i] + load->unknown[i];
        if (number < least || number > most)
            fail_msg("key k%u is %ld: %ld additions were OK, %ld more unknown", i, (long)number,
                     (long)least, (long)(most - least));
        unknown += load->unknown[i];
    }
    print_message("%d additions OK, %d unknown, %d not applied\n", load->ok_all, unknown,
                  load->not_ok - unknown);
}

/* Four callers add, while `disturb` is done again and again. */
static void add_while(struct pg_case *pg, void (*disturb)(struct pg_case *pg), int times)
{
    static struct load load;
    pthread_t adders[ADDERS];
    memset(&load, 0, sizeof load);
    batch_options options = pg_number_options(pg->store, 2);
    options.deadline_ns = 2000 * MS;
    load.processor = processor_start(&options);
    fault_proxy_mark(pg->proxy);
    for (size_t i = 0; i < ADDERS; i++)
        assert_int_equal(pthread_create(&adders[i], NULL, adder_main, &load), 0);
    for (int i = 0; i < times; i++) {
        wait_for_more(&load.ok_all, 200);
        disturb(pg);
    }
    wait_for_more(&load.ok_all, 200);
    atomic_store(&load.ends, true);
    for (size_t i = 0; i < ADDERS; i++)
        pthread_join(adders[i], NULL);
    processor_end(load.processor);
    check_numbers(pg, &load);
    assert_true(fault_proxy_connections(pg->proxy) >= (unsigned)times);
}

static void kill_and_start(struct pg_case *pg)
{
    postgres_server_kill(pg->server);
    postgres_server_start(pg->server);
}

FAULT_TEST(test_the_server_is_killed_under_load)
{
    add_while(pg, kill_and_start, 5);
}

static void stop_and_start(struct pg_case *pg)
{
    postgres_server_stop(pg->server);
    postgres_server_start(pg->server);
}

FAULT_TEST(test_the_server_is_stopped_under_load)
{
    add_while(pg, stop_and_start, 3);
}

static void terminate_all(struct pg_case *pg)
{
    pg_sql(pg->server, "select pg_terminate_backend(pid) from pg_stat_activity "
                       "where backend_type = 'client backend' and pid <> pg_backend_pid()");
}

FAULT_TEST(test_sessions_are_terminated_under_load)
{
    add_while(pg, terminate_all, 50);
}

static void reset_all(struct pg_case *pg)
{
    fault_proxy_reset_all(pg->proxy);
}

FAULT_TEST(test_connections_are_reset_under_load)
{
    add_while(pg, reset_all, 50);
}

/* ---- A server that does not respond ---------------------------------------------------------- */

/* What is met; each does its work once, when it is armed. */
static bool is_time(struct pg_case *pg)
{
    return atomic_load(&pg->is_armed) && !atomic_exchange(&pg->is_met, true);
}

static void pause_before(struct pg_case *pg)
{
    if (is_time(pg))
        postgres_server_pause(pg->server);
}

static void hold_before(struct pg_case *pg)
{
    if (is_time(pg))
        fault_proxy_hold(pg->proxy, true);
}

/* The connection is lost, and a new one meets the black hole. */
static void reset_and_hold_before(struct pg_case *pg)
{
    if (is_time(pg)) {
        fault_proxy_reset_all(pg->proxy);
        fault_proxy_hold(pg->proxy, true);
    }
}

static void let_go(struct pg_case *pg)
{
    postgres_server_resume(pg->server);
    fault_proxy_hold(pg->proxy, false);
    pg->is_armed = false;
}

/* Loads end by their deadline, as not applied, while the server does not respond. */
static void check_loads(struct pg_case *pg, fault_fn fault)
{
    int64_t before = add_until_ok(pg);
    pg->met_at = STORE_LOADS;
    pg->meet = fault;
    hurried_start(pg, DEADLINE_MS);
    pg->is_armed = true;
    for (int i = 0; i < 3; i++) {
        struct request request;
        assert_int_equal(add(pg->hurried, &request), BATCH_LOAD_FAILED);
    }
    assert_true(pg->is_met);
    let_go(pg);
    assert_int_equal(add_until_ok(pg), before + 1);
    struct request request;
    while (add(pg->hurried, &request) != BATCH_OK)
        ;
    processor_end(pg->hurried);
}

/* A save ends by its deadline, while the server does not respond: as `wanted`, or, if the deadline
 * came before the save, as not applied, and then there is more time. */
static void check_saves(struct pg_case *pg, fault_fn fault, int wanted)
{
    int status = BATCH_OK;
    pg->met_at = STORE_SAVES;
    pg->meet = fault;
    for (uint64_t deadline_ms = DEADLINE_MS; status != wanted; deadline_ms *= 2) {
        if (deadline_ms > DEADLINE_MAX_MS)
            fail_msg("%s is never reported", batch_status_name(wanted));
        hurried_start(pg, deadline_ms);
        /* It has saved before: its session has sent all that it sends but once. */
        struct request request;
        while (add(pg->hurried, &request) != BATCH_OK)
            ;
        int64_t before = add_until_ok(pg);
        pg->is_met = false;
        pg->is_armed = true;
        status = add(pg->hurried, &request);
        if (status == BATCH_OK || (wanted != BATCH_UNKNOWN && status == BATCH_UNKNOWN))
            fail_msg("%s, and the server did not respond", batch_status_name(status));
        if (!pg->is_met)
            assert_int_equal(status, BATCH_LOAD_FAILED);
        let_go(pg);
        /* What was sent may be done now, but only if that was said; the next addition stands on
         * what is stored, whatever it is. */
        processor_end(pg->hurried);
        int64_t after = add_until_ok(pg);
        wait_until_idle(pg);
        int64_t applied = after - before - 1;
        if (applied < 0 || applied > (status == BATCH_UNKNOWN ? 1 : 0))
            fail_msg("%s, and %ld were applied", batch_status_name(status), (long)applied);
        assert_int_equal(stored(pg), after);
    }
}

FAULT_TEST(test_loads_end_while_the_server_is_paused)
{
    check_loads(pg, pause_before);
}

FAULT_TEST(test_loads_end_in_a_black_hole)
{
    check_loads(pg, hold_before);
}

FAULT_TEST(test_a_save_ends_while_the_server_is_paused)
{
    check_saves(pg, pause_before, BATCH_UNKNOWN);
}

FAULT_TEST(test_a_save_ends_in_a_black_hole)
{
    check_saves(pg, hold_before, BATCH_UNKNOWN);
}

FAULT_TEST(test_a_save_that_finds_no_connection_is_not_applied)
{
    check_saves(pg, reset_and_hold_before, BATCH_SAVE_FAILED);
}

/* Stopping does not wait for a server that does not respond. */
FAULT_TEST(test_stopping_while_the_server_is_paused)
{
    add_until_ok(pg);
    hurried_start(pg, DEADLINE_MS);
    postgres_server_pause(pg->server);
    struct request request;
    assert_int_equal(add(pg->hurried, &request), BATCH_LOAD_FAILED);
    processor_end(pg->hurried);
    postgres_server_resume(pg->server);
    add_until_ok(pg);
}

/* ---- What the server says ------------------------------------------------------------------- */

/* A trigger on the table; `body` finds in n how often it ran, which no rollback takes back. */
static void make_trigger(struct pg_case *pg, const char *body)
{
    pg_sql(pg->server, "drop sequence if exists runs cascade");
    pg_sql(pg->server, "create sequence runs");
    pg_sql(pg->server,
           "create or replace function interfere() returns trigger language plpgsql as $$ "
           "declare n bigint := nextval('runs'); begin %s return new; end $$",
           body);
    pg_sql(pg->server, "drop trigger if exists interferes on numbers");
    pg_sql(pg->server, "create trigger interferes before insert or update on numbers "
                       "for each row execute function interfere()");
}

static void check_tried_again(struct pg_case *pg, const char *sqlstate)
{
    char body[128];
    snprintf(body, sizeof body, "if n <= 5 then raise exception using errcode = '%s'; end if;",
             sqlstate);
    make_trigger(pg, body);
    struct request request;
    assert_int_equal(add(pg->patient, &request), BATCH_OK);
    assert_int_equal(stored(pg), 1);
    assert_int_equal(pg_number(pg->server, "select last_value from runs"), 6);
}

FAULT_TEST(test_a_serialization_failure_is_tried_again)
{
    check_tried_again(pg, "40001");
}

FAULT_TEST(test_a_deadlock_is_tried_again)
{
    check_tried_again(pg, "40P01");
}

/* Tried again until the deadline, and then the server's reason is reported. */
static void check_given_up(struct pg_case *pg, const char *sqlstate)
{
    char body[128], found[6] = "";
    snprintf(body, sizeof body, "raise exception using errcode = '%s';", sqlstate);
    make_trigger(pg, body);
    for (uint64_t deadline_ms = DEADLINE_MS; strcmp(found, sqlstate) != 0; deadline_ms *= 2) {
        if (deadline_ms > DEADLINE_MAX_MS)
            fail_msg("the reason is never reported, but %s", found);
        hurried_start(pg, deadline_ms);
        struct request request;
        int status = add(pg->hurried, &request);
        processor_end(pg->hurried);
        assert_int_not_equal(status, BATCH_OK);
        if (status == BATCH_SAVE_FAILED)
            batch_postgres_sqlstate(request.result.store_code, found);
        wait_until_idle(pg);
        assert_int_equal(stored(pg), 0);
    }
    assert_true(pg_number(pg->server, "select last_value from runs") > 1);
}

FAULT_TEST(test_a_serialization_failure_that_stays_is_given_up)
{
    check_given_up(pg, "40001");
}

FAULT_TEST(test_a_deadlock_that_stays_is_given_up)
{
    check_given_up(pg, "40P01");
}

/* The session is thrown out in the middle of the statement. */
FAULT_TEST(test_a_session_is_terminated_during_a_save)
{
    make_trigger(pg, "if n % 2 = 1 then perform pg_terminate_backend(pg_backend_pid()); "
                     "perform pg_sleep(600); end if;");
    for (int i = 0; i < 5; i++) {
        int64_t before = stored(pg);
        struct request request;
        int status = add(pg->patient, &request);
        wait_until_idle(pg);
        int64_t after = stored(pg);
        if (after != before + (status == BATCH_OK ? 1 : 0))
            fail_msg("%s; stored %ld, before %ld", batch_status_name(status), (long)after,
                     (long)before);
        if (status != BATCH_OK && status != BATCH_UNKNOWN && status != BATCH_SAVE_FAILED)
            fail_msg("%s: %s", batch_status_name(status), request.result.message);
    }
}

/* A statement that does not end by itself is ended by the deadline, and is not applied. */
FAULT_TEST(test_a_save_that_hangs_is_canceled)
{
    make_trigger(pg, "perform pg_sleep(600);");
    for (uint64_t deadline_ms = DEADLINE_MS;; deadline_ms *= 2) {
        hurried_start(pg, deadline_ms);
        struct request request;
        int status = add(pg->hurried, &request);
        processor_end(pg->hurried);
        wait_until_idle(pg);
        assert_int_equal(stored(pg), 0);
        assert_int_not_equal(status, BATCH_OK);
        if (pg_number(pg->server, "select is_called::int from runs") != 0)
            break;
    }
}

/* Somebody else cancels the statement. */
FAULT_TEST(test_a_save_is_canceled_by_somebody_else)
{
    make_trigger(pg, "if n = 1 then perform pg_cancel_backend(pg_backend_pid()); "
                     "perform pg_sleep(600); end if;");
    struct request request;
    int status = add(pg->patient, &request);
    int64_t before = stored(pg);
    assert_int_equal(before, status == BATCH_OK ? 1 : 0);
    assert_true(status == BATCH_OK || status == BATCH_SAVE_FAILED);
    assert_int_equal(add_until_ok(pg), before + 1);
}

/* From here on commits wait for a standby that does not exist. Settings reach the processes of a
 * server one by one: they have, when a commit is seen to wait. It goes on waiting. */
static PGconn *lose_standby(struct pg_case *pg)
{
    PGconn *probe = postgres_server_connect(pg->server);
    char wait[128];
    snprintf(wait, sizeof wait,
             "select count(*) from pg_stat_activity where pid = %d and wait_event = 'SyncRep'",
             PQbackendPID(probe));
    PQclear(PQexec(probe, "create table if not exists probe(n int)"));
    pg_configure(pg->server, "synchronous_standby_names", "nobody");
    for (int tries = 0; postgres_server_number(pg->server, wait) == 0; tries++) {
        assert_true(tries < 30000);
        assert_int_equal(PQconsumeInput(probe), 1);
        if (!PQisBusy(probe)) {
            PQclear(PQgetResult(probe));
            PQsendQuery(probe, "insert into probe values (1)"); /* no, if one is on its way */
        }
        pg_rest();
    }
    return probe;
}

static void find_standby(struct pg_case *pg, PGconn *probe)
{
    pg_configure(pg->server, "synchronous_standby_names", "");
    for (PGresult *result; (result = PQgetResult(probe)) != NULL;)
        PQclear(result);
    PQfinish(probe);
    wait_until_idle(pg);
}

/* A commit waits for a standby that is not there. A cancel ends the wait, and then the server says
 * that all went well: it is committed here, but not there, so it may be lost. */
static void check_unconfirmed(struct pg_case *pg)
{
    int status = BATCH_OK;
    for (uint64_t deadline_ms = DEADLINE_MS; status != BATCH_UNKNOWN; deadline_ms *= 2) {
        if (deadline_ms > DEADLINE_MAX_MS)
            fail_msg("UNKNOWN is never said");
        hurried_start(pg, deadline_ms);
        struct request request;
        while (add(pg->hurried, &request) != BATCH_OK)
            ;
        int64_t before = add_until_ok(pg);
        PGconn *probe = lose_standby(pg);
        status = add(pg->hurried, &request);
        batch_stats stats = BATCH_STATS_INIT;
        batch_processor_stats(pg->hurried, &stats);
        processor_end(pg->hurried);
        find_standby(pg, probe);
        if (status == BATCH_UNKNOWN && stats.events[BATCH_EVENT_STANDBY_GONE] == 0)
            fail_msg("UNKNOWN, and nobody says that the standby is gone");
        int64_t applied = stored(pg) - before;
        if (status == BATCH_OK)
            fail_msg("OK, and no standby has it");
        if (applied != (status == BATCH_UNKNOWN ? 1 : 0))
            fail_msg("%s, and %ld were applied", batch_status_name(status), (long)applied);
    }
}

FAULT_TEST(test_a_synchronous_standby_is_not_there)
{
    check_unconfirmed(pg);
}

/* The server warns, but the role does not want to know. */
FAULT_TEST(test_a_standby_is_not_there_and_warnings_are_off_for_the_role)
{
    pg_sql(pg->server, "alter role batch set client_min_messages = error");
    pg_sql(pg->server, "alter system set client_min_messages = error");
    terminate_all(pg);
    check_unconfirmed(pg);
    pg_sql(pg->server, "alter role batch reset all");
}

/* Nothing is printed: a trigger sees to that after all else. But the save was being canceled. */
FAULT_TEST(test_a_standby_is_not_there_and_a_trigger_hides_the_warning)
{
    pg_sql(pg->server, "create function hide() returns trigger language plpgsql as $$ begin "
                       "perform set_config('client_min_messages', 'error', true); "
                       "return null; end $$");
    pg_sql(pg->server, "create constraint trigger hides after insert or update on numbers "
                       "deferrable initially deferred for each row execute function hide()");
    check_unconfirmed(pg);
}

/* Without standbys, what a canceled statement reports is so. */
FAULT_TEST(test_a_save_that_is_done_while_it_is_canceled)
{
    make_trigger(pg, "begin perform pg_sleep(600); exception when query_canceled then end;");
    int status = BATCH_LOAD_FAILED;
    for (uint64_t deadline_ms = DEADLINE_MS; status == BATCH_LOAD_FAILED; deadline_ms *= 2) {
        hurried_start(pg, deadline_ms);
        struct request request;
        status = add(pg->hurried, &request);
        processor_end(pg->hurried);
    }
    wait_until_idle(pg);
    assert_int_equal(status, BATCH_OK);
    assert_int_equal(stored(pg), 1);
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
