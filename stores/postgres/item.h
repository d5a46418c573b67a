/* item.h: one call of a group: its row of the table, and its outcome.
 *
 * Keys. An index takes no more than about 2,700 bytes, a key of libbatch may have 65,536. In a
 * table with the constraint "batch_long_keys" a key above KEY_PLAIN_MAX bytes is stored as its
 * first KEY_PLAIN_MAX + 1 - 32 bytes and the SHA-256 of all of it: always KEY_PLAIN_MAX + 1 bytes,
 * so it is never mistaken for a key that is stored as it is. In SQL:
 *
 *     CASE WHEN octet_length(k) > 2000 THEN substr(k, 1, 1969) || sha256(k) ELSE k END
 *
 * Versions. Those of the library are any number but 0; those of a row are signed, and other
 * programs may begin at 0. Flipping the sign bit maps all but the smallest bigint to the versions
 * of the library. A new row begins at a random version of as many bits as its column has room for,
 * so that a key that was deleted and created again is not mistaken for the old one: 52 bits for a
 * bigint, 30 for an integer, 14 for a smallint. Each save adds 1; the largest wraps to the
 * smallest.
 */
#ifndef BATCH_POSTGRES_ITEM_H
#define BATCH_POSTGRES_ITEM_H

#include "spec.h"

struct batch__postgres_item {
    batch_call *call;
    uint64_t deadline_ns; /* of the call, at first: it may move, as those of all others */
    const char *key;
    size_t key_size;
    char *key_own; /* what `key` points to if it is not the call's, or NULL */
    const void *state;
    size_t state_size;
    struct batch__postgres_item *lead; /* the first one of its unit (unit.h), maybe itself */
    uint32_t unit_size;                /* of a lead: with those behind it; 1: it is alone */
    bool is_check;                     /* only its version is compared */
    bool has_absent_check;             /* of a lead: one of the unit is a check of version 0 */
    bool is_chosen;                    /* of a lead: the unit is in the part */
    uint64_t version;                  /* what load found; 0: the row must not be there */
    int64_t row_old;                   /* the same, as the row has it */
    int64_t row_new;
    int status; /* once is_resolved: what to finish the call with */
    bool is_resolved;
    bool is_finished;
    bool is_reached; /* the last statement found the row, not locked by others */
    bool is_found;   /* at the last recheck, with row_found */
    bool is_aside;   /* retried alone, after a pause: others have it locked, for example */
    bool was_locked; /* by others, at any try */
    int64_t row_found;
};

/* Set key and key_size as the table has them. False: the error of the call is set. */
bool batch__postgres_item_set_key(struct batch__postgres_item *item,
                                  const struct batch__postgres_shape *shape);
void batch__postgres_item_free_key(struct batch__postgres_item *item);

/* A number for the absence of its key, the same in every process: two keys may share one. */
int64_t batch__postgres_item_lock(const struct batch__postgres_item *item);

/* Set how its call ends; once for each item. `text` NULL: no error, or it is set already. */
void batch__postgres_item_resolve(struct batch__postgres_item *item, int status, int store_code,
                                  const char *text);

/* Can the column store it? NULL: yes; else what is wrong. */
const char *batch__postgres_text_fault(const struct batch__postgres_shape *shape,
                                       batch_postgres_type type, const void *bytes, size_t size);

/* A version of a row as the library's, and back. */
uint64_t batch__postgres_version(int64_t row_version);
int64_t batch__postgres_row_version(uint64_t version);

/* The version that follows, in a column of `size` bytes; of a new row, if there is none yet. */
int64_t batch__postgres_next_version(uint64_t version, int size, uint64_t *random);

#endif
