/* target_memory.c: rows in memory: what libbatch costs when nothing waits for a disk. */
#include "target_memory.h"

#include "common/say.h"

#include <stdlib.h>

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
            say("a key is missing");
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

struct target *target_memory_open(const struct settings *settings)
{
    struct memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL || batch_memory_open(&memory->store) != BATCH_OK) {
        say("no memory");
        free(memory);
        return NULL;
    }
    memory->base = (struct target){.name = "memory",
                                   .direct_refusal =
                                       "the memory store has no transactions; use a store on disk",
                                   .settings = settings,
                                   .sessions = {[MODE_SINGLE] = 1, [MODE_GROUPED] = 1},
                                   .prepare = memory_prepare,
                                   .store_open = memory_store_open,
                                   .sum = memory_sum,
                                   .close = memory_close};
    return &memory->base;
}
