#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT */
#endif
/* The PostgreSQL store: which server it connects to, and as whom. Several hosts, servers that take
 * no writes or no more connections, passwords, and what messages must not hold. */
#include "driver.h"
#include "fault_proxy.h"
#include "pooler.h"
#include "postgres_case.h"
#include "test.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* A store on that, which keeps a number. */
static void check_it_works(const char *conninfo)
{
    batch_store *store = pg_store(NULL, conninfo, NULL);
    batch_processor *processor = number_processor(store, 2);
    int64_t before = number_add(processor, "key", 3, 0);
    assert_int_equal(number_add(processor, "key", 3, 1), before + 1);
    processor_end_with_store(processor, store);
}

/* ---- Several hosts -------------------------------------------------------------------------- */

/* A port of 127.0.0.1 that refuses connections as long as the socket is open. */
static int dead_port(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int end = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(end, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(end, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return end;
}

/* In place of the system's: "two.test" has two addresses, 127.0.0.2 and 127.0.0.1. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    typedef int (*getaddrinfo_fn)(const char *, const char *, const struct addrinfo *,
                                  struct addrinfo **);
    static getaddrinfo_fn real;
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (name == NULL || strcmp(name, "two.test") != 0)
        return real(name, service, hints, ret_list);
    struct addrinfo *second = NULL;
    int error = real("127.0.0.2", service, hints, ret_list);
    if (error == 0)
        error = real("127.0.0.1", service, hints, &second);
    (*ret_list)->ai_next = second;
    return error;
}

static void check_two_hosts(unsigned first, unsigned second)
{
    char conninfo[256];
    snprintf(conninfo, sizeof conninfo,
             "host=127.0.0.1,127.0.0.1 port=%u,%u user=batch dbname=postgres connect_timeout=2",
             first, second);
    check_it_works(conninfo);
    snprintf(conninfo, sizeof conninfo,
             "postgresql://batch@127.0.0.1:%u,127.0.0.1:%u/postgres?connect_timeout=2", first,
             second);
    check_it_works(conninfo);
}

PG_TEST(test_a_dead_first_host_is_passed_over)
{
    unsigned port;
    int dead = dead_port(&port);
    check_two_hosts(port, server->port);
    close(dead);
}

PG_TEST(test_a_black_hole_as_first_host_is_passed_over)
{
    struct fault_proxy *proxy = fault_proxy_start(server->port);
    fault_proxy_hold(proxy, true);
    check_two_hosts(fault_proxy_port(proxy), server->port);
    fault_proxy_end(proxy);
}

PG_TEST(test_a_host_that_takes_no_writes_is_passed_over)
{
    static const char *const settings[] = {"default_transaction_read_only=on", NULL};
    struct postgres_server read_only;
    postgres_server_init(&read_only, settings, false);
    check_two_hosts(read_only.port, server->port);

    batch_result error;
    char sqlstate[6];
    assert_int_equal(pg_refused(read_only.conninfo, NULL, &error, sqlstate), BATCH_STORE_FAILED);
    postgres_server_destroy(&read_only);
}

/* As a name that works over two versions of IP, one of which leads nowhere from here; or one of two
 * sites. Each address has the whole of connect_timeout. */
PG_TEST(test_a_name_whose_first_address_is_a_black_hole)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port)};
    char conninfo[256];
    int hole = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, "127.0.0.2", &address.sin_addr);
    assert_int_equal(bind(hole, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(hole, 8), 0); /* it accepts, and never responds */
    snprintf(conninfo, sizeof conninfo,
             "host=two.test port=%u user=batch dbname=postgres connect_timeout=1", server->port);
    check_it_works(conninfo);
    close(hole);
    check_it_works(conninfo); /* now it refuses at once */
}

PG_TEST(test_a_name_that_is_not_known)
{
    batch_result error;
    char sqlstate[6];
    assert_int_equal(pg_refused("host=nobody.invalid user=batch", NULL, &error, sqlstate),
                     BATCH_STORE_FAILED);
    assert_non_null(strstr(error.message, "nobody.invalid"));
}

/* A session whose server has gone finds the next one by itself. */
PG_TEST(test_a_session_moves_to_the_next_host)
{
    char conninfo[256];
    struct fault_proxy *proxy = fault_proxy_start(server->port);
    snprintf(conninfo, sizeof conninfo,
             "host=127.0.0.1,127.0.0.1 port=%u,%u user=batch dbname=postgres",
             fault_proxy_port(proxy), server->port);
    batch_store *store = pg_store(server, conninfo, NULL);
    batch_processor *processor = number_processor(store, 1);
    assert_int_equal(number_add(processor, "key", 3, 1), 1);
    assert_true(fault_proxy_connections(proxy) > 0);
    fault_proxy_end(proxy);
    struct request request;
    do
        request_init(&request, "key", 3, 1);
    while (request_run(processor, &request) == BATCH_LOAD_FAILED);
    assert_int_equal(request.result.status, BATCH_OK);
    assert_int_equal(request.seen, 2);
    processor_end_with_store(processor, store);
}

/* Refused before anybody is asked. */
PG_TEST(test_lists_of_hosts_that_do_not_fit_together)
{
    char many[256] = "host=127.0.0.1", sqlstate[6];
    batch_result error;
    for (int i = 0; i < 32; i++)
        strcat(many, ",a");
    const char *const conninfos[] = {"host=127.0.0.1,127.0.0.1 hostaddr=127.0.0.1",
                                     "host=127.0.0.1 port=1,2", "host=user@127.0.0.1", many};
    for (size_t i = 0; i < sizeof conninfos / sizeof conninfos[0]; i++)
        assert_int_equal(pg_refused(conninfos[i], NULL, &error, sqlstate), BATCH_INVALID);
}

PG_TEST(test_a_service_that_there_is_not)
{
    batch_result error;
    char sqlstate[6];
    assert_int_equal(pg_refused("service=nobody_knows_it", NULL, &error, sqlstate),
                     BATCH_STORE_FAILED);
}

/* Less than two seconds would be none, and more than there are nanoseconds for would wrap. */
PG_TEST(test_a_connect_timeout_out_of_all_bounds)
{
    static const char *const timeouts[] = {"1", "2000000000"};
    for (size_t i = 0; i < 2; i++) {
        char conninfo[POSTGRES_CONNINFO_SIZE + 64];
        snprintf(conninfo, sizeof conninfo, "%s connect_timeout=%s", server->conninfo, timeouts[i]);
        check_it_works(conninfo);
    }
}

PG_TEST(test_nobody_answers)
{
    char conninfo[256], sqlstate[6];
    unsigned port;
    batch_result error;
    int dead = dead_port(&port);
    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%u user=batch", port);
    assert_int_equal(pg_refused(conninfo, NULL, &error, sqlstate), BATCH_STORE_FAILED);
    assert_string_equal(sqlstate, "");
    close(dead);
}

PG_TEST(test_opening_does_not_wait_for_ever)
{
    char conninfo[POSTGRES_CONNINFO_SIZE + 32], plain[POSTGRES_CONNINFO_SIZE], sqlstate[6];
    batch_result error;
    struct fault_proxy *proxy = fault_proxy_start(server->port);
    fault_proxy_hold(proxy, true);
    postgres_server_conninfo_at(server, fault_proxy_port(proxy), plain);
    snprintf(conninfo, sizeof conninfo, "%s connect_timeout=2", plain);
    assert_int_equal(pg_refused(conninfo, NULL, &error, sqlstate), BATCH_STORE_FAILED);
    fault_proxy_hold(proxy, false);
    check_it_works(conninfo);
    fault_proxy_end(proxy);
}

/* ---- Servers that take no writes ------------------------------------------------------------ */

/* Restart it as a standby, of nobody: it takes reads, but no writes, until it is promoted. */
static void become_standby(struct postgres_server *server)
{
    char path[96];
    postgres_server_stop(server);
    snprintf(path, sizeof path, "%s/data/standby.signal", server->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    postgres_server_start(server);
}

static void promote(struct postgres_server *server)
{
    pg_expect(server, "t", "select pg_promote()");
}

/* Add to a number as soon as that goes; nothing is lost while no server takes it. */
static int64_t add(batch_processor *processor, int64_t number)
{
    struct request request;
    do
        request_init(&request, "key", 3, number);
    while (request_run(processor, &request) == BATCH_LOAD_FAILED);
    if (request.result.status != BATCH_OK)
        fail_msg("%s: %s", batch_status_name(request.result.status), request.result.message);
    return request.seen;
}

/* Each is the primary in turn, and the other one a standby, which still accepts connections. */
static void check_switch_over(struct postgres_server *one, struct postgres_server *two,
                              unsigned one_port, unsigned two_port)
{
    char conninfo[256];
    snprintf(conninfo, sizeof conninfo,
             "host=127.0.0.1,127.0.0.1 port=%u,%u user=batch dbname=postgres sslmode=disable "
             "gssencmode=disable",
             one_port, two_port);
    batch_store *store = pg_store(NULL, conninfo, NULL);
    batch_processor *processor = number_processor(store, 2);
    int64_t ones = 0, twos = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(add(processor, 0), ones);
        assert_int_equal(add(processor, 1), ++ones);
        become_standby(one);
        promote(two);
        assert_int_equal(add(processor, 0), twos); /* reads, too, are of the primary */
        assert_int_equal(add(processor, 1), ++twos);
        become_standby(two);
        promote(one);
    }
    assert_int_equal(add(processor, 0), ones);
    processor_end_with_store(processor, store);
}

/* A table that the store has made is on both: they are no copies of each other here. */
static void second_server(struct postgres_server *server)
{
    postgres_server_init(server, NULL, false);
    pg_store_end(pg_store(server, NULL, NULL));
    become_standby(server);
}

PG_TEST(test_a_switch_over_between_two_servers)
{
    struct postgres_server other;
    second_server(&other);
    pg_store_end(pg_store(server, NULL, NULL));
    check_switch_over(server, &other, server->port, other.port);
    postgres_server_destroy(&other);
}

/* A pooler repeats what its server reported once, so what it says of a standby is out of date. */
PG_TEST(test_a_switch_over_between_two_servers_with_a_pooler_each)
{
    struct postgres_server other;
    struct pooler one, two;
    second_server(&other);
    pg_store_end(pg_store(server, NULL, NULL));
    pooler_start(&one, server, "session");
    pooler_start(&two, &other, "session");
    check_switch_over(server, &other, one.port, two.port);
    pooler_end(&one);
    pooler_end(&two);
    postgres_server_destroy(&other);
}

/* It is said at once, on whichever way; and over when it is over. */
static void check_read_only(struct postgres_server *server, batch_processor *processor)
{
    struct request request;
    request_init(&request, "key", 3, 1);
    int status = request_run(processor, &request);
    if (batch_may_be_applied(status) ||
        strstr(request.result.message, "default_transaction_read_only is on") == NULL)
        fail_msg("%s: %s", batch_status_name(status), request.result.message);
    pg_sql(server, "set default_transaction_read_only = off");
}

static void make_read_only(void *server)
{
    pg_configure(server, "default_transaction_read_only", "on");
}

PG_TEST(test_writes_that_the_role_may_not_make_are_said_so_at_once)
{
    char conninfo[256];
    batch_result error;
    char sqlstate[6];
    snprintf(conninfo, sizeof conninfo,
             "host=127.0.0.1,127.0.0.1 port=%u,%u user=batch dbname=postgres", server->port,
             server->port);
    batch_store *store = pg_store(server, conninfo, NULL);
    batch_options options = number_options(store, 1); /* their deadline is far away */
    batch_processor *processor = processor_start(&options);
    assert_int_equal(number_add(processor, "key", 3, 1), 1);

    /* Between a load and its save, to a session that is in use. */
    struct request request;
    request_init(&request, "key", 3, 1);
    request.meddle = make_read_only;
    request.meddle_arg = server;
    assert_int_equal(request_run(processor, &request), BATCH_SAVE_FAILED);
    assert_non_null(strstr(request.result.message, "default_transaction_read_only is on"));
    check_read_only(server, processor);
    assert_int_equal(pg_refused(conninfo, NULL, &error, sqlstate), BATCH_STORE_FAILED);
    assert_string_equal(sqlstate, "25006");
    pg_sql(server, "alter system reset default_transaction_read_only");
    pg_sql(server, "select pg_reload_conf()");
    assert_int_equal(add(processor, 1), 2);

    /* To new sessions only. */
    pg_sql(server, "alter role batch set default_transaction_read_only = on");
    pg_sql(server, "select pg_terminate_backend(pid) from pg_stat_activity "
                   "where backend_type = 'client backend' and pid <> pg_backend_pid()");
    check_read_only(server, processor);
    pg_sql(server, "alter role batch reset default_transaction_read_only");
    assert_int_equal(add(processor, 1), 3);
    processor_end_with_store(processor, store);
}

/* ---- A server that is too old --------------------------------------------------------------- */

/* Says that it is PostgreSQL 11, and that it accepts writes; to one client. */
static void *old_server_main(void *arg)
{
    static const char welcome[] = "R\0\0\0\10\0\0\0\0S\0\0\0\31server_version\00011.22\0"
                                  "K\0\0\0\14\0\0\0\7\0\0\0\7Z\0\0\0\5I";
    static const char writable[] =
        "T\0\0\0\35\0\1read\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0"
        "D\0\0\0\15\0\1\0\0\0\3offC\0\0\0\11SHOW\0Z\0\0\0\5I";
    int client = accept(*(int *)arg, NULL, NULL);
    char received[1024];
    bool is_first = true;
    while (read(client, received, sizeof received) > 0) {
        const char *sent = is_first ? welcome : writable;
        size_t size = is_first ? sizeof welcome - 1 : sizeof writable - 1;
        if (write(client, sent, size) != (ssize_t)size)
            break;
        is_first = false;
    }
    close(client);
    return NULL;
}

PG_TEST(test_a_server_that_is_too_old_is_told_so)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int end = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;
    char conninfo[256], sqlstate[6];
    batch_result error;
    assert_int_equal(bind(end, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(end, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(listen(end, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, old_server_main, &end), 0);
    snprintf(conninfo, sizeof conninfo,
             "host=127.0.0.1 port=%u user=batch dbname=postgres sslmode=disable gssencmode=disable",
             ntohs(address.sin_port));
    assert_int_equal(pg_refused(conninfo, NULL, &error, sqlstate), BATCH_STORE_FAILED);
    if (strstr(error.message, "PostgreSQL 11.22, but 12 or newer is needed") == NULL)
        fail_msg("%s", error.message);
    pthread_join(thread, NULL);
    close(end);
}

/* ---- A server that is full ------------------------------------------------------------------ */

enum { CONNECTIONS_MAX = 8 };

/* Take connections until there are no more. */
static size_t take_all(struct postgres_server *server, PGconn *connections[CONNECTIONS_MAX])
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        connections[i] = PQconnectdb(server->conninfo);
        if (PQstatus(connections[i]) != CONNECTION_OK) {
            PQfinish(connections[i]);
            return i;
        }
    }
    return CONNECTIONS_MAX;
}

static void give_back(struct postgres_server *server, PGconn **connections, size_t size)
{
    for (size_t i = 0; i < size; i++)
        PQfinish(connections[i]);
    for (bool is_free = false; !is_free; pg_rest()) {
        PGconn *last[CONNECTIONS_MAX];
        size_t taken = take_all(server, last);
        for (size_t i = 0; i < taken; i++)
            PQfinish(last[i]);
        is_free = taken >= size;
    }
    while (PQping(server->conninfo) != PQPING_OK)
        pg_rest();
}

TEST_WITH(test_a_server_without_connections_left, pg_set_up, NULL)
{
    static const char *const settings[] = {"max_connections=8", "superuser_reserved_connections=0",
                                           NULL};
    struct postgres_server server;
    PGconn *connections[CONNECTIONS_MAX];
    batch_result error;
    char sqlstate[6];
    postgres_server_init(&server, settings, false);
    size_t taken = take_all(&server, connections);
    assert_int_equal(pg_refused(server.conninfo, NULL, &error, sqlstate), BATCH_STORE_FAILED);
    assert_non_null(strstr(error.message, "too many clients"));
    give_back(&server, connections, taken);

    /* A session that is lost and finds no place. */
    batch_store *store = pg_store(&server, NULL, NULL);
    batch_options options = number_options(store, 1);
    options.deadline_ns = 200000000;
    batch_processor *processor = processor_start(&options);
    struct request request;
    do
        request_init(&request, "key", 3, 1);
    while (request_run(processor, &request) != BATCH_OK);
    pg_sql(&server, "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where backend_type = 'client backend' and pid <> pg_backend_pid()");
    pg_wait(&server, "a terminated session ends",
            "select (count(*) = 1)::int from pg_stat_activity "
            "where backend_type = 'client backend'");
    taken = take_all(&server, connections);
    request_init(&request, "key", 3, 1);
    assert_int_equal(request_run(processor, &request), BATCH_LOAD_FAILED);
    assert_non_null(strstr(request.result.message, "too many clients"));
    give_back(&server, connections, taken);
    int64_t before = request.seen;
    do
        request_init(&request, "key", 3, 1);
    while (request_run(processor, &request) == BATCH_LOAD_FAILED);
    assert_int_equal(request.result.status, BATCH_OK);
    assert_int_equal(before, 0);
    processor_end_with_store(processor, store);
    postgres_server_destroy(&server);
}

/* ---- Passwords ------------------------------------------------------------------------------ */

#define CANARY "Canary-7315"

/* As long as a message may be. */
#define HUNDRED                                                                                    \
    "--------------------------------------------------------------------------------------------" \
    "--"                                                                                           \
    "------"

static void check_no_canary(const char *conninfo, const char *message)
{
    if (strstr(message, CANARY) != NULL || strstr(message, "7315") != NULL)
        fail_msg("%s: the password is in the message: %s", conninfo, message);
}

TEST_WITH(test_the_right_password_and_a_wrong_one, pg_set_up, NULL)
{
    struct postgres_server server;
    char conninfo[256], sqlstate[6];
    batch_result error;
    postgres_server_init(&server, NULL, true);
    check_it_works(server.conninfo);
    snprintf(conninfo, sizeof conninfo, "postgresql://batch:%s@127.0.0.1:%u/postgres",
             server.password, server.port);
    check_it_works(conninfo);
    static const char *const forms[] = {
        "host=127.0.0.1 port=%u user=batch dbname=postgres password=" CANARY,
        "host=127.0.0.1 port=%u user=batch dbname=postgres password='" CANARY "'",
        "postgresql://batch:" CANARY "@127.0.0.1:%u/postgres",
        "postgresql://127.0.0.1:%u/postgres?user=batch&password=" CANARY,
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const char *at = strstr(forms[i], "%u");
        snprintf(conninfo, sizeof conninfo, "%.*s%u%s", (int)(at - forms[i]), forms[i], server.port,
                 at + 2);
        assert_int_equal(pg_refused(conninfo, NULL, &error, sqlstate), BATCH_STORE_FAILED);
        assert_non_null(strstr(error.message, "password authentication failed"));
        check_no_canary(conninfo, error.message);
    }
    /* None at all. */
    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%u user=batch", server.port);
    assert_int_equal(pg_refused(conninfo, NULL, &error, sqlstate), BATCH_STORE_FAILED);

    /* It is changed while a session is there; the session goes on, the next one does not. */
    batch_store *store = pg_store(&server, NULL, NULL);
    batch_options options = number_options(store, 1);
    options.deadline_ns = 200000000;
    batch_processor *processor = processor_start(&options);
    pg_sql(&server, "alter user batch password '%s'", CANARY);
    pg_sql(&server, "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where backend_type = 'client backend' and pid <> pg_backend_pid()");
    struct request request;
    request_init(&request, "key", 3, 1);
    assert_int_equal(request_run(processor, &request), BATCH_LOAD_FAILED);
    assert_null(strstr(request.result.message, server.password));
    processor_end_with_store(processor, store);
    postgres_server_destroy(&server);
}

/* Each must fail, and each would have libpq say a part of it. */
PG_TEST(test_no_message_holds_a_password)
{
    static const char *const conninfos[] = {
        "host=127.0.0.1 port=1 user=batch password=" CANARY,
        "host=127.0.0.1 port=1 user=batch password=a " CANARY,
        "host=127.0.0.1 port=1 user=batch password='" CANARY,
        "host=127.0.0.1 port=1 password '" CANARY "'",
        "host=127.0.0.1 port=1 password " CANARY " user=batch",
        "host=127.0.0.1 port=1 passwort=" CANARY,
        "host=127.0.0.1 port=1 " CANARY "=password",
        "host=127.0.0.1 port=" CANARY,
        "host=127.0.0.1 port=1 sslmode=" CANARY,
        "host=127.0.0.1 port=1 connect_timeout=1" CANARY,
        "host=127.0.0.1 port=1 options='-c a=" CANARY "' password=" CANARY,
        CANARY,
        "=" CANARY,
        "postgresql://batch:" CANARY "@127.0.0.1:1/postgres",
        "postgres://batch:" CANARY "@127.0.0.1:1/postgres?sslmode=maybe",
        "postgresql://batch:" CANARY "@127.0.0.1:port/postgres",
        "postgresql://batch:" CANARY "@[::1/postgres",
        "postgresql://batch:" CANARY "@[::1]x/postgres",
        "postgresql://batch:" CANARY "%zz@127.0.0.1:1/postgres",
        "postgresql://batch:" CANARY "%00@127.0.0.1:1/postgres",
        "postgresql://batch:" CANARY "@127.0.0.1:1/postgres?password",
        "postgresql://batch@127.0.0.1:1/postgres?password=" CANARY "&nothing=1",
        "postgresql://batch@127.0.0.1:1/postgres?password=" CANARY "%zz",
        "postgresql://batch@127.0.0.1:1/postgres?pass=" CANARY,
        "postgresql://batch:" CANARY "/postgres",
        "postgresql://batch:a#" CANARY "@127.0.0.1:1",
        "postgresql:/batch:" CANARY "@127.0.0.1:1/postgres",
    };
    for (size_t i = 0; i < sizeof conninfos / sizeof conninfos[0]; i++) {
        batch_result error;
        char sqlstate[6];
        int status = pg_refused(conninfos[i], NULL, &error, sqlstate);
        if (status != BATCH_STORE_FAILED && status != BATCH_INVALID)
            fail_msg("%s: %s", conninfos[i], batch_status_name(status));
        check_no_canary(conninfos[i], error.message);
    }
}

/* A message is one line and not long. What is left there of a longer value, or of one with several
 * blanks, is a part of a password too. */
PG_TEST(test_no_message_holds_a_part_of_a_long_password)
{
    static const char *const conninfos[] = {
        "host=127.0.0.1 port=1 sslmode=" CANARY HUNDRED HUNDRED HUNDRED,
        "host=127.0.0.1 port=1 sslmode='" CANARY "  behind two blanks'",
        "host=127.0.0.1 port=1 sslmode='" CANARY "\nin two lines'",
    };
    for (size_t i = 0; i < sizeof conninfos / sizeof conninfos[0]; i++) {
        batch_result error;
        char sqlstate[6];
        assert_int_equal(pg_refused(conninfos[i], NULL, &error, sqlstate), BATCH_STORE_FAILED);
        check_no_canary(conninfos[i], error.message);
    }
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
