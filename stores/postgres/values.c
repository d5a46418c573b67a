/* values.c: values in PostgreSQL's binary form; keys, versions and texts that it can keep.
 *
 * Keys. An index takes no more than about 2,700 bytes, a key of libbatch may have 65,536. In a
 * table with the constraint "batch_long_keys" a key above KEY_PLAIN_MAX bytes is stored as its
 * first KEY_PLAIN_MAX + 1 - 32 bytes and the SHA-256 of all of it: always KEY_PLAIN_MAX + 1 bytes,
 * so it is never taken for a key that is stored as it is. In SQL:
 *
 *     CASE WHEN octet_length(k) > 2000 THEN substr(k, 1, 1969) || sha256(k) ELSE k END
 *
 * Versions. Those of the library are any number but 0; those of a row are signed, and other
 * programs may begin at 0. Turning the sign bit over maps all but the least bigint to what the
 * library takes. A new row begins at a random version of as many bits as its column has room for,
 * so that a key that was deleted and made again is not taken for the old one: 52 bits for a bigint,
 * 30 for an integer, 14 for a smallint. Each save adds 1; after the greatest comes the least.
 */
#include "internal.h"

#include <sodium.h>
#include <stdlib.h>

enum { KEY_PLAIN_MAX = 2000, KEY_STORED = KEY_PLAIN_MAX + 1 };
enum { OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25, OID_JSONB = 3802 };
enum { HEAD_SIZE = 20, NUMBER_SIZE = 12, LENGTH_SIZE = 4 };

/* ---- Texts ---------------------------------------------------------------------------------- */

/* The bytes of the UTF-8 sequence at `text`; 0: it is none, or not one that PostgreSQL takes. */
static size_t utf8_size(const unsigned char *text, size_t left)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4 || left < size)
        return 0;
    uint32_t code = text[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3fu);
    }
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    return code >= least[size] && code <= 0x10ffff && !is_surrogate ? size : 0;
}

static bool is_utf8(const unsigned char *text, size_t size)
{
    while (size > 0) {
        size_t step = *text < 0x80 ? 1 : utf8_size(text, size);
        if (step == 0)
            return false;
        text += step;
        size -= step;
    }
    return true;
}

const char *batch__postgres_text_fault(const struct batch__postgres_session *session,
                                       batch_postgres_type type, const void *bytes, size_t size)
{
    if (type == BATCH_POSTGRES_BYTEA || size == 0)
        return NULL;
    if (memchr(bytes, '\0', size) != NULL)
        return "has a NUL byte, which the column, a text, cannot keep";
    if (session->shape.is_utf8 && !is_utf8(bytes, size))
        return "is not valid UTF-8, and the column is a text";
    return NULL;
}

/* ---- Keys ----------------------------------------------------------------------------------- */

bool batch__postgres_item_set_key(struct batch__postgres_session *session,
                                  struct batch__postgres_item *item)
{
    item->key = batch_call_key(item->call, &item->key_size);
    const char *fault =
        batch__postgres_text_fault(session, session->shape.key_type, item->key, item->key_size);
    if (fault != NULL) {
        char text[BATCH__POSTGRES_TEXT_SIZE] = "the key ";
        strncat(text, fault, sizeof text - sizeof "the key ");
        batch_call_set_error(item->call, batch__postgres_code("22021"), text);
        return false;
    }
    if (!session->shape.has_long_keys || item->key_size <= KEY_PLAIN_MAX)
        return true;
    enum { PLAIN = KEY_STORED - crypto_hash_sha256_BYTES };
    item->key_own = malloc(KEY_STORED);
    if (item->key_own == NULL) {
        batch_call_set_error(item->call, 0, "no memory for a long key");
        return false;
    }
    memcpy(item->key_own, item->key, PLAIN);
    crypto_hash_sha256((unsigned char *)item->key_own + PLAIN, (const unsigned char *)item->key,
                       item->key_size);
    item->key = item->key_own;
    item->key_size = KEY_STORED;
    return true;
}

void batch__postgres_item_free_key(struct batch__postgres_item *item)
{
    free(item->key_own);
    item->key_own = NULL;
}

/* ---- Versions ------------------------------------------------------------------------------- */

uint64_t batch__postgres_version(int64_t row_version)
{
    return (uint64_t)row_version ^ UINT64_C(1) << 63;
}

int64_t batch__postgres_row_version(uint64_t version)
{
    return (int64_t)(version ^ UINT64_C(1) << 63);
}

int64_t batch__postgres_next_version(struct batch__postgres_session *session, uint64_t version)
{
    int size = session->shape.version_size;
    if (version == 0) {
        int bits = size == 8 ? 52 : size == 4 ? 30 : 14;
        return (int64_t)(batch__postgres_random(session) >> (64 - bits)) + 1;
    }
    int64_t old = batch__postgres_row_version(version);
    if (size == 2)
        return old >= INT16_MAX ? INT16_MIN : old + 1;
    if (size == 4)
        return old >= INT32_MAX ? INT32_MIN : old + 1;
    return old == INT64_MAX ? INT64_MIN + 1 : old + 1;
}

/* ---- Writing arrays ------------------------------------------------------------------------- */

static char *put32(char *to, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        to[i] = (char)(number >> (24 - 8 * i));
    return to + 4;
}

static char *put_number(char *to, int64_t number)
{
    to = put32(to, 8);
    to = put32(to, (uint32_t)((uint64_t)number >> 32));
    return put32(to, (uint32_t)number);
}

static char *put_head(char *to, uint32_t oid, size_t elements)
{
    to = put32(to, elements > 0 ? 1 : 0); /* dimensions */
    to = put32(to, 0);                    /* no NULLs */
    to = put32(to, oid);
    if (elements == 0)
        return to;
    to = put32(to, (uint32_t)elements);
    return put32(to, 1); /* the first index */
}

static char *put_bytes(char *to, const void *bytes, size_t size, bool is_jsonb)
{
    to = put32(to, (uint32_t)(size + (is_jsonb ? 1 : 0)));
    if (is_jsonb)
        *to++ = 1; /* the version of its form */
    if (size > 0)
        memcpy(to, bytes, size);
    return to + size;
}

static uint32_t oid_of(batch_postgres_type type)
{
    return type == BATCH_POSTGRES_TEXT    ? OID_TEXT
           : type == BATCH_POSTGRES_JSONB ? OID_JSONB
                                          : OID_BYTEA;
}

size_t batch__postgres_item_size(const struct batch__postgres_item *item)
{
    return item->key_size + item->state_size + 2 * (size_t)NUMBER_SIZE + 2 * (size_t)LENGTH_SIZE +
           1;
}

/* Room for the values of these items, in arrays of which there are seven at most. */
static char *reserve(struct batch__postgres_session *session,
                     struct batch__postgres_item *const *items, size_t items_size)
{
    struct batch__postgres_bytes *buffer = &session->buffer;
    size_t size = 7 * (size_t)HEAD_SIZE;
    for (size_t i = 0; i < items_size; i++)
        size += batch__postgres_item_size(items[i]);
    bool is_large = buffer->capacity > 2 * (size_t)BATCH__POSTGRES_BYTES_MAX;
    if (size > buffer->capacity || (is_large && size < buffer->capacity / 4)) {
        free(buffer->bytes);
        buffer->capacity = size + size / 2;
        buffer->bytes = malloc(buffer->capacity);
        if (buffer->bytes == NULL)
            buffer->capacity = 0;
    }
    return buffer->bytes;
}

static void add_param(struct batch__postgres_params *params, const char *begin, const char *end)
{
    params->values[params->count] = begin;
    params->sizes[params->count++] = (int)(end - begin);
}

static char *put_keys(struct batch__postgres_session *session, char *to,
                      struct batch__postgres_item *const *items, size_t items_size,
                      struct batch__postgres_params *params)
{
    char *end = put_head(to, oid_of(session->shape.key_type), items_size);
    for (size_t i = 0; i < items_size; i++)
        end = put_bytes(end, items[i]->key, items[i]->key_size, false);
    add_param(params, to, end);
    return end;
}

static char *put_states(struct batch__postgres_session *session, char *to,
                        struct batch__postgres_item *const *items, size_t items_size,
                        struct batch__postgres_params *params)
{
    batch_postgres_type type = session->shape.state_type;
    char *end = put_head(to, oid_of(type), items_size);
    for (size_t i = 0; i < items_size; i++)
        end = put_bytes(end, items[i]->state, items[i]->state_size, type == BATCH_POSTGRES_JSONB);
    add_param(params, to, end);
    return end;
}

static char *put_versions(char *to, struct batch__postgres_item *const *items, size_t items_size,
                          bool is_new, struct batch__postgres_params *params)
{
    char *end = put_head(to, OID_INT8, items_size);
    for (size_t i = 0; i < items_size; i++)
        end = put_number(end, is_new ? items[i]->row_new : items[i]->row_old);
    add_param(params, to, end);
    return end;
}

bool batch__postgres_params_of_keys(struct batch__postgres_session *session,
                                    struct batch__postgres_item *const *items, size_t items_size,
                                    struct batch__postgres_params *ret_params)
{
    ret_params->count = 0;
    char *to = reserve(session, items, items_size);
    if (to != NULL)
        put_keys(session, to, items, items_size, ret_params);
    return to != NULL;
}

bool batch__postgres_params_of_rows(struct batch__postgres_session *session,
                                    struct batch__postgres_item *const *items, size_t items_size,
                                    struct batch__postgres_params *ret_params)
{
    size_t old = 0; /* rows that are there */
    while (old < items_size && items[old]->version != 0)
        old++;
    ret_params->count = 0;
    char *to = reserve(session, items, items_size);
    if (to == NULL)
        return false;
    to = put_keys(session, to, items, old, ret_params);
    to = put_versions(to, items, old, false, ret_params);
    to = put_versions(to, items, old, true, ret_params);
    to = put_states(session, to, items, old, ret_params);
    to = put_keys(session, to, items + old, items_size - old, ret_params);
    to = put_versions(to, items + old, items_size - old, true, ret_params);
    put_states(session, to, items + old, items_size - old, ret_params);
    return true;
}

/* ---- Reading -------------------------------------------------------------------------------- */

static uint32_t get32(const char *bytes)
{
    uint32_t number = 0;
    for (int i = 0; i < 4; i++)
        number = number << 8 | (unsigned char)bytes[i];
    return number;
}

int64_t batch__postgres_int64(const char *bytes)
{
    return (int64_t)((uint64_t)get32(bytes) << 32 | get32(bytes + 4));
}

void batch__postgres_array_init(struct batch__postgres_array *array, const PGresult *result,
                                int column)
{
    *array = (struct batch__postgres_array){NULL, NULL, 0};
    int size = PQgetlength(result, 0, column);
    if (PQgetisnull(result, 0, column) || size < HEAD_SIZE)
        return;
    const char *bytes = PQgetvalue(result, 0, column);
    array->at = bytes + HEAD_SIZE;
    array->end = bytes + size;
    array->left = get32(bytes) == 1 ? (int)get32(bytes + 12) : 0;
}

const char *batch__postgres_array_next(struct batch__postgres_array *array, size_t *ret_size)
{
    if (array->left <= 0 || array->end - array->at < LENGTH_SIZE)
        return NULL;
    size_t size = get32(array->at);
    const char *element = array->at + LENGTH_SIZE;
    if ((size_t)(array->end - element) < size)
        return NULL; /* also a NULL, which is not to be expected */
    array->at = element + size;
    array->left--;
    *ret_size = size;
    return element;
}
