/* crash_postgres.c: kill -9 of a PostgreSQL server under two nodes.
 *
 * Both work on the same keys as fast as they complete. The server and all its processes are
 * killed at a random moment, and started again; it repairs itself, and the nodes must find it
 * again by themselves. Before that or after it a node is killed too. A round has KILLS_EACH kills
 * and keys of its own; at its end what is stored is compared with what was reported: see
 * crash_audit.h. Before and after each kill of the server, another connection looks at all keys at
 * one moment, if there are transactions: none may be in some of its keys only.
 *
 * The server has `fsync` on; a killed server loses nothing that the system has taken, so this is
 * about what a COMMIT says whose response never comes.
 *
 * Prints one line of JSON. Exit 0: nothing was wrong (with --must-find: something was).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash_driver.h"
#include "log.h"
#include "postgres_server.h"

enum {
    KILLS_EACH = 3,
    LIVE_MAX_US = 60000 /* how long a server goes on living that both nodes have reached */
};

static const char help[] =
    "usage: crash-postgres [--kills N] [--seed S] [--replays N] [--cache N] [--transfers]\n"
    "                      [--bug early|split] [--must-find]\n"
    "\n"
    "  --kills N    of the server (default: CRASH_SERVER_KILLS in the environment, or 30)\n"
    "  --seed S     of the moments (default: the clock)\n"
    "  --replays N  replays_max of the nodes (default 3)\n"
    "  --cache N    resource_cache_max of the nodes (default 1000)\n"
    "  --transfers  half of the operations are transactions over several keys\n"
    "  --bug        nodes that complete operations before they save, or save the keys of a\n"
    "               transaction one by one\n"
    "  --must-find  succeed if acknowledged operations were lost, or are in some of their keys\n"
    "               only, and stop there\n"
    "  --help       print this\n";

struct crash_server {
    struct crash crash; /* first; kills are those of the server */
    struct postgres_server server;
    uint64_t node_kills;
};

/* ---- Looks ---------------------------------------------------------------------------------- */

/* One statement, one snapshot. */
static void look(struct crash_server *killed)
{
    struct crash *crash = &killed->crash;
    struct log logs[KEYS] = {{.count = 0}};
    char sql[128];
    PGconn *other = postgres_server_connect(&killed->server);
    snprintf(sql, sizeof sql, "select key, state from batch where key like '%u/%%'",
             crash->clients.round);
    PGresult *result = PQexecParams(other, sql, 0, NULL, NULL, NULL, NULL, 1);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) == 0) {
        fprintf(stderr, "crash-postgres: look: %s", PQerrorMessage(other));
        exit(1);
    }
    for (int row = 0; row < PQntuples(result); row++) {
        unsigned round, key;
        if (sscanf(PQgetvalue(result, row, 0), "%u/%u", &round, &key) == 2 && key < KEYS)
            log_codec.decode(&logs[key], PQgetvalue(result, row, 1),
                             (size_t)PQgetlength(result, row, 1), NULL);
    }
    PQclear(result);
    PQfinish(other);
    crash_look(crash, logs);
}

/* ---- Kills ---------------------------------------------------------------------------------- */

/* Until each node has had more operations completed, through connections as they are now. */
static void await_answers(struct crash *crash)
{
    for (unsigned node = 0; node < NODES; node++)
        crash_await(crash, node, 16);
}

static void kill_node(struct crash_server *killed)
{
    struct crash *crash = &killed->crash;
    unsigned node = (unsigned)random_below(&crash->random, NODES);
    clients_kill(&crash->clients, node);
    killed->node_kills++;
    clients_start(&crash->clients, node);
}

static void kill_server(struct crash_server *killed)
{
    struct crash *crash = &killed->crash;
    bool is_node_first = random_below(&crash->random, 2) == 0;
    await_answers(crash);
    if (is_node_first) {
        kill_node(killed);
        await_answers(crash);
    }
    crash_rest(crash, LIVE_MAX_US);
    if (crash->clients.transfers)
        look(killed);
    postgres_server_kill(&killed->server);
    crash->kills++;
    postgres_server_start(&killed->server);
    if (crash->clients.transfers)
        look(killed);
    if (!is_node_first) {
        await_answers(crash);
        kill_node(killed);
    }
}

static void run_round(struct crash *crash)
{
    crash_begin_round(crash);
    for (int i = 0; i < KILLS_EACH; i++)
        kill_server((struct crash_server *)crash);
    await_answers(crash);
    for (unsigned node = 0; node < NODES; node++)
        clients_kill(&crash->clients, node);
    crash_end_round(crash);
}

static int verdict(const struct crash *crash)
{
    enum { KILLS_FOR_ALL = 15 };
    const struct findings *findings = &crash->findings;
    if (crash->must_find)
        return findings->lost + findings->torn + findings->torn_looks > 0 ? 0 : 1;
    if (audit_wrong(findings) > 0)
        return 1;
    if (crash->kills >= KILLS_FOR_ALL &&
        (findings->reported_unknown == 0 || findings->unknown_applied == 0 ||
         findings->unknown_applied == findings->unknown || findings->acknowledged < crash->kills ||
         (crash->looks > 0) != (crash->clients.transfers > 0))) {
        fputs("crash-postgres: some kinds of outcome never occurred\n", stderr);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct crash_server killed = {
        .crash = {.kills_wanted = 30, .clients = {.replays = 3, .cache = 1000}}};
    struct crash *crash = &killed.crash;
    crash_begin(crash, help, "CRASH_SERVER_KILLS", argc, argv);
    postgres_server_init(&killed.server, NULL, false);
    snprintf(crash->target, sizeof crash->target, "postgres:%s", killed.server.conninfo);
    double seconds = crash_run(crash, run_round);
    crash_print(crash, "postgres");
    printf("\"node_kills\":%" PRIu64 ",", killed.node_kills);
    crash_print_end(crash, seconds);
    int code = verdict(crash);
    postgres_server_destroy(&killed.server);
    clients_unmake(&crash->clients);
    return code;
}
