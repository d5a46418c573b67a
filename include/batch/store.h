/* store.h: load and save resources, with a store of your own or one in memory.
 *
 * A store is given loads and saves in groups: whatever became ready while all sessions were busy is
 * passed together in the next call, so that one commit serves many keys. Each call of a group is
 * finished on its own, with batch_call_finish(), before the function returns or afterwards from any
 * thread. The conflict or failure of one key never decides the outcome of another, unless
 * transactions have tied the two together (batch_call_unit).
 *
 * To use a store, open one (batch_memory_open below, batch_sqlite_open in sqlite.h,
 * batch_postgres_open in postgres.h) and put it in batch_options. To write one, embed struct
 * batch_store in your own struct and fill in its functions.
 */
#ifndef BATCH_STORE_H
#define BATCH_STORE_H

#include <batch/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- A call: the load or save of one key ---------------------------------------------------- */

/* One batch_call spans the load and the save of one batch: what load sets, save finds. It is valid
 * from the moment the store gets it until batch_call_finish(). Only the thread that owns the call
 * may use it: the one that the store was called on, or the one that it was handed to. A thread of
 * the store's own that has calls of a processor must not wait for that processor. */

/* The key of a call; not NUL-terminated.
 * Returns its bytes, never NULL, valid until the call is finished; *ret_key_size is their number.
 * Threads: the one that owns the call. Does not block. */
BATCH_API const void *batch_call_key(const batch_call *call, size_t *ret_key_size);

/* The deadline of a call: `deadline_ns` of the options after it was handed over to the store.
 * It moves if the process is stopped meanwhile, or a callback takes long: so it is a bound for one
 * wait, and batch_call_is_canceled() decides whether it has passed.
 * Returns a time on the clock of batch_now_ns().
 * Threads: the one that owns the call. Does not block. */
BATCH_API uint64_t batch_call_deadline_ns(const batch_call *call);

/* Whether the work should be abandoned. Nothing is abandoned for you: finish the call with its
 * actual outcome.
 * Returns true once the deadline has passed, or the timeout of batch_processor_stop().
 * Threads: the one that owns the call. Does not block. */
BATCH_API bool batch_call_is_canceled(const batch_call *call);

/* The version of the stored state, which save compares with what is stored.
 * Returns the version that was set last: any number but 0; 0 when nothing is stored (and at first).
 * Threads: the one that owns the call. Does not block. */
BATCH_API uint64_t batch_call_version(const batch_call *call);

/* Set the version of the stored state. Load sets the version it found; save sets the one it wrote.
 * Threads: the one that owns the call. Does not block. */
BATCH_API void batch_call_set_version(batch_call *call, uint64_t version);

/* The position of a call in the group that it came in.
 * Returns an index, counted from 0.
 * Threads: the one that owns the call. Does not block. */
BATCH_API size_t batch_call_group_index(const batch_call *call);

/* For save: the unit of a call. Transactions tie keys together: the calls of a unit are
 * stored all together or not at all. They follow each other in one group, all of them; a group may
 * hold many units, and calls that are alone. A store without `saves_units` gets calls that are
 * alone, and none that is a check.
 * Returns the same number for all calls of a unit, another one for each unit of the group, and 0
 * for a call that is alone.
 * Threads: the one that owns the call. Does not block. */
BATCH_API uint32_t batch_call_unit(const batch_call *call);

/* For save: whether the resource was only read. Only calls of a unit are checks.
 * Returns true if nothing is to be written: compare the version (0: nothing is stored), with the
 * guarantee that no one changes or inserts what is stored until the unit is. Neither encode the
 * resource nor set a version. A unit may consist of checks alone: then all their versions must be
 * compared at one moment.
 * Threads: the one that owns the call. Does not block. */
BATCH_API bool batch_call_is_check(const batch_call *call);

/* The resource of a call, as configured in batch_options.
 * Returns `resource_size` bytes, zeroed before load; NULL if that is 0.
 * Threads: the one that owns the call. Does not block. */
BATCH_API void *batch_call_resource(const batch_call *call);

/* For load: make the resource from stored bytes. Uses the processor's codec, or copies the bytes if
 * there is none. `bytes` is NULL if nothing is stored.
 * Returns BATCH_OK, or BATCH_LOAD_FAILED with the error set.
 * Threads: the one that owns the call. Does not block, unless the codec does. */
BATCH_API int batch_call_decode(batch_call *call, const void *bytes, size_t bytes_size);

/* For save: get the bytes to store. They are valid until the call is finished.
 * Returns BATCH_OK, or BATCH_SAVE_FAILED with the error set.
 * Threads: the one that owns the call. Does not block, unless the codec does. */
BATCH_API int batch_call_encode(batch_call *call, const void **ret_bytes, size_t *ret_bytes_size);

/* Set the reason why the call is about to fail. The store's own code, and a text for people that is
 * copied (NULL: none), reach the batch_result of every operation in the batch. Never put secrets in
 * the text.
 * Threads: the one that owns the call. Does not block. */
BATCH_API void batch_call_set_error(batch_call *call, int store_code, const char *text);

/* Log and count an event that an operator should know of (enum batch_event_kind in metrics.h), with
 * a text for people. Cheap if nobody listens.
 * Threads: the one that owns the call. Does not block, unless options.log does. */
BATCH_API void batch_call_log(const batch_call *call, int kind, const char *text);

/* Give a call that is about to fail the reason that another call of its unit has, with the key of
 * that one. Has no effect if they are the same.
 * Threads: the one that owns both calls. Does not block. */
BATCH_API void batch_call_set_error_of(batch_call *call, const batch_call *culprit);

/* Finish a call, exactly once for each load and each save. The call is not yours afterwards.
 *
 * The status of a load is BATCH_OK; anything else is taken as BATCH_LOAD_FAILED. That of a save is
 * BATCH_OK           saved and durable
 * BATCH_CONFLICT     another version is stored
 * BATCH_SAVE_FAILED  certainly nothing was stored
 * others             taken as BATCH_UNKNOWN
 *
 * All calls of a unit (batch_call_unit) are finished with the same status, and each with the reason
 * set: for those that are not at fault, by batch_call_set_error_of. If they differ, BATCH_UNKNOWN
 * is taken for all.
 *
 * Threads: the one that owns the call. Does not block. */
BATCH_API void batch_call_finish(batch_call *call, int status);

/* ---- A store -------------------------------------------------------------------------------- */

/* What a store reports about itself. The store gets it with all members zero but the size. There is
 * one member for each member of batch_stats that begins with store_. */
typedef struct batch_store_stats {
    size_t size;         /* set by the library: write no member that ends beyond it */
    uint64_t wal_bytes;  /* the size of the write-ahead log, now */
    uint64_t reconnects; /* connections that were lost and opened again, since the start */
} batch_store_stats;

/* One store. Embed it first in a struct of your own. All functions but `stats` are required. */
struct batch_store {
    size_t size;      /* sizeof(batch_store), set by BATCH_STORE_INIT */
    const char *name; /* "sqlite": for messages; static */

    /* Open one session, on the thread of batch_processor_start. Returns BATCH_OK and *ret_session;
     * or BATCH_NO_MEMORY or BATCH_STORE_FAILED, with reterr->store_code and reterr->message filled
     * in (reterr is never NULL). */
    int (*session_open)(batch_store *store, void **ret_session, batch_result *reterr);

    /* Load or save a group. `calls` is valid until return; each call until it is finished. A
     * session is never used by two threads at a time. */
    void (*load)(batch_store *store, void *session, batch_call *const *calls, size_t calls_size);
    void (*save)(batch_store *store, void *session, batch_call *const *calls, size_t calls_size);

    /* Close a session, on the last thread of a processor that stops; every call has been
     * finished. */
    void (*session_close)(batch_store *store, void *session);

    /* Free the store; all sessions are closed. */
    void (*close)(batch_store *store);

    uint32_t private_users; /* processors that use the store; start with 0 */

    /* Fill in what the store can report to batch_stats (metrics.h); NULL: nothing. Called from any
     * thread while the store is open, also in the middle of a load or save; must not block. */
    void (*stats)(batch_store *store, batch_store_stats *ret_stats);

    /* How many sessions of a processor may usefully be in `save` at a time: 1 if the store has a
     * single writer. Saves that become ready meanwhile go together in the next group. 0: all
     * sessions but one, which is for loads. */
    uint32_t saves_max;

    /* Not 0: `save` stores the calls of a unit all together or not at all, see batch_call_unit. 0:
     * transactions are refused. */
    uint32_t saves_units;
};

#define BATCH_STORE_INIT                                                                           \
    {                                                                                              \
        sizeof(batch_store), NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, 0                     \
    }

/* BATCH_STORE_INIT as a function, for other languages; see batch_options_init().
 * Returns BATCH_OK, or BATCH_INVALID if `ret_store` is NULL or `size` is not that of a struct.
 * Threads: any. Does not block. */
BATCH_API int batch_store_init(batch_store *ret_store, size_t size);

/* Close a store and free it.
 *
 * Returns
 * BATCH_OK    closed (or `store` was NULL)
 * BATCH_BUSY  a processor that uses it has not been freed; nothing was done
 *
 * Threads: any, while no other call uses the store. Blocks for as long as the store takes. */
BATCH_API int batch_store_close(batch_store *store);

/* For stores with options: read a struct that another version of the header may have laid out.
 *
 * The struct begins with a size_t, its size, and grows at its end. On entry `ret_known` holds the
 * defaults, and its own size. The members that both versions know, except the size, are copied from
 * `given` (NULL: all defaults). `first_size` is the size that the struct had in its first release;
 * `name` is for the message. `reterr` may be NULL.
 *
 * Returns
 * BATCH_OK       *ret_known has what was given, and defaults for the rest
 * BATCH_INVALID  the size of `given` is below first_size, or not set; or a member that `ret_known`
 *                does not have is not zero. Nothing was copied; reterr->message says which
 *
 * Threads: any. Does not block. */
BATCH_API int batch_struct_read(void *ret_known, const void *given, size_t first_size,
                                const char *name, batch_result *reterr);

/* For stores with options: initialize a struct that another version of the header may have laid
 * out. `ret_given` has `size` bytes. It gets what both versions know of `known`, a struct that
 * begins with a size_t, its size; zeros for what only the caller knows; and `size` as its size.
 *
 * Returns BATCH_OK, or BATCH_INVALID if `ret_given` is NULL, or `size` too small to hold a size or
 * above 4,096. Then nothing was written.
 *
 * Threads: any. Does not block. */
BATCH_API int batch_struct_init(void *ret_given, size_t size, const void *known);

/* ---- The memory store ----------------------------------------------------------------------- */

/* Open a store in memory, for tests and measurements. It holds states with versions, and loses them
 * when it is closed. It never blocks, so it may be used with `sessions = 0`. Any number of
 * processors may share it, as processes share a database.
 *
 * Returns
 * BATCH_OK         *ret_store is yours: close it with batch_store_close
 * BATCH_NO_MEMORY  out of memory
 *
 * Threads: any. Does not block. */
BATCH_API int batch_memory_open(batch_store **ret_store);

/* Read a state, bypassing all processors, as another process would. Copies at most `state_size`
 * bytes to `state` (NULL if that is 0), and sets the whole size and the version; `ret_state_size`
 * and `ret_version` may be NULL.
 * Returns false if nothing is stored.
 * Threads: any. Blocks only while another thread is in the store. */
BATCH_API bool batch_memory_read(batch_store *store, const void *key, size_t key_size, void *state,
                                 size_t state_size, size_t *ret_state_size, uint64_t *ret_version);

/* Write a state, bypassing all processors, as another process would. It gets a new version; no
 * version is ever used twice.
 * Returns BATCH_OK, BATCH_NO_MEMORY, or BATCH_INVALID if the key is too long.
 * Threads: any. Blocks only while another thread is in the store. */
BATCH_API int batch_memory_write(batch_store *store, const void *key, size_t key_size,
                                 const void *state, size_t state_size);

/* Delete a state, bypassing all processors, as another process would.
 * Returns false if nothing is stored.
 * Threads: any. Blocks only while another thread is in the store. */
BATCH_API bool batch_memory_delete(batch_store *store, const void *key, size_t key_size);

#ifdef __cplusplus
}
#endif

#endif
