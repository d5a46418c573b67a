/* table.c: a connection made ready: its settings, and the table with its columns.
 *
 * Every new connection goes through all of it, also when it replaces a lost one: another server may
 * have taken over, and somebody may have changed the table.
 *
 * The table is an ordinary one, with the key as its primary key, so that other programs, foreign
 * keys and replication can use it. An index does not take keys of more than about 2,700 bytes. So
 * in a table that the store has made, the ones above 2,000 bytes are kept as a beginning and a
 * digest (values.c); its constraint "batch_long_keys" tells everybody, and makes sure that no row
 * has such a key in any other form. Tables without this constraint are left with the keys that the
 * index takes, and a longer one is refused alone, by the server.
 *
 * A table that is there already may have more columns, as long as each has a default.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

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

/* Columns of the answer to batch__postgres_check_sql. */
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

static bool send_check(struct batch__postgres_session *session)
{
    const struct batch__postgres_store *store = session->store;
    const char *values[5] = {store->schema, store->table, store->key_column, store->version_column,
                             store->state_column};
    return PQsendQueryParams(session->conn, batch__postgres_check_sql, 5, NULL, values, NULL, NULL,
                             0) != 0;
}

bool batch__postgres_step_send(struct batch__postgres_session *session)
{
    if (session->step == BATCH__POSTGRES_SET) {
        char sql[2048];
        batch__postgres_settings_sql(session, sql, sizeof sql);
        return PQsendQuery(session->conn, sql) != 0;
    }
    if (session->step == BATCH__POSTGRES_CHECK)
        return send_check(session);
    bool is_prepare = session->step == BATCH__POSTGRES_PREPARE;
    char *sql = is_prepare ? batch__postgres_statement_sql(session, BATCH__POSTGRES_SAVE)
                           : batch__postgres_create_sql(session);
    if (sql == NULL) {
        snprintf(session->error_text, sizeof session->error_text,
                 "a name is not valid UTF-8, or there is no memory for SQL");
        return false;
    }
    const char *name = batch__postgres_statement_name(BATCH__POSTGRES_SAVE);
    int is_sent = is_prepare ? PQsendPrepare(session->conn, name, sql, 0, NULL)
                             : PQsendQuery(session->conn, sql);
    free(sql);
    return is_sent != 0;
}

/* ---- Refusing ------------------------------------------------------------------------------- */

/* Say what is wrong with the table, and what to do. */
static bool refuse(struct batch__postgres_session *session, const char *what)
{
    session->error_code = 0;
    snprintf(session->error_text, sizeof session->error_text, "table \"%.40s\": %.140s",
             session->store->table, what);
    return false;
}

static bool refuse_column(struct batch__postgres_session *session, const char *column,
                          const char *type, const char *wanted)
{
    char text[BATCH__POSTGRES_TEXT_SIZE];
    snprintf(text, sizeof text, "column \"%.40s\" is %.24s, but must be %.48s", column,
             type[0] != '\0' ? type : "missing", wanted);
    return refuse(session, text);
}

/* ---- The settings --------------------------------------------------------------------------- */

static bool end_set(struct batch__postgres_session *session, const PGresult *result)
{
    static const char *const commits[] = {"on", "remote_apply", "off"};
    batch_postgres_durability durability = session->store->durability;
    session->error_code = 0;
    if (strcmp(PQgetvalue(result, 0, 0), commits[durability]) != 0) {
        snprintf(session->error_text, sizeof session->error_text,
                 "the setting of synchronous_commit did not take");
        return false;
    }
    if (durability != BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS &&
        strcmp(PQgetvalue(result, 0, 1), "on") != 0) {
        snprintf(session->error_text, sizeof session->error_text,
                 "the server runs with fsync off, so a crash may lose everything: switch it on, or "
                 "ask for BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS");
        return false;
    }
    session->shape.is_utf8 = strcmp(PQgetvalue(result, 0, 2), "SQL_ASCII") != 0;
    session->step = BATCH__POSTGRES_CHECK;
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

static bool check_columns(struct batch__postgres_session *session, const PGresult *result)
{
    const struct batch__postgres_store *store = session->store;
    struct batch__postgres_shape *shape = &session->shape;
    long oids[3];
    const char *types[3];
    for (int i = 0; i < 3; i++) {
        oids[i] = strtol(PQgetvalue(result, 0, CHECK_OIDS + i), NULL, 10);
        types[i] = PQgetvalue(result, 0, CHECK_TYPES + i);
    }
    shape->key_type = type_of(oids[0]);
    if (shape->key_type == BATCH_POSTGRES_JSONB || !is_wanted(shape->key_type, store->key_type))
        return refuse_column(session, store->key_column, types[0],
                             store->key_type == BATCH_POSTGRES_BYTEA  ? "bytea, as key_type says"
                             : store->key_type == BATCH_POSTGRES_TEXT ? "text, as key_type says"
                                                                      : "bytea, text or varchar");
    shape->version_size = oids[1] == OID_INT8   ? 8
                          : oids[1] == OID_INT4 ? 4
                          : oids[1] == OID_INT2 ? 2
                                                : 0;
    if (shape->version_size == 0)
        return refuse_column(session, store->version_column, types[1],
                             "bigint, integer or smallint");
    shape->state_type = type_of(oids[2]);
    if (!is_wanted(shape->state_type, store->state_type))
        return refuse_column(session, store->state_column, types[2],
                             store->state_type == BATCH_POSTGRES_AUTO
                                 ? "bytea, text, varchar or jsonb"
                                 : "of the type that state_type says");
    return true;
}

static bool is_true(const PGresult *result, int column)
{
    return PQgetvalue(result, 0, column)[0] == 't';
}

/* Keep the schema in which the table was found first. Sessions opened later are given it. */
static bool keep_schema(struct batch__postgres_session *session, const char *schema)
{
    if (session->store->schema != NULL)
        return true;
    session->store->schema = strdup(schema);
    return session->store->schema != NULL || refuse(session, "no memory for its schema");
}

static bool end_check(struct batch__postgres_session *session, const PGresult *result)
{
    if (PQntuples(result) == 0) {
        if (!session->may_create)
            return refuse(session, "it is not there any more");
        session->step = BATCH__POSTGRES_CREATE;
        return true;
    }
    char kind = PQgetvalue(result, 0, CHECK_KIND)[0];
    char persistence = PQgetvalue(result, 0, CHECK_PERSISTENCE)[0];
    if (kind != 'r' && kind != 'p')
        return refuse(session, "it is not a table (a view, or a foreign table): use a table");
    if (persistence == 't')
        return refuse(session, "it is temporary, so no other connection sees it: make an ordinary "
                               "table, or say which schema");
    if (persistence == 'u' && session->store->durability != BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS)
        return refuse(session, "it is unlogged, so a crash empties it: ALTER TABLE ... SET LOGGED, "
                               "or ask for BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS");
    if (!check_columns(session, result))
        return false;
    if (!is_true(result, CHECK_UNIQUE) || !is_true(result, CHECK_NOT_NULL))
        return refuse(session, "the key column must be the primary key, or NOT NULL with a unique "
                               "index of its own (not partial, not deferrable)");
    if (is_true(result, CHECK_LOOSE_COLLATION))
        return refuse(session, "the collation of the key column takes different keys for equal: "
                               "use a deterministic one, like \"C\"");
    session->shape.has_long_keys =
        session->shape.key_type == BATCH_POSTGRES_BYTEA && is_true(result, CHECK_LONG_KEYS);
    session->step = BATCH__POSTGRES_PREPARE;
    return keep_schema(session, PQgetvalue(result, 0, CHECK_SCHEMA));
}

/* ---- The end of a step ---------------------------------------------------------------------- */

/* Another process makes it at the same time; or has just been faster. */
static bool is_being_made(int code)
{
    return code == batch__postgres_code("55P03") || code == batch__postgres_code("23505") ||
           code == batch__postgres_code("42P07");
}

bool batch__postgres_step_end(struct batch__postgres_session *session, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    struct batch__postgres_trouble trouble = {0};
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        batch__postgres_describe(result, &trouble);
    if (session->step == BATCH__POSTGRES_CREATE &&
        (status == PGRES_COMMAND_OK || is_being_made(trouble.code))) {
        session->step = BATCH__POSTGRES_CHECK;
        return true;
    }
    if (status == PGRES_TUPLES_OK && session->step == BATCH__POSTGRES_SET)
        return end_set(session, result);
    if (status == PGRES_TUPLES_OK && session->step == BATCH__POSTGRES_CHECK)
        return end_check(session, result);
    bool is_prepared = status == PGRES_COMMAND_OK;
    if (session->step == BATCH__POSTGRES_PREPARE &&
        (is_prepared || trouble.code == batch__postgres_code("55P03"))) {
        session->is_prepared[BATCH__POSTGRES_SAVE] = is_prepared;
        session->step = BATCH__POSTGRES_STEPS;
        return true;
    }
    refuse(session, trouble.text);
    session->error_code = trouble.code;
    return false;
}
