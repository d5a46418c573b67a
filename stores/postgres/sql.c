#include "sql.h"

#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Settings ------------------------------------------------------------------------------- */

void batch__postgres_settings_sql(const PGconn *conn, batch_postgres_durability durability,
                                  char *ret_sql, size_t sql_size)
{
    static const char *const commits[] = {"on", "remote_apply", "off"};
    static const struct {
        int version; /* of the server that knows it */
        const char *name;
        const char *value;
    } settings[] = {
        {0, "lock_timeout", "50ms"},
        {0, "statement_timeout", "0"},
        {90600, "idle_in_transaction_session_timeout", "0"},
        {140000, "idle_session_timeout", "0"},
        {140000, "client_connection_check_interval", "1s"},
        {0, "work_mem", "64MB"},
        {0, "enable_seqscan", "off"},
        {0, "enable_bitmapscan", "off"},
        {0, "enable_hashjoin", "off"},
        {0, "enable_mergejoin", "off"},
        {0, "enable_material", "off"},
        {140000, "enable_memoize", "off"},
        {120000, "plan_cache_mode", "force_generic_plan"},
        {110000, "jit", "off"},
    };
    batch__check((size_t)durability < sizeof commits / sizeof commits[0]);
    int version = PQserverVersion(conn);
    size_t size = (size_t)snprintf(
        ret_sql, sql_size,
        "SELECT pg_catalog.set_config('synchronous_commit', '%s', false), "
        "pg_catalog.current_setting('fsync'), pg_catalog.current_setting('server_encoding')",
        commits[durability]);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0] && size < sql_size; i++) {
        if (version >= settings[i].version)
            size += (size_t)snprintf(ret_sql + size, sql_size - size,
                                     ", pg_catalog.set_config('%s', '%s', false)", settings[i].name,
                                     settings[i].value);
    }
    batch__check(size < sql_size);
}

/* ---- The table ------------------------------------------------------------------------------ */

const char *const batch__postgres_check_sql =
    "SELECT n.nspname, c.relkind, c.relpersistence, "
    "k.atttypid, v.atttypid, s.atttypid, "
    "pg_catalog.format_type(k.atttypid, k.atttypmod), "
    "pg_catalog.format_type(v.atttypid, v.atttypmod), "
    "pg_catalog.format_type(s.atttypid, s.atttypmod), "
    "EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique "
    "AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL "
    "AND i.indnkeyatts = 1 AND i.indkey[0] = k.attnum), "
    "EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid = c.oid "
    "AND o.contype = 'c' AND o.conname = 'batch_long_keys'), "
    "EXISTS (SELECT FROM pg_catalog.pg_collation l WHERE l.oid = k.attcollation "
    "AND NOT l.collisdeterministic), k.attnotnull "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_catalog.pg_attribute k ON k.attrelid = c.oid AND k.attname = $3::name "
    "AND k.attnum > 0 AND NOT k.attisdropped "
    "LEFT JOIN pg_catalog.pg_attribute v ON v.attrelid = c.oid AND v.attname = $4::name "
    "AND v.attnum > 0 AND NOT v.attisdropped "
    "LEFT JOIN pg_catalog.pg_attribute s ON s.attrelid = c.oid AND s.attname = $5::name "
    "AND s.attnum > 0 AND NOT s.attisdropped "
    "WHERE c.relname = $2::name AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
    "AND CASE WHEN $1::name IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) "
    "ELSE n.nspname = $1::name END";

static const char create_sql[] =
    "CREATE TABLE IF NOT EXISTS @t (@k @K NOT NULL PRIMARY KEY, @v bigint NOT NULL, "
    "@s @S NOT NULL)";

/* As much as an index takes, with room to spare: see item.h. */
static const char create_long_keys_sql[] =
    "CREATE TABLE IF NOT EXISTS @t (@k bytea NOT NULL PRIMARY KEY, @v bigint NOT NULL, "
    "@s @S NOT NULL, CONSTRAINT batch_long_keys CHECK (pg_catalog.octet_length(@k) <= 2001))";

const char *batch__postgres_statement_name(enum batch__postgres_statement statement)
{
    static const char *const names[BATCH__POSTGRES_STATEMENTS] = {
        "batch_load", "batch_look", "batch_save", "batch_save_unlocked"};
    batch__check((size_t)statement < BATCH__POSTGRES_STATEMENTS);
    return names[statement];
}

#define EQUALS    "OPERATOR(pg_catalog.=)"
#define IS_ONE_OF "OPERATOR(pg_catalog.=) ANY "

static const char *const statements_sql[BATCH__POSTGRES_STATEMENTS] = {
    "SELECT i.ord, t.@v::int8, t.@s "
    "FROM pg_catalog.unnest($1::@K[]) WITH ORDINALITY AS i(key, ord) "
    "JOIN @t AS t ON t.@k " IS_ONE_OF "(ARRAY[i.key])",

    "SELECT i.ord, t.@v::int8 "
    "FROM pg_catalog.unnest($1::@K[]) WITH ORDINALITY AS i(key, ord) "
    "JOIN @t AS t ON t.@k " IS_ONE_OF "(ARRAY[i.key])",

    "WITH u AS ("
    "UPDATE @t AS t SET @v = i.new::@V, @s = i.state "
    "FROM ROWS FROM (pg_catalog.unnest($1::@K[]), pg_catalog.unnest($2::int8[]), "
    "pg_catalog.unnest($3::int8[]), pg_catalog.unnest($4::@S[])) "
    "WITH ORDINALITY AS i(key, old, new, state, ord) "
    "WHERE t.@k " IS_ONE_OF "(ARRAY[i.key]) AND t.@v " EQUALS " i.old RETURNING i.ord), "
    "n AS ("
    "INSERT INTO @t (@k, @v, @s) SELECT i.key, i.new::@V, i.state "
    "FROM ROWS FROM (pg_catalog.unnest($5::@K[]), pg_catalog.unnest($6::int8[]), "
    "pg_catalog.unnest($7::@S[])) AS i(key, new, state) "
    "ON CONFLICT (@k) DO NOTHING RETURNING @k AS key) "
    "SELECT (SELECT pg_catalog.array_agg(u.ord) FROM u), "
    "(SELECT pg_catalog.array_agg(n.key) FROM n)",

    "WITH l AS MATERIALIZED ("
    "SELECT i.key, i.old, i.new, i.state, i.ord "
    "FROM ROWS FROM (pg_catalog.unnest($1::@K[]), pg_catalog.unnest($2::int8[]), "
    "pg_catalog.unnest($3::int8[]), pg_catalog.unnest($4::@S[])) "
    "WITH ORDINALITY AS i(key, old, new, state, ord) "
    "JOIN @t AS t ON t.@k " IS_ONE_OF "(ARRAY[i.key]) "
    "WHERE (SELECT pg_catalog.set_config('lock_timeout', '10ms', true)) IS NOT NULL "
    "FOR NO KEY UPDATE OF t SKIP LOCKED), "
    "u AS ("
    "UPDATE @t AS t SET @v = l.new::@V, @s = l.state FROM l "
    "WHERE t.@k " IS_ONE_OF "(ARRAY[l.key]) AND t.@v " EQUALS " l.old RETURNING l.ord), "
    "n AS ("
    "INSERT INTO @t (@k, @v, @s) SELECT i.key, i.new::@V, i.state "
    "FROM ROWS FROM (pg_catalog.unnest($5::@K[]), pg_catalog.unnest($6::int8[]), "
    "pg_catalog.unnest($7::@S[])) AS i(key, new, state) "
    "WHERE (SELECT pg_catalog.set_config('lock_timeout', '10ms', true)) IS NOT NULL "
    "ON CONFLICT (@k) DO NOTHING RETURNING @k AS key) "
    "SELECT (SELECT pg_catalog.array_agg(u.ord) FROM u), "
    "(SELECT pg_catalog.array_agg(n.key) FROM n), "
    "(SELECT pg_catalog.array_agg(l.ord) FROM l)",
};

/* ---- Filling in ----------------------------------------------------------------------------- */

static const char *type_name(batch_postgres_type type)
{
    switch (type) {
    case BATCH_POSTGRES_TEXT:
        return "text";
    case BATCH_POSTGRES_JSONB:
        return "jsonb";
    case BATCH_POSTGRES_AUTO:
    case BATCH_POSTGRES_BYTEA:
        break;
    }
    return "bytea";
}

static const char *version_type_name(int size)
{
    return size == 2 ? "int2" : size == 4 ? "int4" : "int8";
}

struct names {
    char *schema; /* quoted by libpq; NULL: none */
    char *table;
    char *key;
    char *version;
    char *state;
    const char *types[3]; /* of key, version, state */
};

static char *quoted(PGconn *conn, const char *name)
{
    return name != NULL ? PQescapeIdentifier(conn, name, strlen(name)) : NULL;
}

/* Append what a letter behind @ stands for, or just count it. */
static size_t fill(const struct names *names, char letter, char *to)
{
    const char *parts[3] = {"", "", ""};
    switch (letter) {
    case 't':
        parts[0] = names->schema != NULL ? names->schema : "";
        parts[1] = names->schema != NULL ? "." : "";
        parts[2] = names->table;
        break;
    case 'k':
        parts[0] = names->key;
        break;
    case 'v':
        parts[0] = names->version;
        break;
    case 's':
        parts[0] = names->state;
        break;
    case 'K':
        parts[0] = names->types[0];
        break;
    case 'V':
        parts[0] = names->types[1];
        break;
    default:
        batch__check(letter == 'S');
        parts[0] = names->types[2];
        break;
    }
    size_t size = 0;
    for (int i = 0; i < 3; i++) {
        batch__check(parts[i] != NULL);
        size_t part_size = strlen(parts[i]);
        if (to != NULL)
            memcpy(to + size, parts[i], part_size);
        size += part_size;
    }
    return size;
}

static size_t expand(const struct names *names, const char *sql, char *to)
{
    size_t size = 0;
    for (; *sql != '\0'; sql++) {
        if (*sql == '@') {
            sql++;
            size += fill(names, *sql, to != NULL ? to + size : NULL);
            continue;
        }
        if (to != NULL)
            to[size] = *sql;
        size++;
    }
    if (to != NULL)
        to[size] = '\0';
    return size;
}

static char *sql_for(PGconn *conn, const struct batch__postgres_spec *spec, const char *sql,
                     const struct batch__postgres_shape *shape)
{
    struct names names = {
        quoted(conn, spec->schema),
        quoted(conn, spec->table),
        quoted(conn, spec->key_column),
        quoted(conn, spec->version_column),
        quoted(conn, spec->state_column),
        {type_name(shape->key_type), version_type_name(shape->version_size),
         type_name(shape->state_type)},
    };
    char *made = NULL;
    bool has_schema = spec->schema == NULL || names.schema != NULL;
    if (has_schema && names.table != NULL && names.key != NULL && names.version != NULL &&
        names.state != NULL)
        made = malloc(expand(&names, sql, NULL) + 1);
    if (made != NULL)
        expand(&names, sql, made);
    PQfreemem(names.schema);
    PQfreemem(names.table);
    PQfreemem(names.key);
    PQfreemem(names.version);
    PQfreemem(names.state);
    return made;
}

char *batch__postgres_create_sql(PGconn *conn, const struct batch__postgres_spec *spec)
{
    struct batch__postgres_shape shape = {spec->key_type, spec->state_type, 8, false, false};
    bool is_text = spec->key_type == BATCH_POSTGRES_TEXT;
    return sql_for(conn, spec, is_text ? create_sql : create_long_keys_sql, &shape);
}

char *batch__postgres_statement_sql(PGconn *conn, const struct batch__postgres_spec *spec,
                                    const struct batch__postgres_shape *shape,
                                    enum batch__postgres_statement statement)
{
    batch__check((size_t)statement < BATCH__POSTGRES_STATEMENTS);
    batch__check(shape->version_size > 0);
    return sql_for(conn, spec, statements_sql[statement], shape);
}
