/* table.h: a new connection made ready, step by step: its settings, and the table with its columns.
 *
 * Every new connection goes through all steps, also when it replaces a lost one: another server may
 * have taken over, and somebody may have changed the table. If a statement shows that the table has
 * changed, the same connection goes through the last ones once more.
 *
 * The table is an ordinary one, with the key as its primary key, so that other programs, foreign
 * keys and replication can use it. An index does not accept keys of more than about 2,700 bytes. So
 * in a table that the store has created, keys above 2,000 bytes are stored as a prefix and a digest
 * (item.h); its constraint "batch_long_keys" documents this, and makes sure that no row has such a
 * key in any other form. In tables without this constraint the server rejects keys that are too
 * long for the index, each alone.
 *
 * A table that is there already may have more columns, as long as each has a default.
 *
 * Use: begin; then until it is ready: send, wait, and hand over every result. Nothing blocks.
 */
#ifndef BATCH_POSTGRES_TABLE_H
#define BATCH_POSTGRES_TABLE_H

#include "error.h"
#include "settings.h"
#include "spec.h"

enum batch__postgres_step {
    BATCH__POSTGRES_LOOK,
    BATCH__POSTGRES_PROBE,  /* only through a pooler; then REOPEN */
    BATCH__POSTGRES_REOPEN, /* not to be sent: to be begun with another connection */
    BATCH__POSTGRES_SET,
    BATCH__POSTGRES_FORGET, /* what was prepared; only if it is checked once more */
    BATCH__POSTGRES_CHECK,
    BATCH__POSTGRES_CREATE,  /* only if the table is missing and may be created; then CHECK again */
    BATCH__POSTGRES_PREPARE, /* the statement for saves; if the table is not locked for writing */
    BATCH__POSTGRES_STEPS    /* all done */
};

struct batch__postgres_table {
    struct batch__postgres_spec *spec;
    bool may_create;
    enum batch__postgres_step step; /* to be sent, or under way */
    bool is_save_prepared;
    bool is_again;     /* it is being checked once more */
    bool is_unchanged; /* it was, and is as before */
    struct batch__postgres_fence fence;
    struct batch__postgres_shape shape; /* once it is ready */
};

/* For a new connection. */
void batch__postgres_table_begin(struct batch__postgres_table *table);

/* To check it once more, on the same connection. */
void batch__postgres_table_begin_again(struct batch__postgres_table *table);

/* Send the step. False: `reterr` has been filled, or else libpq has an error. */
bool batch__postgres_table_send(struct batch__postgres_table *table, PGconn *conn,
                                struct batch__postgres_error *reterr);

/* Take the result of the step, and set the next one. False: `reterr` has the reason. */
bool batch__postgres_table_receive(struct batch__postgres_table *table, const PGresult *result,
                                   struct batch__postgres_error *reterr);

bool batch__postgres_table_is_ready(const struct batch__postgres_table *table);

/* Close the connection, and begin with a new one. */
bool batch__postgres_table_wants_another(const struct batch__postgres_table *table);

#endif
