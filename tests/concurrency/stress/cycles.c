/* cycles.c SECONDS CYCLES [SEED]: processors that hardly live: started, given a few operations by
 * two threads, stopped at once, freed; as many of them as fit into the time.
 *
 * What was accepted must be answered when stop returns, what comes later refused, and no memory be
 * left. Control: CYCLES_CONTROL forgets to count an answer now and then.
 */
#include <batch/metrics.h>
#include <batch/store.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "allocator.h"
#include "random.h"

enum { MINE = 4, ITS_OWN = 16, HANG_SECONDS = 60 };

struct request {
    batch_op op; /* first */
    struct life *life;
    bool is_accepted; /* by the thread that submits it */
    atomic_uint answers;
};

/* One processor, and a partner thread that submits to it while it is stopped. */
struct life {
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

static _Noreturn void fail(const struct life *life, const char *what)
{
    fprintf(stderr, "cycles: seed %llu, cycle %llu: not so: %s\n", (unsigned long long)life->seed,
            (unsigned long long)life->cycle, what);
    fflush(NULL);
    _exit(1);
}
#define MUST(life, condition) ((condition) ? (void)0 : fail((life), #condition))

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
    MUST(request->life, result->status == BATCH_OK);
#ifdef CYCLES_CONTROL
    if (request->life->cycle % 100 == 99)
        return;
#endif
    atomic_fetch_add(&request->answers, 1);
}

static void request_init(struct life *life, struct request *request, const char *key)
{
    request->op = (batch_op)BATCH_OP_INIT;
    request->op.key = key;
    request->op.key_size = 1;
    request->op.run = add_one;
    request->op.done = done;
    request->life = life;
    request->is_accepted = false;
    atomic_store(&request->answers, 0);
}

static bool submit(struct life *life, struct request *request)
{
    int status = batch_submit(life->processor, &request->op);
    request->is_accepted = status == BATCH_OK;
    MUST(life, status == BATCH_OK || status == BATCH_STOPPED);
    return request->is_accepted;
}

static void check(struct life *life, struct request *requests, int count)
{
    for (int i = 0; i < count; i++) {
        MUST(life, atomic_load(&requests[i].answers) == requests[i].is_accepted);
        life->accepted += requests[i].is_accepted;
        life->refused += !requests[i].is_accepted;
    }
}

/* ---- The partner ---------------------------------------------------------------------------- */

static void set_partner(struct life *life, bool is_on, bool is_over)
{
    pthread_mutex_lock(&life->lock);
    life->is_partner_on = is_on;
    life->is_over = is_over;
    pthread_cond_broadcast(&life->changed);
    pthread_mutex_unlock(&life->lock);
}

static void *partner_main(void *arg)
{
    struct life *life = arg;
    for (;;) {
        pthread_mutex_lock(&life->lock);
        while (!life->is_partner_on && !life->is_over)
            pthread_cond_wait(&life->changed, &life->lock);
        bool is_over = life->is_over;
        pthread_mutex_unlock(&life->lock);
        if (is_over)
            return NULL;
        for (int i = 0; i < ITS_OWN; i++) {
            if (!submit(life, &life->partners[i]))
                break;
        }
        set_partner(life, false, false);
    }
}

static void await_partner(struct life *life)
{
    pthread_mutex_lock(&life->lock);
    while (life->is_partner_on)
        pthread_cond_wait(&life->changed, &life->lock);
    pthread_mutex_unlock(&life->lock);
}

/* ---- Cycles --------------------------------------------------------------------------------- */

/* Three of four have one thread, which is a third of the work. */
static batch_options choose_options(struct life *life)
{
    batch_options options = BATCH_OPTIONS_INIT;
    bool is_lean = random_below(&life->random, 4) > 0;
    options.store = random_below(&life->random, 2) == 0 ? life->store : NULL;
    options.sessions = is_lean ? 0 : (uint32_t)random_below(&life->random, 3);
    options.shards = !is_lean && random_below(&life->random, 4) == 0 ? 3 : 1;
    options.resource_size = sizeof(int64_t);
    options.window_ns = random_below(&life->random, 2) == 0 ? BATCH_WINDOW_NONE : 1000000;
    options.deadline_ns = BATCH_FOREVER;
    options.allocator = allocator_functions(&life->memory);
    return options;
}

static void run_cycle(struct life *life)
{
    static const char *const keys[] = {"a", "b", "c"};
    batch_options options = choose_options(life);
    MUST(life, batch_processor_start(&life->processor, &options, NULL) == BATCH_OK);
    for (int i = 0; i < MINE; i++)
        request_init(life, &life->mine[i], keys[random_below(&life->random, 3)]);
    for (int i = 0; i < ITS_OWN; i++)
        request_init(life, &life->partners[i], keys[random_below(&life->random, 3)]);
    bool has_partner = random_below(&life->random, 3) > 0;
    if (has_partner)
        set_partner(life, true, false);
    uint64_t count = random_below(&life->random, MINE + 1);
    for (uint64_t i = 0; i < count; i++)
        MUST(life, submit(life, &life->mine[i]));
    MUST(life, batch_processor_stop(life->processor, BATCH_FOREVER) == 0);
    check(life, life->mine, MINE); /* before the partner knows */
    await_partner(life);
    check(life, life->partners, ITS_OWN);
    struct request late;
    request_init(life, &late, "a");
    MUST(life, !submit(life, &late));
    MUST(life, batch_processor_free(life->processor) == BATCH_OK);
    MUST(life, life->memory.live == 0);
    life->cycle++;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 10;
    uint64_t cycles = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
    struct life *life = calloc(1, sizeof *life);
    life->seed = argc > 3 ? strtoull(argv[3], NULL, 10) : batch_now_ns();
    life->random.state = life->seed;
    printf("cycles: at most %g s and %llu cycles, seed %llu\n", seconds, (unsigned long long)cycles,
           (unsigned long long)life->seed);
    fflush(stdout);
    signal(SIGALRM, on_alarm);
    MUST(life, batch_memory_open(&life->store) == BATCH_OK);
    MUST(life, pthread_mutex_init(&life->lock, NULL) == 0);
    MUST(life, pthread_cond_init(&life->changed, NULL) == 0);
    pthread_t partner;
    MUST(life, pthread_create(&partner, NULL, partner_main, life) == 0);

    uint64_t end_ns = batch_now_ns() + (uint64_t)(seconds * 1e9);
    while (life->cycle < cycles && batch_now_ns() < end_ns) {
        alarm(HANG_SECONDS);
        run_cycle(life);
    }
    set_partner(life, false, true);
    pthread_join(partner, NULL);
    printf("%llu cycles, %llu operations accepted and answered, %llu refused or not submitted\n",
           (unsigned long long)life->cycle, (unsigned long long)life->accepted,
           (unsigned long long)life->refused);
    MUST(life, batch_store_close(life->store) == BATCH_OK);
    pthread_cond_destroy(&life->changed);
    pthread_mutex_destroy(&life->lock);
    free(life);
    return 0;
}
