/* target.c: which store; keys and states; the store in memory.
 *
 * The store in memory shows what libbatch itself costs when nothing waits for a disk.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

struct key *keys_new(uint32_t keys)
{
    struct key *all = malloc(keys * sizeof *all);
    if (all == NULL)
        return NULL;
    for (uint32_t i = 0; i < keys; i++) {
        char digits[KEY_SIZE + 1];
        snprintf(digits, sizeof digits, "%08u", i % 100000000u);
        memcpy(all[i].digits, digits, KEY_SIZE);
    }
    return all;
}

void *state_new(uint32_t size)
{
    unsigned char *state = malloc(size);
    if (state != NULL) {
        memset(state, 'x', size);
        memset(state, 0, sizeof(uint64_t));
    }
    return state;
}

/* ---- In memory ------------------------------------------------------------------------------ */

struct memory {
    struct target base;
    batch_store *store;
    struct key *keys;
};

static bool memory_prepare(struct target *target)
{
    struct memory *memory = (struct memory *)target;
    const struct settings *settings = target->settings;
    void *state = state_new(settings->size);
    memory->keys = keys_new(settings->keys);
    bool is_made = state != NULL && memory->keys != NULL;
    for (uint32_t i = 0; is_made && i < settings->keys; i++)
        is_made = batch_memory_write(memory->store, &memory->keys[i], KEY_SIZE, state,
                                     settings->size) == BATCH_OK;
    free(state);
    if (!is_made)
        say("no memory for %u keys", settings->keys);
    return is_made;
}

static batch_store *memory_store_open(struct target *target)
{
    return ((struct memory *)target)->store;
}

static bool memory_sum(struct target *target, uint64_t *ret_sum)
{
    const struct memory *memory = (struct memory *)target;
    *ret_sum = 0;
    for (uint32_t i = 0; i < target->settings->keys; i++) {
        uint64_t counter = 0;
        if (!batch_memory_read(memory->store, &memory->keys[i], KEY_SIZE, &counter, sizeof counter,
                               NULL, NULL)) {
            say("a key is gone");
            return false;
        }
        *ret_sum += counter;
    }
    return true;
}

static void memory_close(struct target *target)
{
    struct memory *memory = (struct memory *)target;
    batch_store_close(memory->store);
    free(memory->keys);
    free(memory);
}

static struct target *memory_open(const struct settings *settings)
{
    struct memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL || batch_memory_open(&memory->store) != BATCH_OK) {
        say("no memory");
        free(memory);
        return NULL;
    }
    memory->base = (struct target){
        .name = "memory",
        .direct_refusal = "the memory store has no transactions to make; use a store on disk",
        .settings = settings,
        .sessions = {[MODE_SINGLE] = 1, [MODE_GROUPED] = 1},
        .prepare = memory_prepare,
        .store_open = memory_store_open,
        .sum = memory_sum,
        .close = memory_close};
    return &memory->base;
}

/* ---- Which store ---------------------------------------------------------------------------- */

/* What follows "name:"; NULL if it is another name. */
static const char *after(const char *store, const char *name)
{
    size_t size = strlen(name);
    return strncmp(store, name, size) == 0 && store[size] == ':' ? store + size + 1 : NULL;
}

#ifndef BENCH_SQLITE
struct target *target_sqlite_open(const struct settings *settings, const char *path)
{
    (void)settings;
    (void)path;
    say("--store: this build is without SQLite (BATCH_SQLITE)");
    return NULL;
}
#endif

#ifndef BENCH_POSTGRES
struct target *target_postgres_open(const struct settings *settings, const char *conninfo)
{
    (void)settings;
    (void)conninfo;
    say("--store: this build is without PostgreSQL (BATCH_POSTGRES)");
    return NULL;
}
#endif

struct target *target_open(const struct settings *settings)
{
    const char *path = after(settings->store, "sqlite");
    const char *conninfo = after(settings->store, "postgres");
    if (strcmp(settings->store, "memory") == 0)
        return memory_open(settings);
    if (path != NULL && path[0] != '\0')
        return target_sqlite_open(settings, path);
    if (conninfo != NULL)
        return target_postgres_open(settings, conninfo);
    say("--store: write memory, sqlite:PATH or postgres:CONNINFO");
    return NULL;
}
