/* table.c: the table, one row for each key, and the SQL that reads and writes it.
 *
 * It is an ordinary table and not WITHOUT ROWID, because it must do for states of any size. With
 * 200,000 rows, WITHOUT ROWID updates states of 16 bytes in 1.8 us a row instead of 2.8, but those
 * of 1,000 bytes in 21 us instead of 3.5, as rows are then part of a tree that wants short ones.
 *
 * A table that is there already may have more columns, as long as each has a default. Its key must
 * be unique, and columns must have the affinity that keeps what is stored as it was written. Names
 * may hold any characters: they appear in SQL only as quoted by %w.
 *
 * Keys are stored as BLOBs, which SQLite compares byte by byte, whatever collation the column has.
 * A key that another program has stored as TEXT is never equal to one; as those sort before BLOBs,
 * one look-up in the index shows whether there are any.
 *
 * A constraint with ON CONFLICT REPLACE would delete other rows to make room for ours. "OR ABORT"
 * overrides it; but that holds for the statements of triggers too, which may rely on their own. So
 * it is used only without triggers, and a table that has both is refused.
 */
#include "table.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

/* By SQLite's last error. */
static void note_last(const struct batch__sqlite_table *table, sqlite3 *db,
                      struct batch__sqlite_problem *ret_problem)
{
    char what[80];
    snprintf(what, sizeof what, "table \"%.64s\"", table->name);
    batch__sqlite_problem_set_last(ret_problem, db, what);
}

static void note_no_memory(struct batch__sqlite_problem *ret_problem)
{
    batch__sqlite_problem_set(ret_problem, SQLITE_NOMEM, "no memory for SQL");
}

int batch__sqlite_table_create(const struct batch__sqlite_table *table, sqlite3 *db,
                               batch_result *reterr)
{
    batch__check(table->name[0] != '\0');
    char *sql =
        sqlite3_mprintf("CREATE TABLE IF NOT EXISTS main.\"%w\" (\"%w\" BLOB NOT NULL "
                        "PRIMARY KEY, \"%w\" INTEGER NOT NULL, \"%w\" BLOB NOT NULL)",
                        table->name, table->key_column, table->version_column, table->state_column);
    if (sql == NULL)
        return batch__sqlite_fail_no_memory(reterr, "no memory for SQL");
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    if (code == SQLITE_OK)
        return BATCH_OK;
    struct batch__sqlite_problem problem;
    note_last(table, db, &problem);
    return batch__sqlite_fail_by(&problem, reterr);
}

/* ---- Columns -------------------------------------------------------------------------------- */

/* SQLite's rules for the affinity of a declared type, as far as they matter here. */
static bool is_integer_type(const char *type)
{
    return type != NULL && sqlite3_strlike("%int%", type, 0) == 0;
}

static bool is_blob_type(const char *type)
{
    return type == NULL || type[0] == '\0' ||
           (sqlite3_strlike("%blob%", type, 0) == 0 && !is_integer_type(type));
}

static bool check_column(const struct batch__sqlite_table *table, sqlite3 *db, const char *column,
                         bool is_integer, struct batch__sqlite_problem *ret_problem)
{
    const char *type = NULL;
    int code = sqlite3_table_column_metadata(db, "main", table->name, column, &type, NULL, NULL,
                                             NULL, NULL);
    if (code != SQLITE_OK) {
        note_last(table, db, ret_problem);
        return false;
    }
    if (is_integer ? is_integer_type(type) : is_blob_type(type))
        return true;
    char text[BATCH__SQLITE_TEXT_SIZE];
    snprintf(text, sizeof text, "table \"%.64s\": column \"%.48s\" is %.32s, but must be %s",
             table->name, column, type != NULL ? type : "untyped", is_integer ? "INTEGER" : "BLOB");
    batch__sqlite_problem_set(ret_problem, SQLITE_MISMATCH, text);
    return false;
}

/* ---- Statements ----------------------------------------------------------------------------- */

/* Frees the SQL. */
static bool prepare(const struct batch__sqlite_table *table, sqlite3 *db, char *sql,
                    sqlite3_stmt **ret_statement, struct batch__sqlite_problem *ret_problem)
{
    if (sql == NULL) {
        note_no_memory(ret_problem);
        return false;
    }
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
    sqlite3_free(sql);
    batch__check((code == SQLITE_OK) == (*ret_statement != NULL));
    if (code != SQLITE_OK)
        note_last(table, db, ret_problem);
    return code == SQLITE_OK;
}

static char *select_sql(const struct batch__sqlite_table *table)
{
    return sqlite3_mprintf("SELECT \"%w\", \"%w\" FROM main.\"%w\" WHERE \"%w\" = ?1",
                           table->version_column, table->state_column, table->name,
                           table->key_column);
}

/* Naming the column in ON CONFLICT makes SQLite insist that it is unique. */
static char *insert_sql(const struct batch__sqlite_table *table, const char *or_abort)
{
    return sqlite3_mprintf("INSERT %s INTO main.\"%w\" (\"%w\", \"%w\", \"%w\") "
                           "VALUES (?1, ?2, ?3) ON CONFLICT (\"%w\") DO NOTHING",
                           or_abort, table->name, table->key_column, table->version_column,
                           table->state_column, table->key_column);
}

static char *update_sql(const struct batch__sqlite_table *table, const char *or_abort)
{
    return sqlite3_mprintf("UPDATE %s main.\"%w\" SET \"%w\" = ?2, \"%w\" = ?3 "
                           "WHERE \"%w\" = ?1 AND \"%w\" = ?4",
                           or_abort, table->name, table->version_column, table->state_column,
                           table->key_column, table->version_column);
}

static char *strange_sql(const struct batch__sqlite_table *table)
{
    return sqlite3_mprintf("SELECT 1 FROM main.\"%w\" WHERE \"%w\" < x'' LIMIT 1", table->name,
                           table->key_column);
}

static char *stranger_sql(const struct batch__sqlite_table *table)
{
    return sqlite3_mprintf("SELECT 1 FROM main.\"%w\" WHERE \"%w\" IN (?1, ?1 || char(0)) OR "
                           "(\"%w\" = CAST(?1 AS NUMERIC) AND CAST(\"%w\" AS TEXT) = ?1)",
                           table->name, table->key_column, table->key_column, table->key_column);
}

/* The first SELECT also makes SQLite read the schema again, if that has changed. */
static bool prepare_to_read(const struct batch__sqlite_table *table, sqlite3 *db,
                            struct batch__sqlite_found *found)
{
    sqlite3_stmt **statements = found->statements;
    if (!prepare(table, db, select_sql(table), &statements[BATCH__SQLITE_SELECT], &found->unfit))
        return false;
    sqlite3_step(statements[BATCH__SQLITE_SELECT]); /* for NULL, which no key is */
    if (sqlite3_reset(statements[BATCH__SQLITE_SELECT]) != SQLITE_OK) {
        note_last(table, db, &found->unfit);
        return false;
    }
    return check_column(table, db, table->key_column, false, &found->unfit) &&
           check_column(table, db, table->version_column, true, &found->unfit) &&
           check_column(table, db, table->state_column, false, &found->unfit) &&
           prepare(table, db, strange_sql(table), &statements[BATCH__SQLITE_STRANGE],
                   &found->unfit) &&
           prepare(table, db, stranger_sql(table), &statements[BATCH__SQLITE_STRANGER],
                   &found->unfit);
}

/* ---- What writing sets off ------------------------------------------------------------------ */

static const char side_effects_sql[] =
    "SELECT (SELECT count(*) FROM main.sqlite_master"
    "        WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE),"
    "       (SELECT count(*) FROM main.sqlite_master AS m, pragma_foreign_key_list(m.name) AS f"
    "        WHERE m.type = 'table' AND f.\"table\" = ?1 COLLATE NOCASE"
    "          AND f.on_update NOT IN ('NO ACTION', 'RESTRICT')),"
    "       (SELECT count(*) FROM main.sqlite_master"
    "        WHERE type = 'table' AND name = ?1 COLLATE NOCASE"
    "          AND sql LIKE '%conflict%replace%')";

static bool find_side_effects(const struct batch__sqlite_table *table, sqlite3 *db,
                              bool *ret_has_triggers, struct batch__sqlite_found *found)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, side_effects_sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 1, table->name, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    bool replaces = code == SQLITE_ROW && sqlite3_column_int64(statement, 2) > 0;
    *ret_has_triggers = code == SQLITE_ROW && sqlite3_column_int64(statement, 0) > 0;
    found->may_alter =
        *ret_has_triggers || (code == SQLITE_ROW && sqlite3_column_int64(statement, 1) > 0);
    if (code != SQLITE_ROW)
        note_last(table, db, &found->unfit);
    sqlite3_finalize(statement);
    if (code == SQLITE_ROW && replaces && *ret_has_triggers)
        batch__sqlite_problem_set(&found->unfit, SQLITE_CONSTRAINT,
                                  "the table has triggers, and a constraint with ON CONFLICT "
                                  "REPLACE, which deletes other rows");
    return found->unfit.code == SQLITE_OK;
}

void batch__sqlite_table_look(const struct batch__sqlite_table *table, sqlite3 *db,
                              struct batch__sqlite_found *found)
{
    bool has_triggers = false;
    batch__check(!sqlite3_get_autocommit(db));
    batch__sqlite_table_forget(found);
    if (!prepare_to_read(table, db, found) || !find_side_effects(table, db, &has_triggers, found))
        return;
    const char *or_abort = has_triggers ? "" : "OR ABORT";
    bool can_insert = prepare(table, db, insert_sql(table, or_abort),
                              &found->statements[BATCH__SQLITE_INSERT], &found->insert);
    bool can_update = prepare(table, db, update_sql(table, or_abort),
                              &found->statements[BATCH__SQLITE_UPDATE], &found->update);
    found->is_known = can_insert && can_update;
}

void batch__sqlite_table_forget(struct batch__sqlite_found *found)
{
    for (int i = 0; i < BATCH__SQLITE_TABLE_STATEMENTS; i++)
        sqlite3_finalize(found->statements[i]);
    *found = (struct batch__sqlite_found){.is_known = false};
}
