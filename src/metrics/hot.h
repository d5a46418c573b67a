/* hot.h: the keys of one shard that have the most operations, from a sample of them.
 *
 * One operation in about 64 is looked at, at random distances, so that no rhythm of the keys hides
 * one of them. A key that is looked at gets one more, if it is in the table; else it takes the
 * place of the key with the least, and inherits its count ("space saving"): so a key that has more
 * than a 32nd of all samples is always in the table. All counts are halved now and then, so that
 * what was hot an hour ago is forgotten.
 *
 * Threads: one writer. Any thread may read: an entry has a sequence number that is odd while it is
 * being written, and whoever meets one, or sees it change, leaves the entry out.
 */
#ifndef BATCH_METRICS_HOT_H
#define BATCH_METRICS_HOT_H

#include <batch/metrics.h>

enum {
    BATCH__HOT_KEYS = 32,
    BATCH__HOT_WORDS = BATCH_HOT_KEY_SIZE / sizeof(uint64_t),
    BATCH__HOT_DISTANCE = 64
};

struct batch__hot_entry {
    uint64_t xsequence;
    uint64_t xcount; /* samples; 0: none yet */
    uint64_t xkey_size;
    uint64_t xwords[BATCH__HOT_WORDS]; /* its first bytes */
    uint32_t hash;
};

/* All zero is empty. */
struct batch__hot {
    uint64_t skip; /* so many operations are not looked at */
    uint64_t random;
    uint64_t xsamples; /* the sum of all counts, or more: those of keys that have left the table */
    uint64_t halved_ns;
    struct batch__hot_entry entries[BATCH__HOT_KEYS];
};

/* Look at one of `operations` of a key. */
void batch__hot_sample(struct batch__hot *hot, const void *key, size_t key_size, uint32_t hash,
                       uint64_t operations, uint64_t now_ns);

/* A batch of `operations` has ended. Inline: almost always this is all. */
static inline void batch__hot_batch(struct batch__hot *hot, const void *key, size_t key_size,
                                    uint32_t hash, uint64_t operations, uint64_t now_ns)
{
    if (operations <= hot->skip)
        hot->skip -= operations;
    else
        batch__hot_sample(hot, key, key_size, hash, operations, now_ns);
}

/* The hottest keys of several shards, as batch_processor_hot_keys. Thread: any. */
size_t batch__hot_collect(batch_hot_key *ret_keys, size_t keys_max,
                          const struct batch__hot *const *shards, size_t shards_size);

#endif
