/* direct.c: the transactions without libbatch, as one would write them: threads, each with a
 * connection of its own, and one transaction after the other on each. */
#include "direct.h"

#include "common/say.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct direct *direct;
    void *session;
    pthread_t thread;
    uint64_t random;
    struct tally tally;
};

struct direct {
    struct runner base;
    const struct settings *settings;
    struct target *target;
    struct worker *workers;
    uint32_t workers_size; /* those that run */
    int xstopping;
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct direct *direct = worker->direct;
    while (!__atomic_load_n(&direct->xstopping, __ATOMIC_RELAXED)) {
        struct movement movement = movement_choose(direct->settings, &worker->random);
        uint64_t begin_ns = batch_now_ns();
        uint64_t retries = 0;
        int status = direct->target->session_run(worker->session, &movement, &retries);
        tally_latency(&worker->tally, batch_now_ns() - begin_ns);
        tally_completed(&worker->tally, status);
        tally_add(&worker->tally.xretries, retries);
    }
    return NULL;
}

static void direct_read(struct runner *runner, struct tally *sum)
{
    struct direct *direct = (struct direct *)runner;
    memset(sum, 0, sizeof *sum);
    for (uint32_t i = 0; i < direct->workers_size; i++)
        tally_sum(sum, &direct->workers[i].tally);
    sum->commits = sum->xcompleted[-BATCH_OK];
}

static void direct_stop(struct runner *runner)
{
    struct direct *direct = (struct direct *)runner;
    __atomic_store_n(&direct->xstopping, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < direct->workers_size; i++)
        pthread_join(direct->workers[i].thread, NULL);
}

static void direct_free(struct runner *runner)
{
    struct direct *direct = (struct direct *)runner;
    for (uint32_t i = 0; i < direct->workers_size; i++)
        direct->target->session_close(direct->workers[i].session);
    free(direct->workers);
    free(direct);
}

static bool worker_start(struct direct *direct, struct worker *worker)
{
    worker->direct = direct;
    worker->random = batch_now_ns() | 1;
    worker->session = direct->target->session_open(direct->target, direct->settings->direct_by);
    if (worker->session == NULL)
        return false;
    if (pthread_create(&worker->thread, NULL, work, worker) == 0) {
        direct->workers_size++;
        return true;
    }
    say("the system refused a thread");
    direct->target->session_close(worker->session);
    return false;
}

static const char *way_of(const struct settings *settings, const struct target *target)
{
    if (!target->has_locks)
        return "BEGIN IMMEDIATE";
    return settings->direct_by == BY_LOCK ? "SELECT ... FOR UPDATE" : "UPDATE ... WHERE version =";
}

struct runner *direct_start(const struct settings *settings, struct target *target)
{
    struct direct *direct = calloc(1, sizeof *direct);
    if (direct != NULL)
        direct->workers = calloc(settings->sessions, sizeof *direct->workers);
    if (direct == NULL || direct->workers == NULL) {
        say("no memory for %u connections", settings->sessions);
        free(direct);
        return NULL;
    }
    direct->base = (struct runner){way_of(settings, target), settings->sessions, direct_read,
                                   direct_stop, direct_free};
    direct->settings = settings;
    direct->target = target;
    for (uint32_t i = 0; i < settings->sessions; i++) {
        if (!worker_start(direct, &direct->workers[i])) {
            direct_stop(&direct->base);
            direct_free(&direct->base);
            return NULL;
        }
    }
    return &direct->base;
}
