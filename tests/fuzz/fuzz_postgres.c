/* postgres.c: what the PostgreSQL store reads from a server, and from a connection string; and what
 * it writes so that a server can read it. No server and no connection: what libpq would have
 * received is the input.
 */
#include "fuzz_codecs.h"

#include "conninfo.h"
#include "error.h"
#include "values.h"
#include "wait.h"

uint64_t conninfos_refused, conninfos_hidden;

/* ---- Arrays --------------------------------------------------------------------------------- */

/* In place of libpq's: one value, in memory of its own size. */
static struct {
    const char *bytes;
    int size;
    bool is_null;
} value;

int PQgetlength(const PGresult *result, int row, int column)
{
    (void)result;
    fuzz_expect(row == 0 && column == 0);
    return value.is_null ? 0 : value.size;
}

int PQgetisnull(const PGresult *result, int row, int column)
{
    (void)result;
    fuzz_expect(row == 0 && column == 0);
    return value.is_null;
}

char *PQgetvalue(const PGresult *result, int row, int column)
{
    (void)result;
    fuzz_expect(row == 0 && column == 0);
    return (char *)(uintptr_t)value.bytes;
}

/* Element after element lies within the value. Returns how many there are. */
static size_t read_array(void)
{
    struct batch__postgres_array array;
    size_t elements = 0;
    size_t size;
    unsigned sum = 0; /* so that every byte is read */
    const char *behind = value.bytes;
    batch__postgres_array_init(&array, NULL, 0);
    for (const char *at; (at = batch__postgres_array_next(&array, &size)) != NULL; elements++) {
        fuzz_expect(at >= behind && size <= (size_t)(value.bytes + value.size - at));
        behind = at + size;
        for (size_t i = 0; i < size; i++)
            sum += (unsigned char)at[i];
        if (size == 8)
            sum += batch__postgres_int64(at) > 0;
    }
    fuzz_expect(sum <= 256 * (unsigned)value.size + 256);
    return elements;
}

void try_array(struct fuzz_bytes *bytes)
{
    size_t size;
    value.is_null = fuzz_byte(bytes) == 255;
    char *copy = fuzz_take(bytes, bytes->left, false, &size);
    value.bytes = copy;
    value.size = (int)size;
    size_t elements = read_array();
    fuzz_expect(elements <= size / 4);
    fuzz_expect(elements == 0 || !value.is_null);
    free(copy);
}

enum { ITEMS = 8 };

static size_t make_items(struct fuzz_bytes *bytes, struct batch__postgres_item *items,
                         struct batch__postgres_item **pointers)
{
    size_t count = fuzz_byte(bytes) % (ITEMS + 1u);
    size_t old = fuzz_byte(bytes) % (ITEMS + 1u);
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct batch__postgres_item){.version = i < old};
        items[i].key_own = fuzz_take(bytes, fuzz_byte(bytes), false, &items[i].key_size);
        items[i].key = items[i].key_own;
        items[i].state = items[i].key;
        items[i].state_size = items[i].key_size;
        items[i].row_old = (int64_t)fuzz_byte(bytes) - 128;
        items[i].row_new = items[i].row_old + 1;
        pointers[i] = &items[i];
    }
    return count;
}

static void expect_keys(const struct batch__postgres_params *params, int param,
                        struct batch__postgres_item *const *items, size_t count)
{
    struct batch__postgres_array array;
    value.bytes = params->values[param];
    value.size = params->sizes[param];
    value.is_null = false;
    fuzz_expect(read_array() == count);
    batch__postgres_array_init(&array, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *at = batch__postgres_array_next(&array, &size);
        fuzz_expect(at != NULL && size == items[i]->key_size);
        fuzz_expect(size == 0 || memcmp(at, items[i]->key, size) == 0);
    }
}

static void expect_versions(const struct batch__postgres_params *params, int param,
                            struct batch__postgres_item *const *items, size_t count)
{
    struct batch__postgres_array array;
    value.bytes = params->values[param];
    value.size = params->sizes[param];
    batch__postgres_array_init(&array, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *at = batch__postgres_array_next(&array, &size);
        fuzz_expect(at != NULL && size == 8);
        fuzz_expect(batch__postgres_int64(at) == items[i]->row_new);
    }
    size_t size;
    fuzz_expect(batch__postgres_array_next(&array, &size) == NULL);
}

/* An array that is written is read as it was. */
void try_array_written(struct fuzz_bytes *bytes)
{
    struct batch__postgres_buffer buffer = {NULL, 0};
    struct batch__postgres_item items[ITEMS];
    struct batch__postgres_item *pointers[ITEMS];
    struct batch__postgres_params params;
    struct batch__postgres_shape shape = {.key_type = BATCH_POSTGRES_TEXT};
    shape.state_type = fuzz_byte(bytes) % 2 == 0 ? BATCH_POSTGRES_BYTEA : BATCH_POSTGRES_JSONB;
    size_t count = make_items(bytes, items, pointers);
    size_t old = 0;
    while (old < count && items[old].version != 0)
        old++;

    fuzz_expect(batch__postgres_params_of_keys(&buffer, &shape, pointers, count, &params));
    fuzz_expect(params.count == 1);
    expect_keys(&params, 0, pointers, count);

    fuzz_expect(batch__postgres_params_of_rows(&buffer, &shape, pointers, count, &params));
    fuzz_expect(params.count == 7);
    expect_keys(&params, 0, pointers, old);
    expect_versions(&params, 2, pointers, old);
    expect_keys(&params, 4, pointers + old, count - old);
    expect_versions(&params, 5, pointers + old, count - old);
    free(buffer.bytes);
    for (size_t i = 0; i < count; i++)
        free(items[i].key_own);
}

/* ---- Texts, versions, codes ----------------------------------------------------------------- */

void try_text(struct fuzz_bytes *bytes)
{
    struct batch__postgres_shape shape = {.is_utf8 = fuzz_byte(bytes) % 4 != 0};
    batch_postgres_type type =
        fuzz_byte(bytes) % 8 == 7 ? BATCH_POSTGRES_BYTEA : BATCH_POSTGRES_TEXT;
    size_t size;
    char *text = fuzz_take(bytes, bytes->left, false, &size);
    bool is_good =
        type == BATCH_POSTGRES_BYTEA || size == 0 ||
        (memchr(text, '\0', size) == NULL && (!shape.is_utf8 || fuzz_is_utf8(text, size)));
    fuzz_expect((batch__postgres_text_fault(&shape, type, text, size) == NULL) == is_good);
    free(text);
}

static uint64_t take_number(struct fuzz_bytes *bytes, int size)
{
    uint64_t number = 0;
    for (int i = 0; i < size; i++)
        number = number << 8 | fuzz_byte(bytes);
    return number;
}

/* Versions follow each other, and fit the column. */
void try_versions(struct fuzz_bytes *bytes)
{
    static const int sizes[] = {2, 4, 8};
    int size = sizes[fuzz_byte(bytes) % 3];
    uint64_t random = take_number(bytes, 8);
    uint64_t raw = take_number(bytes, size);
    int64_t row = size == 2 ? (int16_t)raw : size == 4 ? (int32_t)raw : (int64_t)raw;
    uint64_t version = batch__postgres_version(row);
    fuzz_expect(batch__postgres_row_version(version) == row);
    fuzz_expect((version == 0) == (row == INT64_MIN));
    int64_t next = batch__postgres_next_version(version, size, &random);
    int64_t most = size == 2 ? INT16_MAX : size == 4 ? INT32_MAX : INT64_MAX;
    fuzz_expect(next <= most && next >= -most - 1 && next != row && next != INT64_MIN);
    fuzz_expect(version == 0 || row == most || next == row + 1);
    int64_t first = batch__postgres_next_version(0, size, &random);
    fuzz_expect(first > 0 && first <= most);
}

static bool is_sqlstate(const char *text)
{
    return strlen(text) == 5 && strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5;
}

void try_sqlstate(struct fuzz_bytes *bytes)
{
    char state[6];
    memset(state, 'x', sizeof state);
    int code = (int)(uint32_t)take_number(bytes, 4);
    batch_postgres_sqlstate(code, state);
    fuzz_expect(state[0] == '\0' || is_sqlstate(state));
    fuzz_expect(state[0] == '\0' || batch__postgres_code(state) == code);

    size_t size;
    char *text = fuzz_take(bytes, bytes->left, true, &size);
    code = batch__postgres_code(text);
    fuzz_expect(is_sqlstate(text) || code == 0);
    batch_postgres_sqlstate(code, state);
    fuzz_expect(code == 0 || strcmp(state, text) == 0);
    fuzz_expect(!is_sqlstate(text) || code != 0 || strcmp(text, "00000") == 0);
    struct batch__postgres_error error = {.code = code, .has_context = size % 2 == 0};
    fuzz_expect(batch__postgres_classify(&error) <= BATCH__POSTGRES_ERROR_STALE);
    free(text);
}

/* ---- Connection strings --------------------------------------------------------------------- */

/* No message has this by itself. */
static const char secret[] = "hs8Qz-4wX!vT";

/* The bytes as text, with the secret in one place. */
static char *take_secretive(struct fuzz_bytes *bytes)
{
    size_t at = fuzz_byte(bytes);
    size_t size;
    char *text = fuzz_take(bytes, bytes->left, true, &size);
    if (at > size)
        at = size;
    char *all = malloc(size + sizeof secret);
    fuzz_expect(all != NULL);
    memcpy(all, text, at);
    memcpy(all + at, secret, sizeof secret - 1);
    memcpy(all + at + sizeof secret - 1, text + at, size - at + 1);
    free(text);
    return all;
}

static void expect_hosts(const struct batch__postgres_conninfo *conninfo)
{
    fuzz_expect(conninfo->hosts_size >= 1);
    fuzz_expect(conninfo->hosts_size <= BATCH__POSTGRES_HOSTS_MAX);
    fuzz_expect(conninfo->connect_ns >= 1000 * BATCH__POSTGRES_MS);
    fuzz_expect(conninfo->connect_ns <= 3600 * 1000 * BATCH__POSTGRES_MS);
    for (size_t i = 0; i < conninfo->hosts_size; i++) {
        const struct batch__postgres_host *host = &conninfo->hosts[i];
        fuzz_expect(host->host == NULL || strchr(host->host, ',') == NULL);
        fuzz_expect(host->port == NULL || strspn(host->port, "0123456789") == strlen(host->port));
    }
}

/* Does libpq read files that it names? */
static bool names_files(const struct batch__postgres_conninfo *conninfo)
{
    static const char *const files[] = {"service", "passfile"};
    for (const PQconninfoOption *option = conninfo->options; option->keyword != NULL; option++) {
        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
            if (option->val != NULL && strcmp(option->keyword, files[i]) == 0)
                return true;
        }
    }
    return false;
}

/* What libpq says when it is to connect with it, to where no server can be. */
static void expect_hidden(struct batch__postgres_conninfo *conninfo)
{
    if (names_files(conninfo))
        return;
    struct batch__postgres_host *host = &conninfo->hosts[0];
    free(host->host);
    free(host->hostaddr);
    host->host = strdup("/dev/null");
    host->hostaddr = NULL;
    unsetenv("PGHOSTADDR");
    PGconn *conn = batch__postgres_connect_start(conninfo, 0, NULL);
    fuzz_expect(conn != NULL && PQstatus(conn) == CONNECTION_BAD);
    char message[BATCH__POSTGRES_TEXT_SIZE];
    batch__postgres_conninfo_hide(conninfo, PQerrorMessage(conn), message, sizeof message);
    fuzz_expect(message[0] != '\0' && strstr(message, secret) == NULL);
    conninfos_hidden += strstr(PQerrorMessage(conn), secret) != NULL;
    PQfinish(conn);
}

/* Any string: taken apart, or refused by a message that repeats nothing of it. */
void try_conninfo(struct fuzz_bytes *bytes)
{
    char *text = take_secretive(bytes);
    struct batch__postgres_conninfo conninfo;
    batch_result result = {.message = ""};
    int status = batch__postgres_conninfo_init(&conninfo, text, &result);
    fuzz_expect(strstr(result.message, secret) == NULL);
    fuzz_expect(status == BATCH_OK || (status == BATCH_INVALID && result.message[0] != '\0'));
    conninfos_refused += status != BATCH_OK;
    if (status == BATCH_OK) {
        expect_hosts(&conninfo);
        expect_hidden(&conninfo);
    }
    batch__postgres_conninfo_destroy(&conninfo);
    free(text);
}

/* A value that libpq refuses and repeats: any, for it may be there by mistake. */
void try_refused_conninfo(struct fuzz_bytes *bytes)
{
    static const char *const keywords[] = {"password", "sslmode", "options", "channel_binding"};
    const char *keyword = keywords[fuzz_byte(bytes) % 4];
    char *refused = take_secretive(bytes);
    char *text = malloc(2 * strlen(refused) + 64);
    fuzz_expect(text != NULL);
    char *at = text + sprintf(text, "host=h %s='", keyword);
    for (const char *c = refused; *c != '\0'; c++) {
        if (*c == '\\' || *c == '\'')
            *at++ = '\\';
        *at++ = *c;
    }
    strcpy(at, "'");
    struct batch__postgres_conninfo conninfo;
    batch_result result = {.message = ""};
    fuzz_expect(batch__postgres_conninfo_init(&conninfo, text, &result) == BATCH_OK);
    char message[BATCH__POSTGRES_TEXT_SIZE];
    sprintf(text, "invalid value: \"%s\"\n", refused); /* what libpq says */
    batch__postgres_conninfo_hide(&conninfo, text, message, sizeof message);
    fuzz_expect(memchr(message, '\0', sizeof message) != NULL && message[0] != '\0');
    fuzz_expect(strstr(message, secret) == NULL);
    batch__postgres_conninfo_destroy(&conninfo);
    free(text);
    free(refused);
}
