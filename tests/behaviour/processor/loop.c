#include "loop.h"

#include <poll.h>
#include <sched.h>

static void wake(void *arg)
{
    struct loop *loop = arg;
    pthread_mutex_lock(&loop->lock);
    atomic_fetch_add(&loop->wakes, 1);
    pthread_cond_broadcast(&loop->woken);
    pthread_mutex_unlock(&loop->lock);
}

static void open_with(struct loop *loop, void (*wake_function)(void *))
{
    memset(loop, 0, sizeof *loop);
    MUST(pthread_mutex_init(&loop->lock, NULL) == 0);
    MUST(pthread_cond_init(&loop->woken, NULL) == 0);
    loop->thread = pthread_self();
    batch_completions_options options = BATCH_COMPLETIONS_OPTIONS_INIT;
    options.wake = wake_function;
    options.arg = loop;
    options.allocator = allocator_functions(&loop->memory);
    assert_int_equal(batch_completions_open(&loop->completions, &options), BATCH_OK);
}

void loop_open(struct loop *loop)
{
    open_with(loop, NULL);
}

void loop_open_wake(struct loop *loop)
{
    open_with(loop, wake);
}

void loop_close(struct loop *loop)
{
    assert_int_equal(batch_completions_close(loop->completions), BATCH_OK);
    assert_int_equal(loop->memory.live, 0);
    pthread_cond_destroy(&loop->woken);
    pthread_mutex_destroy(&loop->lock);
}

bool loop_is_readable(const struct loop *loop)
{
    struct pollfd poller = {batch_completions_fd(loop->completions), POLLIN, 0};
    int ready = poll(&poller, 1, 0);
    MUST(ready >= 0);
    return ready == 1;
}

void loop_await_readable(const struct loop *loop)
{
    struct pollfd poller = {batch_completions_fd(loop->completions), POLLIN, 0};
    MUST(poll(&poller, 1, -1) == 1);
}

void loop_await_wakes(struct loop *loop, unsigned wakes)
{
    pthread_mutex_lock(&loop->lock);
    while (atomic_load(&loop->wakes) < wakes)
        pthread_cond_wait(&loop->woken, &loop->lock);
    pthread_mutex_unlock(&loop->lock);
}

void loop_dispatch(struct loop *loop, size_t count)
{
    bool can_wait = batch_completions_fd(loop->completions) >= 0;
    while (count > 0) {
        int64_t dispatched =
            batch_completions_dispatch(loop->completions, count, can_wait ? BATCH_FOREVER : 0);
        MUST(dispatched >= 0 && (size_t)dispatched <= count);
        count -= (size_t)dispatched;
        if (dispatched == 0)
            sched_yield();
    }
}

void job_submit_to(struct job *job, struct loop *loop)
{
    assert_int_equal(batch_submit_to(job->harness->processor, &job->op, loop->completions),
                     BATCH_OK);
}

void job_send_to(struct job *job, struct loop *loop, struct harness *harness, const char *key,
                 int64_t add)
{
    job_init(job, harness, key, add);
    job->arg = loop;
    job_submit_to(job, loop);
}
