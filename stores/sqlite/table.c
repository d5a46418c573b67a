/* table.c: the table, one row for each key, and the SQL that reads and writes it.
 *
 * It is an ordinary table and not WITHOUT ROWID, because it must do for states of any size. With
 * 200,000 rows, WITHOUT ROWID updates states of 16 bytes in 1.8 us a row instead of 2.8, but those
 * of 1,000 bytes in 21 us instead of 3.5, as rows are then part of a tree that wants short ones.
 *
 * A table that is there already may have more columns, as long as each has a default. Its key must
 * be unique, and columns must have the affinity that keeps what is stored as it was written. Names
 * may hold any characters: they appear in SQL only as quoted by %w.
 */
#include "table.h"

#include "../check.h"
#include "error.h"

#include <stdio.h>
#include <string.h>

static int no_memory(batch_result *reterr)
{
    return batch__sqlite_fail_no_memory(reterr, "no memory for SQL");
}

/* By SQLite's last error. */
static int failed(const struct batch__sqlite_table *table, sqlite3 *db, batch_result *reterr)
{
    char what[80];
    snprintf(what, sizeof what, "table \"%.64s\"", table->name);
    return batch__sqlite_fail_last(db, what, reterr);
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
        return no_memory(reterr);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return code == SQLITE_OK ? BATCH_OK : failed(table, db, reterr);
}

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

static int check_column(const struct batch__sqlite_table *table, sqlite3 *db, const char *column,
                        bool is_integer, batch_result *reterr)
{
    const char *type = NULL;
    int code = sqlite3_table_column_metadata(db, "main", table->name, column, &type, NULL, NULL,
                                             NULL, NULL);
    if (code != SQLITE_OK)
        return failed(table, db, reterr);
    if (is_integer ? is_integer_type(type) : is_blob_type(type))
        return BATCH_OK;
    char text[BATCH_MESSAGE_SIZE];
    snprintf(text, sizeof text, "table \"%.64s\": column \"%.64s\" is %.32s, but must be %s",
             table->name, column, type != NULL ? type : "untyped", is_integer ? "INTEGER" : "BLOB");
    return batch__sqlite_fail(reterr, BATCH_STORE_FAILED, SQLITE_MISMATCH, text);
}

/* Frees the SQL. */
static int prepare(const struct batch__sqlite_table *table, sqlite3 *db, char *sql,
                   sqlite3_stmt **ret_statement, batch_result *reterr)
{
    if (sql == NULL)
        return no_memory(reterr);
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
    sqlite3_free(sql);
    batch__check((code == SQLITE_OK) == (*ret_statement != NULL));
    return code == SQLITE_OK ? BATCH_OK : failed(table, db, reterr);
}

static char *select_sql(const struct batch__sqlite_table *table)
{
    return sqlite3_mprintf("SELECT \"%w\", \"%w\" FROM main.\"%w\" WHERE \"%w\" = ?1",
                           table->version_column, table->state_column, table->name,
                           table->key_column);
}

/* Naming the column in ON CONFLICT makes SQLite insist that it is unique. */
static char *insert_sql(const struct batch__sqlite_table *table)
{
    return sqlite3_mprintf("INSERT INTO main.\"%w\" (\"%w\", \"%w\", \"%w\") VALUES (?1, ?2, ?3) "
                           "ON CONFLICT (\"%w\") DO NOTHING",
                           table->name, table->key_column, table->version_column,
                           table->state_column, table->key_column);
}

static char *update_sql(const struct batch__sqlite_table *table)
{
    return sqlite3_mprintf("UPDATE main.\"%w\" SET \"%w\" = ?2, \"%w\" = ?3 "
                           "WHERE \"%w\" = ?1 AND \"%w\" = ?4",
                           table->name, table->version_column, table->state_column,
                           table->key_column, table->version_column);
}

int batch__sqlite_table_prepare(const struct batch__sqlite_table *table, sqlite3 *db,
                                sqlite3_stmt *ret_statements[BATCH__SQLITE_STATEMENTS],
                                batch_result *reterr)
{
    int status = check_column(table, db, table->key_column, false, reterr);
    if (status == BATCH_OK)
        status = check_column(table, db, table->version_column, true, reterr);
    if (status == BATCH_OK)
        status = check_column(table, db, table->state_column, false, reterr);

    char *sql[BATCH__SQLITE_STATEMENTS] = {NULL};
    sql[BATCH__SQLITE_BEGIN_READ] = sqlite3_mprintf("BEGIN");
    sql[BATCH__SQLITE_BEGIN_WRITE] = sqlite3_mprintf("BEGIN IMMEDIATE");
    sql[BATCH__SQLITE_COMMIT] = sqlite3_mprintf("COMMIT");
    sql[BATCH__SQLITE_ROLLBACK] = sqlite3_mprintf("ROLLBACK");
    sql[BATCH__SQLITE_SELECT] = select_sql(table);
    sql[BATCH__SQLITE_INSERT] = insert_sql(table);
    sql[BATCH__SQLITE_UPDATE] = update_sql(table);
    for (int i = 0; i < BATCH__SQLITE_STATEMENTS; i++) {
        if (status == BATCH_OK)
            status = prepare(table, db, sql[i], &ret_statements[i], reterr);
        else
            sqlite3_free(sql[i]);
    }
    return status;
}
