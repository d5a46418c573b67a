/* transaction.h: one operation on several keys, in memory, stored all together or not at all.
 *
 * batch.h includes it. docs/transactions.md has what is promised, what it costs, and what a
 * conflict does.
 */
#ifndef BATCH_TRANSACTION_H
#define BATCH_TRANSACTION_H

#include <batch/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct batch_transaction batch_transaction;

/* One key of a transaction, and whether the transaction changed its resource. */
typedef struct batch_part {
    const void *key; /* as in batch_op; no key twice in one transaction */
    size_t key_size;
    bool changed; /* for `run` to set; false before each run */

    /* Private to the library from here on. */
    bool private_is_ready;
    void *private_batch;
    batch_op private_leg;
} batch_part;

/* The transaction itself. Runs on the worker, alone on all its resources: `resources[i]` is that of
 * `parts[i]`. It sets `changed` in each part whose resource it changed; the others are only
 * checked: what it read there is still stored when the changes are. One that rejects its request
 * changes nothing and sets nothing.
 *
 * May be replayed on freshly loaded resources before it completes, whatever the options, together
 * with all that ran on the same keys: it must depend on the resources and its request alone, and
 * overwrite its output each time. */
typedef void (*batch_transaction_run_fn)(void *const *resources, batch_transaction *transaction);

/* As batch_done_fn: called exactly once for each transaction that was submitted. */
typedef void (*batch_transaction_done_fn)(batch_transaction *transaction,
                                          const batch_result *result);

/* One operation on several keys: what it changes is stored all together or not at all. The caller
 * owns it, its parts, and what their keys and `arg` point to; nothing is copied. Initialize it with
 * BATCH_TRANSACTION_INIT, and the parts with BATCH_PART_INIT (or all zero), and leave them alone
 * from submit until `done` is called, or until batch_transaction_run returns. */
struct batch_transaction {
    batch_part *parts;
    size_t parts_size;              /* 1 to BATCH_PARTS_MAX */
    batch_transaction_run_fn run;   /* required */
    batch_transaction_done_fn done; /* required by submit; not called by batch_transaction_run */
    void *arg;                      /* anything */
    uint64_t start_by_ns; /* latest time to begin, else it fails with BATCH_EXPIRED; 0: no limit */

    /* Private to the library from here on. */
    void *private_waiter;
    uint32_t private_ready;
    uint32_t private_legs;
    uint8_t private_state;
    uint8_t private_canceled;
    int8_t private_status;
    batch_result private_result;
};

#define BATCH_PART_INIT                                                                            \
    {                                                                                              \
        NULL, 0, false, false, NULL, BATCH_OP_INIT                                                 \
    }
#define BATCH_TRANSACTION_INIT                                                                     \
    {                                                                                              \
        NULL, 0, NULL, NULL, NULL, 0, NULL, 0, 0, 0, 0, 0,                                         \
        {                                                                                          \
            0, 0, 0, false,                                                                        \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define BATCH_PARTS_MAX 64

/* BATCH_PART_INIT as a function, for other languages.
 * Returns BATCH_OK, or BATCH_INVALID if `ret_part` is NULL.
 * Threads: any. Does not block. */
BATCH_API int batch_part_init(batch_part *ret_part);

/* BATCH_TRANSACTION_INIT as a function, for other languages.
 * Returns BATCH_OK, or BATCH_INVALID if `ret_transaction` is NULL.
 * Threads: any. Does not block. */
BATCH_API int batch_transaction_init(batch_transaction *ret_transaction);

/* ---- Running them --------------------------------------------------------------------------- */

/* Run a transaction and wait until it is complete.
 *
 * Its keys must belong to one shard: `shards` is 1. The store must save units (store.h); those of
 * this project do, load and save functions do not. Operations and transactions on a common key
 * begin in the order in which they were accepted.
 *
 * `transaction->done` is not used. `result` may be NULL; result->changed: it changed something.
 *
 * Returns result->status, as batch_run does, for the transaction as a whole:
 * BATCH_OK         durable, and serializable among all who compare versions: at one moment, all
 *                  that it read was stored as it was read, and all that it changed is stored since
 * BATCH_INVALID    no run function, no parts or more than BATCH_PARTS_MAX or ops_waiting_max, a key
 *                  that is not valid or given twice, a transaction in use; or a processor that runs
 *                  none: result->message says which
 * BATCH_UNKNOWN    all of it may have been applied, or nothing
 * others           no part of it is applied: as for batch_run
 *
 * Threads: any but callbacks. Blocks until the transaction has ended. */
BATCH_API int batch_transaction_run(batch_processor *processor, batch_transaction *transaction,
                                    batch_result *result);

/* Submit a transaction and return at once. Allocates nothing.
 *
 * Returns
 * BATCH_OK  accepted: transaction->done will be called exactly once, with one of the statuses of
 *           batch_transaction_run, on a worker thread, possibly before this returns
 * others    BATCH_INVALID, BATCH_STOPPED, BATCH_BUSY: not accepted, as for batch_submit
 *
 * Threads: any, all callbacks included. Does not block. */
BATCH_API int batch_transaction_submit(batch_processor *processor, batch_transaction *transaction);

/* Request that a submitted transaction does not begin: as batch_cancel, for all its parts at once.
 *
 * Returns BATCH_OK, or BATCH_INVALID if an argument is NULL.
 *
 * Threads: any, all callbacks included. Does not block. */
BATCH_API int batch_transaction_cancel(batch_processor *processor, batch_transaction *transaction);

#ifdef __cplusplus
}
#endif

#endif
