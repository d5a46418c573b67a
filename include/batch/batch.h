/* batch.h: run many operations on one resource at the price of one.
 *
 * Operations are grouped by key. For each key that has work the processor loads the resource once,
 * runs every operation that arrives within a window on it, in memory and one after the other, saves
 * it once, and only then answers everybody. Throughput is that of memory; durability is that of one
 * transaction for each operation, because BATCH_OK is said only after the save has succeeded.
 *
 * Five nouns: a batch_processor takes batch_op operations, as batch_options say, keeps resources in
 * a batch_store (store.h), and answers each operation with a batch_result.
 *
 * Threads. Every function may be called from any thread, unless its comment says otherwise. Three
 * kinds of thread call you back, and never two at a time for one key:
 *   - a worker (one per shard) calls batch_run_fn, batch_done_fn and the release function;
 *   - a session thread (one per session) calls the store's load and save, and the codec's decode
 * and encode. With `sessions = 0` the worker does that too. From any of these callbacks every
 * function that does not block is allowed: submit, cancel, stats, subscribe, and so on. What would
 * wait for the calling thread itself says BATCH_DEADLOCK at once.
 *
 * The library starts its own threads and blocks all signals in them. It installs no signal handler,
 * writes nothing to standard output or error, and never exits the process. (If it finds its own
 * memory inconsistent, a bug, it calls abort.) After fork() a child must not use objects of its
 * parent.
 *
 * Times are nanoseconds. Absolute times are on the clock of batch_now_ns().
 */
#ifndef BATCH_BATCH_H
#define BATCH_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define BATCH_API __attribute__((visibility("default")))
#else
#define BATCH_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version -------------------------------------------------------------------------------- */

#define BATCH_VERSION_MAJOR 0
#define BATCH_VERSION_MINOR 1
#define BATCH_VERSION_PATCH 0

/* The version of the library that is running, "0.1.0". Static; never NULL. */
BATCH_API const char *batch_version(void);

/* ---- Status --------------------------------------------------------------------------------- */

/* Everything that can be said of a call or an operation. Numbers never change once released; new
 * ones are appended. X(name, number, text).
 *
 * For an operation there are three classes, never merged: OK (applied and durable), UNKNOWN (may
 * have been applied), and all the others (not applied, for this reason). */
#define BATCH_STATUS_MAP(X)                                                                        \
    X(OK, 0, "done")                                                                               \
    X(INVALID, -1, "an argument is not valid")                                                     \
    X(CANCELED, -2, "canceled; not applied")                                                       \
    X(EXPIRED, -3, "could not begin before its start_by_ns; not applied")                          \
    X(STOPPED, -4, "the processor is stopped; not applied")                                        \
    X(BUSY, -5, "a limit is reached; not applied, try again later")                                \
    X(NO_MEMORY, -6, "out of memory; not applied")                                                 \
    X(LOAD_FAILED, -7, "the resource could not be loaded; not applied")                            \
    X(SAVE_FAILED, -8, "the resource could not be saved; not applied")                             \
    X(CONFLICT, -9, "somebody else saved the resource meanwhile; not applied, try again")          \
    X(UNKNOWN, -10, "the save may or may not have been applied")                                   \
    X(DEADLOCK, -11, "would wait for the calling thread itself; use batch_submit here")            \
    X(TIMED_OUT, -12, "the time allowed for waiting has passed")                                   \
    X(ENDED, -13, "the subscription has ended")                                                    \
    X(SYSTEM, -14, "the operating system refused a thread or another resource")                    \
    X(STORE_FAILED, -15, "the store could not be opened")

enum batch_status {
#define BATCH_STATUS_ENUM(name, number, text) BATCH_##name = number,
    BATCH_STATUS_MAP(BATCH_STATUS_ENUM)
#undef BATCH_STATUS_ENUM
};
#define BATCH_STATUS_COUNT 16 /* numbers run from 0 down to 1 - BATCH_STATUS_COUNT */

/* "BATCH_OK", and a sentence for people. Static; for a number that is no status too. Never NULL. */
BATCH_API const char *batch_status_name(int status);
BATCH_API const char *batch_status_text(int status);

/* May the operation's change be in the store? True for OK and UNKNOWN. */
BATCH_API bool batch_may_be_applied(int status);

/* Is it safe and of use to submit the same operation again? True for what was not applied and may
 * go better next time: BUSY, CONFLICT, LOAD_FAILED, SAVE_FAILED, NO_MEMORY. False for UNKNOWN: look
 * first at what is stored. */
BATCH_API bool batch_is_retryable(int status);

/* ---- Result --------------------------------------------------------------------------------- */

#define BATCH_MESSAGE_SIZE 232

/* How an operation, or a call that can fail in many ways, ended. Frozen: it will not grow. */
typedef struct batch_result {
    int status;                /* enum batch_status */
    int store_code;            /* the store's own error code, 0 if it gave none */
    uint32_t batch_operations; /* operations that ran in the batch; 0 if this one did not run */
    bool changed;              /* the operation ran and said BATCH_CHANGED */
    char message[BATCH_MESSAGE_SIZE]; /* for people: what failed, for which key, at which stage,
                                         why; always ends in NUL, cut if longer; not empty */
} batch_result;

/* ---- Operation ------------------------------------------------------------------------------ */

typedef struct batch_processor batch_processor;
typedef struct batch_store batch_store; /* store.h */
typedef struct batch_call batch_call;   /* store.h */
typedef struct batch_op batch_op;

/* What an operation says of the resource it was given. If no operation of a batch changed it, the
 * batch is not saved. An operation that refuses must leave the resource as it found it. */
typedef enum batch_verdict { BATCH_UNCHANGED = 0, BATCH_CHANGED = 1 } batch_verdict;

/* The operation itself. Runs on the worker, alone on this resource; keep it short and do no I/O: it
 * holds up all keys of its shard. `resource` is valid during the call only. What it writes to `arg`
 * is an answer to give to somebody only when the operation's status is BATCH_OK: until the batch is
 * saved, it was judged on data that may never be stored.
 *
 * Runs once for a submit, unless options say otherwise: with `replays_max` or `resource_cache_max`
 * it may run again, on a resource loaded anew, before anyone is told. Then it must decide by the
 * resource and what it was asked alone, and write its answer to `arg` afresh each time: only the
 * last run counts. */
typedef batch_verdict (*batch_run_fn)(void *resource, void *arg);

/* Told once, on the worker, how a submitted operation ended. From here on `op` is yours again: free
 * it or submit it again, also from inside this call. `result` is valid during the call only. Must
 * not block for long. */
typedef void (*batch_done_fn)(batch_op *op, const batch_result *result);

/* One operation on one key. You own it, and what `key` and `arg` point to; none of it is copied.
 * Embed it in your request, fill it from BATCH_OP_INIT (or all zero), and leave it alone from
 * submit until `done` is called, or until batch_run returns. Frozen: 80 bytes where pointers
 * have 8. */
struct batch_op {
    const void *key;      /* any bytes; may be NULL if key_size is 0 */
    size_t key_size;      /* bytes, 0 to BATCH_KEY_SIZE_MAX */
    batch_run_fn run;     /* required */
    batch_done_fn done;   /* required by batch_submit; not called by batch_run */
    void *arg;            /* for `run`; anything */
    uint64_t start_by_ns; /* do not begin after this time, say BATCH_EXPIRED instead; 0: no limit */

    /* Private to the library from here on. */
    batch_op *private_next;
    void *private_waiter;
    uint64_t private_accepted_ns;
    uint32_t private_hash;
    uint8_t private_state;
    uint8_t private_canceled;
    uint8_t private_changed;
    int8_t private_status;
};

#define BATCH_OP_INIT                                                                              \
    {                                                                                              \
        NULL, 0, NULL, NULL, NULL, 0, NULL, NULL, 0, 0, 0, 0, 0, 0                                 \
    }
#define BATCH_KEY_SIZE_MAX 65536

/* ---- Options -------------------------------------------------------------------------------- */

/* Close a batch as soon as the store is free to take it (natural batching): the least delay, and
 * batches that grow with the load. For `window_ns`. */
#define BATCH_WINDOW_NONE UINT64_MAX

/* No time limit, for functions that wait. */
#define BATCH_FOREVER UINT64_MAX

/* The Go-shaped way to keep resources: three functions of your own instead of a store. Called on
 * session threads (release: on the worker). See store.h for what a batch_call can be asked.
 *
 * load  fills `resource`, which is zeroed memory of `resource_size` bytes (NULL if that is 0).
 *       Returns BATCH_OK, or anything else for a failure: everybody waiting for it is told
 *       BATCH_LOAD_FAILED. On failure it must free what it took; release is not called.
 * save  returns BATCH_OK when `resource` is durable; BATCH_CONFLICT when the stored version is not
 *       the one that load found; BATCH_SAVE_FAILED when it is certain that nothing was stored.
 *       Anything else means BATCH_UNKNOWN.
 * release  frees what load and the operations attached to `resource`: when the batch has ended, or
 *       is to be loaded again, or is kept no longer; `done` may come before or after it.
 *
 * Before returning a failure, batch_call_set_error() may add a code and a text. */
typedef int (*batch_load_fn)(batch_call *call, void *resource, void *arg);
typedef int (*batch_save_fn)(batch_call *call, void *resource, void *arg);
typedef void (*batch_release_fn)(void *resource, void *arg);

/* How a resource becomes the bytes that a store keeps, and back. Called on session threads
 * (release: on the worker). Without a codec the resource is kept as it is, `resource_size` plain
 * bytes. */
typedef struct batch_codec {
    size_t size; /* sizeof(batch_codec) */

    /* Fill `resource`, zeroed memory, from the stored bytes. `bytes` is NULL if nothing is stored
     * under the key: make a new resource. Returns BATCH_OK, or anything else to fail the load
     * (having freed what it took). Required. */
    int (*decode)(void *resource, const void *bytes, size_t bytes_size, void *arg);

    /* Point `*ret_bytes` at the bytes to store. They belong to the resource and stay valid until
     * the release of the resource. Returns BATCH_OK, or anything else to fail the save. Required.
     */
    int (*encode)(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg);

    /* Free what the resource holds. May be NULL. */
    void (*release)(void *resource, void *arg);

    void *arg; /* for all three */
} batch_codec;

/* Where the library gets its memory. Called from any thread. `allocate` returns memory aligned for
 * any type, or NULL. Must work as long as the processor and its subscriptions are there. */
typedef struct batch_allocator {
    void *(*allocate)(size_t size, void *arg);
    void (*release)(void *memory, void *arg); /* memory may be NULL */
    void *arg;
} batch_allocator;

/* Start from BATCH_OPTIONS_INIT and set what you need. Zero means the default, except for
 * `sessions`. Copied by batch_processor_start; what pointers point to must outlive the processor.
 */
typedef struct batch_options {
    size_t size; /* sizeof(batch_options), set by BATCH_OPTIONS_INIT: lets the struct grow */

    /* Session threads, each with a store session (a connection) of its own; so also the limit on
     * calls to the store at a time. Saves go before loads. With two or more, one is left to saves,
     * so that loads that hang hold up no save; with three or more, keys that were too slow for
     * their deadline are tried by one at a time, and hold up no other key. 0: the worker calls the
     * store itself; for stores that never block. BATCH_OPTIONS_INIT sets 3. At most 1,024. */
    uint32_t sessions;

    /* Workers, each with its own share of the keys. Default 1, which runs over ten million short
     * operations a second; more only help when the operations themselves take long. At most 256. */
    uint32_t shards;

    /* Where resources are kept. Without a store, `load` and `save` are used; without these, every
     * batch starts from zeroed memory and nothing is saved. */
    batch_store *store;
    batch_load_fn load;
    batch_save_fn save;
    batch_release_fn release;
    void *arg; /* for load, save and release */

    /* Bytes of memory a resource takes. 0: no memory, `resource` is NULL. With a store and no codec
     * it is also the size of what is stored. At most 16 MiB. */
    size_t resource_size;
    const batch_codec *codec; /* with `store` only; copied */

    /* A batch takes operations for at least this long after its first one, unless it is full or the
     * processor stops. Default 100 ms. Or BATCH_WINDOW_NONE. */
    uint64_t window_ns;

    /* What load and save are told as the batch's deadline, after the batch began. The stores of
     * this project begin nothing after it. Default 2 x window_ns, or 1 s with BATCH_WINDOW_NONE.
     * Must not be shorter than the window. */
    uint64_t deadline_ns;

    /* Operations that one batch takes; reaching it closes the batch. Default 65,536. */
    uint32_t ops_max;

    /* Operations accepted and not yet answered; more are told BATCH_BUSY. In all, shared out evenly
     * among the shards (default 1,048,576), and on one key (default: half of a shard's). */
    uint64_t ops_waiting_max;
    uint64_t key_ops_waiting_max;

    /* Calls that the store is given at a time. Default 4,096, at most 65,536. */
    uint32_t group_max;

    /* How often a batch whose save met a conflict is loaded again, and its operations run again in
     * the same order, before they are told BATCH_CONFLICT. Ends with the batch's deadline too.
     * Canceled operations leave. Operations must be able to run again: see batch_run_fn. Default 0:
     * a conflict is told at once. */
    uint32_t replays_max;

    /* Tell an operation BATCH_BUSY at once, if its key is being saved and, by how long saves and
     * loads have taken of late, it cannot begin by its start_by_ns. Else it is told BATCH_EXPIRED
     * when that time has come. */
    bool refuse_early;

    /* Resources kept in memory between batches, shared out evenly among the shards; those used
     * longest ago go first. The next batch of such a key skips its load. It is as safe as a load:
     * if somebody else has saved meanwhile, the version check of the save makes it a conflict (set
     * replays_max, or it is told); a batch that changed nothing has no save, so it is loaded and
     * run again before it is answered. Any save that is not BATCH_OK drops the resource. For keys
     * that one process writes most of the time. Operations must be able to run again; `save` must
     * compare versions, and set the one that it wrote; `encode` may be called again on a resource.
     * Default 0. */
    uint64_t resource_cache_max;

    /* All three members or none. Default malloc and free. */
    batch_allocator allocator;
} batch_options;

#define BATCH_OPTIONS_INIT                                                                         \
    {                                                                                              \
        sizeof(batch_options), 3, 0, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, 0, 0, 0, 0, 0, 0,   \
            false, 0,                                                                              \
        {                                                                                          \
            NULL, NULL, NULL                                                                       \
        }                                                                                          \
    }

/* ---- Processor ------------------------------------------------------------------------------ */

/* Start a processor: its threads, and a session on the store for each session thread. Blocks while
 * sessions are opened.
 *
 * BATCH_OK        *ret_processor is yours: stop it, then free it. The store stays yours; it cannot
 *                 be closed before the processor is freed.
 * BATCH_INVALID   an option is out of range or contradicts another; reterr->message says which
 * BATCH_NO_MEMORY, BATCH_SYSTEM, BATCH_STORE_FAILED (a session could not be opened)
 *
 * `reterr` may be NULL; it is written only on failure, and so is nothing else then. */
BATCH_API int batch_processor_start(batch_processor **ret_processor, const batch_options *options,
                                    batch_result *reterr);

/* Accept no more operations, end open windows early, run, save and answer everything accepted, end
 * the subscriptions, the threads and the sessions. Waits for all that, at most `timeout_ns`
 * (BATCH_FOREVER; 0: do not wait, for polling). May be called again, and by several threads at
 * once.
 *
 * Returns the number of operations that are still unanswered: 0 when everything has ended and no
 * callback runs or will run any more. Else, at the end of the time, what is left (at least 1; what
 * a worker has not looked at yet, because it stands in a callback, is not counted): the
 * processor goes on with it. Call again to wait on. When a time other than 0 has run out, load and
 * save see batch_call_is_canceled() from then on: the built-in stores begin nothing more, so what
 * is left is answered soon, as not applied.
 * BATCH_DEADLOCK (negative) from a callback of this processor: nothing was done. BATCH_INVALID if
 * `processor` is NULL. */
BATCH_API int64_t batch_processor_stop(batch_processor *processor, uint64_t timeout_ns);

/* Free a processor that has stopped. Does not block. No other call may be using it.
 * BATCH_OK        freed (or `processor` was NULL)
 * BATCH_BUSY      batch_processor_stop has not returned 0 yet; nothing was freed
 * BATCH_DEADLOCK  called from a callback of this processor; nothing was freed */
BATCH_API int batch_processor_free(batch_processor *processor);

/* Run an operation and wait until its batch has ended. `op->done` is not used. `result` may be
 * NULL. Returns result->status:
 *
 * BATCH_OK           durable. If no operation of the batch changed anything: all it read is
 *                    durable, and was what is stored when the batch was loaded; another process
 *                    may have saved since
 * BATCH_UNKNOWN      may have been applied; what is stored tells for certain only after the next
 *                    BATCH_OK of that key
 * BATCH_INVALID      no run function, a key too long or NULL with a size, or an operation in use
 * BATCH_DEADLOCK     called from a callback of this processor: use batch_submit there
 * BATCH_CANCELED, BATCH_EXPIRED, BATCH_STOPPED, BATCH_BUSY, BATCH_NO_MEMORY, BATCH_LOAD_FAILED,
 * BATCH_SAVE_FAILED, BATCH_CONFLICT
 *                    not applied */
BATCH_API int batch_run(batch_processor *processor, batch_op *op, batch_result *result);

/* Hand over an operation and return at once. Never blocks, allocates nothing, allowed from every
 * callback. Operations that one thread submits on one key begin in that order, and those that ran
 * are answered in it; the refused may be answered earlier or later.
 *
 * BATCH_OK       accepted: op->done will be called exactly once, with one of the statuses of
 *                batch_run, on a worker thread, possibly before this returns
 * BATCH_INVALID, BATCH_STOPPED, BATCH_BUSY
 *                not accepted: `done` will not be called, the operation is still yours. (BUSY may
 *                also come as an answer to `done`: limits are exact on the worker only.) */
BATCH_API int batch_submit(batch_processor *processor, batch_op *op);

/* Hand over `ops_size` operations at the price of about one. All are accepted, in that order, or
 * none; BATCH_BUSY if any shard is full. The array may be reused after the call. Otherwise as
 * batch_submit. */
BATCH_API int batch_submit_many(batch_processor *processor, batch_op *const *ops, size_t ops_size);

/* Ask that a submitted operation should not begin. Does not block and does not wait: `done` tells
 * the outcome, BATCH_CANCELED if it had not begun yet, or else what would have come anyway. Waiting
 * operations are looked through at most once a microsecond for each of them (ten thousand waiting:
 * once in 10 ms). Has no effect on an operation that has been answered, as long as its memory is
 * there: see to it that your own `done` does not free it at the same time.
 *
 * BATCH_OK, or BATCH_INVALID if an argument is NULL. */
BATCH_API int batch_cancel(batch_processor *processor, batch_op *op);

/* Now, on the monotonic clock that start_by_ns and deadlines use. */
BATCH_API uint64_t batch_now_ns(void);

#ifdef __cplusplus
}
#endif

#endif
