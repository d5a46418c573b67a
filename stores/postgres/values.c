#include "values.h"

#include "../check.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25, OID_JSONB = 3802 };
enum { HEAD_SIZE = 20, NUMBER_SIZE = 12, LENGTH_SIZE = 4 };

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

/* An element that is NULL. */
static char *put_null(char *to)
{
    return put32(to, UINT32_MAX);
}

static char *put_head(char *to, uint32_t oid, size_t elements)
{
    to = put32(to, elements > 0 ? 1 : 0); /* dimensions */
    to = put32(to, 0);                    /* the server finds NULLs by itself */
    to = put32(to, oid);
    if (elements == 0)
        return to;
    batch__check(elements <= INT32_MAX);
    to = put32(to, (uint32_t)elements);
    return put32(to, 1); /* the first index */
}

static char *put_bytes(char *to, const void *bytes, size_t size, bool is_jsonb)
{
    batch__check(size < INT32_MAX);
    to = put32(to, (uint32_t)(size + (is_jsonb ? 1 : 0)));
    if (is_jsonb)
        *to++ = 1; /* the version of the format */
    if (size > 0)
        memcpy(to, bytes, size);
    return to + size;
}

static uint32_t oid_of(batch_postgres_type type)
{
    batch__check(type != BATCH_POSTGRES_AUTO);
    return type == BATCH_POSTGRES_TEXT    ? OID_TEXT
           : type == BATCH_POSTGRES_JSONB ? OID_JSONB
                                          : OID_BYTEA;
}

size_t batch__postgres_size_of(const struct batch__postgres_item *item)
{
    return item->key_size + item->state_size + 4 * (size_t)NUMBER_SIZE + 2 * (size_t)LENGTH_SIZE +
           1;
}

/* Room for the values of these items, in as many arrays as there are parameters. */
static char *reserve(struct batch__postgres_buffer *buffer,
                     struct batch__postgres_item *const *items, size_t items_size)
{
    size_t size = BATCH__POSTGRES_PARAMS_MAX * (size_t)HEAD_SIZE;
    for (size_t i = 0; i < items_size; i++)
        size += batch__postgres_size_of(items[i]);
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
    batch__check(params->count < BATCH__POSTGRES_PARAMS_MAX);
    batch__check(end - begin <= INT_MAX);
    params->values[params->count] = begin;
    params->sizes[params->count++] = (int)(end - begin);
}

static char *put_keys(char *to, batch_postgres_type type, struct batch__postgres_item *const *items,
                      size_t items_size, struct batch__postgres_params *params)
{
    char *end = put_head(to, oid_of(type), items_size);
    for (size_t i = 0; i < items_size; i++)
        end = put_bytes(end, items[i]->key, items[i]->key_size, false);
    add_param(params, to, end);
    return end;
}

static char *put_states(char *to, batch_postgres_type type,
                        struct batch__postgres_item *const *items, size_t items_size,
                        struct batch__postgres_params *params)
{
    char *end = put_head(to, oid_of(type), items_size);
    for (size_t i = 0; i < items_size; i++) {
        bool is_jsonb = type == BATCH_POSTGRES_JSONB;
        end = items[i]->is_check ? put_null(end)
                                 : put_bytes(end, items[i]->state, items[i]->state_size, is_jsonb);
    }
    add_param(params, to, end);
    return end;
}

static char *put_versions(char *to, struct batch__postgres_item *const *items, size_t items_size,
                          bool is_new, struct batch__postgres_params *params)
{
    char *end = put_head(to, OID_INT8, items_size);
    for (size_t i = 0; i < items_size; i++) {
        bool is_none = is_new && items[i]->is_check;
        end = is_none ? put_null(end)
                      : put_number(end, is_new ? items[i]->row_new : items[i]->row_old);
    }
    add_param(params, to, end);
    return end;
}

/* Of each item: the number of its unit, which is the place of the lead in `all`; and how many items
 * are in it. */
static char *put_units(char *to, struct batch__postgres_item *const *items, size_t items_size,
                       const struct batch__postgres_item *all,
                       struct batch__postgres_params *params)
{
    char *sizes = put_head(to, OID_INT8, items_size);
    for (size_t i = 0; i < items_size; i++)
        sizes = put_number(sizes, items[i]->lead - all);
    add_param(params, to, sizes);
    char *end = put_head(sizes, OID_INT8, items_size);
    for (size_t i = 0; i < items_size; i++)
        end = put_number(end, items[i]->lead->unit_size);
    add_param(params, sizes, end);
    return end;
}

bool batch__postgres_params_of_keys(struct batch__postgres_buffer *buffer,
                                    const struct batch__postgres_shape *shape,
                                    struct batch__postgres_item *const *items, size_t items_size,
                                    struct batch__postgres_params *ret_params)
{
    ret_params->count = 0;
    char *to = reserve(buffer, items, items_size);
    if (to == NULL)
        return false;
    to = put_keys(to, shape->key_type, items, items_size, ret_params);
    batch__check((size_t)(to - buffer->bytes) <= buffer->capacity);
    return true;
}

/* How many rows are there; the others, behind them, are new. */
static size_t count_old(struct batch__postgres_item *const *items, size_t items_size)
{
    size_t old = 0;
    while (old < items_size && items[old]->version != 0)
        old++;
    for (size_t i = old; i < items_size; i++)
        batch__check(items[i]->version == 0);
    return old;
}

bool batch__postgres_params_of_rows(struct batch__postgres_buffer *buffer,
                                    const struct batch__postgres_shape *shape,
                                    struct batch__postgres_item *const *items, size_t items_size,
                                    struct batch__postgres_params *ret_params)
{
    size_t old = count_old(items, items_size);
    size_t new = items_size - old;
    ret_params->count = 0;
    char *to = reserve(buffer, items, items_size);
    if (to == NULL)
        return false;
    to = put_keys(to, shape->key_type, items, old, ret_params);
    to = put_versions(to, items, old, false, ret_params);
    to = put_versions(to, items, old, true, ret_params);
    to = put_states(to, shape->state_type, items, old, ret_params);
    to = put_keys(to, shape->key_type, items + old, new, ret_params);
    to = put_versions(to, items + old, new, true, ret_params);
    to = put_states(to, shape->state_type, items + old, new, ret_params);
    batch__check((size_t)(to - buffer->bytes) <= buffer->capacity);
    return true;
}

bool batch__postgres_params_of_units(struct batch__postgres_buffer *buffer,
                                     const struct batch__postgres_shape *shape,
                                     struct batch__postgres_item *const *items, size_t items_size,
                                     const struct batch__postgres_item *all,
                                     struct batch__postgres_params *ret_params)
{
    size_t old = count_old(items, items_size);
    size_t new = items_size - old;
    ret_params->count = 0;
    char *to = reserve(buffer, items, items_size);
    if (to == NULL)
        return false;
    to = put_keys(to, shape->key_type, items, old, ret_params);
    to = put_versions(to, items, old, false, ret_params);
    to = put_versions(to, items, old, true, ret_params);
    to = put_states(to, shape->state_type, items, old, ret_params);
    to = put_units(to, items, old, all, ret_params);
    to = put_keys(to, shape->key_type, items + old, new, ret_params);
    to = put_versions(to, items + old, new, true, ret_params);
    to = put_states(to, shape->state_type, items + old, new, ret_params);
    to = put_units(to, items + old, new, all, ret_params);
    batch__check((size_t)(to - buffer->bytes) <= buffer->capacity);
    return true;
}

bool batch__postgres_params_of_locks(struct batch__postgres_buffer *buffer,
                                     const struct batch__postgres_shape *shape,
                                     struct batch__postgres_item *const *items, size_t items_size,
                                     struct batch__postgres_params *ret_params)
{
    size_t old = count_old(items, items_size);
    ret_params->count = 0;
    char *to = reserve(buffer, items, items_size);
    if (to == NULL)
        return false;
    to = put_keys(to, shape->key_type, items, old, ret_params);
    size_t absent = items_size - old;
    size_t locks = absent <= BATCH__POSTGRES_LOCKS_MAX ? absent : 0;
    char *end = put_head(to, OID_INT8, locks);
    for (size_t i = old; i < old + locks; i++)
        end = put_number(end, batch__postgres_item_lock(items[i]));
    add_param(ret_params, to, end);
    batch__check((size_t)(end - buffer->bytes) <= buffer->capacity);
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
        return NULL; /* also a NULL, which is not expected */
    array->at = element + size;
    array->left--;
    *ret_size = size;
    return element;
}
