#include "options.h"

#include "../base/check.h"

#include "allocator.h"
#include "result.h"

enum {
    GROUP_DEFAULT = 4096,
    GROUP_MAX = 65536,
    OPS_DEFAULT = 65536,
    OPS_WAITING_DEFAULT = 1048576,
    RESOURCE_SIZE_MAX = 16 * 1024 * 1024,
    SESSIONS_DEFAULT = 3,
    SESSIONS_OF_FUNCTIONS = 64
};

static const uint64_t MS = 1000000;

/* A short window asks for low latency, not for a short time limit of the store. */
static uint64_t default_deadline_ns(uint64_t window_ns)
{
    const uint64_t least_ns = 1000 * MS;
    if (window_ns == BATCH_WINDOW_NONE)
        return least_ns;
    uint64_t deadline_ns = window_ns <= UINT64_MAX / 2 ? 2 * window_ns : UINT64_MAX;
    return deadline_ns > least_ns ? deadline_ns : least_ns;
}

/* A session of a store is a connection, and takes all calls that are ready. One of functions is a
 * thread, in one call at a time. */
static uint32_t default_sessions(const batch_options *options)
{
    bool has_functions = options->load != NULL || options->save != NULL;
    return has_functions ? SESSIONS_OF_FUNCTIONS : SESSIONS_DEFAULT;
}

static void fill_in(batch_options *options)
{
    if (options->sessions == BATCH_SESSIONS_DEFAULT)
        options->sessions = default_sessions(options);
    if (options->shards == 0)
        options->shards = 1;
    if (options->window_ns == 0)
        options->window_ns = 100 * MS;
    if (options->deadline_ns == 0)
        options->deadline_ns = default_deadline_ns(options->window_ns);
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

/* The sizes of the structs in the first release. */
#define OPTIONS_FIRST offsetof(batch_options, log)
#define CODEC_FIRST   offsetof(batch_codec, decode_call)
#define STORE_FIRST   offsetof(batch_store, stats)

static const char *what_is_wrong_with_functions(const batch_options *options)
{
    const batch_store *store = options->store;
    if (options->resource_cache_max > 0 && store == NULL &&
        (options->load == NULL || options->save == NULL))
        return "resource_cache_max needs a store, or load and save: they check versions";
    if (store == NULL && options->codec != NULL)
        return "codec needs a store";
    if (store != NULL &&
        (options->load != NULL || options->save != NULL || options->release != NULL))
        return "load, save and release replace a store: set one or the other";
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
        return "deadline_ns is shorter than window_ns: what is loaded would get older than that";
    if (options->group_max > GROUP_MAX)
        return "group_max exceeds 65,536";
    if (options->driven && options->shards > 1)
        return "driven needs one shard: one thread drives it";
    if (options->allocator.allocate == NULL || options->allocator.release == NULL)
        return "allocator needs both functions or neither";
    return what_is_wrong_with_functions(options);
}

static const char *what_is_missing_in_store(const batch_store *store)
{
    if (store->name == NULL)
        return "name";
    if (store->session_open == NULL)
        return "session_open";
    if (store->load == NULL)
        return "load";
    if (store->save == NULL)
        return "save";
    if (store->session_close == NULL)
        return "session_close";
    return store->close == NULL ? "close" : NULL;
}

static const char *what_is_missing_in_codec(const batch_codec *codec)
{
    if (codec->decode == NULL && codec->decode_call == NULL)
        return "decode";
    return codec->encode == NULL && codec->encode_call == NULL ? "encode" : NULL;
}

static int take_store(batch_store *ret_store, const batch_store *store, batch_result *reterr)
{
    *ret_store = (batch_store)BATCH_STORE_INIT;
    int status = batch_struct_read(ret_store, store, STORE_FIRST, "options.store", reterr);
    const char *missing = status == BATCH_OK ? what_is_missing_in_store(ret_store) : NULL;
    if (missing != NULL)
        return batch__result_set(reterr, BATCH_INVALID, "options.store: %s is NULL", missing);
    return status;
}

static int take_codec(batch_codec *ret_codec, const batch_codec *codec, batch_result *reterr)
{
    *ret_codec = (batch_codec){.size = sizeof *ret_codec};
    int status = batch_struct_read(ret_codec, codec, CODEC_FIRST, "options.codec", reterr);
    const char *missing = status == BATCH_OK ? what_is_missing_in_codec(ret_codec) : NULL;
    if (missing != NULL)
        return batch__result_set(reterr, BATCH_INVALID, "options.codec: %s is NULL", missing);
    return status;
}

int batch__options_take(struct batch__asked *ret_asked, const batch_options *options,
                        batch_result *reterr)
{
    if (options == NULL)
        return batch__result_set(reterr, BATCH_INVALID, "options is NULL");
    struct batch__asked asked = {.options = BATCH_OPTIONS_INIT};
    batch_options *taken = &asked.options;
    int status = batch_struct_read(taken, options, OPTIONS_FIRST, "options", reterr);
    if (status != BATCH_OK)
        return status;
    fill_in(taken);
    const char *wrong = what_is_wrong(taken);
    if (wrong != NULL)
        return batch__result_set(reterr, BATCH_INVALID, "options: %s", wrong);
    if (taken->store != NULL)
        status = take_store(&asked.store, taken->store, reterr);
    if (status == BATCH_OK && taken->codec != NULL)
        status = take_codec(&asked.codec, taken->codec, reterr);
    if (status != BATCH_OK)
        return status;
    batch__check(taken->shards > 0 && taken->group_max > 0 && taken->ops_max > 0);
    *ret_asked = asked;
    return BATCH_OK;
}
