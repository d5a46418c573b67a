/* spec.h: the table as the options ask for it, and as it was found.
 *
 * Threads: a spec is read-only, except for the schema: the first session sets it while the store is
 * being opened, when nobody else reads it. A shape belongs to one connection: after a reconnect the
 * table may have another shape.
 */
#ifndef BATCH_POSTGRES_SPEC_H
#define BATCH_POSTGRES_SPEC_H

#include <batch/postgres.h>

/* What the options ask for. */
struct batch__postgres_spec {
    char *schema; /* NULL: the one in which the table is found, once that is known */
    char *table;
    char *key_column;
    char *version_column;
    char *state_column;
    batch_postgres_type key_type;
    batch_postgres_type state_type;
    batch_postgres_durability durability;
};

/* What shows that the table is what it was when it was checked (sql.h), as texts in SQL. */
struct batch__postgres_stamp {
    char table[33];   /* the last change of its row of the catalog; a digest if it is partitioned */
    char file[16];    /* that it is stored in; empty if it is partitioned */
    char index[16];   /* one that makes the key unique */
    char columns[32]; /* the numbers of the three, */
    char changes[48]; /* and the last change of each */
};

/* What a table turned out to be. */
struct batch__postgres_shape {
    batch_postgres_type key_type;   /* BYTEA or TEXT */
    batch_postgres_type state_type; /* or JSONB */
    int version_size;               /* bytes: 2, 4 or 8 */
    bool has_long_keys;             /* those too long for an index are stored as digests */
    bool is_utf8;                   /* texts must be valid UTF-8 */
    bool may_alter;                 /* what is written: it has triggers, or limits of length */
    bool is_partitioned;
    bool has_rules;                     /* or had: it is not known when it gets more of them */
    struct batch__postgres_stamp stamp; /* another one after every change */
};

int batch__postgres_options_check(const batch_postgres_options *options, batch_result *reterr);

/* Copy checked options. False: no memory; to be destroyed all the same. */
bool batch__postgres_spec_init(struct batch__postgres_spec *spec,
                               const batch_postgres_options *options);
void batch__postgres_spec_destroy(struct batch__postgres_spec *spec);

/* Are keys, versions and states stored in the same form? */
bool batch__postgres_shape_is_alike(const struct batch__postgres_shape *one,
                                    const struct batch__postgres_shape *other);

/* Does any of it pass as text, or depend on a type that could alter what is stored? */
static inline bool batch__postgres_shape_has_texts(const struct batch__postgres_shape *shape)
{
    return shape->key_type != BATCH_POSTGRES_BYTEA || shape->state_type != BATCH_POSTGRES_BYTEA;
}

/* Set the schema, if there is none yet. False: no memory. */
bool batch__postgres_spec_set_schema(struct batch__postgres_spec *spec, const char *schema);

#endif
