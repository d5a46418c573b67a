/* simulate.c: the program. Histories from consecutive seeds, and one line of JSON about them. */
#include "simulation.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef SIM_CONTROLS
enum sim_mistake sim_mistake;
#endif

enum {
    WORKERS_MAX = 64,
    EVERYTHING = 100000,      /* in so many histories everything must have been seen */
    CONTROL_HISTORIES = 10000 /* a mistake must be found within so many */
};

static const char help[] =
    "Usage: simulate [OPTION]...\n"
    "Live through random histories of a few nodes and one store, and check every promise.\n"
    "Prints one line of JSON; exit 1 if a promise was broken, or if something that should go\n"
    "wrong at times never did (in 100000 histories or more).\n"
    "\n"
    "  --histories N     how many (default 100000)\n"
    "  --seed N          of the first one; the others follow (default 1)\n"
    "  --workers N       processes that share them (default 1)\n"
    "  --trace           tell the histories on stderr, as they are; with one, to read it\n"
    "  --no-shrink       do not look for a shorter history that fails like this one\n"
    "  --list-controls   the mistakes that simulate-controls can make\n"
    "  --control NAME    make this mistake; exit 0 only if it is found\n"
    "  --all-controls    each in turn, at most 10000 histories for each\n"
    "  --help            this\n";

struct options {
    uint64_t histories, seed;
    uint32_t workers;
    bool is_told, is_shrunk, is_all_controls;
    enum sim_mistake control;
};

/* In memory that the workers share with their parent. */
struct worker {
    struct sim_tally tally;
    uint64_t seed; /* the present one; that of the failure, if it has failed */
    bool has_failed;
    bool is_finished;
};

static struct sim sim;
static struct sim_script script;

static const char *const mistake_names[] = {"none",
#define SIM_NAME(name, text) #name,
                                            SIM_MISTAKE_MAP(SIM_NAME)
#undef SIM_NAME
};

static const char *const mistake_texts[] = {"no mistake",
#define SIM_TEXT(name, text) text,
                                            SIM_MISTAKE_MAP(SIM_TEXT)
#undef SIM_TEXT
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
 * history takes microseconds; one that is still the same two ticks later will not end. */
static void on_signal(int number)
{
    static uint64_t histories;
    static uint32_t ticks;
    if (number != SIGVTALRM)
        sim_wrong(&sim, "the core touches memory that is not its own");
    ticks = histories == sim.tally->histories ? ticks + 1 : 0;
    histories = sim.tally->histories;
    if (ticks < 2)
        return;
    ticks = 0;
    sim_wrong(&sim, "the core never gets done");
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER | SA_RESTART};
    sigaction(SIGVTALRM, &action, NULL);
#if !defined(BATCH_DEBUG_CHECKS) || defined(SIM_CONTROLS)
    sigaction(SIGSEGV, &action, NULL); /* elsewhere a sanitizer has more to say */
    sigaction(SIGBUS, &action, NULL);
#endif
}

/* Of the time of this process alone: each worker has its own. */
static void watch_out(void)
{
    static const struct itimerval ticks = {{5, 0}, {5, 0}};
    setitimer(ITIMER_VIRTUAL, &ticks, NULL);
}

/* One history; its hash goes into the tally. */
static bool live(uint64_t seed, struct sim_tally *tally)
{
    sim_script_make(&script, seed);
    bool is_right = sim_run(&sim, &script, tally);
    tally->hash += sim_mix(sim.hash ^ seed);
    return is_right;
}

/* ---- Workers -------------------------------------------------------------------------------- */

static void work(const struct options *options, uint32_t number, struct worker *worker)
{
    watch_out();
    for (uint64_t i = number; i < options->histories; i += options->workers) {
        worker->seed = options->seed + i;
        if (!live(worker->seed, &worker->tally)) {
            worker->has_failed = true;
            break;
        }
    }
    worker->is_finished = true;
}

static void show_progress(const struct options *options, const struct worker *workers,
                          double seconds)
{
    uint64_t done = 0;
    for (uint32_t i = 0; i < options->workers; i++)
        done += workers[i].tally.histories;
    fprintf(stderr, "\r%3.0f s  %lu of %lu histories ", seconds, (unsigned long)done,
            (unsigned long)options->histories);
}

/* Wait until all are finished. False if one ended in another way. */
static bool wait_for(const struct options *options, const struct worker *workers)
{
    bool is_terminal = isatty(STDERR_FILENO) != 0;
    double start = seconds_now();
    uint32_t left = options->workers;
    while (left > 0) {
        pid_t pid = waitpid(-1, NULL, is_terminal ? WNOHANG : 0);
        if (pid > 0) {
            left--;
        } else if (pid == 0) {
            show_progress(options, workers, seconds_now() - start);
            nanosleep(&(struct timespec){0, 200000000}, NULL);
        } else if (errno != EINTR) {
            break;
        }
    }
    if (is_terminal)
        fprintf(stderr, "\r\033[K");
    for (uint32_t i = 0; i < options->workers; i++) {
        if (!workers[i].is_finished)
            return false;
    }
    return true;
}

static struct worker *run_workers(const struct options *options)
{
    size_t size = options->workers * sizeof(struct worker);
    struct worker *workers =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (workers == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    if (options->workers == 1 && isatty(STDERR_FILENO) == 0) {
        work(options, 0, workers);
        return workers;
    }
    pid_t parent = getpid();
    for (uint32_t i = 0; i < options->workers; i++) {
        pid_t pid = fork();
        if (pid == -1) {
            perror("fork");
            exit(2);
        }
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() == parent)
                work(options, i, &workers[i]);
            _exit(0);
        }
    }
    if (!wait_for(options, workers)) {
        for (uint32_t i = 0; i < options->workers; i++) {
            if (!workers[i].is_finished)
                fprintf(stderr, "simulate: a worker died of seed %lu\n",
                        (unsigned long)workers[i].seed);
        }
        exit(1);
    }
    return workers;
}

/* ---- What has been seen --------------------------------------------------------------------- */

static const char *const outcome_names[] = {
#define SIM_NAME(name) #name,
    SIM_OUTCOME_MAP(SIM_NAME)
#undef SIM_NAME
};

static const char *const event_names[] = {
#define SIM_NAME(name) #name,
    SIM_EVENT_MAP(SIM_NAME)
#undef SIM_NAME
};

static void add(struct sim_tally *sum, const struct sim_tally *one)
{
    sum->histories += one->histories;
    sum->calm += one->calm;
    sum->steps += one->steps;
    sum->hash += one->hash;
    for (uint32_t i = 0; i < SIM_OUTCOMES; i++)
        sum->outcomes[i] += one->outcomes[i];
    for (uint32_t i = 0; i < SIM_EVENTS; i++)
        sum->events[i] += one->events[i];
}

static void print_counts(const char *name, const char *const *names, const uint64_t *counts,
                         size_t size)
{
    printf(", \"%s\": {", name);
    for (size_t i = 0; i < size; i++)
        printf("%s\"%s\": %lu", i > 0 ? ", " : "", names[i], (unsigned long)counts[i]);
    printf("}");
}

static void print_json(const struct sim_tally *tally, uint64_t seed, bool is_failed, double seconds)
{
    double core_seconds = cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN);
    printf("{\"histories\": %lu, \"calm\": %lu, \"steps\": %lu, \"first_seed\": %lu, "
           "\"failed\": %d, \"hash\": \"%016lx\", \"seconds\": %.2f, "
           "\"histories_per_second\": %.0f, \"core_seconds\": %.2f, "
           "\"histories_per_core_second\": %.0f",
           (unsigned long)tally->histories, (unsigned long)tally->calm, (unsigned long)tally->steps,
           (unsigned long)seed, is_failed, (unsigned long)tally->hash, seconds,
           (double)tally->histories / seconds, core_seconds,
           (double)tally->histories / core_seconds);
    print_counts("outcomes", outcome_names, tally->outcomes, SIM_OUTCOMES);
    print_counts("events", event_names, tally->events, SIM_EVENTS);
    printf("}\n");
}

static bool has_seen_everything(const struct sim_tally *tally)
{
    bool is_all = true;
    for (uint32_t i = 0; i < SIM_OUTCOMES; i++) {
        if (tally->outcomes[i] == 0) {
            fprintf(stderr, "simulate: no operation was ever %s\n", outcome_names[i]);
            is_all = false;
        }
    }
    for (uint32_t i = 0; i < SIM_EVENTS; i++) {
        if (tally->events[i] == 0) {
            fprintf(stderr, "simulate: %s never came\n", event_names[i]);
            is_all = false;
        }
    }
    return is_all;
}

/* ---- A failure ------------------------------------------------------------------------------ */

/* Say what is wrong with a seed, and tell the shortest history found that is wrong in that way. */
static void explain(uint64_t seed, bool is_shrunk)
{
    struct sim_tally tally = {0};
    watch_out();
    live(seed, &tally);
    fprintf(stderr, "seed %lu: %s (hash %016lx)\n", (unsigned long)seed, sim.wrong,
            (unsigned long)tally.hash);
    if (!is_shrunk || sim.format == NULL)
        return;
    uint32_t items = script.items_size;
    uint64_t histories = sim_shrink(&sim, &script);
    fprintf(stderr, "the shortest found, %u of %u items, after %lu more histories:\n",
            script.items_size, items, (unsigned long)histories);
    sim_say_config(&script.config);
    sim.is_told = true;
    sim_run(&sim, &script, &tally);
    sim.is_told = false;
}

/* ---- Controls ------------------------------------------------------------------------------- */

static int run_control(enum sim_mistake mistake, const struct options *options)
{
    uint64_t max = options->histories < CONTROL_HISTORIES ? options->histories : CONTROL_HISTORIES;
#ifdef SIM_CONTROLS
    sim_mistake = mistake;
#endif
    struct sim_tally tally = {0};
    watch_out();
    for (uint64_t i = 0; i < max; i++) {
        uint64_t seed = options->seed + i;
        if (live(seed, &tally))
            continue;
        printf("%-26s found by history %5lu: %s\n", mistake_names[mistake], (unsigned long)(i + 1),
               sim.wrong);
        fflush(stdout);
        if (!options->is_all_controls)
            explain(seed, options->is_shrunk);
        return 0;
    }
    printf("%-26s not found in %lu histories\n", mistake_names[mistake], (unsigned long)max);
    return 1;
}

static int run_controls(const struct options *options)
{
    int missed = 0;
    for (int mistake = SIM_NO_MISTAKE + 1; mistake < SIM_MISTAKES; mistake++)
        missed += run_control((enum sim_mistake)mistake, options);
    printf("%d mistakes, %d not found\n", SIM_MISTAKES - 1, missed);
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

static enum sim_mistake control_of(const char *name)
{
#ifdef SIM_CONTROLS
    for (int mistake = SIM_NO_MISTAKE + 1; mistake < SIM_MISTAKES; mistake++) {
        if (strcmp(name, mistake_names[mistake]) == 0)
            return (enum sim_mistake)mistake;
    }
    fprintf(stderr, "simulate: there is no control %s; see --list-controls\n", name);
#else
    fprintf(stderr,
            "simulate: %s: no mistake is built into this program; simulate-controls is\n"
            "the same with all of them\n",
            name);
#endif
    exit(2);
}

static void list_controls(void)
{
    for (int mistake = SIM_NO_MISTAKE + 1; mistake < SIM_MISTAKES; mistake++)
        printf("%-26s %s\n", mistake_names[mistake], mistake_texts[mistake]);
}

static void read_options(int argc, char **argv, struct options *options)
{
    enum { HISTORIES, SEED, WORKERS, TRACE, NO_SHRINK, LIST, CONTROL, ALL, HELP };
    static const struct option known[] = {
        {"histories", required_argument, NULL, HISTORIES},
        {"seed", required_argument, NULL, SEED},
        {"workers", required_argument, NULL, WORKERS},
        {"trace", no_argument, NULL, TRACE},
        {"no-shrink", no_argument, NULL, NO_SHRINK},
        {"list-controls", no_argument, NULL, LIST},
        {"control", required_argument, NULL, CONTROL},
        {"all-controls", no_argument, NULL, ALL},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){.histories = 100000, .seed = 1, .workers = 1, .is_shrunk = true};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case HISTORIES:
            options->histories = number_of(optarg, UINT64_MAX / 2);
            break;
        case SEED:
            options->seed = number_of(optarg, UINT64_MAX / 2);
            break;
        case WORKERS:
            options->workers = (uint32_t)number_of(optarg, WORKERS_MAX);
            break;
        case TRACE:
            options->is_told = true;
            break;
        case NO_SHRINK:
            options->is_shrunk = false;
            break;
        case LIST:
            list_controls();
            exit(0);
        case CONTROL:
            options->control = control_of(optarg);
            break;
        case ALL:
            control_of(mistake_names[1]);
            options->is_all_controls = true;
            break;
        case HELP:
            fputs(help, stdout);
            exit(0);
        default:
            fprintf(stderr, "Try simulate --help.\n");
            exit(2);
        }
    }
    if (optind < argc || options->workers == 0 || options->histories == 0) {
        fprintf(stderr, "simulate: nothing to do; try simulate --help\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    read_options(argc, argv, &options);
    catch_signals();
    if (options.is_all_controls)
        return run_controls(&options);
    if (options.control != SIM_NO_MISTAKE)
        return run_control(options.control, &options);

    sim.is_told = options.is_told;
    double start = seconds_now();
    struct worker *workers = run_workers(&options);
    double seconds = seconds_now() - start;
    sim.is_told = false;
    struct sim_tally tally = {0};
    const struct worker *failed = NULL;
    for (uint32_t i = 0; i < options.workers; i++) {
        add(&tally, &workers[i].tally);
        bool is_first = failed == NULL || workers[i].seed < failed->seed;
        if (workers[i].has_failed && is_first)
            failed = &workers[i];
    }
    print_json(&tally, options.seed, failed != NULL, seconds);
    fflush(stdout);
    if (failed != NULL)
        explain(failed->seed, options.is_shrunk);
    bool is_right = failed == NULL;
    if (is_right && options.histories >= EVERYTHING)
        is_right = has_seen_everything(&tally);
    munmap(workers, options.workers * sizeof(struct worker));
    return is_right ? 0 : 1;
}
