#include "settings.h"

#include "../check.h"
#include "wait.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char batch__postgres_pooling_text[] =
    "a connection pool gives the connection to other clients, too: session pooling is needed";

/* As current_setting() shows them. The test of the settings has a list of every other one of which
 * the name alone does not show that it cannot matter, and fails for one that is in neither. */
static const struct {
    int version; /* of the first server that knows it */
    int removed; /* of the first server that does not know it any more; 0: none */
    const char *name;
    const char *value;
} settings[] = {
    /* What would end a statement, or the session. */
    {0, 0, "lock_timeout", "50ms"},
    {0, 0, "statement_timeout", "0"},
    {170000, 0, "transaction_timeout", "0"},
    {0, 0, "idle_in_transaction_session_timeout", "0"},
    {140000, 0, "idle_session_timeout", "0"},
    {0, 0, "exit_on_error", "off"},
    {140000, 0, "client_connection_check_interval", "1s"},
    /* What the server reports: its warning of a commit that a standby has not confirmed. */
    {0, 0, "client_min_messages", "warning"},
    /* Rows that are hidden would look as if they were not there. */
    {0, 0, "row_security", "off"},
    {0, 0, "standard_conforming_strings", "on"},
    /* The one plan that is left (sql.h). */
    {0, 0, "plan_cache_mode", "force_generic_plan"},
    {0, 0, "jit", "off"},
    {0, 0, "work_mem", "64MB"},
    {0, 0, "enable_indexscan", "on"},
    {0, 0, "enable_indexonlyscan", "on"},
    {0, 0, "enable_nestloop", "on"},
    {0, 0, "enable_sort", "on"},
    {0, 0, "enable_partition_pruning", "on"},
    {0, 0, "enable_seqscan", "off"},
    {0, 0, "enable_bitmapscan", "off"},
    {0, 0, "enable_hashjoin", "off"},
    {0, 0, "enable_mergejoin", "off"},
    {0, 0, "enable_material", "off"},
    {140000, 0, "enable_memoize", "off"},
    {0, 0, "enable_partitionwise_join", "off"},
    {0, 160000, "force_parallel_mode", "off"},
    {160000, 0, "debug_parallel_query", "off"},
    {0, 0, "max_parallel_workers_per_gather", "0"},
    {0, 0, "geqo", "off"},
    {0, 0, "seq_page_cost", "1"},
    {0, 0, "random_page_cost", "4"},
    {0, 0, "cpu_tuple_cost", "0.01"},
    {0, 0, "cpu_index_tuple_cost", "0.005"},
    {0, 0, "cpu_operator_cost", "0.0025"},
};

enum { SETTINGS = sizeof settings / sizeof settings[0] };

/* Columns of the look. */
enum { LOOK_TOKEN, LOOK_IS_OWN };

/* Columns of what is read back; then the settings, by their names. */
enum {
    BACK_ENCODING,
    BACK_CLIENT_ENCODING,
    BACK_FSYNC,
    BACK_FENCE,
    BACK_COMMIT,
    BACK_IS_STANDBY,
    BACK_READ_ONLY
};

const char *batch__postgres_commit_setting(batch_postgres_durability durability)
{
    static const char *const commits[] = {"on", "remote_apply", "off"};
    batch__check((size_t)durability < sizeof commits / sizeof commits[0]);
    return commits[durability];
}

/* ---- Sending -------------------------------------------------------------------------------- */

void batch__postgres_fence_begin(struct batch__postgres_fence *fence)
{
    if (fence->is_probing)
        return;
    snprintf(fence->token, sizeof fence->token, "%016" PRIx64, batch__postgres_random_seed(fence));
}

/* A text in the manner of printf, behind what is there. */
static size_t append(char *sql, size_t size, const char *format, ...)
{
    size_t left = BATCH__POSTGRES_SETTINGS_SQL_SIZE - size;
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(sql + size, left, format, arguments);
    va_end(arguments);
    batch__check(added > 0 && (size_t)added < left);
    return size + (size_t)added;
}

static bool is_known(size_t setting, int version)
{
    return version >= settings[setting].version &&
           (settings[setting].removed == 0 || version < settings[setting].removed);
}

/* Commands that set everything but the fence and synchronous_commit. */
static size_t append_settings(char *sql, size_t size, int version, const char *command)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        if (is_known(i, version))
            size =
                append(sql, size, "%s %s = '%s'; ", command, settings[i].name, settings[i].value);
    }
    return size;
}

void batch__postgres_look_sql(const PGconn *conn, const struct batch__postgres_fence *fence,
                              char ret_sql[BATCH__POSTGRES_SETTINGS_SQL_SIZE])
{
    size_t size = append_settings(ret_sql, 0, PQserverVersion(conn), "SET LOCAL");
    /* The last column takes the token of the probe away, if it is there. */
    append(ret_sql, size,
           "SELECT s.token, s.is_own, CASE WHEN s.token OPERATOR(pg_catalog.=) '%s' "
           "THEN pg_catalog.set_config('batch.fence', '', false) END "
           "FROM (SELECT COALESCE(pg_catalog.current_setting('batch.fence', true), '') AS token, "
           "pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) %d AS is_own OFFSET 0) AS s",
           fence->token, PQbackendPID(conn));
}

void batch__postgres_probe_sql(const struct batch__postgres_fence *fence,
                               char ret_sql[BATCH__POSTGRES_SETTINGS_SQL_SIZE])
{
    append(ret_sql, 0, "SET batch.fence = '%s'", fence->token);
}

void batch__postgres_settings_sql(const PGconn *conn, batch_postgres_durability durability,
                                  const struct batch__postgres_fence *fence,
                                  char ret_sql[BATCH__POSTGRES_SETTINGS_SQL_SIZE])
{
    int version = PQserverVersion(conn);
    const char *commit = batch__postgres_commit_setting(durability);
    size_t size = append(ret_sql, 0, "SET batch.fence = '%s'; SET synchronous_commit = '%s'; ",
                         fence->token, commit);
    for (size_t i = 0; i < SETTINGS; i++) {
        if (is_known(i, version))
            size = append(ret_sql, size, "SET %s = '%s'; ", settings[i].name, settings[i].value);
    }
    size = append(ret_sql, size,
                  "SELECT pg_catalog.current_setting('server_encoding'), "
                  "pg_catalog.current_setting('client_encoding'), "
                  "pg_catalog.current_setting('fsync'), "
                  "pg_catalog.current_setting('batch.fence'), "
                  "pg_catalog.current_setting('synchronous_commit'), "
                  "pg_catalog.pg_is_in_recovery(), "
                  "pg_catalog.current_setting('transaction_read_only')");
    for (size_t i = 0; i < SETTINGS; i++) {
        if (is_known(i, version))
            size = append(ret_sql, size, ", pg_catalog.current_setting('%s') AS \"%s\"",
                          settings[i].name, settings[i].name);
    }
}

/* ---- Receiving ------------------------------------------------------------------------------ */

static bool refuse(struct batch__postgres_error *reterr, const char *text)
{
    *reterr = (struct batch__postgres_error){.code = 0};
    snprintf(reterr->text, sizeof reterr->text, "%s", text);
    return false;
}

static bool is_value(const PGresult *result, int column, const char *value)
{
    return strcmp(PQgetvalue(result, 0, column), value) == 0;
}

static bool refuse_setting(struct batch__postgres_error *reterr, const char *name,
                           const char *found)
{
    char text[BATCH__POSTGRES_TEXT_SIZE];
    snprintf(text, sizeof text, "%s could not be set: it is %.80s", name, found);
    return refuse(reterr, text);
}

/* Is every setting what it should be? A server does not know all of them. */
static bool check_settings(const PGresult *result, struct batch__postgres_error *reterr)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        int column = PQfnumber(result, settings[i].name);
        if (column >= 0 && !is_value(result, column, settings[i].value))
            return refuse_setting(reterr, settings[i].name, PQgetvalue(result, 0, column));
    }
    return true;
}

/* Does the server itself say that it takes writes? What it reported while connecting may be that of
 * another connection of a pooler, and of another time. */
static bool check_writable(const PGresult *result, struct batch__postgres_error *reterr)
{
    if (is_value(result, BACK_IS_STANDBY, "t")) {
        refuse(reterr, "the server is a standby, which takes no writes");
        reterr->code = batch__postgres_code("57P03");
        return false;
    }
    if (!is_value(result, BACK_READ_ONLY, "off")) {
        refuse(reterr, "the server takes no writes: default_transaction_read_only is on for the "
                       "server, the database or the role");
        reterr->code = batch__postgres_code("25006");
        return false;
    }
    return true;
}

enum batch__postgres_look batch__postgres_look_receive(const PGresult *result,
                                                       struct batch__postgres_fence *fence,
                                                       struct batch__postgres_error *reterr)
{
    batch__check(PQnfields(result) > LOOK_IS_OWN);
    if (!is_value(result, LOOK_TOKEN, "")) {
        fence->is_probing = fence->is_probed = false;
        refuse(reterr, batch__postgres_pooling_text);
        return BATCH__POSTGRES_LOOK_REFUSED;
    }
    if (!is_value(result, LOOK_IS_OWN, "t") && !fence->is_probing && !fence->is_probed)
        return BATCH__POSTGRES_LOOK_POOLER;
    fence->is_probed |= fence->is_probing;
    fence->is_probing = false;
    return BATCH__POSTGRES_LOOK_FREE;
}

bool batch__postgres_settings_receive(const PGresult *result, batch_postgres_durability durability,
                                      const struct batch__postgres_fence *fence, bool *ret_is_utf8,
                                      struct batch__postgres_error *reterr)
{
    batch__check(PQnfields(result) > BACK_READ_ONLY);
    if (!check_writable(result, reterr))
        return false;
    if (!is_value(result, BACK_COMMIT, batch__postgres_commit_setting(durability)))
        return refuse_setting(reterr, "synchronous_commit", PQgetvalue(result, 0, BACK_COMMIT));
    if (!is_value(result, BACK_FENCE, fence->token))
        return refuse_setting(reterr, "batch.fence", PQgetvalue(result, 0, BACK_FENCE));
    if (!is_value(result, BACK_CLIENT_ENCODING, "UTF8"))
        return refuse_setting(reterr, "client_encoding",
                              PQgetvalue(result, 0, BACK_CLIENT_ENCODING));
    if (durability != BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS && !is_value(result, BACK_FSYNC, "on"))
        return refuse(reterr,
                      "the server runs with fsync off, so a crash may lose everything: turn it "
                      "on, or ask for BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS");
    *ret_is_utf8 = !is_value(result, BACK_ENCODING, "SQL_ASCII");
    return check_settings(result, reterr);
}
