/* completions.h: completions on the thread of an event loop, in place of the worker's.
 *
 * A batch_completions is a queue of operations that are complete, for one thread that dispatches
 * them: each loop has its own. Operations and transactions that are submitted to it
 * (batch_submit_to, batch_transaction_submit_to) call `done` in batch_completions_dispatch, so
 * `done` shares everything with the rest of that thread without a lock. The end of a stop
 * (batch_processor_stop_to) and new records of a subscription (metrics.h) come the same way. Any
 * number of processors may complete to one queue, and one processor to any number of queues.
 *
 * The loop is woken through a file descriptor, which is readable while there is something to
 * dispatch, or through a function of your own. It is woken once for all that is complete by then.
 *
 * Nothing is allocated for an operation or a transaction. For a batch that fails, one record is
 * allocated for all its operations; if there is no memory for it, they get a general message in
 * place of their own. Transactions have room for theirs.
 */
#ifndef BATCH_COMPLETIONS_H
#define BATCH_COMPLETIONS_H

#include <batch/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Start from BATCH_COMPLETIONS_OPTIONS_INIT. Zero means the default. */
typedef struct batch_completions_options {
    size_t size; /* sizeof(batch_completions_options), set by BATCH_COMPLETIONS_OPTIONS_INIT */

    /* Called when there is something to dispatch and there was not before: make the loop call
     * batch_completions_dispatch. NULL (default): there is a file descriptor instead. It may be
     * called from any thread, the loop's own included, also when there turns out to be nothing;
     * must not block, and must not call the library, which may hold a lock. Suitable are
     * uv_async_send, event_active (after evthread_use_pthreads), g_main_context_wakeup, and a write
     * to a pipe that does not block. */
    void (*wake)(void *arg);
    void *arg; /* for wake */

    /* All three members or none. Default malloc and free. */
    batch_allocator allocator;
} batch_completions_options;

#define BATCH_COMPLETIONS_OPTIONS_INIT                                                             \
    {                                                                                              \
        sizeof(batch_completions_options), NULL, NULL,                                             \
        {                                                                                          \
            NULL, NULL, NULL                                                                       \
        }                                                                                          \
    }

/* BATCH_COMPLETIONS_OPTIONS_INIT as a function, for other languages. `size` is that of the struct,
 * as the caller knows it; memory beyond it is not touched.
 * Returns BATCH_OK, or BATCH_INVALID if `ret_options` is NULL or `size` is not that of a struct.
 * Threads: any. Does not block. */
BATCH_API int batch_completions_options_init(batch_completions_options *ret_options, size_t size);

/* Open a queue. `options` may be NULL.
 *
 * Returns
 * BATCH_OK         *ret_completions is yours: close it
 * BATCH_INVALID    ret_completions is NULL, or an option is not valid
 * BATCH_NO_MEMORY  out of memory
 * BATCH_SYSTEM     the system refused a file descriptor
 *
 * Threads: any. Does not block. */
BATCH_API int batch_completions_open(batch_completions **ret_completions,
                                     const batch_completions_options *options);

/* The file descriptor to wait for: readable while there is something to dispatch. It belongs to the
 * queue; do not read, write or close it. It does not block and is closed by exec.
 * Returns the descriptor; or BATCH_INVALID, which is negative, if there is none: the queue has a
 * wake function, or is NULL.
 * Threads: any. Does not block. */
BATCH_API int batch_completions_fd(const batch_completions *completions);

/* Dispatch what is complete: call `done` of each operation, in the order of completion.
 *
 * At most `max` of them (0: no limit): of those that are complete when it is called. If some are
 * left, or come meanwhile, the loop is woken again: so it never needs to be called twice in a row.
 * When there are none, waits for one for at most `wait_ns` (0: do not wait; BATCH_FOREVER); a
 * signal handler that runs meanwhile ends the wait. In an event loop pass 0.
 *
 * `done` may call every function but batch_completions_close, and whatever blocks if your loop may;
 * dispatch itself too, which continues with the next ones.
 *
 * Returns the number of those dispatched, events of stops and subscriptions included. Negative:
 * BATCH_INVALID   `completions` is NULL; or it has a wake function, and wait_ns is not 0
 * BATCH_DEADLOCK  would wait, in a callback of a processor
 *
 * Threads: the loop's; of any, one at a time. Blocks for at most `wait_ns`, and for as long as what
 * it calls. */
BATCH_API int64_t batch_completions_dispatch(batch_completions *completions, size_t max,
                                             uint64_t wait_ns);

/* Close a queue and free it. No other call may be using it.
 *
 * Returns
 * BATCH_OK    closed (or `completions` was NULL)
 * BATCH_BUSY  something may still come, or is being dispatched: an operation, the end of a stop, or
 *             a subscription. Nothing was done; dispatch, and try again
 *
 * Threads: the loop's, outside of dispatch. Blocks only until a worker has left the wake function.
 */
BATCH_API int batch_completions_close(batch_completions *completions);

/* ---- What is completed there ---------------------------------------------------------------- */

/* As batch_submit, but op->done is called by batch_completions_dispatch. Until then the operation
 * is in use. That may be after batch_processor_stop has returned 0, and even after the processor
 * was freed; its allocator must work until then.
 *
 * Returns what batch_submit returns; BATCH_INVALID if an argument is NULL.
 *
 * Threads: any, all callbacks included. Does not block. */
BATCH_API int batch_submit_to(batch_processor *processor, batch_op *op,
                              batch_completions *completions);

/* As batch_submit_many, for operations that all complete there.
 *
 * Returns what batch_submit_many returns; BATCH_INVALID if an argument is NULL.
 *
 * Threads: any, all callbacks included. Does not block. */
BATCH_API int batch_submit_many_to(batch_processor *processor, batch_op *const *ops,
                                   size_t ops_size, batch_completions *completions);

/* As batch_transaction_submit, but transaction->done is called by batch_completions_dispatch. Until
 * then the transaction is in use, as an operation of batch_submit_to is.
 *
 * Returns what batch_transaction_submit returns; BATCH_INVALID if an argument is NULL.
 *
 * Threads: any, all callbacks included. Does not block. */
BATCH_API int batch_transaction_submit_to(batch_processor *processor,
                                          batch_transaction *transaction,
                                          batch_completions *completions);

/* Called by batch_completions_dispatch when a processor has stopped: free it, here or later. What
 * its operations have completed to this queue has been dispatched before. */
typedef void (*batch_stopped_fn)(batch_processor *processor, void *arg);

/* Stop a processor as batch_processor_stop does, without waiting: `stopped` is called when
 * everything has ended. Until then batch_processor_free returns BATCH_BUSY.
 *
 * To abandon what takes too long, have a timer call batch_processor_stop with a timeout of 1.
 *
 * Returns
 * BATCH_OK       `stopped` will be called exactly once; soon, if the processor had already stopped
 * BATCH_BUSY     this was called before, for this processor; nothing was done
 * BATCH_INVALID  `processor`, `completions` or `stopped` is NULL
 *
 * Threads: any, all callbacks included. Does not block. */
BATCH_API int batch_processor_stop_to(batch_processor *processor, batch_completions *completions,
                                      batch_stopped_fn stopped, void *arg);

#ifdef __cplusplus
}
#endif

#endif
