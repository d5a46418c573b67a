/* crash.c: kill -9 of servers on one SQLite file, at any instant.
 *
 * Two nodes work on the same keys. One of them is killed at a random moment: while it commits,
 * while it starts, while it stands still; now and then both at once; and another takes its place.
 * Some are stopped where they are (SIGSTOP), perhaps in the middle of a save, until the other has
 * gone on without them, and then go on too. A round has KILLS_EACH kills and keys of its own; at
 * its end what is stored is compared with what was reported: see crash_audit.h. Between the kills,
 * another connection looks at all keys at one moment: no operation may be in some of its keys only.
 *
 * Prints one line of JSON. Exit 0: nothing was wrong (with --must-find: something was).
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "crash_driver.h"

enum {
    KILLS_EACH = 25,
    LIVE_MAX_US = 3000,  /* how long a node that completes operations lives on */
    START_MAX_US = 4000, /* how long one that is killed while it starts */
    PAUSE_MAX_US = 10000
};

static const char help[] =
    "usage: crash [--kills N] [--seed S] [--replays N] [--cache N] [--transfers]\n"
    "             [--bug early|blind|split] [--must-find]\n"
    "\n"
    "  --kills N    (default: CRASH_KILLS in the environment, or 2000)\n"
    "  --seed S     of the moments and the victims (default: the clock)\n"
    "  --replays N  replays_max of the nodes (default 0)\n"
    "  --cache N    resource_cache_max of the nodes (default 0)\n"
    "  --transfers  half of the operations are transactions over several keys\n"
    "  --bug        nodes that complete operations before they save, that ignore versions, or "
    "that\n"
    "               save the keys of a transaction one by one\n"
    "  --must-find  succeed if acknowledged operations were lost, or are in some of their keys\n"
    "               only, and stop there\n"
    "  --help       print this\n";

struct crash_nodes {
    struct crash crash;      /* first */
    uint64_t kills_at_start; /* of nodes that had completed nothing yet */
    uint64_t kills_of_paused;
    uint64_t kills_of_both; /* counts two each in kills */
    uint64_t pauses;
    uint64_t takeovers; /* pauses in which the other node had operations completed */
};

/* ---- Looks ---------------------------------------------------------------------------------- */

static const char *path_of(const struct crash *crash)
{
    return strchr(crash->target, ':') + 1;
}

static void read_log(sqlite3_stmt *select, unsigned round, unsigned key, struct log *log)
{
    char bytes[KEY_SIZE];
    int size = snprintf(bytes, sizeof bytes, "%u/%u", round, key);
    sqlite3_bind_blob(select, 1, bytes, size, SQLITE_TRANSIENT);
    *log = (struct log){.count = 0};
    if (sqlite3_step(select) == SQLITE_ROW)
        log_codec.decode(log, sqlite3_column_blob(select, 0),
                         (size_t)sqlite3_column_bytes(select, 0), NULL);
    sqlite3_reset(select);
}

/* In one read transaction, while nodes write. */
static void look(struct crash *crash)
{
    struct log logs[KEYS];
    sqlite3 *db = NULL;
    sqlite3_stmt *select = NULL;
    if (sqlite3_open_v2(path_of(crash), &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(db, HANG_SECONDS * 1000) == SQLITE_OK &&
        sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT state FROM batch WHERE key = ?1", -1, &select, NULL) ==
            SQLITE_OK) {
        for (unsigned key = 0; key < KEYS; key++)
            read_log(select, crash->clients.round, key, &logs[key]);
        crash_look(crash, logs);
    }
    sqlite3_finalize(select);
    sqlite3_close(db);
}

/* ---- Events --------------------------------------------------------------------------------- */

/* Until the node has completed something since it was started. */
static void await_answers(struct crash *crash, unsigned node)
{
    if (clients_completed(&crash->clients, node) == 0)
        crash_await(crash, node, 1);
}

/* Stop a node where it is until the other has gone on, or it is clear that it cannot. */
static void pause_node(struct crash_nodes *nodes, unsigned node)
{
    struct crash *crash = &nodes->crash;
    unsigned other = 1 - node;
    unsigned completed = clients_completed(&crash->clients, other);
    clients_pause(&crash->clients, node);
    nodes->pauses++;
    bool is_taken_over = clients_await(&crash->clients, other,
                                       completed + 1 + (unsigned)random_below(&crash->random, 32),
                                       PAUSE_MAX_US * UINT64_C(1000));
    nodes->takeovers += is_taken_over;
    if (random_below(&crash->random, 4) == 0) {
        nodes->kills_of_paused++; /* by the caller */
        return;
    }
    clients_resume(&crash->clients, node);
    crash_rest(crash, LIVE_MAX_US);
}

static void kill_node(struct crash *crash, unsigned node)
{
    clients_kill(&crash->clients, node);
    crash->kills++;
}

static void event(struct crash_nodes *nodes)
{
    struct crash *crash = &nodes->crash;
    unsigned node = (unsigned)random_below(&crash->random, NODES);
    uint64_t kind = random_below(&crash->random, 16);
    if (kind < 2) {
        crash_rest(crash, START_MAX_US);
    } else {
        await_answers(crash, node);
        crash_rest(crash, LIVE_MAX_US);
    }
    if (kind >= 12)
        pause_node(nodes, node);
    if (kind == 11) {
        kill_node(crash, 1 - node);
        nodes->kills_of_both++;
    }
    nodes->kills_at_start += clients_completed(&crash->clients, node) == 0;
    if (crash->clients.transfers && random_below(&crash->random, 2) == 0)
        look(crash);
    kill_node(crash, node);
    if (crash->clients.transfers && random_below(&crash->random, 2) == 0)
        look(crash);
    clients_start(&crash->clients, node);
    if (kind == 11)
        clients_start(&crash->clients, 1 - node);
}

static void run_round(struct crash *crash)
{
    uint64_t end = crash->kills + KILLS_EACH;
    crash_begin_round(crash);
    while (crash->kills + NODES < end)
        event((struct crash_nodes *)crash);
    for (unsigned node = 0; node < NODES; node++) {
        await_answers(crash, node);
        crash_rest(crash, LIVE_MAX_US);
        kill_node(crash, node);
    }
    crash_end_round(crash);
}

/* ---- The program ---------------------------------------------------------------------------- */

/* SQLite's own look at the file. */
static bool is_file_whole(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    bool is_whole =
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return is_whole;
}

/* What must be seen in a run of some size, or it shows little. */
static bool is_all_seen(const struct crash_nodes *nodes)
{
    const struct findings *findings = &nodes->crash.findings;
    return nodes->kills_at_start > 0 && nodes->kills_of_paused > 0 && nodes->kills_of_both > 0 &&
           nodes->takeovers > 0 && findings->acknowledged > nodes->crash.kills &&
           findings->unknown_applied > 0 && findings->unknown_applied < findings->unknown &&
           findings->reads > 0 && (nodes->crash.looks > 0) == (nodes->crash.clients.transfers > 0);
}

static int verdict(const struct crash_nodes *nodes)
{
    enum { KILLS_FOR_ALL = 200 };
    const struct crash *crash = &nodes->crash;
    if (crash->must_find)
        return crash->findings.lost + crash->findings.torn + crash->findings.torn_looks > 0 ? 0 : 1;
    if (audit_wrong(&crash->findings) > 0)
        return 1;
    if (!is_file_whole(path_of(crash))) {
        fputs("crash: the file is damaged\n", stderr);
        return 1;
    }
    if (crash->kills >= KILLS_FOR_ALL && !is_all_seen(nodes)) {
        fputs("crash: some kinds of kill or outcome never occurred\n", stderr);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct crash_nodes nodes = {.crash = {.kills_wanted = 2000}};
    struct crash *crash = &nodes.crash;
    crash_begin(crash, help, "CRASH_KILLS", argc, argv);
    snprintf(crash->target, sizeof crash->target, "sqlite:%s/crash.db", crash->clients.folder);
    double seconds = crash_run(crash, run_round);
    crash_print(crash, "sqlite");
    printf("\"kills_at_start\":%" PRIu64 ",\"kills_of_paused\":%" PRIu64
           ",\"kills_of_both\":%" PRIu64 ",\"pauses\":%" PRIu64 ",\"takeovers\":%" PRIu64 ",",
           nodes.kills_at_start, nodes.kills_of_paused, nodes.kills_of_both, nodes.pauses,
           nodes.takeovers);
    crash_print_end(crash, seconds);
    int code = verdict(&nodes);
    clients_unmake(&crash->clients);
    return code;
}
