#include "postgres_fixture.h"
#include "test.h"

/* How a key is stored in a table that the store has made. */
#define STORED_KEY(key)                                                                            \
    "(CASE WHEN octet_length(" key "::bytea) > 2000 "                                              \
    "THEN substr(" key "::bytea, 1, 1969) || sha256(" key "::bytea) ELSE " key "::bytea END)"

/* Any other end than a good one ends the test. */
static void execute(struct postgres_fixture *postgres, const char *sql)
{
    pthread_mutex_lock(&postgres->lock);
    PGresult *result = PQexec(postgres->conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    PQclear(result);
    pthread_mutex_unlock(&postgres->lock);
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static void fixture_open(struct store_fixture *fixture)
{
    struct postgres_fixture *postgres = fixture->context;
    const struct postgres_place *place = postgres->place;
    char conninfo[POSTGRES_CONNINFO_SIZE];
    batch_result error = {0};
    pthread_mutex_init(&postgres->lock, NULL);
    postgres_place_conninfo(place, "batch", postgres->server->port, conninfo);
    postgres->conn = PQconnectdb(conninfo);
    PQsetNoticeProcessor(postgres->conn, ignore_notice, NULL);
    execute(postgres, "set search_path = public, contrary"); /* where the role makes it */
    execute(postgres, "drop table if exists public.batch, contrary.batch, public.gone, "
                      "contrary.gone");
    if (place->table_sql != NULL)
        execute(postgres, place->table_sql);
    postgres_place_conninfo(place, place->role, postgres->port, conninfo);
    if (batch_postgres_open(&fixture->store, conninfo, NULL, &error) != BATCH_OK)
        fail_msg("cannot open: %s", error.message);
}

static void fixture_close(struct store_fixture *fixture)
{
    struct postgres_fixture *postgres = fixture->context;
    PQfinish(postgres->conn);
    pthread_mutex_destroy(&postgres->lock);
}

/* Run SQL with a key, $1, and a state, $2 (NULL: none). The caller clears the result, and finds
 * that what it wants is not there if it went wrong. */
static PGresult *run(struct postgres_fixture *postgres, const char *sql, const void *key,
                     size_t key_size, const void *state, size_t state_size)
{
    const char *values[2] = {key_size > 0 ? key : "", state_size > 0 ? state : ""};
    int sizes[2] = {(int)key_size, (int)state_size};
    static const int formats[2] = {1, 1};
    pthread_mutex_lock(&postgres->lock);
    PGresult *result =
        PQexecParams(postgres->conn, sql, state != NULL ? 2 : 1, NULL, values, sizes, formats, 1);
    if (PQresultStatus(result) == PGRES_FATAL_ERROR)
        print_error("%s", PQresultErrorMessage(result));
    pthread_mutex_unlock(&postgres->lock);
    return result;
}

static uint64_t number_of(const char *bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | (unsigned char)bytes[i];
    return number;
}

static bool fixture_read(struct store_fixture *fixture, const void *key, size_t key_size,
                         void *state, size_t state_size, size_t *ret_state_size,
                         uint64_t *ret_version)
{
    PGresult *result =
        run(fixture->context, "SELECT version, state FROM batch WHERE key = " STORED_KEY("$1"), key,
            key_size, NULL, 0);
    bool found = PQntuples(result) == 1;
    if (found) {
        size_t size = (size_t)PQgetlength(result, 0, 1);
        if (size > 0 && state_size > 0)
            memcpy(state, PQgetvalue(result, 0, 1), size < state_size ? size : state_size);
        if (ret_state_size != NULL)
            *ret_state_size = size;
        if (ret_version != NULL)
            *ret_version = number_of(PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    return found;
}

static void fixture_write(struct store_fixture *fixture, const void *key, size_t key_size,
                          const void *state, size_t state_size)
{
    PQclear(
        run(fixture->context,
            "INSERT INTO batch (key, version, state) "
            "VALUES (" STORED_KEY("$1") ", 1 + (random() * 4e15)::bigint, $2) "
                                        "ON CONFLICT (key) DO UPDATE "
                                        "SET version = batch.version + 1, state = excluded.state",
            key, key_size, state, state_size));
}

static bool fixture_remove(struct store_fixture *fixture, const void *key, size_t key_size)
{
    PGresult *result = run(fixture->context, "DELETE FROM batch WHERE key = " STORED_KEY("$1"), key,
                           key_size, NULL, 0);
    bool is_removed = strcmp(PQcmdTuples(result), "1") == 0;
    PQclear(result);
    return is_removed;
}

static void fixture_lock(struct store_fixture *fixture, const void *key, size_t key_size)
{
    execute(fixture->context, "BEGIN");
    PGresult *result =
        run(fixture->context, "SELECT 1 FROM batch WHERE key = " STORED_KEY("$1") " FOR UPDATE",
            key, key_size, NULL, 0);
    assert_int_equal(PQntuples(result), 1);
    PQclear(result);
}

static void fixture_unlock(struct store_fixture *fixture)
{
    execute(fixture->context, "ROLLBACK");
}

/* ---- Rules ---------------------------------------------------------------------------------- */

#define IS_POISONED "substr(new.key, 1, 6) = '" STORE_RULE_KEY "'::bytea"
#define TRIGGER(when, body)                                                                        \
    "CREATE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql "                                     \
    "SET search_path = pg_catalog AS $$ BEGIN "                                                    \
    "IF " IS_POISONED " THEN " body " END IF; RETURN new; END $$; "                                \
    "CREATE " when " INSERT OR UPDATE ON batch "

#define FOR_EACH_ROW "FOR EACH ROW EXECUTE FUNCTION rule()"

static const char *const rules_sql[] = {
    [STORE_RULE_REFUSE] = "ALTER TABLE batch ADD CONSTRAINT rule "
                          "CHECK (substr(key, 1, 6) <> '" STORE_RULE_KEY "'::bytea) NOT VALID",
    [STORE_RULE_FAIL] =
        TRIGGER("TRIGGER rule BEFORE", "INSERT INTO missing VALUES (1);") FOR_EACH_ROW,
    [STORE_RULE_DEFER] =
        TRIGGER("CONSTRAINT TRIGGER rule AFTER",
                "RAISE EXCEPTION 'too late';") "DEFERRABLE INITIALLY DEFERRED " FOR_EACH_ROW,
    [STORE_RULE_ALTER_STATE] =
        TRIGGER("TRIGGER rule BEFORE", "new.state := 'altered';") FOR_EACH_ROW,
    [STORE_RULE_ALTER_KEY] =
        TRIGGER("TRIGGER rule BEFORE", "new.key := 'altered' || new.key;") FOR_EACH_ROW,
    [STORE_RULE_LEAVE_OUT] = TRIGGER("TRIGGER rule BEFORE", "RETURN NULL;") FOR_EACH_ROW,
    [STORE_RULE_GONE] = "ALTER TABLE batch RENAME TO gone",
};

static bool fixture_impose(struct store_fixture *fixture, enum store_rule rule)
{
    struct postgres_fixture *postgres = fixture->context;
    static const char undo[] = "ALTER TABLE IF EXISTS gone RENAME TO batch; "
                               "DROP TRIGGER IF EXISTS rule ON batch; "
                               "DROP FUNCTION IF EXISTS rule; "
                               "ALTER TABLE batch DROP CONSTRAINT IF EXISTS rule";
    execute(postgres, undo);
    if (rules_sql[rule] != NULL)
        execute(postgres, rules_sql[rule]);
    return true;
}

struct store_fixture postgres_fixture(struct postgres_fixture *postgres)
{
    return (struct store_fixture){
        .name = postgres->place->name,
        .sessions = 4,
        .open = fixture_open,
        .close = fixture_close,
        .read = fixture_read,
        .write = fixture_write,
        .remove = fixture_remove,
        .impose = fixture_impose,
        .lock = fixture_lock,
        .unlock = fixture_unlock,
        .context = postgres,
    };
}
