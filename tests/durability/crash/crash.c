/* crash.c: kill -9 of servers on one SQLite file, at any instant.
 *
 * Two nodes work on the same keys. One of them is killed at a random moment: while it commits,
 * while it starts, while it stands still; now and then both at once; and another takes its place.
 * Some are stopped where they are (SIGSTOP), perhaps in the middle of a save, until the other has
 * gone on without them, and then go on too. A round has KILLS_EACH kills and keys of its own; at
 * its end what is stored is compared with what was answered: see crash_audit.h.
 *
 * Prints one line of JSON. Exit 0: nothing was wrong (with --control: something was).
 */
#include <getopt.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <batch/batch.h>

#include "crash_audit.h"
#include "clients.h"

enum {
    KILLS_EACH = 25,
    LIVE_MAX_US = 3000,  /* how long a node that answers goes on living */
    START_MAX_US = 4000, /* how long one that is killed while it starts */
    PAUSE_MAX_US = 10000,
    HANG_SECONDS = 60,
    TARGET_SIZE = 128
};

static const char help[] =
    "usage: crash [--kills N] [--seed S] [--replays N] [--kept N] [--mistake early|blind]\n"
    "             [--control]\n"
    "\n"
    "  --kills N    (default: CRASH_KILLS in the environment, or 2000)\n"
    "  --seed S     of the moments and the victims (default: the clock)\n"
    "  --replays N  replays_max of the nodes (default 0)\n"
    "  --kept N     resource_cache_max of the nodes (default 0)\n"
    "  --mistake    nodes that answer before they save, or ignore versions\n"
    "  --control    succeed if acknowledged operations were lost, and stop there\n"
    "  --help       print this\n";

struct crash {
    uint64_t kills_wanted;
    uint64_t seed;
    bool is_control;
    struct crew crew;
    char target[TARGET_SIZE];
    uint64_t random;
    struct findings findings;
    uint64_t kills;
    uint64_t kills_at_start; /* of nodes that had answered nothing yet */
    uint64_t kills_of_paused;
    uint64_t kills_of_both; /* counts two each in kills */
    uint64_t pauses;
    uint64_t takeovers; /* pauses in which the other node had operations answered */
};

static uint64_t random_below(struct crash *crash, uint64_t bound)
{
    crash->random = crash->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (crash->random >> 33) % bound;
}

static void rest(struct crash *crash, uint64_t max_us)
{
    nanosleep(&(struct timespec){0, (long)random_below(crash, max_us) * 1000}, NULL);
}

/* ---- Events --------------------------------------------------------------------------------- */

static void await_answers(struct crash *crash, unsigned node)
{
    if (crew_await(&crash->crew, node, 1, HANG_SECONDS * UINT64_C(1000000000)))
        return;
    fprintf(stderr, "crash: a node has answered nothing for %d s\n", HANG_SECONDS);
    exit(1);
}

/* Stop a node where it is until the other has gone on, or it is clear that it cannot. */
static void pause_node(struct crash *crash, unsigned node)
{
    unsigned other = 1 - node;
    unsigned answered = crew_answered(&crash->crew, other);
    crew_pause(&crash->crew, node);
    crash->pauses++;
    bool is_taken_over =
        crew_await(&crash->crew, other, answered + 1 + (unsigned)random_below(crash, 32),
                   PAUSE_MAX_US * UINT64_C(1000));
    crash->takeovers += is_taken_over;
    if (random_below(crash, 4) == 0) {
        crash->kills_of_paused++; /* by the caller */
        return;
    }
    crew_resume(&crash->crew, node);
    rest(crash, LIVE_MAX_US);
}

static void kill_and_replace(struct crash *crash, unsigned node)
{
    crash->kills_at_start += crew_answered(&crash->crew, node) == 0;
    crew_kill(&crash->crew, node);
    crash->kills++;
    crew_start(&crash->crew, node);
}

static void event(struct crash *crash)
{
    unsigned node = (unsigned)random_below(crash, NODES);
    uint64_t kind = random_below(crash, 16);
    if (kind < 2) {
        rest(crash, START_MAX_US);
    } else {
        await_answers(crash, node);
        rest(crash, LIVE_MAX_US);
    }
    if (kind >= 12)
        pause_node(crash, node);
    if (kind == 11) {
        crew_kill(&crash->crew, 1 - node);
        crash->kills++;
        crash->kills_of_both++;
    }
    kill_and_replace(crash, node);
    if (kind == 11)
        crew_start(&crash->crew, 1 - node);
}

static void run_round(struct crash *crash)
{
    uint64_t end = crash->kills + KILLS_EACH;
    crew_begin_round(&crash->crew);
    for (unsigned node = 0; node < NODES; node++)
        crew_start(&crash->crew, node);
    while (crash->kills + NODES < end)
        event(crash);
    for (unsigned node = 0; node < NODES; node++) {
        await_answers(crash, node);
        rest(crash, LIVE_MAX_US);
        crew_kill(&crash->crew, node);
        crash->kills++;
    }
    audit(crash->target, crash->crew.book, crash->crew.round, &crash->findings);
}

/* ---- The program ---------------------------------------------------------------------------- */

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end != '\0') {
        fprintf(stderr, "crash: not a number: %s\n", text);
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
    const char *kills = getenv("CRASH_KILLS");
    crash->kills_wanted = kills != NULL ? number(kills) : 2000;
    crash->seed = batch_now_ns();
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
    printf("{\"rig\":\"crash\",\"store\":\"sqlite\",\"replays\":%u,\"kept\":%u,\"mistake\":\"%s\","
           "\"seed\":%" PRIu64 ",\"kills\":%" PRIu64 ",\"kills_at_start\":%" PRIu64
           ",\"kills_of_paused\":%" PRIu64 ",\"kills_of_both\":%" PRIu64 ",\"pauses\":%" PRIu64
           ",\"takeovers\":%" PRIu64 ",",
           crash->crew.replays, crash->crew.kept,
           crash->crew.mistake != NULL ? crash->crew.mistake : "none", crash->seed, crash->kills,
           crash->kills_at_start, crash->kills_of_paused, crash->kills_of_both, crash->pauses,
           crash->takeovers);
    audit_print(&crash->findings, stdout);
    printf(",\"seconds\":%.1f}\n", seconds);
}

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
static bool is_all_seen(const struct crash *crash)
{
    const struct findings *findings = &crash->findings;
    return crash->kills_at_start > 0 && crash->kills_of_paused > 0 && crash->kills_of_both > 0 &&
           crash->takeovers > 0 && findings->acknowledged > crash->kills &&
           findings->unknown_applied > 0 && findings->unknown_applied < findings->unknown &&
           findings->reads > 0;
}

static int verdict(const struct crash *crash)
{
    enum { KILLS_FOR_ALL = 200 };
    if (crash->is_control)
        return crash->findings.lost > 0 ? 0 : 1;
    if (audit_wrong(&crash->findings) > 0)
        return 1;
    if (!is_file_whole(strchr(crash->target, ':') + 1)) {
        fputs("crash: the file is damaged\n", stderr);
        return 1;
    }
    if (crash->kills >= KILLS_FOR_ALL && !is_all_seen(crash)) {
        fputs("crash: some kinds of kill or outcome never occurred\n", stderr);
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
    snprintf(crash.target, sizeof crash.target, "sqlite:%s/crash.db", crash.crew.folder);
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
    crew_unmake(&crash.crew);
    return code;
}
