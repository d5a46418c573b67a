/* health.c: see health.h. */
#include "http/health.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)

struct health {
    struct office *office;
    uint64_t limit_ns;
    atomic_uint_fast64_t xread_ns; /* when a probe succeeded last */

    /* Saves. A booking that fails has been failing since it began, or the last success after that.
     * Failures with no success between them are a series, if each begins before the one before is
     * out of date: limit_ns after it and, as the next may take as long, the time that it took. */
    atomic_uint_fast64_t xsaved_ns;         /* the last success */
    atomic_uint_fast64_t xfailing_since_ns; /* when the series began; 0: there is none */
    atomic_uint_fast64_t xfailing_until_ns; /* when the last failure is out of date */

    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t closing_changed;
    bool closing; /* under the mutex */
};

/* Sleep for a second. False: the thread must end. */
static bool pause_probing(struct health *health)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&health->mutex);
    int code = 0;
    while (!health->closing && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&health->closing_changed, &health->mutex, &until);
    bool goes_on = !health->closing;
    pthread_mutex_unlock(&health->mutex);
    return goes_on;
}

static void *run(void *arg)
{
    struct health *health = arg;
    do {
        if (office_probe(health->office))
            atomic_store_explicit(&health->xread_ns, batch_now_ns(), memory_order_relaxed);
    } while (pause_probing(health));
    return NULL;
}

struct health *health_open(struct office *office, uint64_t window_ns)
{
    struct health *health = calloc(1, sizeof *health);
    if (health == NULL)
        return NULL;
    health->office = office;
    health->limit_ns = HEALTH_LIMIT_S * SECOND_NS + window_ns;
    atomic_init(&health->xread_ns, batch_now_ns()); /* the office has just opened its store */
    pthread_mutex_init(&health->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&health->closing_changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&health->thread, NULL, run, health) != 0) {
        pthread_cond_destroy(&health->closing_changed);
        pthread_mutex_destroy(&health->mutex);
        free(health);
        return NULL;
    }
    return health;
}

static void note_saved(struct health *health, uint64_t now_ns)
{
    atomic_store_explicit(&health->xsaved_ns, now_ns, memory_order_relaxed);
    if (atomic_load_explicit(&health->xfailing_since_ns, memory_order_relaxed) != 0)
        atomic_store_explicit(&health->xfailing_since_ns, 0, memory_order_relaxed);
}

static void note_failed(struct health *health, uint64_t begun_ns, uint64_t now_ns)
{
    uint64_t saved_ns = atomic_load_explicit(&health->xsaved_ns, memory_order_relaxed);
    uint64_t since_ns = atomic_load_explicit(&health->xfailing_since_ns, memory_order_relaxed);
    uint64_t until_ns = atomic_load_explicit(&health->xfailing_until_ns, memory_order_relaxed);
    if (since_ns == 0 || begun_ns > until_ns)
        atomic_store_explicit(&health->xfailing_since_ns, begun_ns > saved_ns ? begun_ns : saved_ns,
                              memory_order_relaxed);
    atomic_store_explicit(&health->xfailing_until_ns,
                          now_ns + health->limit_ns + (now_ns - begun_ns), memory_order_relaxed);
}

void health_note(struct health *health, const struct booking *booking, uint64_t begun_ns)
{
    if (booking->status == BATCH_OK && booking->result == TRAIN_BOOKED)
        note_saved(health, batch_now_ns());
    else if (booking->status == BATCH_SAVE_FAILED || booking->status == BATCH_UNKNOWN)
        note_failed(health, begun_ns, batch_now_ns());
}

static bool saves_fail(struct health *health, uint64_t now_ns)
{
    uint64_t since_ns = atomic_load_explicit(&health->xfailing_since_ns, memory_order_relaxed);
    uint64_t until_ns = atomic_load_explicit(&health->xfailing_until_ns, memory_order_relaxed);
    return since_ns != 0 && now_ns > since_ns + health->limit_ns && now_ns <= until_ns;
}

const char *health_problem(struct health *health)
{
    uint64_t now_ns = batch_now_ns();
    uint64_t read_ns = atomic_load_explicit(&health->xread_ns, memory_order_relaxed);
    if (now_ns > read_ns + health->limit_ns)
        return "The store cannot be read.";
    return saves_fail(health, now_ns) ? "Nothing can be saved." : NULL;
}

void health_close(struct health *health)
{
    pthread_mutex_lock(&health->mutex);
    health->closing = true;
    pthread_cond_signal(&health->closing_changed);
    pthread_mutex_unlock(&health->mutex);
    pthread_join(health->thread, NULL);
    pthread_cond_destroy(&health->closing_changed);
    pthread_mutex_destroy(&health->mutex);
    free(health);
}
