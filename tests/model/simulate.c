/* simulate.c: the program. Random schedules from consecutive seeds, and one line of JSON about
 * them. */
#include "orderings.h"
#include "processes.h"
#include "schedule.h"
#include "shrink.h"
#include "simulation.h"
#include "transcript.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#ifdef MODEL_BUGS
enum bug injected_bug;
#endif

enum {
    WORKERS_MAX = 64,
    EVERYTHING = 100000,      /* in so many schedules everything must have been seen */
    BUG_SCHEDULES_MAX = 10000 /* a bug must be found within so many */
};

static const char help[] =
    "Usage: simulate [OPTION]...\n"
    "Runs random schedules of a few nodes and one store, and checks every promise.\n"
    "Prints one line of JSON; exit 1 if a promise was broken, or if something that should go\n"
    "wrong at times never did (in 100000 schedules or more).\n"
    "\n"
    "  --driver NAME     simulation (default): several nodes, as the runtime drives them;\n"
    "                    orderings: one core, any event at any time\n"
    "  --schedules N     how many (default 100000)\n"
    "  --seed N          of the first one; the others follow (default 1)\n"
    "  --workers N       processes that share them (default 1)\n"
    "  --trace           print what happens on stderr; with one schedule, to read it\n"
    "  --no-shrink       do not look for a shorter schedule that fails like this one\n"
    "  --list-bugs       the bugs that simulate-bugs can inject\n"
    "  --bug NAME        inject this one; exit 0 only if it is found\n"
    "  --all-bugs        each in turn, at most 10000 schedules for each\n"
    "  --help            this\n";

static struct options {
    uint64_t schedules, seed;
    uint32_t workers;
    enum driver driver;
    bool is_transcribed, is_shrunk, is_all_bugs;
    enum bug bug;
} options = {.schedules = 100000, .seed = 1, .workers = 1, .driver = SIMULATION, .is_shrunk = true};

static struct model model;
static struct schedule schedule;

static const struct {
    const char *name;
    const char *text;
} bugs[] = {{"none", "no bug"},
#define BUG_ROW(name, text) {#name, text},
            BUG_MAP(BUG_ROW)
#undef BUG_ROW
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

/* A core that follows a wild pointer, or a ring of them: as good as any other way to be wrong. A
 * schedule takes microseconds; one that is still the same two ticks later will not end. */
static void on_signal(int number)
{
    static uint64_t schedules;
    static uint32_t ticks;
    if (number != SIGVTALRM)
        model_wrong(&model, "the core touches memory that is not its own");
    ticks = schedules == model.tally->schedules ? ticks + 1 : 0;
    schedules = model.tally->schedules;
    if (ticks < 2)
        return;
    ticks = 0;
    model_wrong(&model, "the core never gets done");
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER | SA_RESTART};
    sigaction(SIGVTALRM, &action, NULL);
#if !defined(BATCH_DEBUG_CHECKS) || defined(MODEL_BUGS)
    sigaction(SIGSEGV, &action, NULL); /* elsewhere a sanitizer reports more */
    sigaction(SIGBUS, &action, NULL);
#endif
}

/* Of the time of this process alone: each has its own. */
static void watch_out(void)
{
    static const struct itimerval ticks = {{5, 0}, {5, 0}};
    setitimer(ITIMER_VIRTUAL, &ticks, NULL);
}

/* The schedule of one seed; its hash goes into the tally. */
static bool run(uint64_t seed, struct tally *tally)
{
    bool is_right;
    if (options.driver == ORDERINGS) {
        struct draw draw = draw_from(seed);
        is_right = orderings_run(&model, &draw, tally);
    } else {
        schedule_make(&schedule, seed);
        is_right = simulation_run(&model, &schedule, tally);
    }
    tally->hash += random_mix(model.hash ^ seed);
    return is_right;
}

static bool run_watched(uint64_t seed, struct tally *tally)
{
    if (tally->schedules == 0)
        watch_out();
    return run(seed, tally);
}

/* ---- Reports -------------------------------------------------------------------------------- */

static void print_json(const struct tally *tally, bool is_failed, double seconds)
{
    double core_seconds = cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN);
    printf("{\"schedules\": %lu, \"calm\": %lu, \"steps\": %lu, \"first_seed\": %lu, "
           "\"failed\": %d, \"hash\": \"%016lx\", \"seconds\": %.2f, "
           "\"schedules_per_second\": %.0f, \"core_seconds\": %.2f, "
           "\"schedules_per_core_second\": %.0f",
           (unsigned long)tally->schedules, (unsigned long)tally->calm, (unsigned long)tally->steps,
           (unsigned long)options.seed, is_failed, (unsigned long)tally->hash, seconds,
           (double)tally->schedules / seconds, core_seconds,
           (double)tally->schedules / core_seconds);
    tally_print(tally);
    printf("}\n");
    fflush(stdout);
}

/* What is wrong with a seed, and how it comes to that: in the shortest schedule found that is wrong
 * in the same way. One of the orderings is as long as it is. */
static void explain(uint64_t seed)
{
    struct tally tally = {0};
    watch_out();
    run(seed, &tally);
    fprintf(stderr, "seed %lu: %s (hash %016lx)\n", (unsigned long)seed, model.wrong,
            (unsigned long)tally.hash);
    if (!options.is_shrunk || model.format == NULL)
        return;
    if (options.driver == ORDERINGS) {
        model.is_transcribed = true;
        run(seed, &tally);
    } else {
        uint32_t items = schedule.items_size;
        uint64_t schedules = shrink(&model, &schedule);
        fprintf(stderr, "the shortest found, %u of %u items, after %lu more schedules:\n",
                schedule.items_size, items, (unsigned long)schedules);
        transcribe_config(&schedule.config);
        model.is_transcribed = true;
        simulation_run(&model, &schedule, &tally);
    }
    model.is_transcribed = false;
}

/* ---- Injected bugs -------------------------------------------------------------------------- */

static int run_bug(enum bug bug)
{
    uint64_t max = options.schedules < BUG_SCHEDULES_MAX ? options.schedules : BUG_SCHEDULES_MAX;
#ifdef MODEL_BUGS
    injected_bug = bug;
#endif
    struct tally tally = {0};
    watch_out();
    for (uint64_t i = 0; i < max; i++) {
        uint64_t seed = options.seed + i;
        if (run(seed, &tally))
            continue;
        printf("%-32s found by schedule %5lu: %s\n", bugs[bug].name, (unsigned long)(i + 1),
               model.wrong);
        fflush(stdout);
        if (!options.is_all_bugs)
            explain(seed);
        return 0;
    }
    printf("%-32s not found in %lu schedules\n", bugs[bug].name, (unsigned long)max);
    return 1;
}

static int run_all_bugs(void)
{
    int missed = 0;
    for (int bug = BUG_NONE + 1; bug < BUG_COUNT; bug++)
        missed += run_bug((enum bug)bug);
    printf("%d bugs, %d not found\n", BUG_COUNT - 1, missed);
    return missed > 0;
}

/* ---- Options -------------------------------------------------------------------------------- */

static uint64_t number_of(const char *text, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number > max) {
        fprintf(stderr, "simulate: %s is not a number from 0 to %lu\n", text, (unsigned long)max);
        exit(2);
    }
    return number;
}

static enum bug bug_of(const char *name)
{
#ifdef MODEL_BUGS
    for (int bug = BUG_NONE + 1; bug < BUG_COUNT; bug++) {
        if (strcmp(name, bugs[bug].name) == 0)
            return (enum bug)bug;
    }
    fprintf(stderr, "simulate: there is no bug %s; see --list-bugs\n", name);
#else
    fprintf(stderr,
            "simulate: %s: no bug is built into this program; simulate-bugs is the same with\n"
            "all of them\n",
            name);
#endif
    exit(2);
}

static enum driver driver_of(const char *name)
{
    if (strcmp(name, "simulation") == 0)
        return SIMULATION;
    if (strcmp(name, "orderings") == 0)
        return ORDERINGS;
    fprintf(stderr, "simulate: there is no driver %s; see --help\n", name);
    exit(2);
}

static void list_bugs(void)
{
    for (int bug = BUG_NONE + 1; bug < BUG_COUNT; bug++)
        printf("%-32s %s\n", bugs[bug].name, bugs[bug].text);
}

static void read_options(int argc, char **argv)
{
    enum { SCHEDULES, SEED, WORKERS, DRIVER, TRACE, NO_SHRINK, LIST, ONE_BUG, ALL, HELP };
    static const struct option known[] = {
        {"schedules", required_argument, NULL, SCHEDULES},
        {"seed", required_argument, NULL, SEED},
        {"workers", required_argument, NULL, WORKERS},
        {"driver", required_argument, NULL, DRIVER},
        {"trace", no_argument, NULL, TRACE},
        {"no-shrink", no_argument, NULL, NO_SHRINK},
        {"list-bugs", no_argument, NULL, LIST},
        {"bug", required_argument, NULL, ONE_BUG},
        {"all-bugs", no_argument, NULL, ALL},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case SCHEDULES:
            options.schedules = number_of(optarg, UINT64_MAX / 2);
            break;
        case SEED:
            options.seed = number_of(optarg, UINT64_MAX / 2);
            break;
        case WORKERS:
            options.workers = (uint32_t)number_of(optarg, WORKERS_MAX);
            break;
        case DRIVER:
            options.driver = driver_of(optarg);
            break;
        case TRACE:
            options.is_transcribed = true;
            break;
        case NO_SHRINK:
            options.is_shrunk = false;
            break;
        case LIST:
            list_bugs();
            exit(0);
        case ONE_BUG:
            options.bug = bug_of(optarg);
            break;
        case ALL:
            bug_of(bugs[1].name);
            options.is_all_bugs = true;
            break;
        case HELP:
            fputs(help, stdout);
            exit(0);
        default:
            fprintf(stderr, "Try simulate --help.\n");
            exit(2);
        }
    }
    if (optind < argc || options.workers == 0 || options.schedules == 0) {
        fprintf(stderr, "simulate: nothing to do; try simulate --help\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    catch_signals();
    if (options.is_all_bugs)
        return run_all_bugs();
    if (options.bug != BUG_NONE)
        return run_bug(options.bug);

    model.is_transcribed = options.is_transcribed;
    double start = seconds_now();
    struct tally tally;
    uint64_t failed = 0;
    bool is_right = processes_run(options.workers, options.seed, options.schedules, run_watched,
                                  &tally, &failed);
    model.is_transcribed = false;
    print_json(&tally, !is_right, seconds_now() - start);
    if (!is_right)
        explain(failed);
    else if (options.schedules >= EVERYTHING)
        is_right = tally_is_complete(&tally, options.driver);
    return is_right ? 0 : 1;
}
