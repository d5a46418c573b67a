#include "sql.h"

#include "../check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The table ------------------------------------------------------------------------------ */

#define EQUALS    "OPERATOR(pg_catalog.=)"
#define IS_ONE_OF "OPERATOR(pg_catalog.=) ANY "

/* Changes whenever a table is changed, or a partition of it. `c` is its row of pg_class. */
#define STAMP "c.xmin::pg_catalog.text"
#define STAMP_ALL_BEGIN                                                                            \
    "(SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat(c.oid, ':', c.xmin, ':', "     \
    "pg_catalog.pg_relation_filenode(c.oid)), ',' ORDER BY c.oid)) "                               \
    "FROM pg_catalog.pg_partition_tree("
#define STAMP_ALL_END                                                                              \
    ") AS p "                                                                                      \
    "JOIN pg_catalog.pg_class AS c ON c.oid " IS_ONE_OF "(ARRAY[p.relid::pg_catalog.oid]))"

#define JOIN_COLUMN(alias, parameter)                                                              \
    "LEFT JOIN pg_catalog.pg_attribute AS " alias " ON " alias ".attrelid " EQUALS " c.oid "       \
    "AND " alias ".attname " EQUALS " " parameter "::pg_catalog.name "                             \
    "AND " alias ".attnum OPERATOR(pg_catalog.>) 0 AND NOT " alias ".attisdropped "

#define JOIN_COLUMNS JOIN_COLUMN("k", "$3") JOIN_COLUMN("v", "$4") JOIN_COLUMN("s", "$5")

const char *const batch__postgres_check_sql =
    "SELECT n.nspname, c.relkind, c.relpersistence, "
    "k.atttypid, v.atttypid, s.atttypid, "
    "pg_catalog.format_type(k.atttypid, k.atttypmod), "
    "pg_catalog.format_type(v.atttypid, v.atttypmod), "
    "pg_catalog.format_type(s.atttypid, s.atttypmod), "
    "(SELECT pg_catalog.min(i.indexrelid) FROM pg_catalog.pg_index AS i "
    "WHERE i.indrelid " EQUALS " c.oid "
    "AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL "
    "AND i.indexprs IS NULL AND i.indnkeyatts " EQUALS " 1 AND i.indkey[0] " EQUALS " k.attnum), "
    "EXISTS (SELECT FROM pg_catalog.pg_constraint AS o WHERE o.conrelid " EQUALS " c.oid "
    "AND o.contype " EQUALS " 'c' AND o.conname " EQUALS " 'batch_long_keys'), "
    "EXISTS (SELECT FROM pg_catalog.pg_collation AS l WHERE l.oid " EQUALS " k.attcollation "
    "AND NOT l.collisdeterministic), k.attnotnull, "
    "EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) AS p JOIN pg_catalog.pg_class AS x "
    "ON x.oid " EQUALS " p.relid WHERE x.relpersistence OPERATOR(pg_catalog.<>) 'p'), "
    "c.relkind " EQUALS " 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits AS h "
    "WHERE h.inhparent " EQUALS " c.oid), "
    "CASE WHEN c.relkind " EQUALS " 'p' THEN " STAMP_ALL_BEGIN "c.oid" STAMP_ALL_END " ELSE " STAMP
    " END, "
    "pg_catalog.current_setting('batch.fence', true), "
    "k.atttypmod OPERATOR(pg_catalog.>=) 0 OR s.atttypmod OPERATOR(pg_catalog.>=) 0 "
    "OR c.relhastriggers OR EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) AS p "
    "JOIN pg_catalog.pg_class AS x ON x.oid " EQUALS " p.relid WHERE x.relhastriggers), "
    "pg_catalog.pg_relation_filenode(c.oid), "
    "pg_catalog.concat('{', k.attnum, ',', v.attnum, ',', s.attnum, '}'), "
    "pg_catalog.concat('{', k.xmin, ',', v.xmin, ',', s.xmin, '}'), c.relhasrules "
    "FROM pg_catalog.pg_class AS c "
    "JOIN pg_catalog.pg_namespace AS n ON n.oid " EQUALS " c.relnamespace " JOIN_COLUMNS
    "WHERE c.relname " EQUALS " $2::pg_catalog.name "
    "AND c.relkind " IS_ONE_OF "('{r,p,v,m,f}'::pg_catalog.\"char\"[]) "
    "AND CASE WHEN $1::pg_catalog.name IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) "
    "ELSE n.nspname " EQUALS " $1::pg_catalog.name END";

static const char create_sql[] =
    "CREATE TABLE IF NOT EXISTS @t (@k @K NOT NULL PRIMARY KEY, @v pg_catalog.int8 NOT NULL, "
    "@s @S NOT NULL)";

/* As much as an index takes, with room to spare: see item.h. */
static const char create_long_keys_sql[] =
    "CREATE TABLE IF NOT EXISTS @t (@k pg_catalog.bytea NOT NULL PRIMARY KEY, "
    "@v pg_catalog.int8 NOT NULL, @s @S NOT NULL, CONSTRAINT batch_long_keys CHECK "
    "(pg_catalog.octet_length(@k) OPERATOR(pg_catalog.<=) 2001))";

const char *batch__postgres_statement_name(enum batch__postgres_statement statement)
{
    static const char *const names[BATCH__POSTGRES_STATEMENTS] = {"batch_load",
                                                                  "batch_recheck",
                                                                  "batch_save",
                                                                  "batch_save_one",
                                                                  "batch_save_skip_locked",
                                                                  "batch_save_all",
                                                                  "batch_save_units",
                                                                  "batch_save_units_skip_locked",
                                                                  "batch_lock_units"};
    batch__check((size_t)statement < BATCH__POSTGRES_STATEMENTS);
    return names[statement];
}

/* An error that names itself, where a condition would only leave rows out. */
#define RAISE(name) "pg_catalog.current_setting('" name "') IS NULL"

/* Before anything is done: is this our session, and is the table what it was? It is evaluated once
 * for a statement. */
#define GUARD                                                                                      \
    "CASE WHEN pg_catalog.current_setting('batch.fence', true) " EQUALS " '@f' THEN "              \
    "CASE WHEN @x THEN true ELSE " RAISE(BATCH__POSTGRES_RAISE_CHANGED) " END ELSE " RAISE(        \
        BATCH__POSTGRES_RAISE_POOLING) " END"

/* What @x stands for: with the columns' own rows of the catalog only where their types could alter
 * what is stored, or take two keys for one. The files are asked for as they are now, not as the
 * snapshot has them: in one that is older than a rewrite, the table is empty. */
static const char is_as_checked[] =
    "EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid " EQUALS " @r::pg_catalog.regclass "
    "AND c.xmin " EQUALS " '@n'::pg_catalog.xid AND pg_catalog.pg_relation_filenode(c.oid) " EQUALS
    " '@o'::pg_catalog.oid AND pg_catalog.pg_relation_filenode('@d'::pg_catalog.oid) IS NOT NULL)";
static const char is_as_checked_all[] =
    STAMP_ALL_BEGIN "@r::pg_catalog.regclass" STAMP_ALL_END " " EQUALS " '@n' "
                    "AND EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indexrelid " EQUALS
                    " '@d'::pg_catalog.oid)";
static const char has_columns_as_checked[] =
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid " EQUALS
    " @r::pg_catalog.regclass AND a.attnum " IS_ONE_OF "('@a'::pg_catalog.int2[]) "
    "AND a.xmin OPERATOR(pg_catalog.<>) ALL ('@g'::pg_catalog.xid[]))";

/* Not so, but it makes a condition wait until all is written. */
#define NEVER "pg_catalog.num_nulls(r.updated, r.inserted) OPERATOR(pg_catalog.<) 0 "

/* When all is written: will the commit be durable? */
#define GUARD_END                                                                                  \
    "CASE WHEN " NEVER "OR '@c' " EQUALS " 'off' THEN true "                                       \
    "WHEN pg_catalog.current_setting('fsync') OPERATOR(pg_catalog.<>) 'on' "                       \
    "THEN " RAISE(                                                                                 \
        BATCH__POSTGRES_RAISE_FSYNC) " "                                                           \
                                     "WHEN "                                                       \
                                     "pg_catalog.current_setting('synchronous_commit') " EQUALS    \
                                     " '@c' "                                                      \
                                     "AND "                                                        \
                                     "pg_catalog.current_setting('client_min_messages') " EQUALS   \
                                     " 'warning' THEN true "                                       \
                                     "ELSE " RAISE(BATCH__POSTGRES_RAISE_SETTING) " END"

/* Where a trigger or the type of a column may alter what is written (spec.h): has the row `t` been
 * written as `i` says? RETURNING sees it after BEFORE triggers and casts to the types of the
 * columns, but before AFTER triggers. */
#define PLACE(i) i ".ord"
#define PLACE_IF_AS_SENT(i)                                                                        \
    "CASE WHEN t.@k@C " EQUALS " " i ".key AND t.@v " EQUALS " " i ".new AND t.@s@Z " EQUALS " " i \
    ".state THEN " i ".ord ELSE pg_catalog.current_setting('" BATCH__POSTGRES_RAISE_ALTERED        \
    "')::pg_catalog.int8 END AS ord"

/* The same for rows inserted, which RETURNING cannot compare with their source: each must be one of
 * those that were sent. */
#define INSERTED     "@k AS key"
#define INSERTED_ROW INSERTED ", @v AS new, @s AS state"
#define INSERTED_ROWS_ARE_OF                                                                       \
    "NOT EXISTS (SELECT n.key::@K@C, n.new::pg_catalog.int8, n.state::@S@Z FROM n EXCEPT ALL "
#define NO_GUARD
#define GUARD_IF_AS_SENT                                                                           \
    "CASE WHEN " NEVER "THEN false "                                                               \
    "WHEN " INSERTED_ROWS_ARE_OF "SELECT i.key, i.new, i.state FROM " NEW_ROWS ") "                \
    "THEN true ELSE " RAISE(BATCH__POSTGRES_RAISE_ALTERED) " END AND "

#define OLD_ROWS                                                                                   \
    "ROWS FROM (pg_catalog.unnest($1::@K[]), pg_catalog.unnest($2::pg_catalog.int8[]), "           \
    "pg_catalog.unnest($3::pg_catalog.int8[]), pg_catalog.unnest($4::@S[])) "                      \
    "WITH ORDINALITY AS i(key, old, new, state, ord) "
#define NEW_ROWS                                                                                   \
    "ROWS FROM (pg_catalog.unnest($5::@K[]), pg_catalog.unnest($6::pg_catalog.int8[]), "           \
    "pg_catalog.unnest($7::@S[])) AS i(key, new, state) "

#define SAVE(place, inserted, guard)                                                               \
    "WITH u AS ("                                                                                  \
    "UPDATE @t AS t SET @v = i.new::@V, @s = i.state FROM " OLD_ROWS "WHERE t.@k " IS_ONE_OF       \
    "(ARRAY[i.key]) AND t.@v " EQUALS " i.old "                                                    \
    "RETURNING " place(                                                                            \
        "i") "), "                                                                                 \
             "n AS ("                                                                              \
             "INSERT INTO @t (@k, @v, @s) SELECT i.key, i.new::@V, i.state FROM " NEW_ROWS         \
             "ON CONFLICT (@k) DO NOTHING RETURNING " inserted ") "                                \
             "SELECT r.updated, r.inserted "                                                       \
             "FROM (SELECT (SELECT pg_catalog.array_agg(u.ord) FROM u) AS updated, "               \
             "(SELECT pg_catalog.array_agg(n.key) FROM n) AS inserted WHERE " GUARD                \
             " OFFSET 0) AS r "                                                                    \
             "WHERE " guard GUARD_END

/* A subquery of constants: the planner puts them where they are used, so nothing is joined. */
#define ONE_ROW                                                                                    \
    "(SELECT ($1::@K[])[1], ($2::@i[])[1], ($3::@i[])[1], ($4::@S[])[1], 1::@i) "                  \
    "AS i(key, old, new, state, ord) "

#define SAVE_ONE(place)                                                                            \
    "WITH u AS ("                                                                                  \
    "UPDATE @t AS t SET @v = i.new::@V, @s = i.state FROM " ONE_ROW "WHERE t.@k " IS_ONE_OF        \
    "(ARRAY[i.key]) AND t.@v " EQUALS " i.old "                                                    \
    "RETURNING " place(                                                                            \
        "i") ") "                                                                                  \
             "SELECT r.updated, r.inserted "                                                       \
             "FROM (SELECT (SELECT pg_catalog.array_agg(u.ord) FROM u) AS updated, "               \
             "NULL::@K[] AS inserted WHERE " GUARD " OFFSET 0) AS r WHERE " GUARD_END

/* Has every row been written? */
#define GUARD_ALL                                                                                  \
    "CASE WHEN " NEVER "THEN false WHEN ((SELECT pg_catalog.count(*) FROM u) "                     \
    "OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM n)) " EQUALS                          \
    " (pg_catalog.cardinality($2::pg_catalog.int8[]) OPERATOR(pg_catalog.+) "                      \
    "pg_catalog.cardinality($6::pg_catalog.int8[])) THEN true "                                    \
    "ELSE " RAISE(BATCH__POSTGRES_RAISE_TORN) " END AND "

#define LESS_TIME "(SELECT pg_catalog.set_config('lock_timeout', '10ms', true)) IS NOT NULL "

#define SAVE_SKIP_LOCKED(place, inserted, guard)                                                   \
    "WITH l AS MATERIALIZED ("                                                                     \
    "SELECT i.key, i.old, i.new, i.state, i.ord FROM " OLD_ROWS "JOIN @t AS t ON t.@k " IS_ONE_OF  \
    "(ARRAY[i.key]) WHERE " LESS_TIME "FOR NO KEY UPDATE OF t SKIP LOCKED), "                      \
    "u AS ("                                                                                       \
    "UPDATE @t AS t SET @v = l.new::@V, @s = l.state FROM l "                                      \
    "WHERE t.@k " IS_ONE_OF "(ARRAY[l.key]) AND t.@v " EQUALS " l.old "                            \
    "RETURNING " place(                                                                            \
        "l") "), "                                                                                 \
             "n AS ("                                                                              \
             "INSERT INTO @t (@k, @v, @s) SELECT i.key, i.new::@V, i.state FROM " NEW_ROWS         \
             "WHERE " LESS_TIME "ON CONFLICT (@k) DO NOTHING RETURNING " inserted ") "             \
             "SELECT r.updated, r.inserted, r.reached "                                            \
             "FROM (SELECT (SELECT pg_catalog.array_agg(u.ord) FROM u) AS updated, "               \
             "(SELECT pg_catalog.array_agg(n.key) FROM n) AS inserted, "                           \
             "(SELECT pg_catalog.array_agg(l.ord) FROM l) AS reached "                             \
             "WHERE " GUARD " OFFSET 0) AS r WHERE " guard GUARD_END

/* What is there: `new` and `state` are NULL for what is only checked. Then what is not there. (A
 * string in C may have 4,095 letters; so @i is int8 and @u is unnest.) */
#define OLD_UNIT_ROWS                                                                              \
    "ROWS FROM (@u($1::@K[]), @u($2::@i[]), @u($3::@i[]), @u($4::@S[]), @u($5::@i[]), "            \
    "@u($6::@i[])) WITH ORDINALITY AS i(key, old, new, state, unit, size, ord) "
#define NEW_UNIT_ROWS                                                                              \
    "ROWS FROM (@u($7::@K[]), @u($8::@i[]), @u($9::@S[]), @u($10::@i[]), @u($11::@i[])) "          \
    "WITH ORDINALITY AS i(key, new, state, unit, size, ord) "

/* Rows `b` that are to be written: of complete units, and of those of several rows. */
#define IS_COMPLETE "b.n " EQUALS " b.size AND b.new IS NOT NULL "
#define IS_TIED     IS_COMPLETE "AND b.size OPERATOR(pg_catalog.>) 1 "

/* Has all been written that belongs to a unit of several? First by numbers, which nearly always
 * suffices. */
#define GUARD_TORN                                                                                 \
    "CASE WHEN (SELECT pg_catalog.count(*) FROM u) OPERATOR(pg_catalog.+) "                        \
    "(SELECT pg_catalog.count(*) FROM n) " EQUALS " (SELECT pg_catalog.count(*) FROM b "           \
    "WHERE " IS_COMPLETE ") THEN true "                                                            \
    "WHEN EXISTS (SELECT b.ord FROM b WHERE " IS_TIED "AND b.old IS NOT NULL "                     \
    "EXCEPT SELECT u.ord FROM u) "                                                                 \
    "OR EXISTS (SELECT b.key FROM b WHERE " IS_TIED "AND b.old IS NULL "                           \
    "EXCEPT SELECT n.key::@K@C FROM n) THEN " RAISE(BATCH__POSTGRES_RAISE_TORN) " ELSE true END "

#define GUARD_UNITS "CASE WHEN " NEVER "THEN false ELSE " GUARD_TORN "END AND "
#define GUARD_UNITS_IF_AS_SENT                                                                     \
    "CASE WHEN " NEVER "THEN false "                                                               \
    "WHEN " INSERTED_ROWS_ARE_OF "SELECT b.key, b.new, b.state FROM b WHERE b.old IS NULL) "       \
    "THEN " GUARD_TORN "ELSE " RAISE(BATCH__POSTGRES_RAISE_ALTERED) " END AND "

#define WAIT
#define SKIP_LOCKED " SKIP LOCKED"

#define SAVE_UNITS(skip, time, place, inserted, guard)                                             \
    "WITH l AS MATERIALIZED ("                                                                     \
    "SELECT i.key, i.old, i.new, i.state, i.unit, i.size, i.ord FROM " OLD_UNIT_ROWS               \
    "JOIN @t AS t ON t.@k " IS_ONE_OF "(ARRAY[i.key]) AND t.@v " EQUALS " i.old "                  \
    "WHERE " time "FOR NO KEY UPDATE OF t" skip "), "                                              \
    "a AS MATERIALIZED ("                                                                          \
    "SELECT i.key, i.new, i.state, i.unit, i.size, i.ord FROM " NEW_UNIT_ROWS                      \
    "WHERE NOT EXISTS (SELECT FROM @t AS t WHERE t.@k " IS_ONE_OF "(ARRAY[i.key]))), "             \
    "b AS MATERIALIZED ("                                                                          \
    "SELECT c.key, c.old, c.new, c.state, c.unit, c.size, c.ord, "                                 \
    "pg_catalog.count(*) OVER (PARTITION BY c.unit) AS n FROM (SELECT l.key, l.old, l.new, "       \
    "l.state, l.unit, l.size, l.ord FROM l UNION ALL SELECT a.key, NULL, a.new, a.state, "         \
    "a.unit, a.size, a.ord FROM a) AS c), "                                                        \
    "u AS ("                                                                                       \
    "UPDATE @t AS t SET @v = b.new::@V, @s = b.state FROM b WHERE t.@k " IS_ONE_OF                 \
    "(ARRAY[b.key]) AND t.@v " EQUALS " b.old AND " IS_COMPLETE "RETURNING " place(                \
        "b") "), "                                                                                 \
             "n AS ("                                                                              \
             "INSERT INTO @t (@k, @v, @s) SELECT b.key, b.new::@V, b.state FROM b "                \
             "WHERE " time "AND b.old IS NULL AND " IS_COMPLETE                                    \
             "ORDER BY b.ord ON CONFLICT (@k) DO NOTHING RETURNING " inserted ") "                 \
             "SELECT r.updated, r.inserted, r.reached, r.complete "                                \
             "FROM (SELECT (SELECT pg_catalog.array_agg(u.ord) FROM u) AS updated, "               \
             "(SELECT pg_catalog.array_agg(n.key) FROM n) AS inserted, "                           \
             "(SELECT pg_catalog.array_agg(l.ord) FROM l) AS reached, "                            \
             "(SELECT pg_catalog.array_agg(DISTINCT b.unit) FROM b WHERE b.n " EQUALS " b.size "   \
             "AND (b.size OPERATOR(pg_catalog.>) 1 OR b.new IS NULL)) AS complete "                \
             "WHERE " GUARD " OFFSET 0) AS r WHERE " guard GUARD_END

#define NO_LESS_TIME "true "

/* A lock for all that is not there: shared by those that lock it key by key. ("libbatch") */
#define LOCK_ALL "7811887385886974824"

#define LOCK_UNITS                                                                                 \
    "SELECT (SELECT pg_catalog.count(*) FROM (SELECT CASE "                                        \
    "WHEN pg_catalog.cardinality($2::pg_catalog.int8[]) " EQUALS " 0 "                             \
    "THEN pg_catalog.pg_advisory_xact_lock(" LOCK_ALL ") "                                         \
    "ELSE pg_catalog.pg_advisory_xact_lock_shared(" LOCK_ALL ") END OFFSET 0) AS i), "             \
    "(SELECT pg_catalog.count(*) FROM (SELECT pg_catalog.pg_advisory_xact_lock(i.id) "             \
    "FROM (SELECT i.id FROM pg_catalog.unnest($2::pg_catalog.int8[]) AS i(id) "                    \
    "ORDER BY i.id OFFSET 0) AS i OFFSET 0) AS i), "                                               \
    "(SELECT pg_catalog.count(*) FROM (SELECT FROM pg_catalog.unnest($1::@K[]) AS i(key) "         \
    "JOIN @t AS t ON t.@k " IS_ONE_OF "(ARRAY[i.key]) FOR NO KEY UPDATE OF t) AS l) "              \
    "WHERE " GUARD

#define LOOK_UP(columns)                                                                           \
    "SELECT i.ord, " columns " FROM pg_catalog.unnest($1::@K[]) WITH ORDINALITY AS i(key, ord) "   \
    "JOIN @t AS t ON t.@k " IS_ONE_OF "(ARRAY[i.key]) WHERE " GUARD

/* As it is, and where what is written may be altered. */
static const char *const statements_sql[BATCH__POSTGRES_STATEMENTS][2] = {
    {LOOK_UP("t.@v::pg_catalog.int8, t.@s"), LOOK_UP("t.@v::pg_catalog.int8, t.@s")},
    {LOOK_UP("t.@v::pg_catalog.int8"), LOOK_UP("t.@v::pg_catalog.int8")},
    {SAVE(PLACE, INSERTED, NO_GUARD), SAVE(PLACE_IF_AS_SENT, INSERTED_ROW, GUARD_IF_AS_SENT)},
    {SAVE_ONE(PLACE), SAVE_ONE(PLACE_IF_AS_SENT)},
    {SAVE_SKIP_LOCKED(PLACE, INSERTED, NO_GUARD),
     SAVE_SKIP_LOCKED(PLACE_IF_AS_SENT, INSERTED_ROW, GUARD_IF_AS_SENT)},
    {SAVE(PLACE, INSERTED, GUARD_ALL),
     SAVE(PLACE_IF_AS_SENT, INSERTED_ROW, GUARD_IF_AS_SENT GUARD_ALL)},
    {SAVE_UNITS(WAIT, NO_LESS_TIME, PLACE, INSERTED, GUARD_UNITS),
     SAVE_UNITS(WAIT, NO_LESS_TIME, PLACE_IF_AS_SENT, INSERTED_ROW, GUARD_UNITS_IF_AS_SENT)},
    {SAVE_UNITS(SKIP_LOCKED, LESS_TIME, PLACE, INSERTED, GUARD_UNITS),
     SAVE_UNITS(SKIP_LOCKED, LESS_TIME, PLACE_IF_AS_SENT, INSERTED_ROW, GUARD_UNITS_IF_AS_SENT)},
    {LOCK_UNITS, LOCK_UNITS},
};

/* ---- Filling in ----------------------------------------------------------------------------- */

static const char *type_name(batch_postgres_type type)
{
    switch (type) {
    case BATCH_POSTGRES_TEXT:
        return "pg_catalog.text";
    case BATCH_POSTGRES_JSONB:
        return "pg_catalog.jsonb";
    case BATCH_POSTGRES_AUTO:
    case BATCH_POSTGRES_BYTEA:
        break;
    }
    return "pg_catalog.bytea";
}

/* To compare bytes, whatever the collation of the column. */
static const char *collation_of(batch_postgres_type type)
{
    return type == BATCH_POSTGRES_TEXT ? " COLLATE pg_catalog.\"C\"" : "";
}

static const char *version_type_name(int size)
{
    return size == 2 ? "pg_catalog.int2" : size == 4 ? "pg_catalog.int4" : "pg_catalog.int8";
}

struct names {
    char *schema; /* quoted by libpq; NULL: none */
    char *table;
    char *key;
    char *version;
    char *state;
    char *relation;       /* schema and table as one text, quoted again */
    const char *types[3]; /* of key, version, state */
    const char *commit;   /* these need no quoting */
    const char *fence;
    const struct batch__postgres_shape *shape;
};

static char *quoted(PGconn *conn, const char *name)
{
    return name != NULL ? PQescapeIdentifier(conn, name, strlen(name)) : NULL;
}

enum { PARTS = 3 };

static size_t append(const char *const parts[PARTS], char *to)
{
    size_t size = 0;
    for (int i = 0; i < PARTS; i++) {
        batch__check(parts[i] != NULL);
        size_t part_size = strlen(parts[i]);
        if (to != NULL)
            memcpy(to + size, parts[i], part_size);
        size += part_size;
    }
    return size;
}

static size_t expand(const struct names *names, const char *sql, char *to);

/* Is the table what it was? */
static size_t fill_stamp(const struct names *names, char *to)
{
    const struct batch__postgres_shape *shape = names->shape;
    size_t size = expand(names, shape->is_partitioned ? is_as_checked_all : is_as_checked, to);
    if (batch__postgres_shape_has_texts(shape))
        size += expand(names, has_columns_as_checked, to != NULL ? to + size : NULL);
    return size;
}

/* Append what a letter behind @ stands for, or just count it. */
static size_t fill(const struct names *names, char letter, char *to)
{
    const char *parts[PARTS] = {"", "", ""};
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
    case 'C':
        parts[0] = collation_of(names->shape->key_type);
        break;
    case 'Z':
        parts[0] = collation_of(names->shape->state_type);
        break;
    case 'i':
        parts[0] = "pg_catalog.int8";
        break;
    case 'u':
        parts[0] = "pg_catalog.unnest";
        break;
    case 'c':
        parts[0] = names->commit;
        break;
    case 'f':
        parts[0] = names->fence;
        break;
    case 'r':
        parts[0] = names->relation;
        break;
    case 'n':
        parts[0] = names->shape->stamp.table;
        break;
    case 'o':
        parts[0] = names->shape->stamp.file;
        break;
    case 'd':
        parts[0] = names->shape->stamp.index;
        break;
    case 'a':
        parts[0] = names->shape->stamp.columns;
        break;
    case 'g':
        parts[0] = names->shape->stamp.changes;
        break;
    case 'x':
        return fill_stamp(names, to);
    default:
        batch__check(letter == 'S');
        parts[0] = names->types[2];
        break;
    }
    return append(parts, to);
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

/* The table with its schema, as a text in SQL. */
static char *quoted_relation(PGconn *conn, const struct names *names)
{
    char *plain = malloc(expand(names, "@t", NULL) + 1);
    char *text = NULL;
    if (plain != NULL) {
        size_t size = expand(names, "@t", plain);
        text = PQescapeLiteral(conn, plain, size);
    }
    free(plain);
    return text;
}

static char *sql_for(PGconn *conn, const struct batch__postgres_spec *spec, const char *sql,
                     const struct batch__postgres_shape *shape, const char *fence)
{
    struct names names = {
        .schema = quoted(conn, spec->schema),
        .table = quoted(conn, spec->table),
        .key = quoted(conn, spec->key_column),
        .version = quoted(conn, spec->version_column),
        .state = quoted(conn, spec->state_column),
        .types = {type_name(shape->key_type), version_type_name(shape->version_size),
                  type_name(shape->state_type)},
        .commit = batch__postgres_commit_setting(spec->durability),
        .fence = fence,
        .shape = shape,
    };
    char *made = NULL;
    bool has_schema = spec->schema == NULL || names.schema != NULL;
    if (has_schema && names.table != NULL)
        names.relation = quoted_relation(conn, &names);
    if (names.relation != NULL && names.key != NULL && names.version != NULL && names.state != NULL)
        made = malloc(expand(&names, sql, NULL) + 1);
    if (made != NULL)
        expand(&names, sql, made);
    PQfreemem(names.schema);
    PQfreemem(names.table);
    PQfreemem(names.key);
    PQfreemem(names.version);
    PQfreemem(names.state);
    PQfreemem(names.relation);
    return made;
}

char *batch__postgres_create_sql(PGconn *conn, const struct batch__postgres_spec *spec)
{
    struct batch__postgres_shape shape = {
        .key_type = spec->key_type, .state_type = spec->state_type, .version_size = 8};
    bool is_text = spec->key_type == BATCH_POSTGRES_TEXT;
    return sql_for(conn, spec, is_text ? create_sql : create_long_keys_sql, &shape, "");
}

char *batch__postgres_statement_sql(PGconn *conn, const struct batch__postgres_spec *spec,
                                    const struct batch__postgres_shape *shape,
                                    const struct batch__postgres_fence *fence,
                                    enum batch__postgres_statement statement)
{
    batch__check((size_t)statement < BATCH__POSTGRES_STATEMENTS);
    batch__check(shape->version_size > 0);
    batch__check(shape->stamp.table[0] != '\0');
    return sql_for(conn, spec, statements_sql[statement][shape->may_alter], shape, fence->token);
}
