#include "item.h"

#include "../check.h"
#include "error.h"
#include "wait.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_PLAIN_MAX = 2000, KEY_STORED = KEY_PLAIN_MAX + 1 };

/* ---- Texts ---------------------------------------------------------------------------------- */

/* The bytes of the UTF-8 sequence at `text`; 0: it is invalid, or PostgreSQL rejects it. */
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

const char *batch__postgres_text_fault(const struct batch__postgres_shape *shape,
                                       batch_postgres_type type, const void *bytes, size_t size)
{
    if (type == BATCH_POSTGRES_BYTEA || size == 0)
        return NULL;
    batch__check(bytes != NULL);
    if (memchr(bytes, '\0', size) != NULL)
        return "has a NUL byte, which a text column cannot store";
    if (shape->is_utf8 && !is_utf8(bytes, size))
        return "is not valid UTF-8, which a text column must be";
    return NULL;
}

/* ---- Keys ----------------------------------------------------------------------------------- */

bool batch__postgres_item_set_key(struct batch__postgres_item *item,
                                  const struct batch__postgres_shape *shape)
{
    batch__check(item->key_own == NULL);
    item->key = batch_call_key(item->call, &item->key_size);
    const char *fault =
        batch__postgres_text_fault(shape, shape->key_type, item->key, item->key_size);
    if (fault != NULL) {
        char text[BATCH__POSTGRES_TEXT_SIZE] = "the key ";
        strncat(text, fault, sizeof text - sizeof "the key ");
        batch_call_set_error(item->call, batch__postgres_code("22021"), text);
        return false;
    }
    if (!shape->has_long_keys || item->key_size <= KEY_PLAIN_MAX)
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

int64_t batch__postgres_item_lock(const struct batch__postgres_item *item)
{
    static const unsigned char seed[crypto_shorthash_KEYBYTES] = "libbatch absent";
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t number = 0;
    crypto_shorthash(hash, (const unsigned char *)item->key, item->key_size, seed);
    for (size_t i = 0; i < sizeof hash; i++)
        number = number << 8 | hash[i];
    return (int64_t)number;
}

/* ---- Outcomes ------------------------------------------------------------------------------- */

void batch__postgres_item_resolve(struct batch__postgres_item *item, int status, int store_code,
                                  const char *text)
{
    batch__check(!item->is_resolved);
    batch__check(!item->is_finished);
    if (text != NULL)
        batch_call_set_error(item->call, store_code, text);
    item->status = status;
    item->is_resolved = true;
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

int64_t batch__postgres_next_version(uint64_t version, int size, uint64_t *random)
{
    batch__check(size == 2 || size == 4 || size == 8);
    if (version == 0) {
        int bits = size == 8 ? 52 : size == 4 ? 30 : 14;
        return (int64_t)(batch__postgres_random(random) >> (64 - bits)) + 1;
    }
    int64_t old = batch__postgres_row_version(version);
    if (size == 2)
        return old >= INT16_MAX ? INT16_MIN : old + 1;
    if (size == 4)
        return old >= INT32_MAX ? INT32_MIN : old + 1;
    return old == INT64_MAX ? INT64_MIN + 1 : old + 1;
}
