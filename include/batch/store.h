/* store.h: where resources are kept between batches.
 *
 * A store takes loads and saves in groups: whatever is ready while all sessions are busy goes
 * together in the next call, so that one commit serves many keys. Each call of a group is finished
 * on its own, with batch_call_finish(), before the function returns or afterwards from any thread;
 * one key's conflict or refusal never decides for another.
 *
 * To use a store, open one (batch_memory_open below, batch_sqlite_open in sqlite.h) and put it in
 * batch_options. To write one, embed struct batch_store in your own struct and fill its functions.
 */
#ifndef BATCH_STORE_H
#define BATCH_STORE_H

#include <batch/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- A call: one key's load or save -----------------------------------------------------------
 */
/* One batch_call spans the load and the save of one batch: what load sets, save finds. It is valid
 * from the moment the store gets it until batch_call_finish(). The functions below are for the
 * thread that has the call in hand; none of them blocks. */

/* The key; not terminated by NUL. Never NULL; valid until the call is finished. */
BATCH_API const void *batch_call_key(const batch_call *call, size_t *ret_key_size);

/* The deadline of the batch, on the clock of batch_now_ns(). */
BATCH_API uint64_t batch_call_deadline_ns(const batch_call *call);

/* Should the work be given up? True once the deadline has passed, or once a stop with a time limit
 * has run out of it. Nothing is given up for you: finish the call with what is true. */
BATCH_API bool batch_call_is_canceled(const batch_call *call);

/* The version of the stored state, any number but 0; 0 when nothing is stored (and at first). Load
 * sets what it found; save compares it with what is stored, and sets the version it wrote. */
BATCH_API uint64_t batch_call_version(const batch_call *call);
BATCH_API void batch_call_set_version(batch_call *call, uint64_t version);

/* Where this call stands in the group it came in, from 0. */
BATCH_API size_t batch_call_group_index(const batch_call *call);

/* The resource, as batch_options says: `resource_size` bytes, zeroed before load. */
BATCH_API void *batch_call_resource(const batch_call *call);

/* For load: make the resource from stored bytes, with the processor's codec, or by copying them if
 * there is none. `bytes` NULL: nothing is stored. BATCH_OK, or BATCH_LOAD_FAILED with the error
 * set. */
BATCH_API int batch_call_decode(batch_call *call, const void *bytes, size_t bytes_size);

/* For save: the bytes to store. Valid until the call is finished. BATCH_OK, or BATCH_SAVE_FAILED
 * with the error set. */
BATCH_API int batch_call_encode(batch_call *call, const void **ret_bytes, size_t *ret_bytes_size);

/* Say why the call is about to fail: the store's own code, and a text for people that is copied
 * (NULL: none). Both reach batch_result of everybody in the batch. Never put secrets in it. */
BATCH_API void batch_call_set_error(batch_call *call, int store_code, const char *text);

/* The end of a call, exactly once for each load and each save. The call is not yours afterwards.
 *
 * load: BATCH_OK, or anything else for BATCH_LOAD_FAILED.
 * save: BATCH_OK (durable), BATCH_CONFLICT (another version is stored), BATCH_SAVE_FAILED (certain
 *       that nothing was stored); anything else is taken as BATCH_UNKNOWN. */
BATCH_API void batch_call_finish(batch_call *call, int status);

/* ---- A store -------------------------------------------------------------------------------- */

/* One store. Embed it first in a struct of your own. All functions are required. */
struct batch_store {
    size_t size;      /* sizeof(batch_store), set by BATCH_STORE_INIT */
    const char *name; /* "sqlite": for messages; static */

    /* Open one session, on the thread of batch_processor_start. BATCH_OK and *ret_session; or
     * BATCH_NO_MEMORY or BATCH_STORE_FAILED, with reterr->store_code and reterr->message filled
     * (reterr is never NULL). */
    int (*session_open)(batch_store *store, void **ret_session, batch_result *reterr);

    /* Load or save a group. `calls` is valid until return; each call until it is finished. One
     * session is never used by two threads at a time. */
    void (*load)(batch_store *store, void *session, batch_call *const *calls, size_t calls_size);
    void (*save)(batch_store *store, void *session, batch_call *const *calls, size_t calls_size);

    /* Close a session, on the thread of batch_processor_stop; every call has been finished. */
    void (*session_close)(batch_store *store, void *session);

    /* Free the store; all sessions are closed. */
    void (*close)(batch_store *store);

    uint32_t private_users; /* processors that use the store; start with 0 */
};

#define BATCH_STORE_INIT                                                                           \
    {                                                                                              \
        sizeof(batch_store), NULL, NULL, NULL, NULL, NULL, NULL, 0                                 \
    }

/* Close a store and free it.
 * BATCH_OK    closed (or `store` was NULL)
 * BATCH_BUSY  a processor that uses it has not been freed; nothing was done */
BATCH_API int batch_store_close(batch_store *store);

/* ---- The memory store ----------------------------------------------------------------------- */

/* A store that keeps its states in memory, with versions, and loses them when it is closed: for
 * tests, and for measuring. Never blocks, so it may be used with `sessions = 0`. Any number of
 * processors may share it, as processes share a database.
 * BATCH_OK and *ret_store, which is yours to close; BATCH_NO_MEMORY. */
BATCH_API int batch_memory_open(batch_store **ret_store);

/* Read, write or delete a state behind the back of every processor, as another process would.
 * `batch_memory_read` copies at most `state_size` bytes to `state` (NULL if that is 0), gives the
 * whole size and the version, and says false if nothing is stored. `ret_…` may be NULL. Writing
 * gives the state a new version; BATCH_OK, BATCH_NO_MEMORY or BATCH_INVALID (key too long). No
 * version is ever given twice. Any thread; wait only for each other. */
BATCH_API bool batch_memory_read(batch_store *store, const void *key, size_t key_size, void *state,
                                 size_t state_size, size_t *ret_state_size, uint64_t *ret_version);
BATCH_API int batch_memory_write(batch_store *store, const void *key, size_t key_size,
                                 const void *state, size_t state_size);
BATCH_API bool batch_memory_delete(batch_store *store, const void *key, size_t key_size);

#ifdef __cplusplus
}
#endif

#endif
