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
    CHECK_UNIQUE = 9,
    CHECK_LONG_KEYS = 10,
    CHECK_LOOSE_COLLATION = 11,
    CHECK_NOT_NULL = 12
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
    table->step = BATCH__POSTGRES_SET;
    table->is_save_prepared = false;
}

bool batch__postgres_table_is_ready(const struct batch__postgres_table *table)
{
    return table->step == BATCH__POSTGRES_STEPS;
}

bool batch__postgres_table_send(struct batch__postgres_table *table, PGconn *conn,
                                struct batch__postgres_error *reterr)
{
    batch__check(!batch__postgres_table_is_ready(table));
    if (table->step == BATCH__POSTGRES_SET) {
        char sql[2048];
        batch__postgres_settings_sql(conn, table->spec->durability, sql, sizeof sql);
        return PQsendQuery(conn, sql) != 0;
    }
    if (table->step == BATCH__POSTGRES_CHECK)
        return send_check(table->spec, conn);
    bool is_prepare = table->step == BATCH__POSTGRES_PREPARE;
    batch__check(is_prepare || table->may_create);
    char *sql = is_prepare ? batch__postgres_statement_sql(conn, table->spec, &table->shape,
                                                           BATCH__POSTGRES_SAVE)
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

static bool end_set(struct batch__postgres_table *table, const PGresult *result,
                    struct batch__postgres_error *reterr)
{
    static const char *const commits[] = {"on", "remote_apply", "off"};
    batch__check(table->step == BATCH__POSTGRES_SET);
    batch_postgres_durability durability = table->spec->durability;
    batch__check((size_t)durability < sizeof commits / sizeof commits[0]);
    if (strcmp(PQgetvalue(result, 0, 0), commits[durability]) != 0) {
        *reterr = (struct batch__postgres_error){.text = "synchronous_commit could not be set"};
        return false;
    }
    if (durability != BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS &&
        strcmp(PQgetvalue(result, 0, 1), "on") != 0) {
        *reterr = (struct batch__postgres_error){
            .text = "the server runs with fsync off, so a crash may lose everything: turn it "
                    "on, or ask for BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS"};
        return false;
    }
    table->shape.is_utf8 = strcmp(PQgetvalue(result, 0, 2), "SQL_ASCII") != 0;
    table->step = BATCH__POSTGRES_CHECK;
    return true;
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

static bool end_check(struct batch__postgres_table *table, const PGresult *result,
                      struct batch__postgres_error *reterr)
{
    struct batch__postgres_spec *spec = table->spec;
    batch__check(table->step == BATCH__POSTGRES_CHECK);
    if (PQntuples(result) == 0) {
        if (!table->may_create)
            return refuse(spec, "it does not exist any more", reterr);
        table->step = BATCH__POSTGRES_CREATE;
        return true;
    }
    char kind = PQgetvalue(result, 0, CHECK_KIND)[0];
    char persistence = PQgetvalue(result, 0, CHECK_PERSISTENCE)[0];
    if (kind != 'r' && kind != 'p')
        return refuse(spec, "it is not a table (a view, or a foreign table): use a table", reterr);
    if (persistence == 't')
        return refuse(
            spec,
            "it is temporary, so no other connection sees it: create an ordinary table, or "
            "set the schema",
            reterr);
    if (persistence == 'u' && spec->durability != BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS)
        return refuse(spec,
                      "it is unlogged, so a crash empties it: ALTER TABLE ... SET LOGGED, or ask "
                      "for BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS",
                      reterr);
    if (!check_columns(table, result, reterr))
        return false;
    if (!is_true(result, CHECK_UNIQUE) || !is_true(result, CHECK_NOT_NULL))
        return refuse(spec,
                      "the key column must be the primary key, or NOT NULL with a unique index of "
                      "its own (not partial, not deferrable)",
                      reterr);
    if (is_true(result, CHECK_LOOSE_COLLATION))
        return refuse(spec,
                      "the collation of the key column treats different keys as equal: use a "
                      "deterministic one, like \"C\"",
                      reterr);
    table->shape.has_long_keys =
        table->shape.key_type == BATCH_POSTGRES_BYTEA && is_true(result, CHECK_LONG_KEYS);
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

bool batch__postgres_table_receive(struct batch__postgres_table *table, const PGresult *result,
                                   struct batch__postgres_error *reterr)
{
    ExecStatusType status = PQresultStatus(result);
    struct batch__postgres_error error = {.code = 0};
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        batch__postgres_describe(result, &error);
    if (table->step == BATCH__POSTGRES_CREATE &&
        (status == PGRES_COMMAND_OK || is_being_created(error.code))) {
        table->step = BATCH__POSTGRES_CHECK;
        return true;
    }
    if (status == PGRES_TUPLES_OK && table->step == BATCH__POSTGRES_SET)
        return end_set(table, result, reterr);
    if (status == PGRES_TUPLES_OK && table->step == BATCH__POSTGRES_CHECK)
        return end_check(table, result, reterr);
    bool is_prepared = status == PGRES_COMMAND_OK;
    if (table->step == BATCH__POSTGRES_PREPARE &&
        (is_prepared || error.code == batch__postgres_code("55P03"))) {
        table->is_save_prepared = is_prepared;
        table->step = BATCH__POSTGRES_STEPS;
        return true;
    }
    refuse(table->spec, error.text, reterr);
    reterr->code = error.code;
    return false;
}
