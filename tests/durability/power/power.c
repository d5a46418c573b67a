/* power.c: power cuts under the SQLite store of libbatch, on a disk in memory: power_schedule.h
 * says what is done, ledger.h what must hold. Prints one line of JSON. Exit 0: nothing was wrong
 * (with --must-find: something was).
 */
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "power_schedule.h"

static const char help[] =
    "usage: power-cuts [--cuts N] [--seed S] [--normal] [--lying] [--split]\n"
    "                  [--must-find]\n"
    "\n"
    "  --cuts N   power cuts (default: POWER_CUTS in the environment, or 200000)\n"
    "  --seed S   of the first schedule; later ones have S + 1, S + 2, ...\n"
    "             (default: the clock). What is found wrong is found again with the seed and\n"
    "             the number of cuts printed with it\n"
    "  --normal   open the store with BATCH_SQLITE_MAY_LOSE_LAST_COMMITS\n"
    "  --lying    a disk that says of every sync that it was done, and does nothing\n"
    "  --split    a store that saves the keys of a transaction one by one\n"
    "  --must-find  go on after what is wrong and count it; succeed if operations were lost, or "
    "are\n"
    "               in some of their keys only\n"
    "  --help     print this\n";

struct arguments {
    uint64_t cuts;
    uint64_t seed;
    bool must_find;
    struct schedule_rules rules;
};

static uint64_t default_cuts(void)
{
    const char *text = getenv("POWER_CUTS");
    return text != NULL ? strtoull(text, NULL, 10) : 200000;
}

static uint64_t number_of(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    if (end == text || *end != '\0') {
        fprintf(stderr, "power-cuts: not a number: %s\n", text);
        exit(2);
    }
    return number;
}

static struct arguments arguments_of(int argc, char **argv)
{
    static const struct option options[] = {
        {"cuts", required_argument, NULL, 'c'}, {"seed", required_argument, NULL, 's'},
        {"normal", no_argument, NULL, 'n'},     {"lying", no_argument, NULL, 'l'},
        {"split", no_argument, NULL, 'p'},      {"must-find", no_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {
        default_cuts(), batch_now_ns(), false, {BATCH_SQLITE_FULL, false, false, false}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            arguments.cuts = number_of(optarg);
            break;
        case 's':
            arguments.seed = number_of(optarg);
            break;
        case 'n':
            arguments.rules.durability = BATCH_SQLITE_MAY_LOSE_LAST_COMMITS;
            break;
        case 'l':
            arguments.rules.lies = true;
            break;
        case 'p':
            arguments.rules.splits = true;
            break;
        case 'x':
            arguments.must_find = arguments.rules.goes_on = true;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            fputs(help, stderr);
            exit(2);
        }
    }
    return arguments;
}

static double seconds_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void print_findings(const struct arguments *arguments, const struct findings *findings,
                           double seconds)
{
    static const char *const places[DISK_PLACES] = {"log_write", "log_sync", "main_write",
                                                    "main_sync", "other",    "idle"};
    const struct verdicts *verdicts = &findings->verdicts;
    printf("{\"harness\":\"power-cuts\",\"durability\":\"%s\",\"lying\":%s,\"seed\":%" PRIu64
           ",\"cuts\":%" PRIu64 ",\"schedules\":%" PRIu64 ",\"operations\":%" PRIu64
           ",\"acknowledged\":%" PRIu64 ",\"unknown\":%" PRIu64 ",\"unknown_applied\":%" PRIu64
           ",\"together\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"ghosts\":%" PRIu64 ",\"torn\":%" PRIu64
           ",\"broken\":%" PRIu64,
           arguments->rules.durability == BATCH_SQLITE_FULL ? "full" : "normal",
           arguments->rules.lies ? "true" : "false", arguments->seed, findings->cuts,
           findings->schedules, findings->operations, verdicts->acknowledged, verdicts->unknown,
           verdicts->unknown_applied, findings->together, verdicts->lost, verdicts->ghosts,
           verdicts->torn, findings->broken);
    for (int i = 0; i < DISK_PLACES; i++)
        printf(",\"at_%s\":%" PRIu64, places[i], findings->places[i]);
    printf(",\"seconds\":%.1f,\"cpu_seconds\":%.1f}\n", seconds,
           seconds_of(CLOCK_PROCESS_CPUTIME_ID));
}

/* Every kind of cut and of outcome was seen; of use only after many cuts. */
static bool is_all_seen(const struct findings *findings)
{
    for (int i = 0; i < DISK_PLACES; i++) {
        if (findings->places[i] == 0)
            return false;
    }
    const struct verdicts *verdicts = &findings->verdicts;
    return findings->together > 0 && verdicts->acknowledged > 0 && verdicts->unknown_applied > 0 &&
           verdicts->unknown_applied < verdicts->unknown;
}

int main(int argc, char **argv)
{
    enum { CUTS_FOR_ALL = 2000, MEMORY_KEPT = 1 << 28 };
    struct arguments arguments = arguments_of(argc, argv);
    struct findings findings = {.cuts = 0};
    double began = seconds_of(CLOCK_MONOTONIC);
    bool is_right = true;
    mallopt(M_ARENA_MAX,
            1); /* or half of the time goes into asking for memory and giving it back */
    mallopt(M_MMAP_THRESHOLD, MEMORY_KEPT);
    mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT);
    disk_install();
    for (uint64_t seed = arguments.seed; findings.cuts < arguments.cuts; seed++) {
        char text[256] = "";
        uint64_t before = findings.cuts;
        bool was_right = schedule_run(seed, arguments.cuts - before, &arguments.rules, &findings,
                                      text, sizeof text);
        is_right = is_right && was_right;
        if (!was_right && !arguments.must_find) {
            fprintf(stderr,
                    "power-cuts: wrong: %s\nagain with --seed %" PRIu64 " --cuts %" PRIu64 "\n",
                    text, seed, findings.cuts - before);
            break;
        }
        if (isatty(STDERR_FILENO) && seed % 64 == 0)
            fprintf(stderr, "\r%" PRIu64 " cuts", findings.cuts);
    }
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    print_findings(&arguments, &findings, seconds_of(CLOCK_MONOTONIC) - began);
    if (arguments.must_find)
        return findings.verdicts.lost + findings.verdicts.torn > 0 ? 0 : 1;
    if (is_right && arguments.cuts >= CUTS_FOR_ALL && !is_all_seen(&findings)) {
        fputs("power-cuts: some kinds of cut or outcome never occurred\n", stderr);
        return 1;
    }
    return is_right ? 0 : 1;
}
