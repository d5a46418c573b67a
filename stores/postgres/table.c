#include "table.h"

#include "../check.h"
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fixed in PostgreSQL: pg_type.dat. */
enum {
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_VARCHAR = 1043,
    OID_JSONB = 3802
};

/* Columns of the result of batch__postgres_check_sql. */
enum {
    CHECK_SCHEMA,
    CHECK_KIND,
    CHECK_PERSISTENCE,
    CHECK_OIDS,      /* of key, version, state */
    CHECK_TYPES = 6, /* their names */
    CHECK_INDEX = 9, /* that makes the key unique */
    CHECK_LONG_KEYS = 10,
    CHECK_LOOSE_COLLATION = 11,
    CHECK_NOT_NULL = 12,
    CHECK_LOSES_PARTITION = 13, /* has one that is not logged, or temporary */
    CHECK_CHILDREN = 14,        /* tables inherit from it */
    CHECK_STAMP = 15,
    CHECK_FENCE = 16,
    CHECK_MAY_ALTER = 17,
    CHECK_FILE = 18,
    CHECK_COLUMNS = 19, /* their numbers */
    CHECK_CHANGES = 20, /* of the columns: when each was last changed */
    CHECK_RULES = 21
};

/* ---- Sending -------------------------------------------------------------------------------- */

static bool send_check(const struct batch__postgres_spec *spec, PGconn *conn)
{
    const char *values[5] = {spec->schema, spec->table, spec->key_column, spec->version_column,
                             spec->state_column};
    return PQsendQueryParams(conn, batch__postgres_check_sql, 5, NULL, values, NULL, NULL, 0) != 0;
}

void batch__postgres_table_begin(struct batch__postgres_table *table)
{
    batch__postgres_fence_begin(&table->fence);
    table->step = BATCH__POSTGRES_LOOK;
    table->is_save_prepared = table->is_again = table->is_unchanged = false;
}

void batch__postgres_table_begin_again(struct batch__postgres_table *table)
{
    batch__check(batch__postgres_table_is_ready(table));
    table->step = BATCH__POSTGRES_FORGET;
    table->is_save_prepared = table->is_unchanged = false;
    table->is_again = true;
}

bool batch__postgres_table_wants_another(const struct batch__postgres_table *table)
{
    return table->step == BATCH__POSTGRES_REOPEN;
}

bool batch__postgres_table_is_ready(const struct batch__postgres_table *table)
{
    return table->step == BATCH__POSTGRES_STEPS;
}

/* A statement with names in it. */
static bool send_made(const struct batch__postgres_table *table, PGconn *conn,
                      struct batch__postgres_error *reterr)
{
    bool is_prepare = table->step == BATCH__POSTGRES_PREPARE;
    batch__check(is_prepare || table->step == BATCH__POSTGRES_CREATE);
    batch__check(is_prepare || table->may_create);
    char *sql = is_prepare ? batch__postgres_statement_sql(conn, table->spec, &table->shape,
                                                           &table->fence, BATCH__POSTGRES_SAVE)
                           : batch__postgres_create_sql(conn, table->spec);
    if (sql == NULL) {
        *reterr = (struct batch__postgres_error){
            .text = "a name is not valid UTF-8, or there is no memory for SQL"};
        return false;
    }
    const char *name = batch__postgres_statement_name(BATCH__POSTGRES_SAVE);
    int is_sent = is_prepare ? PQsendPrepare(conn, name, sql, 0, NULL) : PQsendQuery(conn, sql);
    free(sql);
    return is_sent != 0;
}

bool batch__postgres_table_send(struct batch__postgres_table *table, PGconn *conn,
                                struct batch__postgres_error *reterr)
{
    batch__check(!batch__postgres_table_is_ready(table));
    batch__check(!batch__postgres_table_wants_another(table));
    char text[BATCH__POSTGRES_SETTINGS_SQL_SIZE];
    switch (table->step) {
    case BATCH__POSTGRES_LOOK:
        batch__postgres_look_sql(conn, &table->fence, text);
        return PQsendQuery(conn, text) != 0;
    case BATCH__POSTGRES_SET:
        batch__postgres_settings_sql(conn, table->spec->durability, &table->fence, text);
        return PQsendQuery(conn, text) != 0;
    case BATCH__POSTGRES_PROBE:
        batch__postgres_probe_sql(&table->fence, text);
        return PQsendQuery(conn, text) != 0;
    case BATCH__POSTGRES_FORGET:
        return PQsendQuery(conn, "DEALLOCATE ALL") != 0;
    case BATCH__POSTGRES_CHECK:
        return send_check(table->spec, conn);
    default:
        return send_made(table, conn, reterr);
    }
}

/* ---- Refusing ------------------------------------------------------------------------------- */

/* Report what is wrong with the table, and what to do. */
static bool refuse(const struct batch__postgres_spec *spec, const char *what,
                   struct batch__postgres_error *reterr)
{
    *reterr = (struct batch__postgres_error){.code = 0};
    snprintf(reterr->text, sizeof reterr->text, "table \"%.40s\": %.140s", spec->table, what);
    return false;
}

static bool refuse_column(const struct batch__postgres_spec *spec, const char *column,
                          const char *type, const char *wanted,
                          struct batch__postgres_error *reterr)
{
    char text[BATCH__POSTGRES_TEXT_SIZE];
    snprintf(text, sizeof text, "column \"%.40s\" is %.24s, but must be %.48s", column,
             type[0] != '\0' ? type : "missing", wanted);
    return refuse(spec, text, reterr);
}

/* ---- The settings --------------------------------------------------------------------------- */

static bool end_look(struct batch__postgres_table *table, const PGresult *result,
                     struct batch__postgres_error *reterr)
{
    batch__check(table->step == BATCH__POSTGRES_LOOK);
    switch (batch__postgres_look_receive(result, &table->fence, reterr)) {
    case BATCH__POSTGRES_LOOK_FREE:
        table->step = BATCH__POSTGRES_SET;
        return true;
    case BATCH__POSTGRES_LOOK_POOLER:
        table->step = BATCH__POSTGRES_PROBE;
        return true;
    case BATCH__POSTGRES_LOOK_REFUSED:
        break;
    }
    return false;
}

static bool end_probe(struct batch__postgres_table *table)
{
    batch__check(table->step == BATCH__POSTGRES_PROBE);
    table->fence.is_probing = true;
    table->step = BATCH__POSTGRES_REOPEN;
    return true;
}

static bool end_set(struct batch__postgres_table *table, const PGresult *result,
                    struct batch__postgres_error *reterr)
{
    batch__check(table->step == BATCH__POSTGRES_SET);
    table->step = BATCH__POSTGRES_CHECK;
    return batch__postgres_settings_receive(result, table->spec->durability, &table->fence,
                                            &table->shape.is_utf8, reterr);
}

/* ---- The table ------------------------------------------------------------------------------ */

/* BATCH_POSTGRES_AUTO: none that can be used. */
static batch_postgres_type type_of(long oid)
{
    switch (oid) {
    case OID_BYTEA:
        return BATCH_POSTGRES_BYTEA;
    case OID_TEXT:
    case OID_VARCHAR:
        return BATCH_POSTGRES_TEXT;
    case OID_JSONB:
        return BATCH_POSTGRES_JSONB;
    default:
        return BATCH_POSTGRES_AUTO;
    }
}

static bool is_wanted(batch_postgres_type type, batch_postgres_type wanted)
{
    return type != BATCH_POSTGRES_AUTO && (wanted == BATCH_POSTGRES_AUTO || type == wanted);
}

static bool check_columns(struct batch__postgres_table *table, const PGresult *result,
                          struct batch__postgres_error *reterr)
{
    const struct batch__postgres_spec *spec = table->spec;
    struct batch__postgres_shape *shape = &table->shape;
    long oids[3];
    const char *types[3];
    for (int i = 0; i < 3; i++) {
        oids[i] = strtol(PQgetvalue(result, 0, CHECK_OIDS + i), NULL, 10);
        types[i] = PQgetvalue(result, 0, CHECK_TYPES + i);
    }
    shape->key_type = type_of(oids[0]);
    if (shape->key_type == BATCH_POSTGRES_JSONB || !is_wanted(shape->key_type, spec->key_type))
        return refuse_column(spec, spec->key_column, types[0],
                             spec->key_type == BATCH_POSTGRES_BYTEA  ? "bytea, as key_type says"
                             : spec->key_type == BATCH_POSTGRES_TEXT ? "text, as key_type says"
                                                                     : "bytea, text or varchar",
                             reterr);
    shape->version_size = oids[1] == OID_INT8   ? 8
                          : oids[1] == OID_INT4 ? 4
                          : oids[1] == OID_INT2 ? 2
                                                : 0;
    if (shape->version_size == 0)
        return refuse_column(spec, spec->version_column, types[1], "bigint, integer or smallint",
                             reterr);
    shape->state_type = type_of(oids[2]);
    if (!is_wanted(shape->state_type, spec->state_type))
        return refuse_column(spec, spec->state_column, types[2],
                             spec->state_type == BATCH_POSTGRES_AUTO
                                 ? "bytea, text, varchar or jsonb"
                                 : "of the type that state_type says",
                             reterr);
    batch__check(shape->key_type != BATCH_POSTGRES_AUTO);
    batch__check(shape->state_type != BATCH_POSTGRES_AUTO);
    return true;
}

static bool is_true(const PGresult *result, int column)
{
    return PQgetvalue(result, 0, column)[0] == 't';
}

/* Could it store what it is given, for good and once? */
static bool check_kind(const struct batch__postgres_spec *spec, const PGresult *result,
                       struct batch__postgres_error *reterr)
{
    char kind = PQgetvalue(result, 0, CHECK_KIND)[0];
    char persistence = PQgetvalue(result, 0, CHECK_PERSISTENCE)[0];
    bool may_lose = spec->durability == BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS;
    if (kind != 'r' && kind != 'p')
        return refuse(spec, "it is not a table (a view, or a foreign table): use a table", reterr);
    if (persistence == 't')
        return refuse(
            spec,
            "it is temporary, so no other connection sees it: create an ordinary table, or "
            "set the schema",
            reterr);
    if (persistence == 'u' && !may_lose)
        return refuse(spec,
                      "it is unlogged, so a crash empties it: ALTER TABLE ... SET LOGGED, or ask "
                      "for BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS",
                      reterr);
    if (is_true(result, CHECK_LOSES_PARTITION) && !may_lose)
        return refuse(spec,
                      "a partition is unlogged, so a crash empties it: ALTER TABLE ... SET LOGGED, "
                      "or ask for BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS",
                      reterr);
    if (is_true(result, CHECK_CHILDREN))
        return refuse(spec,
                      "other tables inherit from it, so a key would not be unique: use partitions",
                      reterr);
    return true;
}

static bool check_key(const struct batch__postgres_spec *spec, const PGresult *result,
                      struct batch__postgres_error *reterr)
{
    if (PQgetisnull(result, 0, CHECK_INDEX) || !is_true(result, CHECK_NOT_NULL))
        return refuse(spec,
                      "the key column must be the primary key, or NOT NULL with a unique index of "
                      "its own (not partial, not deferrable)",
                      reterr);
    if (is_true(result, CHECK_LOOSE_COLLATION))
        return refuse(spec,
                      "the collation of the key column treats different keys as equal: use a "
                      "deterministic one, like \"C\"",
                      reterr);
    return true;
}

static void take_text(const PGresult *result, int column, char *ret_text, size_t text_size)
{
    snprintf(ret_text, text_size, "%s", PQgetvalue(result, 0, column));
}

static void take_stamp(const PGresult *result, struct batch__postgres_stamp *ret_stamp)
{
    take_text(result, CHECK_STAMP, ret_stamp->table, sizeof ret_stamp->table);
    take_text(result, CHECK_FILE, ret_stamp->file, sizeof ret_stamp->file);
    take_text(result, CHECK_INDEX, ret_stamp->index, sizeof ret_stamp->index);
    take_text(result, CHECK_COLUMNS, ret_stamp->columns, sizeof ret_stamp->columns);
    take_text(result, CHECK_CHANGES, ret_stamp->changes, sizeof ret_stamp->changes);
}

static bool is_same_stamp(const struct batch__postgres_stamp *one,
                          const struct batch__postgres_stamp *other)
{
    return strcmp(one->table, other->table) == 0 && strcmp(one->file, other->file) == 0 &&
           strcmp(one->index, other->index) == 0 && strcmp(one->columns, other->columns) == 0 &&
           strcmp(one->changes, other->changes) == 0;
}

static bool end_check(struct batch__postgres_table *table, const PGresult *result,
                      struct batch__postgres_error *reterr)
{
    struct batch__postgres_spec *spec = table->spec;
    struct batch__postgres_shape *shape = &table->shape;
    batch__check(table->step == BATCH__POSTGRES_CHECK);
    if (PQntuples(result) == 0) {
        if (!table->may_create)
            return refuse(spec, "it does not exist any more", reterr);
        table->step = BATCH__POSTGRES_CREATE;
        return true;
    }
    if (strcmp(PQgetvalue(result, 0, CHECK_FENCE), table->fence.token) != 0)
        return refuse(spec, batch__postgres_pooling_text, reterr);
    if (!check_kind(spec, result, reterr) || !check_columns(table, result, reterr) ||
        !check_key(spec, result, reterr))
        return false;
    shape->has_long_keys =
        shape->key_type == BATCH_POSTGRES_BYTEA && is_true(result, CHECK_LONG_KEYS);
    shape->may_alter = is_true(result, CHECK_MAY_ALTER);
    shape->is_partitioned = PQgetvalue(result, 0, CHECK_KIND)[0] == 'p';
    shape->has_rules = is_true(result, CHECK_RULES);
    struct batch__postgres_stamp stamp;
    take_stamp(result, &stamp);
    table->is_unchanged = table->is_again && is_same_stamp(&shape->stamp, &stamp);
    shape->stamp = stamp;
    table->step = BATCH__POSTGRES_PREPARE;
    /* Sessions opened later look in the schema in which the table was found first. */
    return batch__postgres_spec_set_schema(spec, PQgetvalue(result, 0, CHECK_SCHEMA)) ||
           refuse(spec, "no memory for its schema", reterr);
}

/* ---- The end of a step ---------------------------------------------------------------------- */

/* Another process is creating it at the same time, or has just created it. */
static bool is_being_created(int code)
{
    return code == batch__postgres_code("55P03") || code == batch__postgres_code("23505") ||
           code == batch__postgres_code("42P07");
}

/* A result with rows. */
static bool end_rows(struct batch__postgres_table *table, const PGresult *result,
                     struct batch__postgres_error *reterr)
{
    switch (table->step) {
    case BATCH__POSTGRES_LOOK:
        return end_look(table, result, reterr);
    case BATCH__POSTGRES_SET:
        return end_set(table, result, reterr);
    case BATCH__POSTGRES_CHECK:
        return end_check(table, result, reterr);
    default:
        return refuse(table->spec, "the server returned rows that were not asked for", reterr);
    }
}

/* A result without rows. */
static bool end_command(struct batch__postgres_table *table, struct batch__postgres_error *reterr)
{
    switch (table->step) {
    case BATCH__POSTGRES_PROBE:
        return end_probe(table);
    case BATCH__POSTGRES_LOOK:
    case BATCH__POSTGRES_SET:
        return true; /* one setting; the last result has rows */
    case BATCH__POSTGRES_FORGET:
    case BATCH__POSTGRES_CREATE:
        table->step = BATCH__POSTGRES_CHECK;
        return true;
    case BATCH__POSTGRES_PREPARE:
        table->is_save_prepared = true;
        table->step = BATCH__POSTGRES_STEPS;
        return true;
    default:
        return refuse(table->spec, "the server returned no rows", reterr);
    }
}

bool batch__postgres_table_receive(struct batch__postgres_table *table, const PGresult *result,
                                   struct batch__postgres_error *reterr)
{
    ExecStatusType status = PQresultStatus(result);
    struct batch__postgres_error error = {.code = 0};
    if (status == PGRES_TUPLES_OK)
        return end_rows(table, result, reterr);
    if (status == PGRES_COMMAND_OK)
        return end_command(table, reterr);
    batch__postgres_describe(result, &error);
    if (table->step == BATCH__POSTGRES_CREATE && is_being_created(error.code)) {
        table->step = BATCH__POSTGRES_CHECK;
        return true;
    }
    if (table->step == BATCH__POSTGRES_PREPARE && error.code == batch__postgres_code("55P03")) {
        table->step = BATCH__POSTGRES_STEPS; /* locked: prepared when it is needed */
        return true;
    }
    /* One that other clients of a pool have prepared. */
    bool is_shared = error.code == batch__postgres_code("42P05");
    refuse(table->spec, is_shared ? batch__postgres_pooling_text : error.text, reterr);
    reterr->code = error.code;
    return false;
}
