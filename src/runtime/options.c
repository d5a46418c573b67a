#include "options.h"

#include "../base/check.h"

#include <batch/store.h>

#include "allocator.h"
#include "result.h"

enum {
    GROUP_DEFAULT = 4096,
    GROUP_MAX = 65536,
    OPS_DEFAULT = 65536,
    OPS_WAITING_DEFAULT = 1048576,
    RESOURCE_SIZE_MAX = 16 * 1024 * 1024
};

static const uint64_t MS = 1000000;

static void fill_in(batch_options *options)
{
    if (options->shards == 0)
        options->shards = 1;
    if (options->window_ns == 0)
        options->window_ns = 100 * MS;
    if (options->deadline_ns == 0 && options->window_ns == BATCH_WINDOW_NONE)
        options->deadline_ns = 1000 * MS;
    if (options->deadline_ns == 0)
        options->deadline_ns =
            options->window_ns <= UINT64_MAX / 2 ? 2 * options->window_ns : UINT64_MAX;
    if (options->ops_max == 0)
        options->ops_max = OPS_DEFAULT;
    if (options->ops_waiting_max == 0)
        options->ops_waiting_max = OPS_WAITING_DEFAULT;
    if (options->key_ops_waiting_max == 0) /* a hot or stuck key leaves room to the others */
        options->key_ops_waiting_max = options->ops_waiting_max / options->shards / 2 + 1;
    if (options->group_max == 0)
        options->group_max = GROUP_DEFAULT;
    if (options->allocator.allocate == NULL && options->allocator.release == NULL)
        options->allocator = batch__default_allocator();
}

static const char *what_is_wrong_with_store(const batch_options *options)
{
    const batch_store *store = options->store;
    if (options->resource_cache_max > 0 && store == NULL &&
        (options->load == NULL || options->save == NULL))
        return "resource_cache_max needs a store, or load and save: they check versions";
    if (store == NULL)
        return options->codec != NULL ? "codec needs a store" : NULL;
    if (options->load != NULL || options->save != NULL || options->release != NULL)
        return "load, save and release replace a store: set one or the other";
    if (store->size < sizeof *store || store->name == NULL || store->session_open == NULL ||
        store->load == NULL || store->save == NULL || store->session_close == NULL ||
        store->close == NULL)
        return "store is incomplete (size, name or a function): start from BATCH_STORE_INIT";
    const batch_codec *codec = options->codec;
    if (codec != NULL &&
        (codec->size < sizeof *codec || codec->decode == NULL || codec->encode == NULL))
        return "codec is incomplete (size, decode or encode)";
    return NULL;
}

static const char *what_is_wrong(const batch_options *options)
{
    if (options->sessions > BATCH__SESSIONS_MAX)
        return "sessions exceeds 1,024";
    if (options->shards > BATCH__SHARDS_MAX)
        return "shards exceeds 256";
    if (options->resource_size > RESOURCE_SIZE_MAX)
        return "resource_size exceeds 16 MiB";
    if (options->window_ns != BATCH_WINDOW_NONE && options->deadline_ns < options->window_ns)
        return "deadline_ns is shorter than window_ns: every save would miss it";
    if (options->group_max > GROUP_MAX)
        return "group_max exceeds 65,536";
    if (options->allocator.allocate == NULL || options->allocator.release == NULL)
        return "allocator needs both functions or neither";
    return what_is_wrong_with_store(options);
}

int batch__options_take(batch_options *ret_options, const batch_options *options,
                        batch_result *reterr)
{
    if (options == NULL)
        return batch__result_set(reterr, BATCH_INVALID, "options is NULL");
    if (options->size != sizeof *options)
        return batch__result_set(reterr, BATCH_INVALID,
                                 "options.size is %zu, not %zu: start from BATCH_OPTIONS_INIT",
                                 options->size, sizeof *options);
    batch_options taken = *options;
    fill_in(&taken);
    const char *wrong = what_is_wrong(&taken);
    if (wrong != NULL)
        return batch__result_set(reterr, BATCH_INVALID, "options: %s", wrong);
    batch__check(taken.shards > 0 && taken.group_max > 0 && taken.ops_max > 0);
    *ret_options = taken;
    return BATCH_OK;
}
