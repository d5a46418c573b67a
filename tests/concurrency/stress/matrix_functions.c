/* matrix_functions.c: see matrix.h. */
#include "matrix.h"

#include <sched.h>
#include <stdlib.h>

void matrix_op_init(const struct cell *cell, batch_op *op, const char *key)
{
    *op = cell->model;
    op->key = key;
}

static const char *key_of(const struct cell *cell)
{
    return cell->target == OTHER_KEY ? "b" : "a";
}

void matrix_count_accepted(struct cell *cell, unsigned count)
{
    pthread_mutex_lock(&cell->lock);
    cell->accepted += count;
    pthread_mutex_unlock(&cell->lock);
}

void matrix_count_completed(struct cell *cell)
{
    pthread_mutex_lock(&cell->lock);
    cell->completed++;
    pthread_cond_broadcast(&cell->changed);
    pthread_mutex_unlock(&cell->lock);
}

bool matrix_is_of_transactions(enum function function)
{
    return function == TRANSACTION_SUBMIT || function == TRANSACTION_SUBMIT_TO ||
           function == TRANSACTION_RUN || function == TRANSACTION_CANCEL;
}

static int64_t uncount_refused(struct cell *cell, unsigned count, int status)
{
    pthread_mutex_lock(&cell->lock);
    cell->accepted -= status != BATCH_OK ? count : 0;
    pthread_mutex_unlock(&cell->lock);
    return status;
}

/* ---- The functions -------------------------------------------------------------------------- */

static int64_t start_another(const struct cell *cell)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = cell->other_store;
    options.resource_size = sizeof(int64_t);
    batch_processor *another = NULL;
    int status = batch_processor_start(&another, &options, NULL);
    if (status != BATCH_OK)
        return status;
    int64_t left;
    while ((left = batch_processor_stop(another, 0)) > 0) /* a callback must not wait */
        sched_yield();
    return left != 0 ? left : batch_processor_free(another);
}

static int64_t call_on_subscription(enum function function, batch_processor *processor)
{
    batch_subscription *subscription = NULL;
    batch_metric metric;
    int64_t status = batch_metrics_subscribe(processor, NULL, &subscription);
    if (function == NEXT_0)
        status = batch_metrics_next(subscription, 0, &metric);
    if (function == NEXT_FOREVER)
        status = batch_metrics_next(subscription, BATCH_FOREVER, &metric);
    if (function == DROPPED)
        status = (int64_t)batch_metrics_dropped(subscription);
    batch_metrics_unsubscribe(subscription);
    return status;
}

static int64_t call_with_ops(struct cell *cell, batch_processor *processor)
{
    batch_op *ops[OPS];
    for (int i = 0; i < OPS; i++) {
        matrix_op_init(cell, &cell->ops[i], key_of(cell));
        ops[i] = &cell->ops[i];
    }
    if (cell->function == SUBMIT) {
        matrix_count_accepted(cell, 1);
        return uncount_refused(cell, 1, batch_submit(processor, ops[0]));
    }
    if (cell->function == SUBMIT_MANY) {
        matrix_count_accepted(cell, OPS);
        return uncount_refused(cell, OPS, batch_submit_many(processor, ops, OPS));
    }
    if (cell->function == SUBMIT_TO) {
        matrix_count_accepted(cell, 1);
        return uncount_refused(cell, 1, batch_submit_to(processor, ops[0], cell->completions));
    }
    if (cell->function == SUBMIT_MANY_TO) {
        matrix_count_accepted(cell, OPS);
        return uncount_refused(cell, OPS,
                               batch_submit_many_to(processor, ops, OPS, cell->completions));
    }
    if (cell->function == CALL_RUN)
        return batch_run(processor, ops[0], NULL);
    return batch_cancel(processor, cell->target == SAME_KEY ? &cell->op : ops[0]);
}

void matrix_transaction_init(const struct cell *cell, struct cell_transaction *transaction,
                             const char *key)
{
    const char *keys[PARTS] = {key, "t"};
    transaction->transaction = cell->transactions_model;
    for (int i = 0; i < PARTS; i++) {
        transaction->parts[i] = (batch_part)BATCH_PART_INIT;
        transaction->parts[i].key = keys[i];
        transaction->parts[i].key_size = 1;
    }
    transaction->transaction.parts = transaction->parts;
    transaction->transaction.parts_size = PARTS;
}

static int64_t call_with_transaction(struct cell *cell, batch_processor *processor)
{
    batch_transaction *transaction = &cell->from_there.transaction;
    matrix_transaction_init(cell, &cell->from_there, key_of(cell));
    if (cell->function == TRANSACTION_RUN)
        return batch_transaction_run(processor, transaction, NULL);
    if (cell->function == TRANSACTION_CANCEL)
        return batch_transaction_cancel(
            processor, cell->target == SAME_KEY ? &cell->through.transaction : transaction);
    matrix_count_accepted(cell, 1);
    if (cell->function == TRANSACTION_SUBMIT_TO)
        return uncount_refused(
            cell, 1, batch_transaction_submit_to(processor, transaction, cell->completions));
    return uncount_refused(cell, 1, batch_transaction_submit(processor, transaction));
}

static void on_stopped(batch_processor *processor, void *arg)
{
    struct cell *cell = arg;
    (void)processor;
    pthread_mutex_lock(&cell->lock);
    cell->is_stop_awaited = false;
    pthread_mutex_unlock(&cell->lock);
}

static int64_t call_on_completions(struct cell *cell, batch_processor *processor)
{
    batch_completions *another = NULL;
    int64_t status = batch_completions_open(&another, NULL);
    if (status != BATCH_OK)
        return status;
    if (cell->function == DISPATCH_0)
        status = batch_completions_dispatch(another, 0, 0);
    if (cell->function == DISPATCH)
        status = batch_completions_dispatch(another, 0, BATCH_FOREVER);
    if (cell->function == STOP_TO) {
        pthread_mutex_lock(&cell->lock);
        cell->is_stop_awaited = true;
        pthread_mutex_unlock(&cell->lock);
        status = batch_processor_stop_to(processor, cell->completions, on_stopped, cell);
    }
    int closed = batch_completions_close(another);
    return closed != BATCH_OK ? closed : status;
}

static int64_t call_for_metrics(enum function function, batch_processor *processor)
{
    batch_histogram histogram;
    batch_hot_key key;
    if (function == HISTOGRAM)
        return batch_processor_histogram(processor, BATCH_HISTOGRAM_SAVE_NS, &histogram);
    if (function == HOT_KEYS)
        return batch_processor_hot_keys(processor, &key, 1) <= 1 ? BATCH_OK : BATCH_INVALID;
    size_t length = batch_metrics_text(&processor, NULL, 1, BATCH_TEXT_PROMETHEUS, NULL, 0);
    return length > 0 ? BATCH_OK : BATCH_INVALID;
}

/* The one who makes the cell may be at it: then it is busy, not for long. */
static int64_t drive(batch_processor *processor)
{
    int64_t due_ns;
    do
        due_ns = batch_processor_drive(processor, 0);
    while (due_ns == BATCH_BUSY);
    return due_ns >= 0 ? BATCH_OK : due_ns;
}

int64_t matrix_call_function(struct cell *cell)
{
    batch_processor *processor = cell->target == OTHER_PROCESSOR ? cell->other : cell->processor;
    batch_stats stats = BATCH_STATS_INIT;
    switch (cell->function) {
    case SUBMIT:
    case SUBMIT_MANY:
    case SUBMIT_TO:
    case SUBMIT_MANY_TO:
    case CALL_RUN:
    case CANCEL:
        return call_with_ops(cell, processor);
    case TRANSACTION_SUBMIT:
    case TRANSACTION_SUBMIT_TO:
    case TRANSACTION_RUN:
    case TRANSACTION_CANCEL:
        return call_with_transaction(cell, processor);
    case STOP_TO:
    case DISPATCH_0:
    case DISPATCH:
    case OPEN_CLOSE:
        return call_on_completions(cell, processor);
    case DRIVE_0:
        return drive(processor);
    case DRIVE:
        return batch_processor_drive(processor, BATCH_FOREVER);
    case DRIVEN_FD:
        return batch_processor_fd(processor) >= 0 ? BATCH_OK : BATCH_INVALID;
    case STOP_0:
        return batch_processor_stop(processor, 0);
    case STOP_FOREVER:
        return batch_processor_stop(processor, BATCH_FOREVER);
    case FREE:
        return batch_processor_free(processor);
    case STATS:
        return batch_processor_stats(processor, &stats);
    case HISTOGRAM:
    case HOT_KEYS:
    case METRICS_TEXT:
        return call_for_metrics(cell->function, processor);
    case SUBSCRIBE:
    case NEXT_0:
    case NEXT_FOREVER:
    case DROPPED:
        return call_on_subscription(cell->function, processor);
    case UNSUBSCRIBE:
        batch_metrics_unsubscribe(cell->subscription);
        cell->subscription = NULL;
        return BATCH_OK;
    case START_ANOTHER:
        return start_another(cell);
    case STORE_CLOSE:
        return batch_store_close(cell->target == OTHER_PROCESSOR ? cell->other_store
                                                                 : &cell->wrapper.store);
    case NOW:
        return batch_now_ns() > 0 ? BATCH_OK : BATCH_INVALID;
    case STATUS:
        return batch_status_text(0) != NULL && batch_status_name(0) != NULL ? BATCH_OK
                                                                            : BATCH_INVALID;
    case FUNCTIONS_SIZE:
        break;
    }
    abort();
}
