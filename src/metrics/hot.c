#include "hot.h"

#include "../base/atomics.h"
#include "../base/check.h"

#include <string.h>

#define HALVE_NS      UINT64_C(60000000000)
#define HALVE_SAMPLES UINT64_C(4096)

/* ---- Writing -------------------------------------------------------------------------------- */

/* From 0 to twice the distance (xorshift). */
static uint64_t next_distance(struct batch__hot *hot)
{
    uint64_t random = hot->random != 0 ? hot->random : UINT64_C(88172645463325252);
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    hot->random = random;
    return (random >> 32) % (2 * BATCH__HOT_DISTANCE - 1);
}

static void words_of(uint64_t words[BATCH__HOT_WORDS], const void *key, size_t key_size)
{
    memset(words, 0, BATCH_HOT_KEY_SIZE);
    if (key_size > 0)
        memcpy(words, key, key_size < BATCH_HOT_KEY_SIZE ? key_size : BATCH_HOT_KEY_SIZE);
}

static bool is_key(const struct batch__hot_entry *entry, uint32_t hash,
                   const uint64_t words[BATCH__HOT_WORDS], size_t key_size)
{
    if (entry->hash != hash || entry->xcount == 0 || entry->xkey_size != key_size)
        return false;
    return memcmp(entry->xwords, words, BATCH_HOT_KEY_SIZE) == 0;
}

static void halve(struct batch__hot *hot, uint64_t now_ns)
{
    hot->halved_ns = now_ns;
    batch__store_relaxed(&hot->xsamples, hot->xsamples / 2);
    for (size_t i = 0; i < BATCH__HOT_KEYS; i++)
        batch__store_relaxed(&hot->entries[i].xcount, hot->entries[i].xcount / 2);
}

/* Release for each word: who sees one of them sees that the sequence is odd, or has changed. */
static void replace(struct batch__hot_entry *entry, uint32_t hash,
                    const uint64_t words[BATCH__HOT_WORDS], size_t key_size)
{
    batch__store_relaxed(&entry->xsequence, entry->xsequence + 1);
    for (size_t i = 0; i < BATCH__HOT_WORDS; i++)
        batch__store_release(&entry->xwords[i], words[i]);
    batch__store_release(&entry->xkey_size, (uint64_t)key_size);
    entry->hash = hash;
    batch__store_release(&entry->xsequence, entry->xsequence + 1);
}

void batch__hot_sample(struct batch__hot *hot, const void *key, size_t key_size, uint32_t hash,
                       uint64_t operations, uint64_t now_ns)
{
    batch__check(operations > hot->skip);
    uint64_t samples = 0; /* a large batch has several */
    uint64_t left = operations;
    do {
        left -= hot->skip + 1;
        samples++;
        hot->skip = next_distance(hot);
    } while (left > hot->skip);
    hot->skip -= left;
    if (hot->xsamples >= HALVE_SAMPLES || now_ns - hot->halved_ns >= HALVE_NS)
        halve(hot, now_ns);
    uint64_t words[BATCH__HOT_WORDS];
    words_of(words, key, key_size);
    struct batch__hot_entry *least = &hot->entries[0];
    struct batch__hot_entry *found = NULL;
    for (size_t i = 0; i < BATCH__HOT_KEYS && found == NULL; i++) {
        struct batch__hot_entry *entry = &hot->entries[i];
        if (is_key(entry, hash, words, key_size))
            found = entry;
        else if (entry->xcount < least->xcount)
            least = entry;
    }
    if (found == NULL) {
        replace(least, hash, words, key_size);
        found = least;
    }
    batch__count(&found->xcount, samples);
    batch__count(&hot->xsamples, samples);
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* False: there is none, or it is just being replaced. */
static bool read_entry(batch_hot_key *ret_key, const struct batch__hot_entry *entry, double samples)
{
    uint64_t sequence = batch__load_acquire(&entry->xsequence);
    uint64_t words[BATCH__HOT_WORDS];
    for (size_t i = 0; i < BATCH__HOT_WORDS; i++)
        words[i] = batch__load_acquire(&entry->xwords[i]);
    ret_key->key_size = (size_t)batch__load_acquire(&entry->xkey_size);
    uint64_t count = batch__load_relaxed(&entry->xcount);
    if (sequence % 2 != 0 || batch__load_relaxed(&entry->xsequence) != sequence || count == 0)
        return false;
    memcpy(ret_key->key, words, sizeof ret_key->key);
    ret_key->share = (double)count < samples ? (double)count / samples : 1;
    return true;
}

/* Put a key where it belongs among the `size` that there are; the last one may have to go. */
static size_t insert(batch_hot_key *keys, size_t size, size_t keys_max, const batch_hot_key *key)
{
    size_t at = size;
    while (at > 0 && keys[at - 1].share < key->share)
        at--;
    if (at == keys_max)
        return size;
    size_t moved = (size < keys_max ? size : keys_max - 1) - at;
    memmove(&keys[at + 1], &keys[at], moved * sizeof keys[0]);
    keys[at] = *key;
    return size < keys_max ? size + 1 : size;
}

size_t batch__hot_collect(batch_hot_key *ret_keys, size_t keys_max,
                          const struct batch__hot *const *shards, size_t shards_size)
{
    double samples = 0;
    for (size_t i = 0; i < shards_size; i++)
        samples += (double)batch__load_relaxed(&shards[i]->xsamples);
    size_t size = 0;
    for (size_t i = 0; i < shards_size; i++) {
        for (size_t j = 0; j < BATCH__HOT_KEYS; j++) {
            batch_hot_key key;
            if (read_entry(&key, &shards[i]->entries[j], samples))
                size = insert(ret_keys, size, keys_max, &key);
        }
    }
    return size;
}
