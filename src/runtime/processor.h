/* processor.h: one processor: what its shards and sessions share, and how it starts and ends.
 *
 * Life: RUNNING, until the first stop; STOPPING, while shards answer what they have, each shard's
 * worker ends when its core is empty, the last one closes the I/O queue and so ends the sessions;
 * STOPPED, when all threads are joined. `threads_left` counts those that have not ended.
 */
#ifndef BATCH_RUNTIME_PROCESSOR_H
#define BATCH_RUNTIME_PROCESSOR_H

#include <batch/batch.h>
#include <batch/metrics.h>
#include <batch/store.h>

#include "../metrics/counters.h"
#include "../metrics/subscription.h"
#include "../platform/platform.h"
#include "io_queue.h"
#include "shard.h"

enum {
    BATCH__HASH_KEY_BYTES = 16, /* crypto_shorthash_KEYBYTES */
    BATCH__SESSIONS_MAX = 1024,
    BATCH__SHARDS_MAX = 256
};

/* The per-key functions of batch_options, as a store. */
struct batch__function_store {
    batch_store store; /* first */
    batch_load_fn load;
    batch_save_fn save;
    void *arg;
};

/* A connection to the store, and whoever uses it: its own thread, or a worker (sessions = 0). */
struct batch__session {
    struct batch_processor *processor;
    void *session; /* the store's */
    bool is_open;
    batch_call **calls; /* room for group_max */
    struct batch__thread thread;
};

enum batch__processor_state { BATCH__RUNNING, BATCH__STOPPING, BATCH__JOINING, BATCH__STOPPED };

struct batch_processor {
    /* Fixed after start. */
    batch_options options; /* with defaults filled in, and always an allocator */
    batch_codec codec;     /* all NULL: none */
    batch_release_fn release;
    void *release_arg;
    bool has_load; /* loads go to the store; else a resource is zeroed memory */
    bool has_save;
    batch_store *store; /* the user's, or &functions.store */
    struct batch__function_store functions;
    unsigned char hash_key[BATCH__HASH_KEY_BYTES];
    struct batch__shard **shards;
    struct batch__session *sessions;
    uint32_t sessions_size; /* options.sessions; or one for each shard if workers call the store */

    /* Touched by submit. */
    uint32_t xis_stopping;
    uint32_t xis_giving_up;     /* a stop has run out of time: calls are told to give up */
    uint32_t xgroup_submitters; /* in batch_submit_many: shards are not closed under them */

    uint32_t xfinishers; /* threads in batch_call_finish */

    struct batch__io_queue io_queue;
    struct batch__hub hub;
    struct batch__group_counters group_counters;

    struct batch__lock lock;
    enum batch__processor_state state; /* under lock */
    uint32_t shards_left;              /* workers that have not ended; under lock */
    uint32_t threads_left;             /* under lock */
};

/* Memory, from the processor's allocator. */
void *batch__allocate(const batch_options *options, size_t size);
void batch__release(const batch_options *options, void *memory);

/* Is the caller one of the processor's own threads? Then it must not wait for the processor. */
bool batch__processor_is_own_thread(const batch_processor *processor);

/* A worker, a session: its thread is about to end. */
void batch__processor_worker_ended(batch_processor *processor);
void batch__processor_session_ended(batch_processor *processor);

/* options.c: check, and fill in defaults. BATCH_OK or BATCH_INVALID with reterr. */
int batch__options_take(batch_options *ret_options, const batch_options *options,
                        batch_result *reterr);

/* session.c */
void batch__session_main(void *session);
/* Give a group to the store and count it. */
void batch__session_perform(struct batch__session *session, enum batch__stage stage, size_t count);

/* functions.c */
void batch__function_store_init(struct batch__function_store *functions,
                                const batch_options *options);

/* result.c: fill a result without a batch, with a printf format; returns status. result may be
 * NULL. */
int batch__result_set(batch_result *result, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The result of a batch's operations. */
void batch__result_of_call(batch_result *result, const batch_call *call);

/* store.c: a store cannot be closed while it is used. */
void batch__store_use(batch_store *store);
void batch__store_leave(batch_store *store);

/* submit.c: batch_submit, for a waiting caller if there is one. */
struct batch__waiter;
int batch__submit(batch_processor *processor, batch_op *op, struct batch__waiter *waiter);

/* run.c: a waiting caller is told. */
void batch__waiter_tell(struct batch__waiter *waiter, const batch_result *result);

#endif
