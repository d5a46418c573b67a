/* init.c: what the headers define as macros, as functions: for languages without a preprocessor. */
#include <batch/completions.h>
#include <batch/metrics.h>
#include <batch/store.h>

int batch_status_count(void)
{
    return BATCH_STATUS_COUNT;
}

int batch_close_reason_count(void)
{
    return BATCH_CLOSE_REASON_COUNT;
}

int batch_histogram_kind_count(void)
{
    return BATCH_HISTOGRAM_KIND_COUNT;
}

int batch_event_count(void)
{
    return BATCH_EVENT_COUNT;
}

uint64_t batch_window_none(void)
{
    return BATCH_WINDOW_NONE;
}

uint32_t batch_sessions_default(void)
{
    return BATCH_SESSIONS_DEFAULT;
}

uint64_t batch_forever(void)
{
    return BATCH_FOREVER;
}

/* Frozen, so it needs no size. */
int batch_op_init(batch_op *ret_op)
{
    if (ret_op == NULL)
        return BATCH_INVALID;
    *ret_op = (batch_op)BATCH_OP_INIT;
    return BATCH_OK;
}

int batch_part_init(batch_part *ret_part)
{
    if (ret_part == NULL)
        return BATCH_INVALID;
    *ret_part = (batch_part)BATCH_PART_INIT;
    return BATCH_OK;
}

int batch_transaction_init(batch_transaction *ret_transaction)
{
    if (ret_transaction == NULL)
        return BATCH_INVALID;
    *ret_transaction = (batch_transaction)BATCH_TRANSACTION_INIT;
    return BATCH_OK;
}

int batch_options_init(batch_options *ret_options, size_t size)
{
    static const batch_options known = BATCH_OPTIONS_INIT;
    return batch_struct_init(ret_options, size, &known);
}

int batch_store_init(batch_store *ret_store, size_t size)
{
    static const batch_store known = BATCH_STORE_INIT;
    return batch_struct_init(ret_store, size, &known);
}

int batch_stats_init(batch_stats *ret_stats, size_t size)
{
    static const batch_stats known = BATCH_STATS_INIT;
    return batch_struct_init(ret_stats, size, &known);
}

int batch_subscription_options_init(batch_subscription_options *ret_options, size_t size)
{
    static const batch_subscription_options known = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    return batch_struct_init(ret_options, size, &known);
}

int batch_completions_options_init(batch_completions_options *ret_options, size_t size)
{
    static const batch_completions_options known = BATCH_COMPLETIONS_OPTIONS_INIT;
    return batch_struct_init(ret_options, size, &known);
}
