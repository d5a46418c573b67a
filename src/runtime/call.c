/* call.c: batch_call, from both sides: the store's (store.h) and the worker's (call.h). */
#include "call.h"

#include "../base/check.h"
#include "../base/atomics.h"
#include "allocator.h"
#include "result.h"
#include "shard.h"
#include "shared.h"

#include <stdio.h>
#include <string.h>

enum { LATE_MIN = 4096 }; /* bytes of a resource that is cleared where it is loaded */

_Static_assert(BATCH__OBJECT_ALIGNMENT % BATCH_RESOURCE_ALIGNMENT == 0, "a call is aligned");
_Static_assert(BATCH_RESOURCE_ALIGNMENT == 64, "promised in batch.h");
_Static_assert(sizeof(void *) != 8 || sizeof(batch_call) <= 320,
               "every key would take one more line of the cache");

size_t batch__call_size(size_t resource_size)
{
    return batch__round_up(batch__call_head_size() + resource_size, BATCH__OBJECT_ALIGNMENT);
}

void batch__calls_push(struct batch__calls *calls, batch_call *call)
{
    batch__check((calls->first == NULL) == (calls->count == 0));
    call->next = NULL;
    if (calls->first == NULL)
        calls->first = call;
    else
        calls->last->next = call;
    calls->last = call;
    calls->count++;
}

void batch__calls_append(struct batch__calls *calls, struct batch__calls *more)
{
    batch__check((more->first == NULL) == (more->count == 0));
    if (more->first == NULL)
        return;
    if (calls->first == NULL)
        calls->first = more->first;
    else
        calls->last->next = more->first;
    calls->last = more->last;
    calls->count += more->count;
    *more = (struct batch__calls){NULL, NULL, 0};
}

static uint64_t store_time_ns(const batch_call *call, uint64_t now_ns)
{
    return batch__store_clock_at(&call->shard->store_clock, now_ns);
}

size_t batch__calls_take(struct batch__calls *from, batch_call **calls, size_t calls_max,
                         uint64_t now_ns)
{
    batch__check(calls_max > 0);
    size_t count = 0;
    while (from->first != NULL && count < calls_max) {
        size_t unit = from->first->unit;
        if (unit > calls_max - count && count > 0)
            break;
        uint16_t number = unit > 0 ? (uint16_t)(count + 1) : 0;
        for (size_t left = unit > 0 ? unit : 1; left > 0; left--) {
            batch_call *call = from->first;
            batch__check(call != NULL);
            from->first = call->next;
            call->next = NULL;
            call->unit = number;
            calls[count++] = call;
        }
    }
    from->count -= count;
    batch__check((from->first == NULL) == (from->count == 0));
    uint64_t taken_ns = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || calls[i]->shard != calls[i - 1]->shard)
            taken_ns = store_time_ns(calls[i], now_ns);
        calls[i]->group_index = (uint16_t)i;
        calls[i]->group_size = (uint32_t)count;
        calls[i]->taken_ns = taken_ns;
    }
    return count;
}

static const batch_options *options_of(const batch_call *call)
{
    return &call->shard->shared->options;
}

void batch__call_begin(batch_call *call, struct batch__shard *shard)
{
    batch__check(batch__load_relaxed(&call->xis_in_flight) == 0);
    call->shard = shard;
    call->version = 0;
    batch__call_clear_error(call); /* of a conflict: it is loaded again */
    call->group_size = 0;
    call->unit = 0;
    if (!batch__call_clears_late(shard->shared))
        batch__call_clear(call);
}

bool batch__call_clears_late(const struct batch__shared *shared)
{
    return shared->has_load && shared->options.resource_size >= LATE_MIN;
}

void batch__call_clear(batch_call *call)
{
    const struct batch__shared *shared = call->shard->shared;
    size_t resource_size = shared->options.resource_size;
    bool is_zero = !call->is_used && shared->has_pages;
    call->is_used = true;
    if (resource_size > 0 && !is_zero)
        memset(batch__call_memory(call), 0, resource_size);
}

void batch__call_hand_over(batch_call *call, enum batch__stage stage)
{
    batch__check(batch__load_relaxed(&call->xis_in_flight) == 0);
    call->stage = (uint8_t)stage;
    batch__store_relaxed(&call->xis_in_flight, 1); /* ordered by the hand-over itself */
}

void batch__call_clear_error(batch_call *call)
{
    if (call->error_text != NULL)
        batch__release(options_of(call), call->error_text);
    call->error_text = NULL;
    call->store_code = 0;
}

const void *batch_call_key(const batch_call *call, size_t *ret_key_size)
{
    *ret_key_size = call->batch.key_size;
    return call->batch.key;
}

/* On the shard's store_clock. */
static uint64_t time_limit_ns(const batch_call *call)
{
    return batch__sum_or_max(call->taken_ns, options_of(call)->deadline_ns);
}

uint64_t batch_call_deadline_ns(const batch_call *call)
{
    return batch__sum_or_max(time_limit_ns(call),
                             batch__store_clock_lost_ns(&call->shard->store_clock));
}

bool batch_call_is_canceled(const batch_call *call)
{
    struct batch__shard *shard = call->shard;
    if (batch__load_relaxed(&shard->shared->xis_aborting) != 0)
        return true;
    uint64_t now_ns = batch__clock_now_ns();
    if (batch__thread_is_current(&shard->thread))
        batch__store_clock_beat(&shard->store_clock, now_ns); /* it is the store that takes long */
    return store_time_ns(call, now_ns) > time_limit_ns(call);
}

uint64_t batch_call_version(const batch_call *call)
{
    return call->version;
}

void batch_call_set_version(batch_call *call, uint64_t version)
{
    call->version = version;
}

size_t batch_call_group_index(const batch_call *call)
{
    return call->group_index;
}

uint32_t batch_call_unit(const batch_call *call)
{
    return call->unit;
}

bool batch_call_is_check(const batch_call *call)
{
    return call->is_check;
}

void *batch_call_resource(const batch_call *call)
{
    if (options_of(call)->resource_size == 0)
        return NULL;
    return batch__call_memory((batch_call *)(uintptr_t)call);
}

static int decode_plain(batch_call *call, const void *bytes, size_t bytes_size)
{
    size_t resource_size = options_of(call)->resource_size;
    if (bytes == NULL)
        return BATCH_OK;
    if (bytes_size != resource_size) {
        char text[128];
        snprintf(text, sizeof text,
                 "the stored state has %zu bytes, but resource_size is %zu and there is no codec",
                 bytes_size, resource_size);
        batch_call_set_error(call, 0, text);
        return BATCH_LOAD_FAILED;
    }
    if (bytes_size > 0)
        memcpy(batch_call_resource(call), bytes, bytes_size);
    return BATCH_OK;
}

/* It may have stated why: all of it, or only a code. */
static void codec_failed(batch_call *call, int status, const char *text)
{
    if (call->error_text == NULL)
        batch_call_set_error(call, call->store_code != 0 ? call->store_code : status, text);
}

int batch_call_decode(batch_call *call, const void *bytes, size_t bytes_size)
{
    const batch_codec *codec = &call->shard->shared->codec;
    void *resource = batch_call_resource(call);
    int status;
    if (codec->decode_call != NULL)
        status = codec->decode_call(call, resource, bytes, bytes_size, codec->arg);
    else if (codec->decode != NULL)
        status = codec->decode(resource, bytes, bytes_size, codec->arg);
    else
        return decode_plain(call, bytes, bytes_size);
    if (status == BATCH_OK)
        return BATCH_OK;
    codec_failed(call, status, "the codec could not decode the stored state");
    return BATCH_LOAD_FAILED;
}

int batch_call_encode(batch_call *call, const void **ret_bytes, size_t *ret_bytes_size)
{
    const batch_codec *codec = &call->shard->shared->codec;
    void *resource = batch_call_resource(call);
    int status = BATCH_OK;
    if (codec->encode_call != NULL) {
        status = codec->encode_call(call, resource, ret_bytes, ret_bytes_size, codec->arg);
    } else if (codec->encode != NULL) {
        status = codec->encode(resource, ret_bytes, ret_bytes_size, codec->arg);
    } else {
        *ret_bytes = resource;
        *ret_bytes_size = options_of(call)->resource_size;
    }
    if (status == BATCH_OK)
        return BATCH_OK;
    codec_failed(call, status, "the codec could not encode the resource");
    return BATCH_SAVE_FAILED;
}

void batch_call_set_error(batch_call *call, int store_code, const char *text)
{
    batch__call_clear_error(call);
    call->store_code = store_code;
    if (text == NULL)
        return;
    size_t size = strlen(text) + 1;
    if (size > BATCH_MESSAGE_SIZE)
        size = BATCH_MESSAGE_SIZE;
    call->error_text = batch__allocate(options_of(call), size);
    if (call->error_text == NULL)
        return; /* status and code are reported all the same */
    memcpy(call->error_text, text, size - 1);
    call->error_text[size - 1] = '\0';
}

void batch_call_log(const batch_call *call, int kind, const char *text)
{
    struct batch__events *events = &call->shard->shared->events;
    if (batch__events_count(events, kind, batch__clock_now_ns()))
        batch__events_log(events, kind, text != NULL ? text : batch_event_name(kind));
}

void batch_call_set_error_of(batch_call *call, const batch_call *culprit)
{
    char text[BATCH_MESSAGE_SIZE];
    if (call == culprit)
        return; /* it has its reason */
    batch__result_reason(text, sizeof text, culprit);
    batch_call_set_error(call, culprit->store_code, text);
}

/* What a stage may end with; anything else is the worst that it can mean. */
static int stage_status(enum batch__stage stage, int status)
{
    if (stage == BATCH__STAGE_LOAD)
        return status == BATCH_OK ? BATCH_OK : BATCH_LOAD_FAILED;
    if (status == BATCH_OK || status == BATCH_CONFLICT || status == BATCH_SAVE_FAILED)
        return status;
    return BATCH_UNKNOWN;
}

static void begin_finish(batch_call *call, uint8_t was_in_flight, int status)
{
    if (was_in_flight == 0)
        batch__panic(__FILE__, __LINE__, "batch_call_finish: once for each load and save");
    call->status = (int8_t)stage_status((enum batch__stage)call->stage, status);
}

/* On the worker: nobody else looks at the call before the worker does. */
static void finish_here(struct batch__shard *shard, batch_call *call, int status)
{
    begin_finish(call, batch__load_relaxed(&call->xis_in_flight), status);
    batch__store_relaxed(&call->xis_in_flight, 0);
    call->finished_ns = 0;
    batch__calls_push(&shard->finished, call);
}

void batch_call_finish(batch_call *call, int status)
{
    struct batch__shard *shard = call->shard;
    if (batch__thread_is_current(&shard->thread)) {
        finish_here(shard, call, status);
        return;
    }
    begin_finish(call, batch__exchange_acq_rel(&call->xis_in_flight, 0), status);
    call->finished_ns = batch__clock_now_ns();
    /* From the push on, the worker may complete and end. The count keeps the shard until we have
     * left; seq_cst, so that it is seen by whoever sees the call. */
    struct batch__shared *shared = shard->shared;
    batch__add_seq_cst(&shared->xfinishers, 1);
    batch__inbox_push_call_mp(&shard->inbox, call);
    uint32_t finishers = batch__sub_release(&shared->xfinishers, 1);
    batch__check(finishers > 0);
}
