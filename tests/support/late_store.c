/* late_store.c: see late_store.h. */
#include "late_store.h"

#include "must.h"

static void *finish_calls(void *arg)
{
    struct late_store *late = arg;
    pthread_mutex_lock(&late->lock);
    for (;;) {
        while ((late->count == 0 || late->is_held) && !late->is_over)
            pthread_cond_wait(&late->changed, &late->lock);
        if (late->count == 0)
            break;
        struct late_call next = late->calls[late->begin];
        late->begin = (late->begin + 1) % LATE_CALLS_MAX;
        late->count--;
        pthread_cond_broadcast(&late->changed);
        pthread_mutex_unlock(&late->lock);
        late->finish(next, late->arg);
        pthread_mutex_lock(&late->lock);
    }
    pthread_mutex_unlock(&late->lock);
    return NULL;
}

static void note(batch_store *store, batch_call *const *calls, size_t calls_size, bool is_save)
{
    struct late_store *late = (struct late_store *)(void *)store;
    for (size_t i = 0; i < calls_size; i++) {
        struct late_call call = {calls[i], is_save};
        if (late->is_at_once != NULL && late->is_at_once(late->arg)) {
            late->finish(call, late->arg);
            continue;
        }
        pthread_mutex_lock(&late->lock);
        MUST(late->calls_max == 0 || late->count < late->calls_max);
        while (late->count == LATE_CALLS_MAX)
            pthread_cond_wait(&late->changed, &late->lock);
        late->calls[(late->begin + late->count++) % LATE_CALLS_MAX] = call;
        pthread_cond_broadcast(&late->changed);
        pthread_mutex_unlock(&late->lock);
    }
}

static void load(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)session;
    note(store, calls, calls_size, false);
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)session;
    note(store, calls, calls_size, true);
}

void late_store_open(struct late_store *late, late_finish_fn finish, void *arg)
{
    *late = (struct late_store){.finish = finish, .arg = arg};
    store_wrapper_init(&late->wrapper, "late", NULL);
    late->wrapper.store.load = load;
    late->wrapper.store.save = save;
    MUST(pthread_mutex_init(&late->lock, NULL) == 0);
    MUST(pthread_cond_init(&late->changed, NULL) == 0);
    MUST(pthread_create(&late->thread, NULL, finish_calls, late) == 0);
}

void late_store_close(struct late_store *late)
{
    pthread_mutex_lock(&late->lock);
    late->is_over = true;
    pthread_cond_broadcast(&late->changed);
    pthread_mutex_unlock(&late->lock);
    MUST(pthread_join(late->thread, NULL) == 0);
    pthread_cond_destroy(&late->changed);
    pthread_mutex_destroy(&late->lock);
}

void late_store_hold(struct late_store *late, bool is_held)
{
    pthread_mutex_lock(&late->lock);
    late->is_held = is_held;
    pthread_cond_broadcast(&late->changed);
    pthread_mutex_unlock(&late->lock);
}

void late_store_await(struct late_store *late, size_t count)
{
    pthread_mutex_lock(&late->lock);
    while (late->count < count)
        pthread_cond_wait(&late->changed, &late->lock);
    pthread_mutex_unlock(&late->lock);
}
