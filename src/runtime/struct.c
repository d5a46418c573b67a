/* struct.c: structs that grow, from callers that were compiled with another version of them. */
#include <batch/store.h>

#include "../base/check.h"
#include "result.h"

#include <string.h>

enum { SIZE_LARGEST = 4096 }; /* above it, a size was never set: nothing behind it is read */

static size_t size_of(const void *grown)
{
    size_t size;
    memcpy(&size, grown, sizeof size);
    return size;
}

static bool is_zero(const unsigned char *bytes, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

int batch_struct_read(void *ret_known, const void *given, size_t first_size, const char *name,
                      batch_result *reterr)
{
    size_t known_size = size_of(ret_known);
    batch__check(sizeof(size_t) <= first_size);
    batch__check(first_size <= known_size);
    batch__check(known_size <= SIZE_LARGEST);
    if (given == NULL)
        return BATCH_OK;
    size_t size = size_of(given);
    if (size < first_size || size > SIZE_LARGEST)
        return batch__result_set(reterr, BATCH_INVALID,
                                 "%s: size is %zu; it must be that of the struct, %zu here", name,
                                 size, known_size);
    if (!is_zero(given, known_size, size))
        return batch__result_set(reterr, BATCH_INVALID,
                                 "%s: size is %zu, and a member that this version (%s) does not "
                                 "know is not zero",
                                 name, size, batch_version());
    size_t both = size < known_size ? size : known_size;
    memcpy((char *)ret_known + sizeof size, (const char *)given + sizeof size, both - sizeof size);
    return BATCH_OK;
}

int batch_struct_init(void *ret_given, size_t size, const void *known)
{
    if (ret_given == NULL || size < sizeof size || size > SIZE_LARGEST)
        return BATCH_INVALID;
    size_t known_size = size_of(known);
    size_t both = size < known_size ? size : known_size;
    memcpy(ret_given, known, both);
    memset((char *)ret_given + both, 0, size - both);
    memcpy(ret_given, &size, sizeof size);
    return BATCH_OK;
}
