/* memory.c: the memory store of store.h: states with versions in a hash table.
 *
 * Owns copies of keys and states. One counter assigns all versions, so none is ever assigned
 * twice, not even to a key that was deleted and created again.
 *
 * Threads: one mutex guards the table, for each call on its own. The codec and batch_call_finish
 * are called without it: they may call anything, this store included. A load therefore decodes from
 * a copy, in a buffer of its session.
 *
 * The table is an array of chains, doubled when there are more entries than chains; if there is no
 * memory for that, chains just get longer. Its hash is keyed at random, since keys may come from
 * an attacker who would like to fill one chain.
 */
#include "../check.h"

#include <batch/store.h>

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { CHAINS_MIN = 64 };

struct entry {
    struct entry *next; /* in its chain */
    uint64_t hash;
    uint64_t version;
    size_t key_size;
    size_t state_size;
    size_t state_capacity; /* >= state_size */
    unsigned char bytes[]; /* the key, then room for the state */
};

struct memory_store {
    struct batch_store base;
    uint64_t seed[2];
    pthread_mutex_t lock; /* guards what follows */
    struct entry **chains;
    size_t chains_size; /* a power of two, at least CHAINS_MIN */
    size_t entries_size;
    uint64_t version_last;
};

struct memory_session {
    unsigned char *buffer;
    size_t buffer_size;
};

struct key {
    const void *bytes; /* may be NULL if size is 0 */
    size_t size;
    uint64_t hash;
};

/* ---- Hash ----------------------------------------------------------------------------------- */

/* SipHash, as for the keys of a processor. */
static uint64_t hash_of(const uint64_t seed[2], const void *bytes, size_t size)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, bytes, size, (const unsigned char *)seed);
    return hash;
}

static struct key key_of(const struct memory_store *store, const void *bytes, size_t size)
{
    return (struct key){bytes, size, hash_of(store->seed, bytes, size)};
}

/* ---- Table: with the lock held -------------------------------------------------------------- */

static bool entry_has_key(const struct entry *entry, const struct key *key)
{
    if (entry->hash != key->hash || entry->key_size != key->size)
        return false;
    return key->size == 0 || memcmp(entry->bytes, key->bytes, key->size) == 0;
}

static unsigned char *entry_state(struct entry *entry)
{
    return entry->bytes + entry->key_size;
}

/* Where the entry of a key is linked, or where it would be (then *slot is NULL). */
static struct entry **table_slot(const struct memory_store *store, const struct key *key)
{
    batch__check(store->chains_size >= CHAINS_MIN);
    batch__check((store->chains_size & (store->chains_size - 1)) == 0);
    struct entry **slot = &store->chains[key->hash & (store->chains_size - 1)];
    while (*slot != NULL && !entry_has_key(*slot, key))
        slot = &(*slot)->next;
    return slot;
}

static void table_grow(struct memory_store *store)
{
    size_t size = store->chains_size * 2;
    struct entry **chains = calloc(size, sizeof(struct entry *));
    if (chains == NULL)
        return;
    size_t moved = 0;
    for (size_t i = 0; i < store->chains_size; i++) {
        for (struct entry *entry = store->chains[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            struct entry **chain = &chains[entry->hash & (size - 1)];
            entry->next = *chain;
            *chain = entry;
            moved++;
        }
    }
    batch__check(moved == store->entries_size);
    free(store->chains);
    store->chains = chains;
    store->chains_size = size;
}

/* An entry with room for the state, in the place of *slot, which it frees unless it fits. NULL: no
 * memory, and *slot is as it was. */
static struct entry *entry_fit(struct entry **slot, const struct key *key, size_t state_size)
{
    struct entry *old = *slot;
    batch__check(old == NULL || entry_has_key(old, key));
    if (old != NULL && state_size <= old->state_capacity &&
        old->state_capacity / 2 <= state_size + sizeof *old)
        return old;
    if (state_size > SIZE_MAX - sizeof *old - key->size)
        return NULL;
    struct entry *entry = malloc(sizeof *entry + key->size + state_size);
    if (entry == NULL)
        return NULL;
    entry->next = old != NULL ? old->next : NULL;
    entry->hash = key->hash;
    entry->key_size = key->size;
    entry->state_capacity = state_size;
    if (key->size > 0)
        memcpy(entry->bytes, key->bytes, key->size);
    free(old);
    *slot = entry;
    return entry;
}

/* Write a state. BATCH_OK and its new version, or BATCH_NO_MEMORY and nothing is changed. */
static int table_put(struct memory_store *store, struct entry **slot, const struct key *key,
                     const void *state, size_t state_size, uint64_t *ret_version)
{
    bool is_new = *slot == NULL;
    struct entry *entry = entry_fit(slot, key, state_size);
    if (entry == NULL)
        return BATCH_NO_MEMORY;
    batch__check(state_size <= entry->state_capacity);
    entry->state_size = state_size;
    if (state_size > 0)
        memcpy(entry_state(entry), state, state_size);
    entry->version = ++store->version_last;
    batch__check(entry->version != 0); /* 0 means: nothing stored */
    *ret_version = entry->version;
    if (is_new && ++store->entries_size > store->chains_size)
        table_grow(store); /* from here `slot` is invalid */
    return BATCH_OK;
}

/* ---- A session ------------------------------------------------------------------------------ */

static int session_open(batch_store *base, void **ret_session, batch_result *reterr)
{
    (void)base;
    struct memory_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        strcpy(reterr->message, "no memory for a session");
        return BATCH_NO_MEMORY;
    }
    *ret_session = session;
    return BATCH_OK;
}

static void session_close(batch_store *base, void *opened)
{
    (void)base;
    struct memory_session *session = opened;
    free(session->buffer);
    free(session);
}

/* Whether the call is canceled; its error then reports why. */
static bool is_canceled(batch_call *call)
{
    if (!batch_call_is_canceled(call))
        return false;
    batch_call_set_error(call, 0,
                         batch_now_ns() >= batch_call_deadline_ns(call)
                             ? "the deadline of the batch has passed"
                             : "the processor is stopping, and its time limit has passed");
    return true;
}

/* Copy the state of a key to the session's buffer. False: no memory. Version 0: nothing stored. */
static bool session_copy(struct memory_store *store, struct memory_session *session,
                         const struct key *key, size_t *ret_size, uint64_t *ret_version)
{
    bool copied = true;
    *ret_size = 0;
    *ret_version = 0;
    pthread_mutex_lock(&store->lock);
    struct entry *entry = *table_slot(store, key);
    if (entry != NULL) {
        if (entry->state_size > session->buffer_size) {
            free(session->buffer);
            session->buffer = malloc(entry->state_size);
            session->buffer_size = session->buffer != NULL ? entry->state_size : 0;
        }
        copied = entry->state_size <= session->buffer_size;
        if (copied && entry->state_size > 0)
            memcpy(session->buffer, entry_state(entry), entry->state_size);
        *ret_size = entry->state_size;
        *ret_version = entry->version;
        batch__check(entry->version != 0 && entry->version <= store->version_last);
    }
    pthread_mutex_unlock(&store->lock);
    return copied;
}

static int load_one(struct memory_store *store, struct memory_session *session, batch_call *call)
{
    if (is_canceled(call))
        return BATCH_LOAD_FAILED;
    size_t key_size;
    const void *bytes = batch_call_key(call, &key_size);
    struct key key = key_of(store, bytes, key_size);
    size_t size;
    uint64_t version;
    if (!session_copy(store, session, &key, &size, &version)) {
        batch_call_set_error(call, 0, "no memory to copy the state");
        return BATCH_LOAD_FAILED;
    }
    batch_call_set_version(call, version);
    if (version == 0)
        return batch_call_decode(call, NULL, 0);
    return batch_call_decode(call, size > 0 ? (const void *)session->buffer : "", size);
}

static void load(batch_store *base, void *session, batch_call *const *calls, size_t calls_size)
{
    for (size_t i = 0; i < calls_size; i++)
        batch_call_finish(calls[i], load_one((struct memory_store *)base, session, calls[i]));
}

static int save_one(struct memory_store *store, batch_call *call)
{
    const void *state;
    size_t state_size;
    if (is_canceled(call))
        return BATCH_SAVE_FAILED;
    int status = batch_call_encode(call, &state, &state_size);
    if (status != BATCH_OK)
        return BATCH_SAVE_FAILED;
    size_t key_size;
    const void *bytes = batch_call_key(call, &key_size);
    struct key key = key_of(store, bytes, key_size);
    uint64_t expected = batch_call_version(call);
    uint64_t version = 0;

    pthread_mutex_lock(&store->lock);
    struct entry **slot = table_slot(store, &key);
    uint64_t found = *slot != NULL ? (*slot)->version : 0;
    status = BATCH_CONFLICT;
    batch__check(found <= store->version_last);
    if (found == expected)
        status = table_put(store, slot, &key, state, state_size, &version);
    pthread_mutex_unlock(&store->lock);

    if (status == BATCH_OK) {
        batch_call_set_version(call, version);
        return BATCH_OK;
    }
    if (status == BATCH_CONFLICT) {
        batch_call_set_error(call, 0, "another version is stored");
        return BATCH_CONFLICT;
    }
    batch_call_set_error(call, 0, "no memory to store the state");
    return BATCH_SAVE_FAILED;
}

/* ---- A unit: all of it or nothing ----------------------------------------------------------- */

/* Allocated before the lock is taken: from then on nothing can fail. NULL: *ret_status is why. */
static struct entry *prepare(const struct memory_store *store, batch_call *call, int *ret_status)
{
    const void *state;
    size_t state_size, key_size;
    *ret_status = BATCH_SAVE_FAILED;
    if (batch_call_encode(call, &state, &state_size) != BATCH_OK)
        return NULL;
    const void *bytes = batch_call_key(call, &key_size);
    struct key key = key_of(store, bytes, key_size);
    struct entry *entry = NULL;
    if (entry_fit(&entry, &key, state_size) == NULL) {
        batch_call_set_error(call, 0, "no memory to store the state");
        return NULL;
    }
    entry->state_size = state_size;
    if (state_size > 0)
        memcpy(entry_state(entry), state, state_size);
    *ret_status = BATCH_OK;
    return entry;
}

/* What the calls write, chained through `next` in their order. NULL: all is prepared; else the call
 * that cannot be saved. */
static batch_call *unit_prepare(const struct memory_store *store, batch_call *const *calls,
                                size_t calls_size, struct entry **ret_entries)
{
    struct entry **end = ret_entries;
    *end = NULL;
    for (size_t i = 0; i < calls_size; i++) {
        int status = is_canceled(calls[i]) ? BATCH_SAVE_FAILED : BATCH_OK;
        if (status == BATCH_OK && !batch_call_is_check(calls[i])) {
            *end = prepare(store, calls[i], &status);
            if (*end != NULL)
                end = &(*end)->next;
        }
        if (status != BATCH_OK)
            return calls[i];
    }
    return NULL;
}

/* With the lock held. NULL: all that is stored has the version that was loaded. */
static batch_call *unit_conflict(const struct memory_store *store, batch_call *const *calls,
                                 size_t calls_size)
{
    for (size_t i = 0; i < calls_size; i++) {
        size_t key_size;
        const void *bytes = batch_call_key(calls[i], &key_size);
        struct key key = key_of(store, bytes, key_size);
        const struct entry *entry = *table_slot(store, &key);
        if ((entry != NULL ? entry->version : 0) != batch_call_version(calls[i]))
            return calls[i];
    }
    return NULL;
}

/* Put an entry in the place of the one with its key. With the lock held. */
static void table_replace(struct memory_store *store, struct entry *entry)
{
    const struct key key = {entry->bytes, entry->key_size, entry->hash};
    struct entry **slot = table_slot(store, &key);
    struct entry *old = *slot;
    entry->version = ++store->version_last;
    entry->next = old != NULL ? old->next : NULL;
    *slot = entry;
    free(old);
    if (old == NULL && ++store->entries_size > store->chains_size)
        table_grow(store);
}

static void unit_store(struct memory_store *store, batch_call *const *calls, size_t calls_size,
                       struct entry **entries)
{
    for (size_t i = 0; i < calls_size; i++) {
        if (batch_call_is_check(calls[i]))
            continue;
        struct entry *entry = *entries;
        batch__check(entry != NULL);
        *entries = entry->next;
        table_replace(store, entry);
        batch_call_set_version(calls[i], entry->version);
    }
    batch__check(*entries == NULL);
}

static void unit_save(struct memory_store *store, batch_call *const *calls, size_t calls_size)
{
    struct entry *entries;
    int status = BATCH_SAVE_FAILED;
    batch_call *culprit = unit_prepare(store, calls, calls_size, &entries);
    if (culprit == NULL) {
        pthread_mutex_lock(&store->lock);
        culprit = unit_conflict(store, calls, calls_size);
        if (culprit == NULL)
            unit_store(store, calls, calls_size, &entries);
        pthread_mutex_unlock(&store->lock);
        status = culprit == NULL ? BATCH_OK : BATCH_CONFLICT;
        if (culprit != NULL)
            batch_call_set_error(culprit, 0, "another version is stored");
    }
    for (struct entry *next; entries != NULL; entries = next) {
        next = entries->next;
        free(entries);
    }
    for (size_t i = 0; i < calls_size; i++) {
        if (culprit != NULL && calls[i] != culprit)
            batch_call_set_error_of(calls[i], culprit);
    }
    for (size_t i = 0; i < calls_size; i++)
        batch_call_finish(calls[i], status);
}

/* ---- Saving --------------------------------------------------------------------------------- */

/* How many calls from here on are one unit: 1 if the first is alone. */
static size_t unit_size(batch_call *const *calls, size_t calls_size)
{
    uint32_t unit = batch_call_unit(calls[0]);
    size_t size = 1;
    while (unit != 0 && size < calls_size && batch_call_unit(calls[size]) == unit)
        size++;
    return size;
}

static void save(batch_store *base, void *session, batch_call *const *calls, size_t calls_size)
{
    struct memory_store *store = (struct memory_store *)base;
    (void)session;
    for (size_t at = 0, size; at < calls_size; at += size) {
        size = unit_size(calls + at, calls_size - at);
        if (batch_call_unit(calls[at]) != 0)
            unit_save(store, calls + at, size);
        else
            batch_call_finish(calls[at], save_one(store, calls[at]));
    }
}

/* ---- The store ------------------------------------------------------------------------------ */

static void store_close(batch_store *base)
{
    struct memory_store *store = (struct memory_store *)base;
    size_t freed = 0;
    for (size_t i = 0; i < store->chains_size; i++) {
        for (struct entry *entry = store->chains[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            free(entry);
            freed++;
        }
    }
    batch__check(freed == store->entries_size);
    pthread_mutex_destroy(&store->lock);
    free(store->chains);
    free(store);
}

static int open_store(batch_store **ret_store)
{
    struct memory_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return BATCH_NO_MEMORY;
    store->base.size = sizeof store->base;
    store->base.name = "memory";
    store->base.session_open = session_open;
    store->base.session_close = session_close;
    store->base.load = load;
    store->base.save = save;
    store->base.close = store_close;
    store->base.saves_units = 1;
    /* Before the kernel has any randomness, early at boot, the address has to do. */
    if (getrandom(store->seed, sizeof store->seed, GRND_NONBLOCK) != (ssize_t)sizeof store->seed)
        store->seed[0] = (uint64_t)(uintptr_t)store ^ batch_now_ns();
    store->chains_size = CHAINS_MIN;
    store->chains = calloc(CHAINS_MIN, sizeof(struct entry *));
    if (store->chains == NULL || pthread_mutex_init(&store->lock, NULL) != 0) {
        free(store->chains);
        free(store);
        return BATCH_NO_MEMORY;
    }
    *ret_store = &store->base;
    return BATCH_OK;
}

int batch_memory_open(batch_store **ret_store)
{
    int before; /* pthread_cancel of the calling thread takes effect when nothing is half done */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    int status = open_store(ret_store);
    pthread_setcancelstate(before, NULL);
    return status;
}

bool batch_memory_read(batch_store *base, const void *key_bytes, size_t key_size, void *state,
                       size_t state_size, size_t *ret_state_size, uint64_t *ret_version)
{
    struct memory_store *store = (struct memory_store *)base;
    struct key key = key_of(store, key_bytes, key_size);
    pthread_mutex_lock(&store->lock);
    struct entry *entry = *table_slot(store, &key);
    bool found = entry != NULL;
    if (found) {
        size_t size = entry->state_size < state_size ? entry->state_size : state_size;
        if (size > 0)
            memcpy(state, entry_state(entry), size);
        if (ret_state_size != NULL)
            *ret_state_size = entry->state_size;
        if (ret_version != NULL)
            *ret_version = entry->version;
    }
    pthread_mutex_unlock(&store->lock);
    return found;
}

int batch_memory_write(batch_store *base, const void *key_bytes, size_t key_size, const void *state,
                       size_t state_size)
{
    if (key_size > BATCH_KEY_SIZE_MAX)
        return BATCH_INVALID;
    struct memory_store *store = (struct memory_store *)base;
    struct key key = key_of(store, key_bytes, key_size);
    uint64_t version;
    pthread_mutex_lock(&store->lock);
    int status = table_put(store, table_slot(store, &key), &key, state, state_size, &version);
    pthread_mutex_unlock(&store->lock);
    return status;
}

bool batch_memory_delete(batch_store *base, const void *key_bytes, size_t key_size)
{
    struct memory_store *store = (struct memory_store *)base;
    struct key key = key_of(store, key_bytes, key_size);
    pthread_mutex_lock(&store->lock);
    struct entry **slot = table_slot(store, &key);
    struct entry *entry = *slot;
    if (entry != NULL) {
        batch__check(store->entries_size > 0);
        *slot = entry->next;
        store->entries_size--;
    }
    pthread_mutex_unlock(&store->lock);
    free(entry);
    return entry != NULL;
}
