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
#include "internal.h"

#include <stdio.h>
#include <string.h>

static int no_memory(batch_result *reterr)
{
    return batch__sqlite_fail(reterr, BATCH_NO_MEMORY, SQLITE_NOMEM, "no memory for SQL");
}

/* By SQLite's last error. */
static int failed(struct batch__sqlite_session *session, batch_result *reterr)
{
    char text[BATCH_MESSAGE_SIZE];
    int code = sqlite3_extended_errcode(session->db);
    snprintf(text, sizeof text, "table \"%.64s\": %s", session->store->table,
             sqlite3_errmsg(session->db));
    return batch__sqlite_fail(
        reterr, (code & 0xff) == SQLITE_NOMEM ? BATCH_NO_MEMORY : BATCH_STORE_FAILED, code, text);
}

int batch__sqlite_table_create(struct batch__sqlite_session *session, batch_result *reterr)
{
    const struct batch__sqlite_store *store = session->store;
    char *sql = sqlite3_mprintf("CREATE TABLE IF NOT EXISTS main.\"%w\" (\"%w\" BLOB NOT NULL "
                                "PRIMARY KEY, \"%w\" INTEGER NOT NULL, \"%w\" BLOB NOT NULL)",
                                store->table, store->key_column, store->version_column,
                                store->state_column);
    if (sql == NULL)
        return no_memory(reterr);
    int code = sqlite3_exec(session->db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return code == SQLITE_OK ? BATCH_OK : failed(session, reterr);
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

static int check_column(struct batch__sqlite_session *session, const char *column, bool is_integer,
                        batch_result *reterr)
{
    const char *table = session->store->table;
    const char *type = NULL;
    int code = sqlite3_table_column_metadata(session->db, "main", table, column, &type, NULL, NULL,
                                             NULL, NULL);
    if (code != SQLITE_OK)
        return failed(session, reterr);
    if (is_integer ? is_integer_type(type) : is_blob_type(type))
        return BATCH_OK;
    char text[BATCH_MESSAGE_SIZE];
    snprintf(text, sizeof text, "table \"%.64s\": column \"%.64s\" is %.32s, but must be %s", table,
             column, type != NULL ? type : "untyped", is_integer ? "INTEGER" : "BLOB");
    return batch__sqlite_fail(reterr, BATCH_STORE_FAILED, SQLITE_MISMATCH, text);
}

static int prepare(struct batch__sqlite_session *session, enum batch__sqlite_statement statement,
                   char *sql, batch_result *reterr)
{
    if (sql == NULL)
        return no_memory(reterr);
    int code = sqlite3_prepare_v3(session->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                  &session->statements[statement], NULL);
    sqlite3_free(sql);
    return code == SQLITE_OK ? BATCH_OK : failed(session, reterr);
}

static char *select_sql(const struct batch__sqlite_store *store)
{
    return sqlite3_mprintf("SELECT \"%w\", \"%w\" FROM main.\"%w\" WHERE \"%w\" = ?1",
                           store->version_column, store->state_column, store->table,
                           store->key_column);
}

/* Naming the column in ON CONFLICT makes SQLite insist that it is unique. */
static char *insert_sql(const struct batch__sqlite_store *store)
{
    return sqlite3_mprintf("INSERT INTO main.\"%w\" (\"%w\", \"%w\", \"%w\") VALUES (?1, ?2, ?3) "
                           "ON CONFLICT (\"%w\") DO NOTHING",
                           store->table, store->key_column, store->version_column,
                           store->state_column, store->key_column);
}

static char *update_sql(const struct batch__sqlite_store *store)
{
    return sqlite3_mprintf("UPDATE main.\"%w\" SET \"%w\" = ?2, \"%w\" = ?3 "
                           "WHERE \"%w\" = ?1 AND \"%w\" = ?4",
                           store->table, store->version_column, store->state_column,
                           store->key_column, store->version_column);
}

int batch__sqlite_table_prepare(struct batch__sqlite_session *session, batch_result *reterr)
{
    const struct batch__sqlite_store *store = session->store;
    int status = check_column(session, store->key_column, false, reterr);
    if (status == BATCH_OK)
        status = check_column(session, store->version_column, true, reterr);
    if (status == BATCH_OK)
        status = check_column(session, store->state_column, false, reterr);

    char *sql[BATCH__SQLITE_STATEMENTS] = {NULL};
    sql[BATCH__SQLITE_BEGIN_READ] = sqlite3_mprintf("BEGIN");
    sql[BATCH__SQLITE_BEGIN_WRITE] = sqlite3_mprintf("BEGIN IMMEDIATE");
    sql[BATCH__SQLITE_COMMIT] = sqlite3_mprintf("COMMIT");
    sql[BATCH__SQLITE_ROLLBACK] = sqlite3_mprintf("ROLLBACK");
    sql[BATCH__SQLITE_SELECT] = select_sql(store);
    sql[BATCH__SQLITE_INSERT] = insert_sql(store);
    sql[BATCH__SQLITE_UPDATE] = update_sql(store);
    for (int i = 0; i < BATCH__SQLITE_STATEMENTS; i++) {
        if (status == BATCH_OK)
            status = prepare(session, (enum batch__sqlite_statement)i, sql[i], reterr);
        else
            sqlite3_free(sql[i]);
    }
    return status;
}
