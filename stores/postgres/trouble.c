/* trouble.c: what an error of the server means for a group.
 *
 * Whatever is not named here is taken for the fault of a row: the group is halved until the row is
 * found. If it was not a row's fault after all, each of them is told what the server says.
 */
#include "internal.h"

enum { SIXBIT = 0x3f, SIXBIT_SIZE = 6, SQLSTATE_SIZE = 5 };

int batch__postgres_code(const char *sqlstate)
{
    if (sqlstate == NULL || strlen(sqlstate) != SQLSTATE_SIZE)
        return 0;
    int code = 0;
    for (int i = 0; i < SQLSTATE_SIZE; i++) {
        char letter = sqlstate[i];
        if (!((letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z')))
            return 0;
        code = code << SIXBIT_SIZE | ((letter - '0') & SIXBIT);
    }
    return code;
}

void batch_postgres_sqlstate(int store_code, char ret_sqlstate[6])
{
    for (int i = SQLSTATE_SIZE - 1; i >= 0; i--) {
        ret_sqlstate[i] = (char)('0' + (store_code & SIXBIT));
        store_code >>= SIXBIT_SIZE;
    }
    ret_sqlstate[SQLSTATE_SIZE] = '\0';
    if (store_code != 0 || batch__postgres_code(ret_sqlstate) == 0)
        ret_sqlstate[0] = '\0';
}

static bool is_one_of(const char *sqlstate, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strncmp(sqlstate, *list, strlen(*list)) == 0)
            return true;
    }
    return false;
}

enum batch__postgres_verdict batch__postgres_judge(const struct batch__postgres_trouble *trouble)
{
    /* A serialization failure, a deadlock, and a cancel that was not ours. */
    static const char *const again[] = {"40", "57014", NULL};
    /* Read only: another server is the primary now. No such prepared statement, a plan whose result
     * type has changed: somebody meddled with the connection or the table. */
    static const char *const stale[] = {"25006", "26000", "0A000", NULL};
    /* No such table, column or type; disk full and other limits; the server stops; I/O errors. */
    static const char *const broken[] = {"42P01", "42703", "42704", "42804", "42P10", "531",
                                         "533",   "534",   "57P",   "58",    NULL};
    char sqlstate[6];
    batch_postgres_sqlstate(trouble->code, sqlstate);
    if (strcmp(sqlstate, "55P03") == 0)
        return trouble->has_context ? BATCH__POSTGRES_LOCKED_ROW : BATCH__POSTGRES_LOCKED_TABLE;
    if (is_one_of(sqlstate, again))
        return BATCH__POSTGRES_AGAIN;
    if (is_one_of(sqlstate, stale))
        return BATCH__POSTGRES_STALE;
    if (is_one_of(sqlstate, broken))
        return BATCH__POSTGRES_BROKEN;
    return BATCH__POSTGRES_REFUSED;
}
