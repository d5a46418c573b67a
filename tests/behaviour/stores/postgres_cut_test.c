/* The PostgreSQL store: its connection is cut at every byte of an exchange.
 *
 * One group with a new key, an updated key and one that another program has written meanwhile is
 * saved through a proxy, which cuts the connection after a given byte of one direction, the first
 * time after none, then after one, and so on until nothing is left to be cut. What everybody was
 * reported is compared with what a connection past the proxy finds:
 *
 *   BATCH_OK        stored; and never said before the server's ReadyForQuery had arrived whole: it
 *                   commits between the response to the statement and that
 *   BATCH_UNKNOWN   stored or not, both seen; never said when nothing was cut
 *   anything else   not stored
 *
 * Then the same keys must work again, on what is stored and not on the copy in memory. Loads, and
 * the opening of a connection, are cut in the same way.
 *
 * The seeded bugs are this program with a bug injected between the store and the library: what the
 * store calls unknown is passed on as failed, as OK, or as a conflict. */
#include "driver.h"
#include "fault_proxy.h"
#include "store_wrapper.h"
#include "postgres_case.h"
#include "test.h"

#ifdef CUT_BUG
/* The linker puts this between the store and libbatch. */
void __real_batch_call_finish(batch_call *call, int status);
void __wrap_batch_call_finish(batch_call *call, int status);

void __wrap_batch_call_finish(batch_call *call, int status)
{
    __real_batch_call_finish(call, status == BATCH_UNKNOWN ? CUT_BUG : status);
}
#endif

enum { KEYS = 3, NEW = 0, UPDATED = 1, WRITTEN = 2, NAME_SIZE = 32, TRUTH_SIZE = 64 };
#ifndef CUT_STEP
#define CUT_STEP 1 /* every byte */
#endif
enum { CONNECT_STEP = 97 * CUT_STEP }; /* opening a connection takes several thousand bytes */

enum exchange { CUT_SAVE, CUT_LOAD, CUT_CONNECT_AND_LOAD, CUT_CONNECT_AND_SAVE };

struct cut {
    struct postgres_server *server;
    struct fault_proxy *proxy;
    batch_store *store;
    struct store_wrapper wrapper;
    batch_processor *processor;

    /* What the next exchange meets. */
    enum exchange exchange;
    enum fault_direction direction;
    enum fault_kind kind;
    uint64_t bytes;
    bool is_set; /* the next group of that kind is met */

    unsigned round;
    char keys[KEYS][NAME_SIZE];
    char before[KEYS][TRUTH_SIZE]; /* what is stored: "state/version", or "" */
    size_t group_size;             /* of the group that met the fault */
    unsigned fired_port;           /* where the server knew the connection by; 0: not cut */
    char tail[FAULT_TAIL_SIZE];    /* the last bytes before the cut */

    unsigned seen[2][2]; /* [OK, UNKNOWN][applied] */
    unsigned conflicts;
    unsigned not_applied;
};

/* ---- What is stored ------------------------------------------------------------------------- */

static void look(struct cut *cut, size_t key, char ret_truth[TRUTH_SIZE])
{
    char *truth = pg_value(cut->server, "select state || '/' || version from cuts where key = '%s'",
                           cut->keys[key]);
    snprintf(ret_truth, TRUTH_SIZE, "%s", truth != NULL ? truth : "");
    free(truth);
}

/* ---- Hooks ---------------------------------------------------------------------------------- */

/* Is a connection to that port of 127.0.0.1 alive in this process's eyes? */
static bool is_connected_to(unsigned port)
{
    char line[256], wanted[32];
    bool found = false;
    FILE *connections = fopen("/proc/net/tcp", "r");
    if (connections == NULL)
        return false;
    snprintf(wanted, sizeof wanted, " 0100007F:%04X 01 ", port); /* 01: established */
    while (!found && fgets(line, sizeof line, connections) != NULL)
        found = strstr(line, wanted) != NULL;
    fclose(connections);
    return found;
}

/* On the worker, when the exchange is about to begin. */
static void meet(struct cut *cut, size_t calls_size)
{
    cut->is_set = false;
    cut->group_size = calls_size;
    if (cut->exchange == CUT_CONNECT_AND_LOAD || cut->exchange == CUT_CONNECT_AND_SAVE) {
        fault_proxy_reset_all(cut->proxy);
        while (is_connected_to(fault_proxy_port(cut->proxy)))
            pg_rest();
    }
    fault_proxy_arm(cut->proxy, cut->direction, cut->bytes, cut->kind);
}

static bool is_about_load(const struct cut *cut)
{
    return cut->exchange == CUT_LOAD || cut->exchange == CUT_CONNECT_AND_LOAD;
}

static void before_load(struct cut *cut, size_t calls_size)
{
    if (cut->is_set && is_about_load(cut))
        meet(cut, calls_size);
}

/* No fault that is meant for the load, or has had its time, comes any more. */
static void disarm(struct cut *cut)
{
    if (cut->fired_port == 0) {
        cut->fired_port = fault_proxy_fired_port(cut->proxy);
        fault_proxy_tail(cut->proxy, cut->tail);
    }
    fault_proxy_mark(cut->proxy);
}

static void before_save(struct cut *cut, size_t calls_size)
{
    if (is_about_load(cut))
        disarm(cut);
    if (is_about_load(cut) || !cut->is_set)
        return;
    pg_sql(cut->server,
           "update cuts set state = 'theirs-%05u', version = version + 1 where key = '%s'",
           cut->round, cut->keys[WRITTEN]);
    look(cut, WRITTEN, cut->before[WRITTEN]);
    meet(cut, calls_size);
}

static void before(enum store_step step, size_t calls_size, void *arg)
{
    if (step == STORE_LOADS)
        before_load(arg, calls_size);
    if (step == STORE_SAVES)
        before_save(arg, calls_size);
}

/* ---- What came of it ------------------------------------------------------------------------ */

/* What was cut off may still be at work: only when it has ended is it known what is stored. */
static void wait_for_backend(struct cut *cut)
{
    pg_wait(cut->server, "the server gives a cut connection up",
            "select (count(*) = 0)::int from pg_stat_activity where client_port = %u",
            cut->fired_port);
}

/* Compare what was reported of one key with what is stored under it. */
static void check_key(struct cut *cut, size_t key, const batch_result *result, const char *state)
{
    char now[TRUTH_SIZE];
    look(cut, key, now);
    size_t size = strlen(state);
    bool is_applied = strncmp(now, state, size) == 0 && now[size] == '/';
    bool is_as_before = strcmp(now, cut->before[key]) == 0;
    bool is_told_applied = result->status == BATCH_OK;
    bool may_be = batch_may_be_applied(result->status);
    const char *wrong = NULL;
    if (!is_applied && !is_as_before)
        wrong = "neither the old nor the new state is stored";
    if (is_told_applied && !is_applied)
        wrong = "lost";
    if (!may_be && is_applied)
        wrong = "applied, though reported as not applied";
    if (result->status == BATCH_UNKNOWN && (cut->fired_port == 0 || is_about_load(cut)))
        wrong = "unknown, though no save was cut";
    if (key == WRITTEN && !is_about_load(cut) && (is_applied || is_told_applied))
        wrong = "applied over a conflict";
    if (wrong != NULL)
        fail_msg("%s, %s after %lu bytes to the %s: %s (%s); stored: %s, before: %s", wrong,
                 cut->kind == FAULT_RESET ? "reset" : "ended", (unsigned long)cut->bytes,
                 cut->direction == TO_SERVER ? "server" : "client",
                 batch_status_name(result->status), result->message, now, cut->before[key]);
    if (may_be)
        cut->seen[result->status == BATCH_UNKNOWN][is_applied]++;
    else if (result->status == BATCH_CONFLICT)
        cut->conflicts++;
    else
        cut->not_applied++;
    snprintf(cut->before[key], TRUTH_SIZE, "%s", now);
}

/* ---- One round ------------------------------------------------------------------------------ */

/* Give all keys new states at once. */
static void set_all(struct cut *cut, struct text_request *requests, char state[NAME_SIZE])
{
    for (size_t i = 0; i < KEYS; i++)
        text_request_init(&requests[i], cut->keys[i], strlen(cut->keys[i]), state, strlen(state));
    pg_texts_run(cut->processor, requests, KEYS);
}

/* Everything works again, and begins with what is stored. */
static void check_recovery(struct cut *cut)
{
    struct text_request requests[KEYS];
    char state[NAME_SIZE];
    snprintf(state, sizeof state, "again-%05u", cut->round);
    set_all(cut, requests, state);
    for (size_t i = 0; i < KEYS; i++) {
        if (requests[i].request.result.status != BATCH_OK)
            fail_msg("not well again: %s", requests[i].request.result.message);
        const char *seen = requests[i].seen != NULL ? requests[i].seen : "";
        if (strncmp(cut->before[i], seen, strlen(seen)) != 0 ||
            (seen[0] == '\0') != (cut->before[i][0] == '\0'))
            fail_msg("began with %s, but %s was stored", seen, cut->before[i]);
        free(requests[i].seen);
    }
}

/* Cut after so many bytes of an exchange. Was the new key completed with OK? */
static bool cut_after(struct cut *cut, uint64_t bytes)
{
    struct text_request requests[KEYS];
    char state[NAME_SIZE];
    cut->round++;
    cut->bytes = bytes;
    cut->fired_port = 0;
    snprintf(cut->keys[NEW], NAME_SIZE, "new-%05u", cut->round);
    snprintf(state, sizeof state, "state-%05u", cut->round);
    for (size_t i = 0; i < KEYS; i++)
        look(cut, i, cut->before[i]);
    cut->is_set = true;
    set_all(cut, requests, state);
    disarm(cut);
    assert_false(cut->is_set);
    assert_int_equal(cut->group_size, KEYS);
    if (cut->fired_port != 0)
        wait_for_backend(cut);
    for (size_t i = 0; i < KEYS; i++) {
        check_key(cut, i, &requests[i].request.result, state);
        free(requests[i].seen);
    }
    check_recovery(cut);
    return requests[NEW].request.result.status == BATCH_OK;
}

/* Has the server said, as the last thing before the cut, that it is ready for the next query? */
static bool was_ready(const struct cut *cut)
{
    static const char ready[6] = {'Z', 0, 0, 0, 5, 'I'};
    return memcmp(cut->tail + sizeof cut->tail - sizeof ready, ready, sizeof ready) == 0;
}

/* Cut after every `step`th byte, until there is nothing more to cut; the last that was. */
static uint64_t cut_everywhere(struct cut *cut, enum exchange exchange,
                               enum fault_direction direction, enum fault_kind kind, uint64_t step)
{
    cut->exchange = exchange;
    cut->direction = direction;
    cut->kind = kind;
    bool was_ok = false;
    for (uint64_t bytes = 0;; bytes += step) {
        bool is_ok = cut_after(cut, bytes);
        if (cut->fired_port == 0)
            return bytes - step;
        /* The new key is saved by the first statement; what comes after that does not matter to
         * it. */
        if (exchange == CUT_SAVE && direction == TO_CLIENT && step == 1 && is_ok && !was_ok &&
            !was_ready(cut))
            fail_msg("OK after %lu bytes, before the commit was seen", (unsigned long)bytes);
        if (exchange == CUT_SAVE && was_ok && !is_ok)
            fail_msg("not OK after %lu bytes, though the commit was seen", (unsigned long)bytes);
        was_ok = is_ok;
    }
}

/* ---- Tests ---------------------------------------------------------------------------------- */

/* A save, on a connection that has saved before. */
static void cut_saves(struct cut *cut, enum fault_kind kind)
{
    assert_true(cut_after(cut, UINT64_MAX));
    uint64_t got = cut_everywhere(cut, CUT_SAVE, TO_CLIENT, kind, CUT_STEP);
    uint64_t sent = cut_everywhere(cut, CUT_SAVE, TO_SERVER, kind, CUT_STEP);
    print_message("A save sends %lu bytes and gets %lu. Cut there: OK %u, unknown and applied %u, "
                  "unknown and not %u, conflicts %u, not applied %u\n",
                  (unsigned long)sent, (unsigned long)got, cut->seen[0][1], cut->seen[1][1],
                  cut->seen[1][0], cut->conflicts, cut->not_applied);
    assert_true(cut->seen[0][1] > 0);
    assert_true(cut->seen[1][0] > 0);
    assert_true(cut->seen[1][1] > 0);
    assert_true(cut->conflicts > 0);
}

static int set_up(void **state)
{
    static struct cut cut;
    pg_set_up(state);
    cut = (struct cut){.server = *state};
    char conninfo[POSTGRES_CONNINFO_SIZE];
    cut.proxy = fault_proxy_start(cut.server->port);
    postgres_server_conninfo_at(cut.server, fault_proxy_port(cut.proxy), conninfo);
    batch_postgres_options table = pg_text_table(cut.server, "cuts");
    pg_sql(cut.server, "insert into cuts values ('updated', 'first', 100000), "
                       "('written', 'first', 100000)");
    snprintf(cut.keys[UPDATED], NAME_SIZE, "updated");
    snprintf(cut.keys[WRITTEN], NAME_SIZE, "written");
    cut.store = pg_store(cut.server, conninfo, &table);
    store_wrapper_init(&cut.wrapper, cut.store->name, cut.store);
    cut.wrapper.before = before;
    cut.wrapper.arg = &cut;
    /* Without sessions the worker hands over all that it was given at once, as one group. */
    batch_options options = text_options(&cut.wrapper.store, 0);
    cut.processor = processor_start(&options);
    *state = &cut;
    return 0;
}

static int tear_down(void **state)
{
    struct cut *cut = *state;
    processor_end(cut->processor);
    pg_store_end(cut->store);
    fault_proxy_end(cut->proxy);
    *state = cut->server;
    return 0;
}

#define CUT_TEST(name) TEST_ON(name, struct cut *cut, set_up, tear_down)

CUT_TEST(test_a_save_is_reset_at_every_byte)
{
    cut_saves(cut, FAULT_RESET);
}

CUT_TEST(test_a_save_is_ended_at_every_byte)
{
    cut_saves(cut, FAULT_FIN);
}

#ifndef CUT_BUG
CUT_TEST(test_a_load_is_cut_at_every_byte)
{
    assert_true(cut_after(cut, UINT64_MAX));
    uint64_t sent = cut_everywhere(cut, CUT_LOAD, TO_SERVER, FAULT_RESET, CUT_STEP);
    uint64_t got = cut_everywhere(cut, CUT_LOAD, TO_CLIENT, FAULT_FIN, CUT_STEP);
    print_message("A load sends %lu bytes and gets %lu\n", (unsigned long)sent, (unsigned long)got);
    assert_int_equal(cut->seen[1][0] + cut->seen[1][1], 0);
    assert_true(cut->seen[0][1] > 0);
}

/* Opening a connection, when the load, or the save, finds that it is lost. A load has nothing to
 * lose and may be tried again; a save must not be UNKNOWN before it was sent. */
CUT_TEST(test_opening_a_connection_is_cut)
{
    for (int direction = 0; direction < 2; direction++) {
        enum fault_direction at = (enum fault_direction)direction;
        cut_everywhere(cut, CUT_CONNECT_AND_LOAD, at, FAULT_RESET, CONNECT_STEP);
        assert_int_equal(cut->seen[1][0] + cut->seen[1][1], 0);
    }
    for (int direction = 0; direction < 2; direction++) {
        enum fault_direction at = (enum fault_direction)direction;
        cut_everywhere(cut, CUT_CONNECT_AND_SAVE, at, FAULT_FIN, CONNECT_STEP);
    }
    assert_true(cut->seen[0][1] > 0);
}

CUT_TEST(test_everything_comes_byte_by_byte)
{
    cut->exchange = CUT_CONNECT_AND_LOAD;
    fault_proxy_slice(cut->proxy, 1, 0);
    for (size_t i = 0; i < 3; i++)
        assert_true(cut_after(cut, UINT64_MAX));
    cut->exchange = CUT_CONNECT_AND_SAVE;
    for (size_t i = 0; i < 3; i++)
        assert_true(cut_after(cut, UINT64_MAX));
    assert_int_equal(cut->fired_port, 0);
    assert_int_equal(cut->conflicts, 3);
}
/* ---- The cancel ----------------------------------------------------------------------------- */

enum { CANCEL_SIZE = 16 };

static bool is_over(struct latch *latch)
{
    pthread_mutex_lock(&latch->lock);
    bool is_over = latch->left == 0;
    pthread_mutex_unlock(&latch->lock);
    return is_over;
}

/* A save hangs, and its cancel is cut after so many bytes; the status that it ends with. False: the
 * deadline passed before the save had begun. */
static bool cut_cancel(struct cut *cut, uint64_t deadline_ns, enum fault_kind kind, uint64_t bytes,
                       int *ret_status)
{
    struct text_request request;
    struct latch latch;
    batch_options options = text_options(cut->store, 1);
    options.deadline_ns = deadline_ns;
    batch_processor *processor = processor_start(&options);
    latch_init(&latch, 1);
    text_request_init(&request, "hangs", 5, "again", 5);
    request.request.latch = &latch;
    assert_int_equal(batch_submit(processor, &request.request.op), BATCH_OK);
    while (!is_over(&latch) && pg_number(cut->server, "select count(*) from pg_stat_activity "
                                                      "where wait_event = 'PgSleep'") == 0)
        pg_rest();
    fault_proxy_arm(cut->proxy, TO_SERVER, bytes, kind);
    latch_wait(&latch);
    bool has_fired = fault_proxy_has_fired(cut->proxy);
    fault_proxy_mark(cut->proxy);
    processor_end(processor);
    pg_sql(cut->server, "select pg_terminate_backend(pid) from pg_stat_activity "
                        "where wait_event = 'PgSleep'");
    *ret_status = request.request.result.status;
    free(request.seen);
    latch_destroy(&latch);
    return has_fired;
}

/* It is sent through the proxy too, on a connection of its own. Before the last byte it is none. */
CUT_TEST(test_a_cancel_is_cut_at_every_byte)
{
    pg_sql(cut->server, "insert into cuts values ('hangs', 'first', 1)");
    pg_sql(cut->server, "create function hang() returns trigger language plpgsql as "
                        "'begin perform pg_sleep(600); return new; end'");
    pg_sql(cut->server, "create trigger hangs before update on cuts for each row "
                        "when (new.key = 'hangs') execute function hang()");
    for (uint64_t bytes = 0; bytes <= CANCEL_SIZE; bytes += CUT_STEP) {
        enum fault_kind kind = bytes % 4 == 3 ? FAULT_FIN : FAULT_RESET;
        int status;
        for (uint64_t deadline_ns = 100000000; !cut_cancel(cut, deadline_ns, kind, bytes, &status);
             deadline_ns *= 2) {
            if (deadline_ns > LONG_NS)
                fail_msg("%lu bytes of a cancel never come", (unsigned long)bytes);
        }
        int wanted = bytes < CANCEL_SIZE ? BATCH_UNKNOWN : BATCH_SAVE_FAILED;
        if (status != wanted)
            fail_msg("%s after %lu bytes", batch_status_name(status), (unsigned long)bytes);
        pg_expect(cut->server, "first", "select state from cuts where key = 'hangs'");
    }
}
#endif

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
