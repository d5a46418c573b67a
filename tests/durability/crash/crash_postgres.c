/* crash_postgres.c: kill -9 of a PostgreSQL server under two nodes.
 *
 * Both work on the same keys as fast as they are answered. The server and all its processes are
 * killed at a random moment, and started again; it repairs itself, and the nodes must find it
 * again by themselves. Then, now and then, a node is killed too. A round has KILLS_EACH kills and
 * keys of its own; at its end what is stored is compared with what was answered: see crash_audit.h.
 *
 * The server has `fsync` on; a killed server loses nothing that the system has taken, so this is
 * about what a COMMIT says whose answer never comes.
 *
 * Prints one line of JSON. Exit 0: nothing was wrong (with --control: something was).
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <batch/batch.h>

#include "crash_audit.h"
#include "clients.h"
#include "postgres_server.h"

enum {
    KILLS_EACH = 3,
    LIVE_MAX_US = 60000, /* how long a server goes on living that both nodes have reached */
    HANG_SECONDS = 60,
    TARGET_SIZE = POSTGRES_CONNINFO_SIZE + 16
};

static const char help[] =
    "usage: crash-postgres [--kills N] [--seed S] [--replays N] [--kept N] [--mistake early]\n"
    "                      [--control]\n"
    "\n"
    "  --kills N    of the server (default: CRASH_SERVER_KILLS in the environment, or 30)\n"
    "  --seed S     of the moments (default: the clock)\n"
    "  --replays N  replays_max of the nodes (default 3)\n"
    "  --kept N     resource_cache_max of the nodes (default 1000)\n"
    "  --mistake    nodes that answer before they save\n"
    "  --control    succeed if acknowledged operations were lost, and stop there\n"
    "  --help       print this\n";

struct crash {
    uint64_t kills_wanted;
    uint64_t seed;
    bool is_control;
    struct postgres_server server;
    struct crew crew;
    char target[TARGET_SIZE];
    uint64_t random;
    struct findings findings;
    uint64_t kills;
    uint64_t node_kills;
};

static uint64_t random_below(struct crash *crash, uint64_t bound)
{
    crash->random = crash->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (crash->random >> 33) % bound;
}

/* Until each node has had more operations answered, through connections as they are now. */
static void await_answers(struct crash *crash)
{
    for (unsigned node = 0; node < NODES; node++) {
        unsigned answered = crew_answered(&crash->crew, node);
        if (!crew_await(&crash->crew, node, answered + 16, HANG_SECONDS * UINT64_C(1000000000))) {
            fprintf(stderr, "crash-postgres: a node has answered nothing for %d s\n", HANG_SECONDS);
            exit(1);
        }
    }
}

static void kill_server(struct crash *crash)
{
    await_answers(crash);
    nanosleep(&(struct timespec){0, (long)random_below(crash, LIVE_MAX_US) * 1000}, NULL);
    postgres_server_kill(&crash->server);
    crash->kills++;
    postgres_server_start(&crash->server);
    await_answers(crash);
    unsigned node = (unsigned)random_below(crash, NODES * 2);
    if (node < NODES) {
        crew_kill(&crash->crew, node);
        crash->node_kills++;
        crew_start(&crash->crew, node);
    }
}

static void run_round(struct crash *crash)
{
    crew_begin_round(&crash->crew);
    for (unsigned node = 0; node < NODES; node++)
        crew_start(&crash->crew, node);
    for (int i = 0; i < KILLS_EACH; i++)
        kill_server(crash);
    await_answers(crash);
    for (unsigned node = 0; node < NODES; node++)
        crew_kill(&crash->crew, node);
    audit(crash->target, crash->crew.book, crash->crew.round, &crash->findings);
}

/* ---- The program ---------------------------------------------------------------------------- */

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end != '\0') {
        fprintf(stderr, "crash-postgres: not a number: %s\n", text);
        exit(2);
    }
    return value;
}

static void take_arguments(struct crash *crash, int argc, char **argv)
{
    static const struct option options[] = {
        {"kills", required_argument, NULL, 'k'},   {"seed", required_argument, NULL, 's'},
        {"replays", required_argument, NULL, 'r'}, {"kept", required_argument, NULL, 'c'},
        {"mistake", required_argument, NULL, 'm'}, {"control", no_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    const char *kills = getenv("CRASH_SERVER_KILLS");
    crash->kills_wanted = kills != NULL ? number(kills) : 30;
    crash->seed = batch_now_ns();
    crash->crew.replays = 3;
    crash->crew.kept = 1000;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'k':
            crash->kills_wanted = number(optarg);
            break;
        case 's':
            crash->seed = number(optarg);
            break;
        case 'r':
            crash->crew.replays = (unsigned)number(optarg);
            break;
        case 'c':
            crash->crew.kept = (unsigned)number(optarg);
            break;
        case 'm':
            crash->crew.mistake = optarg;
            break;
        case 'x':
            crash->is_control = true;
            break;
        default:
            fputs(help, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 2);
        }
    }
}

static void print_findings(const struct crash *crash, double seconds)
{
    printf("{\"rig\":\"crash\",\"store\":\"postgres\",\"replays\":%u,\"kept\":%u,\"mistake\":\"%s\""
           ",\"seed\":%" PRIu64 ",\"server_kills\":%" PRIu64 ",\"node_kills\":%" PRIu64 ",",
           crash->crew.replays, crash->crew.kept,
           crash->crew.mistake != NULL ? crash->crew.mistake : "none", crash->seed, crash->kills,
           crash->node_kills);
    audit_print(&crash->findings, stdout);
    printf(",\"seconds\":%.1f}\n", seconds);
}

static int verdict(const struct crash *crash)
{
    enum { KILLS_FOR_ALL = 15 };
    const struct findings *findings = &crash->findings;
    if (crash->is_control)
        return findings->lost > 0 ? 0 : 1;
    if (audit_wrong(findings) > 0)
        return 1;
    if (crash->kills >= KILLS_FOR_ALL &&
        (findings->told_unknown == 0 || findings->unknown_applied == 0 ||
         findings->unknown_applied == findings->unknown || findings->acknowledged < crash->kills)) {
        fputs("crash-postgres: some kinds of outcome never occurred\n", stderr);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct crash crash;
    take_arguments(&crash, argc, argv);
    crash.random = crash.seed;
    crew_make(&crash.crew);
    postgres_server_init(&crash.server, NULL, false);
    snprintf(crash.target, sizeof crash.target, "postgres:%s", crash.server.conninfo);
    crash.crew.target = crash.target;
    uint64_t began_ns = batch_now_ns();
    while (crash.kills < crash.kills_wanted && audit_wrong(&crash.findings) == 0) {
        run_round(&crash);
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\r%" PRIu64 " kills", crash.kills);
    }
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    print_findings(&crash, (double)(batch_now_ns() - began_ns) * 1e-9);
    int code = verdict(&crash);
    postgres_server_destroy(&crash.server);
    crew_unmake(&crash.crew);
    return code;
}
