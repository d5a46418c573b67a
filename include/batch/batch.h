/* batch.h: batch concurrent operations on one key into a single load and save.
 *
 * Operations are grouped by key. For each key that has work, the processor loads the resource once,
 * runs every operation that arrives within a window on it, in memory and one after the other, saves
 * it once, and only then completes them all. Throughput is that of memory; durability is that of
 * one transaction per operation, because BATCH_OK is returned only after the save has committed.
 *
 * A batch_processor runs operations (batch_op), configured by batch_options. It keeps resources in
 * a batch_store (store.h), and reports the outcome of each operation in a batch_result.
 *
 * Threads. Every function may be called from any thread, unless its comment says otherwise. Two
 * kinds of thread run your callbacks, and never two at a time for one key:
 *
 *   - A worker, one per shard, calls batch_run_fn, batch_done_fn and the release function.
 *   - A session thread, one per session, calls load and save of the store, and decode and encode of
 *     the codec. With `sessions = 0` the worker does that too.
 *
 * In a program with an event loop, batch_done_fn can be called there instead: completions.h. And
 * the worker can be a thread of the program's own: driven.h.
 *
 * A callback may call every function that does not block: submit, cancel, stats, subscribe, and so
 * on. It must not wait for a processor, neither its own nor another, since processors could then
 * deadlock on each other: a call that would wait returns BATCH_DEADLOCK at once. A callback must
 * return: no C++ exception, longjmp, pthread_exit or thrd_exit may leave it.
 *
 * The library starts its own threads, with all signals blocked except those that report what the
 * thread itself has done (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT): these are
 * left as they are, so crash handlers work. It installs no signal handler, writes
 * nothing to standard output or error, and never exits the process. (If it finds its own memory
 * inconsistent, which is a bug, it calls abort.) No function may be called from a signal handler.
 * After fork() a child must not use its parent's objects.
 *
 * pthread_cancel() of a thread that is in a function of the library takes effect after the function
 * has returned; only batch_metrics_next ends at once while it waits. Cancellation must be of the
 * deferred type, which is the default.
 *
 * A struct that begins with its `size` may grow at its end in later versions. A program that was
 * compiled with an older one gets the defaults for the members that it does not know; one that was
 * compiled with a newer one gets BATCH_INVALID if a member that this library does not know is not
 * zero.
 *
 * Times are in nanoseconds. Absolute times are on the clock of batch_now_ns().
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

/* The version of the library that is running, "0.1.0".
 * Returns a static string, never NULL.
 * Threads: any. Does not block. */
BATCH_API const char *batch_version(void);

/* ---- Status --------------------------------------------------------------------------------- */

/* Every status that a call or an operation can return. Numbers never change once released; new ones
 * are appended. X(name, number, text).
 *
 * An operation ends in one of three classes, never merged: OK (applied and durable), UNKNOWN (may
 * have been applied), and all the others (not applied, for this reason). */
#define BATCH_STATUS_MAP(X)                                                                        \
    X(OK, 0, "done")                                                                               \
    X(INVALID, -1, "invalid argument")                                                             \
    X(CANCELED, -2, "canceled; not applied")                                                       \
    X(EXPIRED, -3, "could not begin before its start_by_ns; not applied")                          \
    X(STOPPED, -4, "the processor is stopped; not applied")                                        \
    X(BUSY, -5, "a limit has been reached; not applied, retry later")                              \
    X(NO_MEMORY, -6, "out of memory; not applied")                                                 \
    X(LOAD_FAILED, -7, "the resource could not be loaded; not applied")                            \
    X(SAVE_FAILED, -8, "the resource could not be saved; not applied")                             \
    X(CONFLICT, -9, "another writer saved the resource meanwhile; not applied, retry")             \
    X(UNKNOWN, -10, "the save may or may not have been applied")                                   \
    X(DEADLOCK, -11, "a callback would wait for a processor; use batch_submit here")               \
    X(TIMED_OUT, -12, "timed out")                                                                 \
    X(ENDED, -13, "the subscription has ended")                                                    \
    X(SYSTEM, -14, "the operating system refused a thread or another resource")                    \
    X(STORE_FAILED, -15, "the store could not be opened")

enum batch_status {
#define BATCH_STATUS_ENUM(name, number, text) BATCH_##name = number,
    BATCH_STATUS_MAP(BATCH_STATUS_ENUM)
#undef BATCH_STATUS_ENUM
};
#define BATCH_STATUS_COUNT 16 /* numbers run from 0 down to 1 - BATCH_STATUS_COUNT */

/* BATCH_STATUS_COUNT of the library that is running, for other languages.
 * Returns 16, or more in later versions.
 * Threads: any. Does not block. */
BATCH_API int batch_status_count(void);

/* The name of a status, "BATCH_OK".
 * Returns a static string, never NULL; also for a number that is no status.
 * Threads: any. Does not block. */
BATCH_API const char *batch_status_name(int status);

/* A description of a status, for people.
 * Returns a static string, never NULL; also for a number that is no status.
 * Threads: any. Does not block. */
BATCH_API const char *batch_status_text(int status);

/* Whether the change of an operation with this status may be in the store.
 * Returns true for BATCH_OK and BATCH_UNKNOWN.
 * Threads: any. Does not block. */
BATCH_API bool batch_may_be_applied(int status);

/* Whether it is safe and useful to submit the same operation again.
 * Returns true for a status that means not applied and that a retry may change: BATCH_BUSY,
 * BATCH_CONFLICT, BATCH_LOAD_FAILED, BATCH_SAVE_FAILED, BATCH_NO_MEMORY. False for BATCH_UNKNOWN:
 * check first what is stored.
 * Threads: any. Does not block. */
BATCH_API bool batch_is_retryable(int status);

/* ---- Result --------------------------------------------------------------------------------- */

#define BATCH_MESSAGE_SIZE 232

/* The outcome of an operation, or of a call that can fail in many ways. Frozen: it never grows. */
typedef struct batch_result {
    int status;                /* enum batch_status */
    int store_code;            /* the store's own error code, 0 if it gave none */
    uint32_t batch_operations; /* operations that ran in the batch; 0 if this one did not run */
    bool changed;              /* the operation ran and returned BATCH_CHANGED */
    char message[BATCH_MESSAGE_SIZE]; /* for people: what failed, for which key, at which stage,
                                         why; NUL-terminated, truncated if longer; not empty */
} batch_result;

/* ---- Operation ------------------------------------------------------------------------------ */

typedef struct batch_processor batch_processor;
typedef struct batch_completions batch_completions; /* completions.h */
typedef struct batch_store batch_store;             /* store.h */
typedef struct batch_call batch_call;               /* store.h */
typedef struct batch_op batch_op;

/* What an operation did to the resource. If no operation of a batch changed it, the batch is not
 * saved. An operation that rejects its request must leave the resource as it found it. */
typedef enum batch_verdict { BATCH_UNCHANGED = 0, BATCH_CHANGED = 1 } batch_verdict;

/* The operation itself. Runs on the worker, alone on this resource. Keep it short and do no I/O:
 * it delays all keys of its shard. Keys take turns of about 0.1 ms or 1,024 operations, so a key
 * waits for one turn of each other key that has work, however many operations wait there.
 * `resource` is valid only during the call. What it writes to `arg` may be used only once the
 * operation has completed with BATCH_OK: until the batch is saved, it was computed from data that
 * may never be stored.
 *
 * Runs once per submit, or may be replayed on a freshly loaded resource before it completes: if no
 * operation of its batch changed anything and what they saw has become too old (`deadline_ns`), and
 * with `replays_max` or `resource_cache_max`. So it must depend on the resource and its request
 * alone, and overwrite its output in `arg` each time: only the last run counts. */
typedef batch_verdict (*batch_run_fn)(void *resource, void *arg);

/* Completion callback: called exactly once, on the worker thread, for each submitted operation (or
 * on the thread of an event loop: completions.h).
 * `op` then belongs to the caller again: free it or submit it again, also from inside this call.
 * `result` is valid only during the call. Must not block for long. */
typedef void (*batch_done_fn)(batch_op *op, const batch_result *result);

/* One operation on one key. The caller owns it, and what `key` and `arg` point to; nothing is
 * copied. Embed it in your request, initialize it with BATCH_OP_INIT (or all zero), and leave it
 * alone from submit until `done` is called, or until batch_run returns. Frozen: 80 bytes where
 * pointers have 8. */
struct batch_op {
    const void *key;      /* any bytes; may be NULL if key_size is 0 */
    size_t key_size;      /* bytes, 0 to BATCH_KEY_SIZE_MAX */
    batch_run_fn run;     /* required */
    batch_done_fn done;   /* required by batch_submit; not called by batch_run */
    void *arg;            /* for `run`; anything */
    uint64_t start_by_ns; /* latest time to begin, else it fails with BATCH_EXPIRED; 0: no limit */

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

/* BATCH_OP_INIT as a function, for other languages.
 * Returns BATCH_OK, or BATCH_INVALID if `ret_op` is NULL.
 * Threads: any. Does not block. */
BATCH_API int batch_op_init(batch_op *ret_op);

/* Every resource begins at an address that is a multiple of this. */
#define BATCH_RESOURCE_ALIGNMENT 64

/* ---- Options -------------------------------------------------------------------------------- */

/* For `window_ns`: close a batch as soon as the store is free to take it (natural batching). The
 * lowest latency, and batches that grow with the load. */
#define BATCH_WINDOW_NONE UINT64_MAX

/* For `sessions`: what suits the store, or the functions. */
#define BATCH_SESSIONS_DEFAULT UINT32_MAX

/* No time limit, for functions that wait. */
#define BATCH_FOREVER UINT64_MAX

/* BATCH_WINDOW_NONE as a function, for other languages.
 * Returns the value for `window_ns`.
 * Threads: any. Does not block. */
BATCH_API uint64_t batch_window_none(void);

/* BATCH_SESSIONS_DEFAULT as a function, for other languages.
 * Returns the value for `sessions`.
 * Threads: any. Does not block. */
BATCH_API uint32_t batch_sessions_default(void);

/* BATCH_FOREVER as a function, for other languages.
 * Returns the value for a timeout.
 * Threads: any. Does not block. */
BATCH_API uint64_t batch_forever(void);

/* The simple way to load and save resources: three functions of your own instead of a store. Called
 * on session threads (release: on the worker). store.h has the functions of a batch_call.
 *
 * load     fills `resource`, which is zeroed memory of `resource_size` bytes (NULL if that is 0).
 *          Returns BATCH_OK, or anything else on failure: the batch then fails with
 *          BATCH_LOAD_FAILED. On failure it must free what it allocated; release is not called.
 * save     returns BATCH_OK when `resource` is durable; BATCH_CONFLICT when the stored version is
 *          not the one that load found; BATCH_SAVE_FAILED when certainly nothing was stored.
 *          Anything else means BATCH_UNKNOWN.
 * release  frees what load and the operations attached to `resource`: when the batch has ended, is
 *          to be loaded again, or is evicted from the cache; `done` may come before or after it.
 *
 * Before returning a failure, batch_call_set_error() may add a code and a text. */
typedef int (*batch_load_fn)(batch_call *call, void *resource, void *arg);
typedef int (*batch_save_fn)(batch_call *call, void *resource, void *arg);
typedef void (*batch_release_fn)(void *resource, void *arg);

/* Converts a resource to the bytes that a store holds, and back. Called on session threads
 * (release: on the worker). Without a codec the resource is stored as it is, `resource_size` plain
 * bytes. Required are decode or decode_call, and encode or encode_call. */
typedef struct batch_codec {
    size_t size; /* sizeof(batch_codec) */

    /* Fill `resource`, zeroed memory, from the stored bytes. `bytes` is NULL if nothing is stored
     * under the key: make a new resource. Returns BATCH_OK, or anything else to fail the load
     * (after freeing what it allocated). */
    int (*decode)(void *resource, const void *bytes, size_t bytes_size, void *arg);

    /* Point `*ret_bytes` at the bytes to store. They belong to the resource and stay valid until it
     * is released. Returns BATCH_OK, or anything else to fail the save. */
    int (*encode)(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg);

    /* Free what the resource holds. May be NULL. */
    void (*release)(void *resource, void *arg);

    void *arg; /* for all */

    /* The same with the call, in place of decode and encode if they are set: so that they can look
     * at batch_call_key(), and state why they failed with batch_call_set_error(). */
    int (*decode_call)(batch_call *call, void *resource, const void *bytes, size_t bytes_size,
                       void *arg);
    int (*encode_call)(batch_call *call, void *resource, const void **ret_bytes,
                       size_t *ret_bytes_size, void *arg);
} batch_codec;

/* Where the library gets its memory. Called from any thread. `allocate` returns memory aligned for
 * any type, or NULL. Must work as long as the processor and its subscriptions exist, and operations
 * of it wait for an event loop (completions.h). */
typedef struct batch_allocator {
    void *(*allocate)(size_t size, void *arg);
    void (*release)(void *memory, void *arg); /* memory may be NULL */
    void *arg;
} batch_allocator;

/* Something that an operator should know of; a struct of metrics.h. */
typedef struct batch_event batch_event;
typedef void (*batch_log_fn)(const batch_event *event, void *arg);

/* Start from BATCH_OPTIONS_INIT and set what you need. Zero means the default, except for
 * `sessions`. Copied by batch_processor_start; what pointers point to must stay valid until the
 * processor is freed. */
typedef struct batch_options {
    size_t size; /* sizeof(batch_options), set by BATCH_OPTIONS_INIT */

    /* Session threads, each with a store session (a connection) of its own; also the limit on
     * concurrent calls to the store. Default 3; with load or save functions, which mostly wait, it
     * is 64. At most 1,024. BATCH_OPTIONS_INIT sets BATCH_SESSIONS_DEFAULT. 0: the worker calls the
     * store itself; for stores that never block.
     *
     * Saves take precedence over loads. With two or more sessions, one is never in a load and one
     * never in a save, so that neither waits for the other, whatever hangs. With three or more,
     * keys that have exceeded a deadline are retried by one session at a time (of four or more: by
     * a quarter of them for loads, and a quarter for saves), so that they delay no other key.
     *
     * Load and save functions are called in as many sessions as have something to do: K keys whose
     * calls take t need about K x t / sessions. */
    uint32_t sessions;

    /* Workers, each with its own share of the keys. Default 1, which runs millions of short
     * operations a second; more help only if the operations themselves take long. At most 256. */
    uint32_t shards;

    /* Where resources are stored. Without a store, `load` and `save` are used; without these, every
     * batch starts from zeroed memory and nothing is saved. */
    batch_store *store;
    batch_load_fn load;
    batch_save_fn save;
    batch_release_fn release;
    void *arg; /* for load, save and release */

    /* Bytes of memory that a resource takes. 0: no memory, `resource` is NULL. With a store and no
     * codec it is also the size of what is stored. At most 16 MiB. `resource` is aligned to
     * BATCH_RESOURCE_ALIGNMENT, for any type.
     *
     * A key that has work, or is cached, takes this and about half a KiB: from 4 KiB up, no more
     * than 1.2 times the size. For resources of 4 KiB and more, each shard keeps up to 32 MiB for
     * reuse; memory beyond that is freed as soon as its key has no more work. Memory of smaller
     * ones is freed with the processor: until then it stays as large as the largest number of keys
     * that had work at one time required. */
    size_t resource_size;
    const batch_codec *codec; /* with `store` only; copied */

    /* A batch accepts operations for at least this long after its first one, which may have come
     * while the batch before was saved, unless it is full or the processor stops. While more
     * operations come than the worker can take, it ends at most one window late, or 0.5 s if that
     * is shorter; what has come by then is in it. Default 100 ms. Or BATCH_WINDOW_NONE. */
    uint64_t window_ns;

    /* The time limit of one load or save, counted from when it is handed over to the store: a
     * session takes it, or with `sessions = 0` the worker calls the store. The stores of this
     * project begin nothing after it. Default 2 x window_ns, and at least a second. Must not be
     * shorter than the window.
     *
     * While the process is stopped, or a callback takes long, the time limit stands still (either
     * costs it a sixteenth at most): so neither makes an operation fail.
     *
     * It is also how old, in real time, what a batch has loaded may become: an older batch accepts
     * no more operations, and if it changed nothing, it is loaded and replayed before it completes.
     * And it is how long an operation that has no start_by_ns may have to wait behind others of its
     * key: see ops_waiting_max. */
    uint64_t deadline_ns;

    /* Operations per batch; reaching it closes the batch. Default 65,536. */
    uint32_t ops_max;

    /* Operations accepted and not yet completed; beyond it they fail with BATCH_BUSY. In all,
     * divided evenly among the shards and rounded up (default 1,048,576), and on one key (default:
     * half of a shard's).
     *
     * Before that an operation fails with BATCH_BUSY, at once, if it could not begin in time: by
     * its start_by_ns, or without one within deadline_ns. That is estimated from how many
     * operations wait on its key, what operations of this key have taken, and how long the key has
     * waited for its turns; with a start_by_ns also from how long saves and loads take, if its key
     * is being saved. No operation is refused for that on a key where none waits and that is not
     * being saved. */
    uint64_t ops_waiting_max;
    uint64_t key_ops_waiting_max;

    /* Calls passed to the store in one group, and keys stored together after transactions, for
     * which it must be at least BATCH_PARTS_MAX. Default 4,096, at most 65,536. If the store needs
     * long for each, since resources are large or it has much to do, fewer: as many as take a
     * quarter of deadline_ns, but not fewer than 512 or 1 MiB. */
    uint32_t group_max;

    /* How often a batch whose save met a conflict is loaded again and its operations replayed, in
     * the same order, before they fail with BATCH_CONFLICT. No replay begins later than
     * `deadline_ns` after the first conflict. Canceled operations drop out. Operations must be
     * replayable: see batch_run_fn. Default 0: a conflict fails the batch at once. */
    uint32_t replays_max;

    /* Resources cached in memory between batches, divided evenly among the shards and rounded up;
     * the least recently used are evicted first. The next batch of a cached key skips its load. As
     * safe as a load: if another process has saved meanwhile, the version check of the save makes
     * it a conflict (set replays_max, or the batch fails); a batch that changed nothing has no
     * save, so it is loaded and replayed before it completes. Any save that is not BATCH_OK evicts
     * the resource. Useful for keys that one process writes most of the time. Operations must be
     * replayable; `save` must compare versions, and set the one that it wrote; `encode` may be
     * called again on a resource. Default 0. */
    uint64_t resource_cache_max;

    /* All three members or none. Default malloc and free. */
    batch_allocator allocator;

    /* Called with events that an operator should know of, batch_event_kind in metrics.h, on a
     * worker or a session thread; must not block for long. At most once a second for each kind:
     * those in between are counted. NULL: they are counted only. */
    batch_log_fn log;
    void *log_arg;

    /* A batch that takes longer than this, from its beginning to its last completion, is such an
     * event: set it above the window. 0: none is. */
    uint64_t slow_batch_ns;

    /* No worker thread: the caller is the worker, in batch_processor_drive. One shard. driven.h */
    bool driven;
} batch_options;

#define BATCH_OPTIONS_INIT                                                                         \
    {                                                                                              \
        sizeof(batch_options), BATCH_SESSIONS_DEFAULT, 0, NULL, NULL, NULL, NULL, NULL, 0, NULL,   \
            0, 0, 0, 0, 0, 0, 0, 0, {NULL, NULL, NULL}, NULL, NULL, 0, false                       \
    }

/* BATCH_OPTIONS_INIT as a function, for other languages. `size` is that of the struct as the caller
 * knows it; memory beyond it is not touched.
 * Returns BATCH_OK, or BATCH_INVALID if `ret_options` is NULL or `size` is not that of a struct.
 * Threads: any. Does not block. */
BATCH_API int batch_options_init(batch_options *ret_options, size_t size);

/* ---- Processor ------------------------------------------------------------------------------ */

/* Start a processor: its threads, and a session on the store for each session thread.
 *
 * `reterr` may be NULL. It is written only on failure; on failure nothing else is.
 *
 * Returns
 * BATCH_OK            *ret_processor is yours: stop it, then free it. The store stays yours; it
 *                     cannot be closed before the processor is freed.
 * BATCH_INVALID       an option is out of range or contradicts another; reterr->message says which
 * BATCH_STORE_FAILED  a session could not be opened
 * BATCH_SYSTEM        the system refused a thread or another resource
 * BATCH_NO_MEMORY     out of memory
 *
 * Threads: any. Blocks while sessions are opened. */
BATCH_API int batch_processor_start(batch_processor **ret_processor, const batch_options *options,
                                    batch_result *reterr);

/* Stop a processor after completing everything it has accepted.
 *
 * Accepts no more operations. Open windows are closed early; everything accepted is run, saved and
 * completed; then the subscriptions, threads and sessions end. Waits for all that, at most
 * `timeout_ns` (BATCH_FOREVER; 0: do not wait, for polling). May be called again, and by several
 * threads at once.
 *
 * When a timeout other than 0 has passed, batch_call_is_canceled() is true for all loads and saves
 * from then on: the built-in stores begin nothing more, so the remaining operations soon complete
 * as not applied.
 *
 * Returns 0 when everything has ended and no callback runs or will run any more. Otherwise, after
 * the timeout, the number of operations that are not completed: at least 1, not counting those that
 * a worker has not received yet because it is blocked in a callback. The processor continues
 * with them; call again to keep waiting. Negative:
 * BATCH_DEADLOCK  called from a callback of this processor, session_close included; or from one of
 *                 another processor, with a timeout other than 0. Nothing was done
 * BATCH_INVALID   `processor` is NULL
 *
 * Threads: any but callbacks of this processor; with a timeout, any but callbacks. Blocks for at
 * most `timeout_ns`. */
BATCH_API int64_t batch_processor_stop(batch_processor *processor, uint64_t timeout_ns);

/* Free a processor that has stopped. No other call may be using it.
 *
 * Returns
 * BATCH_OK        freed (or `processor` was NULL)
 * BATCH_BUSY      batch_processor_stop has not returned 0 yet, or the event of
 *                 batch_processor_stop_to has not been dispatched; nothing was freed
 * BATCH_DEADLOCK  called from a callback of this processor; nothing was freed
 *
 * Threads: any but callbacks of this processor. Does not block. */
BATCH_API int batch_processor_free(batch_processor *processor);

/* Run an operation and wait until its batch has ended.
 *
 * `op->done` is not used. `result` may be NULL.
 *
 * Returns result->status:
 * BATCH_OK           durable. If no operation of the batch changed anything: all it read is
 *                    durable, and was what is stored when the batch was loaded, at most
 *                    `deadline_ns` ago (unless its operations alone take longer to run); another
 *                    process may have saved since.
 * BATCH_UNKNOWN      may have been applied; what is stored is certain only after the next BATCH_OK
 *                    of that key
 * BATCH_INVALID      no run function, a key too long or NULL with a size, or an operation in use:
 *                    result->message says which
 * BATCH_DEADLOCK     called from a callback, of this processor or another: use batch_submit there
 * others             not applied: BATCH_CANCELED, BATCH_EXPIRED, BATCH_STOPPED, BATCH_BUSY,
 *                    BATCH_NO_MEMORY, BATCH_LOAD_FAILED, BATCH_SAVE_FAILED, BATCH_CONFLICT
 *
 * Threads: any but callbacks. Blocks until the batch has ended. */
BATCH_API int batch_run(batch_processor *processor, batch_op *op, batch_result *result);

/* Submit an operation and return at once.
 *
 * Allocates nothing. Operations that one thread submits on one key begin in that order, and those
 * that ran complete in it; those that fail before they begin may complete earlier or later.
 *
 * Returns
 * BATCH_OK  accepted: op->done will be called exactly once, with one of the statuses of batch_run,
 *           on a worker thread, possibly before this returns
 * others    BATCH_INVALID, BATCH_STOPPED, BATCH_BUSY: not accepted, `done` will not be called, the
 *           operation is still yours. (An accepted operation may also complete with BATCH_BUSY:
 *           limits are exact on the worker only.)
 *
 * Threads: any, all callbacks included. Does not block. */
BATCH_API int batch_submit(batch_processor *processor, batch_op *op);

/* Submit many operations for about the price of one.
 *
 * All `ops_size` operations are accepted, in that order, or none; BATCH_BUSY if any shard is full.
 * The array may be reused after the call.
 *
 * Returns what batch_submit returns, for all operations alike.
 *
 * Threads: any, all callbacks included. Does not block. */
BATCH_API int batch_submit_many(batch_processor *processor, batch_op *const *ops, size_t ops_size);

/* Request that a submitted operation does not begin.
 *
 * Does not wait: `done` reports the outcome, which is BATCH_CANCELED if the operation had not
 * begun, and otherwise what it would have been without the request. The request takes effect when
 * the worker gets to it: if an operation of another key runs for a second, not before that. After a
 * scan of n waiting operations there is no other for n microseconds (10,000 operations: 10 ms).
 *
 * Has no effect on an operation that has completed, as long as its memory is valid: make sure that
 * your own `done` does not free it at the same time. If the operation has been submitted again, the
 * new submission is canceled, even by a late call that was meant for the previous one: do not
 * submit an operation again while another thread may be about to cancel it.
 *
 * Returns BATCH_OK, or BATCH_INVALID if an argument is NULL.
 *
 * Threads: any, all callbacks included. Does not block. */
BATCH_API int batch_cancel(batch_processor *processor, batch_op *op);

/* The current time on the monotonic clock that start_by_ns and deadlines use.
 * Returns nanoseconds since an arbitrary point in the past.
 * Threads: any. Does not block. */
BATCH_API uint64_t batch_now_ns(void);

#ifdef __cplusplus
}
#endif

#include <batch/transaction.h>

#endif
