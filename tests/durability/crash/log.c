/* log.c: see log.h. */
#include "log.h"

#include <stdlib.h>
#include <string.h>

static void log_reserve(struct log *log, uint32_t count)
{
    if (count <= log->capacity)
        return;
    log->capacity = count + count / 2 + 64;
    log->ids = realloc(log->ids, log->capacity * sizeof log->ids[0]);
    if (log->ids == NULL)
        abort();
}

void log_append(struct log *log, uint32_t id)
{
    log_reserve(log, log->count + 1);
    log->ids[log->count++] = id;
}

static int decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    struct log *log = resource;
    (void)arg;
    if (bytes_size % sizeof log->ids[0] != 0)
        return BATCH_LOAD_FAILED;
    if (bytes_size > 0) {
        log->count = (uint32_t)(bytes_size / sizeof log->ids[0]);
        log_reserve(log, log->count);
        memcpy(log->ids, bytes, bytes_size);
    }
    return BATCH_OK;
}

static int encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    const struct log *log = resource;
    (void)arg;
    *ret_bytes = log->ids;
    *ret_bytes_size = log->count * sizeof log->ids[0];
    return BATCH_OK;
}

static void release(void *resource, void *arg)
{
    (void)arg;
    free(((struct log *)resource)->ids);
}

const batch_codec log_codec = {
    .size = sizeof log_codec, .decode = decode, .encode = encode, .release = release};
