/* cycles.c SECONDS CYCLES [SEED]: processors that hardly live: started, given a few operations by
 * two threads, stopped at once, freed; as many of them as fit into the time. Four crews do so side
 * by side, as most of a cycle is waiting for another thread.
 *
 * What was accepted must be completed when stop returns, what comes later refused, and no memory be
 * left. Seeded bug: CYCLES_BUG forgets to count a completion now and then.
 */
#include <batch/metrics.h>
#include <batch/store.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "counting_allocator.h"
#include "random.h"

enum { CREWS = 4, MINE = 4, ITS_OWN = 16, HANG_SECONDS = 60 };

struct request {
    batch_op op; /* first */
    struct cycles *cycles;
    bool is_accepted; /* by the thread that submits it */
    atomic_uint completions;
};

/* One processor, and a partner thread that submits to it while it is stopped. */
struct cycles {
    uint64_t seed;
    struct random random;
    uint64_t cycle;
    batch_processor *processor;
    batch_store *store;
    struct request mine[MINE];
    struct request partners[ITS_OWN];
    struct allocator memory;
    uint64_t accepted, refused; /* in all */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_partner_on; /* under lock */
    bool is_over;       /* under lock */
};

static _Noreturn void fail(const struct cycles *cycles, const char *what)
{
    fprintf(stderr, "cycles: seed %llu, cycle %llu: not so: %s\n", (unsigned long long)cycles->seed,
            (unsigned long long)cycles->cycle, what);
    fflush(NULL);
    _exit(1);
}
#define MUST(cycles, condition) ((condition) ? (void)0 : fail((cycles), #condition))

static void on_alarm(int signal_number)
{
    static const char text[] = "cycles: hangs\n";
    (void)signal_number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(2);
    abort();
}

/* ---- Operations ----------------------------------------------------------------------------- */

static batch_verdict add_one(void *resource, void *arg)
{
    (void)arg;
    ++*(int64_t *)resource;
    return BATCH_CHANGED;
}

static void done(batch_op *op, const batch_result *result)
{
    struct request *request = (struct request *)(void *)op;
    MUST(request->cycles, result->status == BATCH_OK);
#ifdef CYCLES_BUG
    if (request->cycles->cycle % 100 == 99)
        return;
#endif
    atomic_fetch_add(&request->completions, 1);
}

static void request_init(struct cycles *cycles, struct request *request, const char *key)
{
    request->op = (batch_op)BATCH_OP_INIT;
    request->op.key = key;
    request->op.key_size = 1;
    request->op.run = add_one;
    request->op.done = done;
    request->cycles = cycles;
    request->is_accepted = false;
    atomic_store(&request->completions, 0);
}

static bool submit(struct cycles *cycles, struct request *request)
{
    int status = batch_submit(cycles->processor, &request->op);
    request->is_accepted = status == BATCH_OK;
    MUST(cycles, status == BATCH_OK || status == BATCH_STOPPED);
    return request->is_accepted;
}

static void check(struct cycles *cycles, struct request *requests, int count)
{
    for (int i = 0; i < count; i++) {
        MUST(cycles, atomic_load(&requests[i].completions) == requests[i].is_accepted);
        cycles->accepted += requests[i].is_accepted;
        cycles->refused += !requests[i].is_accepted;
    }
}

/* ---- The partner ---------------------------------------------------------------------------- */

static void set_partner(struct cycles *cycles, bool is_on, bool is_over)
{
    pthread_mutex_lock(&cycles->lock);
    cycles->is_partner_on = is_on;
    cycles->is_over = is_over;
    pthread_cond_broadcast(&cycles->changed);
    pthread_mutex_unlock(&cycles->lock);
}

static void *partner_main(void *arg)
{
    struct cycles *cycles = arg;
    for (;;) {
        pthread_mutex_lock(&cycles->lock);
        while (!cycles->is_partner_on && !cycles->is_over)
            pthread_cond_wait(&cycles->changed, &cycles->lock);
        bool is_over = cycles->is_over;
        pthread_mutex_unlock(&cycles->lock);
        if (is_over)
            return NULL;
        for (int i = 0; i < ITS_OWN; i++) {
            if (!submit(cycles, &cycles->partners[i]))
                break;
        }
        set_partner(cycles, false, false);
    }
}

static void await_partner(struct cycles *cycles)
{
    pthread_mutex_lock(&cycles->lock);
    while (cycles->is_partner_on)
        pthread_cond_wait(&cycles->changed, &cycles->lock);
    pthread_mutex_unlock(&cycles->lock);
}

/* ---- Cycles --------------------------------------------------------------------------------- */

/* Three of four have one thread, which is a third of the work. */
static batch_options choose_options(struct cycles *cycles)
{
    batch_options options = BATCH_OPTIONS_INIT;
    bool is_lean = random_below(&cycles->random, 4) > 0;
    options.store = random_below(&cycles->random, 2) == 0 ? cycles->store : NULL;
    options.sessions = is_lean ? 0 : (uint32_t)random_below(&cycles->random, 3);
    options.shards = !is_lean && random_below(&cycles->random, 4) == 0 ? 3 : 1;
    options.resource_size = sizeof(int64_t);
    options.window_ns = random_below(&cycles->random, 2) == 0 ? BATCH_WINDOW_NONE : 1000000;
    options.deadline_ns = BATCH_FOREVER;
    options.allocator = allocator_functions(&cycles->memory);
    return options;
}

static void run_cycle(struct cycles *cycles)
{
    static const char *const keys[] = {"a", "b", "c"};
    batch_options options = choose_options(cycles);
    MUST(cycles, batch_processor_start(&cycles->processor, &options, NULL) == BATCH_OK);
    for (int i = 0; i < MINE; i++)
        request_init(cycles, &cycles->mine[i], keys[random_below(&cycles->random, 3)]);
    for (int i = 0; i < ITS_OWN; i++)
        request_init(cycles, &cycles->partners[i], keys[random_below(&cycles->random, 3)]);
    bool has_partner = random_below(&cycles->random, 3) > 0;
    if (has_partner)
        set_partner(cycles, true, false);
    uint64_t count = random_below(&cycles->random, MINE + 1);
    for (uint64_t i = 0; i < count; i++)
        MUST(cycles, submit(cycles, &cycles->mine[i]));
    MUST(cycles, batch_processor_stop(cycles->processor, BATCH_FOREVER) == 0);
    check(cycles, cycles->mine, MINE); /* before the partner knows */
    await_partner(cycles);
    check(cycles, cycles->partners, ITS_OWN);
    struct request late;
    request_init(cycles, &late, "a");
    MUST(cycles, !submit(cycles, &late));
    MUST(cycles, batch_processor_free(cycles->processor) == BATCH_OK);
    MUST(cycles, cycles->memory.live == 0);
    cycles->cycle++;
}

struct crew {
    struct cycles cycles; /* first */
    pthread_t thread;
    uint64_t wanted, end_ns;
};

static void *crew_main(void *arg)
{
    struct crew *crew = arg;
    struct cycles *cycles = &crew->cycles;
    pthread_t partner;
    cycles->random.state = cycles->seed;
    MUST(cycles, batch_memory_open(&cycles->store) == BATCH_OK);
    MUST(cycles, pthread_mutex_init(&cycles->lock, NULL) == 0);
    MUST(cycles, pthread_cond_init(&cycles->changed, NULL) == 0);
    MUST(cycles, pthread_create(&partner, NULL, partner_main, cycles) == 0);
    while (cycles->cycle < crew->wanted && batch_now_ns() < crew->end_ns) {
        alarm(HANG_SECONDS); /* who hangs is alone in the end, and sets it no more */
        run_cycle(cycles);
    }
    set_partner(cycles, false, true);
    pthread_join(partner, NULL);
    MUST(cycles, batch_store_close(cycles->store) == BATCH_OK);
    pthread_cond_destroy(&cycles->changed);
    pthread_mutex_destroy(&cycles->lock);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct crew crews[CREWS];
    double seconds = argc > 1 ? atof(argv[1]) : 10;
    uint64_t wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : batch_now_ns();
    uint64_t end_ns = batch_now_ns() + (uint64_t)(seconds * 1e9);
    printf("cycles: at most %g s and %llu cycles, seed %llu\n", seconds, (unsigned long long)wanted,
           (unsigned long long)seed);
    fflush(stdout);
    signal(SIGALRM, on_alarm);
    for (size_t i = 0; i < CREWS; i++) {
        crews[i].cycles.seed = seed + i;
        crews[i].wanted = wanted / CREWS;
        crews[i].end_ns = end_ns;
        MUST(&crews[i].cycles, pthread_create(&crews[i].thread, NULL, crew_main, &crews[i]) == 0);
    }
    uint64_t count = 0, accepted = 0, refused = 0;
    for (size_t i = 0; i < CREWS; i++) {
        pthread_join(crews[i].thread, NULL);
        count += crews[i].cycles.cycle;
        accepted += crews[i].cycles.accepted;
        refused += crews[i].cycles.refused;
    }
    printf("%llu cycles, %llu operations accepted and completed, %llu refused or not submitted\n",
           (unsigned long long)count, (unsigned long long)accepted, (unsigned long long)refused);
    return 0;
}
