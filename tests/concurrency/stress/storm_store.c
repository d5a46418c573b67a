/* storm_store.c: the storm's load and save as a store that finishes some calls before it returns,
 * and some later, on a thread of its own; also when a processor is about to be freed. */
#include "storm.h"

static void finish(struct storm *storm, struct late late)
{
    void *resource = batch_call_resource(late.call);
    batch_call_finish(late.call, late.is_save ? storm_save(late.call, resource, storm)
                                              : storm_load(late.call, resource, storm));
}

static void take_calls(batch_store *store, batch_call *const *calls, size_t calls_size,
                       bool is_save)
{
    struct storm_store *own = (struct storm_store *)(void *)store;
    for (size_t i = 0; i < calls_size; i++) {
        struct late late = {calls[i], is_save};
        if (storm_is_unlucky(own->storm, 2)) {
            finish(own->storm, late);
            continue;
        }
        pthread_mutex_lock(&own->lock);
        STORM_MUST(own->storm, own->late_size < KEYS); /* a key has one call at a time */
        own->late[own->late_size++] = late;
        pthread_cond_signal(&own->changed);
        pthread_mutex_unlock(&own->lock);
    }
}

static void load(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)session;
    take_calls(store, calls, calls_size, false);
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)session;
    take_calls(store, calls, calls_size, true);
}

/* Newest first: the order is nobody's concern. */
static void *finish_late(void *arg)
{
    struct storm_store *own = arg;
    pthread_mutex_lock(&own->lock);
    for (;;) {
        while (own->late_size == 0 && !own->is_over)
            pthread_cond_wait(&own->changed, &own->lock);
        if (own->late_size == 0)
            break;
        struct late late = own->late[--own->late_size];
        pthread_mutex_unlock(&own->lock);
        finish(own->storm, late);
        pthread_mutex_lock(&own->lock);
    }
    pthread_mutex_unlock(&own->lock);
    return NULL;
}

static int session_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    (void)reterr;
    *ret_session = store;
    return BATCH_OK;
}

static void session_close(batch_store *store, void *session)
{
    (void)store;
    (void)session;
}

static void close_nothing(batch_store *store)
{
    (void)store;
}

void storm_store_open(struct storm_store *own, struct storm *storm)
{
    own->store = (batch_store)BATCH_STORE_INIT;
    own->store.name = "storm";
    own->store.session_open = session_open;
    own->store.session_close = session_close;
    own->store.load = load;
    own->store.save = save;
    own->store.close = close_nothing;
    own->storm = storm;
    STORM_MUST(storm, pthread_mutex_init(&own->lock, NULL) == 0);
    STORM_MUST(storm, pthread_cond_init(&own->changed, NULL) == 0);
    STORM_MUST(storm, pthread_create(&own->thread, NULL, finish_late, own) == 0);
}

void storm_store_close(struct storm_store *own)
{
    pthread_mutex_lock(&own->lock);
    own->is_over = true;
    pthread_cond_signal(&own->changed);
    pthread_mutex_unlock(&own->lock);
    pthread_join(own->thread, NULL);
    STORM_MUST(own->storm, batch_store_close(&own->store) == BATCH_OK);
    pthread_cond_destroy(&own->changed);
    pthread_mutex_destroy(&own->lock);
}
