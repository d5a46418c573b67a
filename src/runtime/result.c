#include "result.h"

#include "../base/check.h"
#include "call.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int batch__result_set(batch_result *result, int status, const char *format, ...)
{
    batch__check(status <= 0 && status > -BATCH_STATUS_COUNT);
    if (result == NULL)
        return status;
    result->status = status;
    result->store_code = 0;
    result->batch_operations = 0;
    result->changed = false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->message, sizeof result->message, format, arguments);
    va_end(arguments);
    return status;
}

enum { KEY_SHOWN = 48, HEX_SIZE = 4 };

/* The key for people: as it is where it is printable ASCII, else \xNN; cut with … when long. */
static void show_key(char *text, size_t text_size, const struct batch__batch *batch)
{
    const unsigned char *key = batch->key;
    batch__check(key != NULL || batch->key_size == 0);
    size_t at = 0;
    size_t shown = batch->key_size < KEY_SHOWN ? batch->key_size : KEY_SHOWN;
    for (size_t i = 0; i < shown && at + HEX_SIZE < text_size; i++) {
        if (key[i] >= ' ' && key[i] <= '~' && key[i] != '\\' && key[i] != '\'')
            text[at++] = (char)key[i];
        else
            at += (size_t)snprintf(text + at, text_size - at, "\\x%02x", key[i]);
    }
    text[at] = '\0';
}

static const char *what_failed(int status)
{
    switch (status) {
    case BATCH_LOAD_FAILED:
        return "could not load";
    case BATCH_SAVE_FAILED:
        return "could not save";
    case BATCH_CONFLICT:
        return "another writer saved meanwhile, not applied:";
    case BATCH_UNKNOWN:
        return "outcome unknown, may or may not have saved";
    default:
        return "failed on";
    }
}

void batch__result_reason(char *text, size_t text_size, const batch_call *culprit)
{
    char key[KEY_SHOWN * HEX_SIZE + 1];
    const char *why = culprit->error_text;
    show_key(key, sizeof key, &culprit->batch);
    snprintf(text, text_size, "key '%s%s' in the same transaction%s%s", key,
             culprit->batch.key_size > KEY_SHOWN ? "..." : "", why != NULL ? ": " : "",
             why != NULL ? why : "");
}

void batch__result_of_call(batch_result *result, const batch_call *call)
{
    const struct batch__batch *batch = &call->batch;
    if (batch->status == BATCH_OK) {
        batch__result_set(result, BATCH_OK, "%s", batch_status_text(BATCH_OK));
        result->batch_operations = (uint32_t)batch->ran.count;
        return;
    }
    char key[KEY_SHOWN * HEX_SIZE + 1];
    show_key(key, sizeof key, batch);
    const char *more = batch->key_size > KEY_SHOWN ? "..." : "";
    const char *why = call->error_text;
    batch__check(batch->status < 0 && batch->status > -BATCH_STATUS_COUNT);
    batch__result_set(result, batch->status, "%s key '%s%s'%s%s", what_failed(batch->status), key,
                      more, why != NULL ? ": " : "", why != NULL ? why : "");
    if (batch->status != BATCH_LOAD_FAILED)
        result->batch_operations = (uint32_t)batch->ran.count;
    result->store_code = call->store_code;
}

void batch__result_slow(char *message, size_t message_size, const batch_call *call,
                        const batch_metric *metric)
{
    const uint64_t ms = 1000000;
    char key[KEY_SHOWN * HEX_SIZE + 1];
    show_key(key, sizeof key, &call->batch);
    const char *more = call->batch.key_size > KEY_SHOWN ? "..." : "";
    snprintf(message, message_size,
             "%" PRIu64 " ms: load %" PRIu64 ", save %" PRIu64 ", %" PRIu32
             " operations, %s, %" PRIu32 " replays, key '%s%s'",
             metric->total_ns / ms, metric->load_ns / ms, metric->save_ns / ms, metric->operations,
             batch_status_name(metric->status), metric->replays, key, more);
}
