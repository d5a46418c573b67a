#include "codec.h"

#include "faults.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct resource {
    int64_t number; /* first: what operations change */
    char *memory;
};

_Static_assert(sizeof(struct resource) <= CODEC_RESOURCE_SIZE, "as the header says");

static atomic_int_fast64_t live;

static int decode(void *opened, const void *bytes, size_t bytes_size, void *arg)
{
    (void)arg;
    struct resource *resource = opened;
    if (faults_callback_fails() || (bytes != NULL && bytes_size != sizeof resource->number))
        return 9;
    if (bytes != NULL)
        memcpy(&resource->number, bytes, sizeof resource->number);
    faults_exempt_begin();
    resource->memory = malloc(8);
    faults_exempt_end();
    atomic_fetch_add(&live, 1);
    return BATCH_OK;
}

static int encode(void *opened, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    (void)arg;
    struct resource *resource = opened;
    if (faults_callback_fails())
        return 10;
    *ret_bytes = &resource->number;
    *ret_bytes_size = sizeof resource->number;
    return BATCH_OK;
}

static void release(void *opened, void *arg)
{
    (void)arg;
    struct resource *resource = opened;
    free(resource->memory);
    atomic_fetch_sub(&live, 1);
}

const batch_codec codec = {
    .size = sizeof(batch_codec), .decode = decode, .encode = encode, .release = release};

int64_t codec_live(void)
{
    return atomic_load(&live);
}
