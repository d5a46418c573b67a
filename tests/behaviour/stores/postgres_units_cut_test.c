/* The PostgreSQL store: its connection is cut all over a save of units.
 *
 * Money moves between two accounts, a key that is new belongs to it, and so does, in the second
 * test, one that is only checked and not there: then the save is a transaction of four exchanges.
 * Beside it are a unit that another program has spoilt, and a key that is alone. After each cut,
 * what a connection past the proxy finds has to be whole, and what was reported has to be true. At
 * the end the server itself ends the statement of a save. */
#include "driver.h"
#include "fault_proxy.h"
#include "postgres_case.h"
#include "test.h"
#include "unit_store.h"

#ifndef CUT_STEP
#define CUT_STEP 1
#endif

/* Every byte takes minutes. What the server gets only in part it does not do, wherever it ends. */
enum { STEP_TO_SERVER = 11 * CUT_STEP, STEP_TO_CLIENT = 3 * CUT_STEP };

enum { KEYS = 7, MONEY = 1000 };
enum { FROM, TO, RECEIPT, ABSENT, SPOILT, BESIDE, ALONE };

struct cut {
    struct postgres_server *server;
    struct fault_proxy *proxy;
    batch_store *store;
    struct store_wrapper wrapper;
    batch_processor *processor;
    bool has_absent; /* the checked one takes part */
    bool is_armed;
    enum fault_direction direction;
    enum fault_kind kind;
    uint64_t bytes;
    unsigned fired_port; /* 0: not cut */
    unsigned round;
    char receipt[32];
    char alone[32];
    unsigned seen[2][2]; /* [OK, UNKNOWN][stored] */
    unsigned not_stored;
};

static void before(enum store_step step, size_t calls_size, void *arg)
{
    struct cut *cut = arg;
    if (step != STORE_SAVES || !cut->is_armed)
        return;
    assert_int_equal(calls_size, cut->has_absent ? KEYS : KEYS - 1);
    cut->is_armed = false;
    pg_sql(cut->server, "update cuts set version = version + 1 where key = 'u2:spoilt'");
    fault_proxy_arm(cut->proxy, cut->direction, cut->bytes, cut->kind);
}

static int64_t money_at(struct cut *cut, const char *key)
{
    return pg_number(cut->server,
                     "select coalesce((select state from cuts where key = '%s'), '0')::int8", key);
}

static void run(struct cut *cut, struct request requests[KEYS])
{
    const char *keys[KEYS] = {"u1:from",   "u1:to",     cut->receipt, "u1?absent",
                              "u2:spoilt", "u2:beside", cut->alone};
    static const int64_t adds[KEYS] = {-1, 1, 1, 1, 1, 1, 1};
    struct request *used[KEYS];
    struct latch latch;
    batch_op *ops[KEYS];
    size_t size = 0;
    for (size_t i = 0; i < KEYS; i++) {
        request_init(&requests[i], keys[i], strlen(keys[i]), adds[i]);
        if (i != ABSENT || cut->has_absent)
            used[size++] = &requests[i];
    }
    latch_init(&latch, size);
    for (size_t i = 0; i < size; i++) {
        used[i]->latch = &latch;
        ops[i] = &used[i]->op;
    }
    assert_int_equal(batch_submit_many(cut->processor, ops, size), BATCH_OK);
    latch_wait(&latch);
    latch_destroy(&latch);
}

/* The server may still be at work for the connection that was cut. */
static void wait_for_backend(struct cut *cut)
{
    cut->fired_port = fault_proxy_fired_port(cut->proxy);
    fault_proxy_mark(cut->proxy);
    if (cut->fired_port != 0)
        pg_wait(cut->server, "the server gives a cut connection up",
                "select (count(*) = 0)::int from pg_stat_activity where client_port = %u",
                cut->fired_port);
}

static void check_one(struct cut *cut, const batch_result *result, bool is_stored)
{
    bool is_unknown = result->status == BATCH_UNKNOWN;
    if ((result->status == BATCH_OK && !is_stored) ||
        (!batch_may_be_applied(result->status) && is_stored) ||
        (is_unknown && cut->fired_port == 0))
        fail_msg("%s after %lu bytes to the %s, and it is%s stored: %s",
                 batch_status_name(result->status), (unsigned long)cut->bytes,
                 cut->direction == TO_SERVER ? "server" : "client", is_stored ? "" : " not",
                 result->message);
    if (batch_may_be_applied(result->status))
        cut->seen[is_unknown][is_stored]++;
    else
        cut->not_stored++;
}

/* Cut a save after so many bytes. False: nothing was left to be cut. */
static bool cut_after(struct cut *cut, uint64_t bytes)
{
    struct request requests[KEYS];
    cut->round++;
    cut->bytes = bytes;
    snprintf(cut->receipt, sizeof cut->receipt, "receipt%u u1:r", cut->round);
    snprintf(cut->alone, sizeof cut->alone, "alone %u", cut->round);
    int64_t from = money_at(cut, "u1:from"), beside = money_at(cut, "u2:beside");
    cut->is_armed = true;
    run(cut, requests);
    wait_for_backend(cut);
    assert_false(cut->is_armed);
    bool is_stored = money_at(cut, "u1:from") != from;
    assert_int_equal(money_at(cut, "u1:from") + money_at(cut, "u1:to"), MONEY);
    assert_int_equal(money_at(cut, cut->receipt), is_stored ? 1 : 0);
    assert_int_equal(money_at(cut, "u1?absent"), 0);
    assert_int_equal(money_at(cut, "u2:beside"), beside);
    for (size_t i = FROM; i <= ABSENT; i++) {
        if (i != ABSENT || cut->has_absent)
            check_one(cut, &requests[i].result, is_stored);
    }
    for (size_t i = TO; i <= RECEIPT; i++)
        assert_int_equal(requests[i].result.status, requests[FROM].result.status);
    assert_int_equal(requests[BESIDE].result.status, requests[SPOILT].result.status);
    check_one(cut, &requests[BESIDE].result, false);
    check_one(cut, &requests[ALONE].result, money_at(cut, cut->alone) == 1);
    return cut->fired_port != 0;
}

static void cut_everywhere(struct cut *cut)
{
    uint64_t sizes[2] = {0, 0};
    cut_after(cut, UINT64_MAX);
    for (int direction = 0; direction < 2; direction++) {
        cut->direction = direction == 0 ? TO_SERVER : TO_CLIENT;
        cut->kind = FAULT_RESET;
        uint64_t step = direction == 0 ? STEP_TO_SERVER : STEP_TO_CLIENT;
        for (uint64_t bytes = 0; cut_after(cut, bytes); bytes += step) {
            cut->kind = cut->kind == FAULT_RESET ? FAULT_FIN : FAULT_RESET;
            sizes[direction] = bytes;
        }
    }
    print_message("It sends %lu bytes and gets %lu. Cut there: OK %u, unknown and stored %u, "
                  "unknown and not %u, not stored %u\n",
                  (unsigned long)sizes[0], (unsigned long)sizes[1], cut->seen[0][1],
                  cut->seen[1][1], cut->seen[1][0], cut->not_stored);
    assert_true(cut->seen[0][1] > 0);
    assert_true(cut->seen[1][0] > 0);
    assert_true(cut->seen[1][1] > 0);
    assert_true(cut->not_stored > 0);
}

static int set_up(void **state)
{
    static struct cut cut;
    char conninfo[POSTGRES_CONNINFO_SIZE];
    pg_set_up(state);
    cut = (struct cut){.server = *state};
    cut.proxy = fault_proxy_start(cut.server->port);
    postgres_server_conninfo_at(cut.server, fault_proxy_port(cut.proxy), conninfo);
    batch_postgres_options table = pg_text_table(cut.server, "cuts");
    pg_sql(cut.server,
           "insert into cuts values ('u1:from', '%d', 1), ('u1:to', '0', 1), "
           "('u2:spoilt', '0', 1), ('u2:beside', '0', 1)",
           MONEY);
    cut.store = pg_store(cut.server, conninfo, &table);
    unit_store_init(&cut.wrapper, cut.store);
    cut.wrapper.before = before;
    cut.wrapper.arg = &cut;
    /* Without sessions the worker hands over all that it was given at once, as one group. */
    batch_options options = pg_number_options(&cut.wrapper.store, 0);
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

TEST_ON(test_a_save_of_units_is_cut, struct cut *cut, set_up, tear_down)
{
    cut_everywhere(cut);
}

TEST_ON(test_a_transaction_that_saves_units_is_cut, struct cut *cut, set_up, tear_down)
{
    cut->has_absent = true;
    cut_everywhere(cut);
}

/* The server reports it for one row: the statement is sent again, and the unit is stored whole. */
PG_TEST(test_a_unit_with_a_deadlock_or_a_serialization_failure_is_tried_again)
{
    static const char *const states[] = {"40P01", "40001"};
    static const char *const keys[] = {"u1:a", "u1:b", "u2:a", "u2:b", "alone"};
    struct store_wrapper wrapper;
    batch_store *store = pg_store(server, NULL, NULL);
    unit_store_init(&wrapper, store);
    batch_options options = pg_number_options(&wrapper.store, 0);
    batch_processor *processor = processor_start(&options);
    for (size_t i = 0; i < 2; i++) {
        struct request requests[5];
        pg_sql(server, "create sequence ends");
        pg_sql(server,
               "create function end_some() returns trigger language plpgsql as $$ begin "
               "if new.key = 'u1:b' and nextval('ends') <= 5 then "
               "raise exception using errcode = '%s'; end if; return new; end $$",
               states[i]);
        pg_sql(server, "create trigger end_some before insert or update on batch "
                       "for each row execute function end_some()");
        for (size_t k = 0; k < 5; k++)
            request_init(&requests[k], keys[k], strlen(keys[k]), 1);
        requests_run(processor, requests, 5);
        for (size_t k = 0; k < 5; k++)
            assert_int_equal(requests[k].result.status, BATCH_OK);
        assert_true(pg_number(server, "select last_value from ends") > 5);
        pg_sql(server, "drop function end_some() cascade");
        pg_sql(server, "drop sequence ends");
    }
    processor_end_with_store(processor, store);
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
