/* journal.c: see journal.h. */
#include "journal.h"

/* Of each operation, in which keys it was found; all zero between two calls. */
static unsigned char found[INCARNATIONS_MAX][SUBMITTERS][OPERATIONS_MAX];

static unsigned char *found_of(uint32_t id)
{
    return &found[life_of(id) % INCARNATIONS_MAX][submitter_of(id) % SUBMITTERS]
                 [number_of(id) % OPERATIONS_MAX];
}

static const struct entry *entry_of(const struct journal *journal, uint32_t id)
{
    return &journal->incarnations[life_of(id) % INCARNATIONS_MAX]
                .entries[submitter_of(id) % SUBMITTERS][number_of(id) % OPERATIONS_MAX];
}

bool journal_is_torn(const struct journal *journal, const struct log *const logs[KEYS])
{
    bool is_torn = false;
    for (unsigned key = 0; key < KEYS; key++) {
        for (uint32_t i = 0; i < logs[key]->count; i++)
            *found_of(logs[key]->ids[i]) |= (unsigned char)(1u << key);
    }
    for (unsigned key = 0; key < KEYS; key++) {
        for (uint32_t i = 0; i < logs[key]->count; i++) {
            uint32_t id = logs[key]->ids[i];
            is_torn = is_torn || *found_of(id) != atomic_load(&entry_of(journal, id)->keys);
        }
    }
    for (unsigned key = 0; key < KEYS; key++) {
        for (uint32_t i = 0; i < logs[key]->count; i++)
            *found_of(logs[key]->ids[i]) = 0;
    }
    return is_torn;
}
