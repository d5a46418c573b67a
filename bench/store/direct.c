/* direct.c: the same operations without libbatch, as one would write them: requests wait in a
 * queue, and each thread of a pool, with a connection of its own, takes the next one and runs a
 * transaction for it. A completed request goes to the end of the queue, with another key; its
 * latency counts from there.
 */
#include "direct.h"

#include "common/say.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct request {
    uint32_t key;
    uint64_t queued_ns;
};

struct direct;

struct worker {
    struct direct *direct;
    void *session;
    pthread_t thread;
    uint64_t random;
    struct tally tally;
};

struct direct {
    struct runner base;
    struct target *target;
    struct key *keys;
    uint32_t keys_size;
    struct worker *workers;
    uint32_t workers_size; /* those that run */

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct request *requests; /* a ring, large enough for all */
    uint32_t requests_size;
    uint32_t first;
    uint32_t waiting;
    bool is_stopping;
};

/* With the lock held. */
static void put(struct direct *direct, struct request request)
{
    uint64_t place = (uint64_t)direct->first + direct->waiting++;
    direct->requests[place % direct->requests_size] = request;
}

/* Queue what was completed, if any, and take the next. False: the run is over. */
static bool next(struct direct *direct, const struct request *completed,
                 struct request *ret_request)
{
    pthread_mutex_lock(&direct->lock);
    if (completed != NULL) {
        put(direct, *completed);
        pthread_cond_signal(&direct->changed);
    }
    while (direct->waiting == 0 && !direct->is_stopping)
        pthread_cond_wait(&direct->changed, &direct->lock);
    bool is_over = direct->is_stopping;
    if (!is_over) {
        *ret_request = direct->requests[direct->first];
        direct->first = (direct->first + 1) % direct->requests_size;
        direct->waiting--;
    }
    pthread_mutex_unlock(&direct->lock);
    return !is_over;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct direct *direct = worker->direct;
    struct request request;
    for (bool goes_on = next(direct, NULL, &request); goes_on;) {
        uint64_t retries = 0;
        int status =
            direct->target->session_run(worker->session, &direct->keys[request.key], &retries);
        uint64_t now_ns = batch_now_ns();
        tally_latency(&worker->tally, now_ns - request.queued_ns);
        tally_completed(&worker->tally, status);
        tally_add(&worker->tally.xretries, retries);
        struct request following = {random_below(&worker->random, direct->keys_size), now_ns};
        goes_on = next(direct, &following, &request);
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
    sum->rows = sum->commits;
}

static void direct_stop(struct runner *runner)
{
    struct direct *direct = (struct direct *)runner;
    pthread_mutex_lock(&direct->lock);
    direct->is_stopping = true;
    pthread_cond_broadcast(&direct->changed);
    pthread_mutex_unlock(&direct->lock);
    for (uint32_t i = 0; i < direct->workers_size; i++)
        pthread_join(direct->workers[i].thread, NULL);
}

static void direct_free(struct runner *runner)
{
    struct direct *direct = (struct direct *)runner;
    for (uint32_t i = 0; i < direct->workers_size; i++)
        direct->target->session_close(direct->workers[i].session);
    pthread_cond_destroy(&direct->changed);
    pthread_mutex_destroy(&direct->lock);
    free(direct->workers);
    free(direct->requests);
    free(direct->keys);
    free(direct);
}

static struct direct *direct_new(const struct settings *settings, struct target *target)
{
    struct direct *direct = calloc(1, sizeof *direct);
    if (direct == NULL)
        return NULL;
    direct->base = (struct runner){direct_read, direct_stop, direct_free};
    direct->target = target;
    direct->keys = keys_new(settings->keys);
    direct->keys_size = settings->keys;
    direct->workers = calloc(settings->sessions, sizeof *direct->workers);
    direct->requests = calloc(settings->outstanding, sizeof *direct->requests);
    direct->requests_size = settings->outstanding;
    pthread_mutex_init(&direct->lock, NULL);
    pthread_cond_init(&direct->changed, NULL);
    if (direct->keys != NULL && direct->workers != NULL && direct->requests != NULL)
        return direct;
    direct_free(&direct->base);
    return NULL;
}

static bool worker_start(struct direct *direct, struct worker *worker)
{
    worker->direct = direct;
    worker->random = batch_now_ns() | 1;
    worker->session = direct->target->session_open(direct->target);
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

struct runner *direct_start(const struct settings *settings, struct target *target)
{
    struct direct *direct = direct_new(settings, target);
    if (direct == NULL) {
        say("no memory for %u operations", settings->outstanding);
        return NULL;
    }
    for (uint32_t i = 0; i < settings->sessions; i++) {
        if (!worker_start(direct, &direct->workers[i])) {
            direct_stop(&direct->base);
            direct_free(&direct->base);
            return NULL;
        }
    }
    uint64_t random = batch_now_ns() | 1;
    pthread_mutex_lock(&direct->lock);
    for (uint32_t i = 0; i < settings->outstanding; i++)
        put(direct, (struct request){random_below(&random, settings->keys), batch_now_ns()});
    pthread_cond_broadcast(&direct->changed);
    pthread_mutex_unlock(&direct->lock);
    return &direct->base;
}
