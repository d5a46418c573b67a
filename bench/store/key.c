/* key.c: see key.h. */
#include "key.h"

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

void state_increment(void *state)
{
    uint64_t counter = state_counter(state) + 1;
    memcpy(state, &counter, sizeof counter);
}
