/* matrix.c: from every callback, every function, on the same key, on another key, and on another
 * processor: allowed, or refused with the documented status, and never hung.
 *
 * Each cell of the table is a processor of its own. One operation goes through it; when it comes to
 * the callback in question, that calls the function in question, once, and notes what came back.
 * Then everything must still be completed, exactly once, and all memory come back. A cell that
 * hangs is named by an alarm.
 *
 * All of it is done twice: with workers, and with processors that are driven by the thread that
 * makes the cell. What is documented is the same.
 *
 * Sessions are opened by the thread that starts a processor, when it is not there yet: from that
 * callback only another processor can be called. They are closed when it has stopped, on its last
 * thread.
 */
#include "matrix.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HANG_SECONDS = 30 };

static const char *const callback_names[] = {CALLBACKS(TEXT)};
static const char *const function_names[] = {FUNCTIONS(TEXT)};
static const char *const target_names[] = {"same key", "other key", "other processor"};

static struct cell *current; /* for the alarm */

static void on_alarm(int signal_number)
{
    char text[256];
    (void)signal_number;
    int size = snprintf(text, sizeof text, "hung: %s from %s, %s, %u sessions\n",
                        function_names[current->function], callback_names[current->callback],
                        target_names[current->target], current->sessions);
    if (write(STDERR_FILENO, text, (size_t)size) < 0)
        _exit(2);
    _exit(1);
}

/* The callbacks all pass here. */
static void pass(struct cell *cell, enum callback callback)
{
    pthread_mutex_lock(&cell->lock);
    bool is_it = cell->is_armed && cell->callback == callback;
    if (is_it)
        cell->is_armed = false;
    pthread_mutex_unlock(&cell->lock);
    if (!is_it)
        return;
    int64_t seen = matrix_call_function(cell);
    pthread_mutex_lock(&cell->lock);
    cell->seen = seen;
    pthread_cond_broadcast(&cell->changed);
    pthread_mutex_unlock(&cell->lock);
}

/* ---- The callbacks -------------------------------------------------------------------------- */

static batch_verdict add_one(void *resource, void *arg)
{
    pass(arg, RUN);
    ++*(int64_t *)resource;
    return BATCH_CHANGED;
}

static void count_answer(batch_op *op, const batch_result *result)
{
    struct cell *cell = op->arg;
    (void)result;
    pass(cell, DONE);
    matrix_count_completed(cell);
}

static void add_to_all(void *const *resources, batch_transaction *transaction)
{
    pass(transaction->arg, RUN_OF_TRANSACTION);
    for (int i = 0; i < PARTS; i++) {
        ++*(int64_t *)resources[i];
        transaction->parts[i].changed = true;
    }
}

static void transaction_done(batch_transaction *transaction, const batch_result *result)
{
    (void)result;
    pass(transaction->arg, DONE_OF_TRANSACTION);
    matrix_count_completed(transaction->arg);
}

static void take_event(const batch_event *event, void *arg)
{
    (void)event;
    pass(arg, LOG);
}

static int load(batch_call *call, void *resource, void *arg)
{
    (void)resource;
    pass(arg, LOAD);
    batch_call_log(call, BATCH_EVENT_LOCK_WAIT, "on the thread of a session");
    return BATCH_OK;
}

static int save(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)resource;
    pass(arg, SAVE);
    return BATCH_OK;
}

static void release(void *resource, void *arg)
{
    (void)resource;
    pass(arg, RELEASE);
}

static int decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    pass(arg, DECODE);
    if (bytes != NULL)
        memcpy(resource, bytes, bytes_size);
    return BATCH_OK;
}

static int encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    pass(arg, ENCODE);
    *ret_bytes = resource;
    *ret_bytes_size = sizeof(int64_t);
    return BATCH_OK;
}

static void codec_release(void *resource, void *arg)
{
    (void)resource;
    pass(arg, CODEC_RELEASE);
}

static void pass_step(enum store_step step, size_t calls_size, void *arg)
{
    static const enum callback callbacks[] = {
        [STORE_OPENS_SESSION] = SESSION_OPEN,
        [STORE_LOADS] = STORE_LOAD,
        [STORE_SAVES] = STORE_SAVE,
        [STORE_CLOSES_SESSION] = SESSION_CLOSE,
    };
    (void)calls_size;
    pass(arg, callbacks[step]);
}

/* As the wrapper's, with an event for the log. */
static void store_load(batch_store *store, void *session, batch_call *const *calls,
                       size_t calls_size)
{
    struct store_wrapper *wrapper = store_wrapper_of(store);
    wrapper->before(STORE_LOADS, calls_size, wrapper->arg);
    batch_call_log(calls[0], BATCH_EVENT_LOCK_WAIT, "on the thread of a session");
    wrapper->inner->load(wrapper->inner, session, calls, calls_size);
}

/* ---- One cell, from start to free ----------------------------------------------------------- */

static void must(bool is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "%s from %s, %s, %u sessions: %s\n", function_names[current->function],
            callback_names[current->callback], target_names[current->target], current->sessions,
            what);
    exit(1);
}

static bool is_of_transaction(enum callback callback)
{
    return callback == RUN_OF_TRANSACTION || callback == DONE_OF_TRANSACTION;
}

static bool has_store(const struct cell *cell)
{
    return cell->callback >= STORE_LOAD ||
           (matrix_is_of_transactions(cell->function) && cell->target != OTHER_PROCESSOR);
}

static batch_options options_of(struct cell *cell)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.sessions = cell->sessions;
    bool has_one_shard = cell->is_driven || is_of_transaction(cell->callback) ||
                         matrix_is_of_transactions(cell->function);
    options.shards = has_one_shard ? 1 : 2;
    options.driven = cell->is_driven;
    options.resource_size = sizeof(int64_t);
    options.window_ns = BATCH_WINDOW_NONE;
    options.deadline_ns = BATCH_FOREVER;
    options.log = take_event;
    options.log_arg = cell;
    if (has_store(cell)) {
        options.store = &cell->wrapper.store;
        options.codec = &cell->codec;
    } else {
        options.load = load;
        options.save = save;
        options.release = release;
        options.arg = cell;
    }
    return options;
}

static void cell_make(struct cell *cell)
{
    must(pthread_mutex_init(&cell->lock, NULL) == 0, "no lock");
    must(pthread_cond_init(&cell->changed, NULL) == 0, "no condition");
    cell->codec = (batch_codec){.size = sizeof cell->codec,
                                .decode = decode,
                                .encode = encode,
                                .release = codec_release,
                                .arg = cell};
    must(batch_memory_open(&cell->inner) == BATCH_OK, "no store");
    store_wrapper_init(&cell->wrapper, "matrix", cell->inner);
    cell->wrapper.store.saves_units = 1;
    cell->wrapper.store.load = store_load;
    cell->wrapper.before = pass_step;
    cell->wrapper.arg = cell;
    must(batch_memory_open(&cell->other_store) == BATCH_OK, "no other store");
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = cell->other_store;
    options.resource_size = sizeof(int64_t);
    options.window_ns = BATCH_WINDOW_NONE;
    options.deadline_ns = BATCH_FOREVER;
    options.driven = cell->is_driven;
    must(batch_processor_start(&cell->other, &options, NULL) == BATCH_OK, "no other processor");
    must(batch_completions_open(&cell->completions, NULL) == BATCH_OK, "no completions");
    cell->model = (batch_op)BATCH_OP_INIT;
    cell->model.key_size = 1;
    cell->model.run = add_one;
    cell->model.done = count_answer;
    cell->model.arg = cell;
    cell->transactions_model = (batch_transaction)BATCH_TRANSACTION_INIT;
    cell->transactions_model.run = add_to_all;
    cell->transactions_model.done = transaction_done;
    cell->transactions_model.arg = cell;
    cell->seen = NOT_CALLED;
}

/* Both, if they are there; a little of waiting, if there is nothing. */
static void drive(struct cell *cell)
{
    if (cell->processor != NULL)
        must(batch_processor_drive(cell->processor, 100000) != BATCH_INVALID, "drive");
    must(batch_processor_drive(cell->other, 100000) != BATCH_INVALID, "drive the other");
}

/* Dispatch what comes, and drive; without that, wait. */
static void await_answers(struct cell *cell)
{
    bool dispatches = cell->function == SUBMIT_TO || cell->function == SUBMIT_MANY_TO ||
                      cell->function == TRANSACTION_SUBMIT_TO;
    pthread_mutex_lock(&cell->lock);
    while (cell->completed < cell->accepted) {
        if (!dispatches && !cell->is_driven) {
            pthread_cond_wait(&cell->changed, &cell->lock);
            continue;
        }
        pthread_mutex_unlock(&cell->lock);
        if (cell->is_driven)
            drive(cell);
        must(batch_completions_dispatch(cell->completions, 0, cell->is_driven ? 0 : 1000000) >= 0,
             "dispatch");
        pthread_mutex_lock(&cell->lock);
    }
    pthread_mutex_unlock(&cell->lock);
}

static void await_stopped(struct cell *cell)
{
    pthread_mutex_lock(&cell->lock);
    while (cell->is_stop_awaited) {
        pthread_mutex_unlock(&cell->lock);
        if (cell->is_driven)
            drive(cell);
        must(batch_completions_dispatch(cell->completions, 0,
                                        cell->is_driven ? 0 : BATCH_FOREVER) >= 0,
             "dispatch");
        pthread_mutex_lock(&cell->lock);
    }
    pthread_mutex_unlock(&cell->lock);
}

static int64_t cell_fill(struct cell *cell)
{
    cell_make(cell);
    cell->is_armed = true;
    batch_options options = options_of(cell);
    must(batch_processor_start(&cell->processor, &options, NULL) == BATCH_OK, "no processor");
    if (cell->function == UNSUBSCRIBE) {
        batch_processor *observed = cell->target == OTHER_PROCESSOR ? cell->other : cell->processor;
        must(batch_metrics_subscribe(observed, NULL, &cell->subscription) == BATCH_OK, "subscribe");
    }
    matrix_op_init(cell, &cell->op, "a");
    matrix_transaction_init(cell, &cell->through, "a");
    matrix_count_accepted(cell, 1);
    int status = is_of_transaction(cell->callback)
                     ? batch_transaction_submit(cell->processor, &cell->through.transaction)
                     : batch_submit(cell->processor, &cell->op);
    must(status == BATCH_OK, "submit");
    await_answers(cell);
    must(batch_processor_stop(cell->processor, BATCH_FOREVER) == 0, "stop");
    await_stopped(cell);
    must(batch_processor_free(cell->processor) == BATCH_OK, "free");
    cell->processor = NULL;
    await_answers(cell); /* of what the closing of a session has submitted */
    must(batch_completions_close(cell->completions) == BATCH_OK, "close completions");
    batch_metrics_unsubscribe(cell->subscription);
    if (cell->is_driven)
        drive(cell); /* a callback may have been the last who did */
    must(batch_processor_stop(cell->other, BATCH_FOREVER) == 0, "stop the other");
    must(batch_processor_free(cell->other) == BATCH_OK, "free the other");
    must(batch_store_close(cell->inner) == BATCH_OK, "close");
    must(batch_store_close(cell->other_store) == BATCH_OK, "close the other");
    must(cell->completed == cell->accepted, "completed more than once");
    must(!cell->is_armed, "the callback has not come");
    pthread_cond_destroy(&cell->changed);
    pthread_mutex_destroy(&cell->lock);
    return cell->seen;
}

/* ---- What is documented --------------------------------------------------------------------- */

static bool is_possible(enum callback callback, enum function function, enum target target)
{
    bool has_processor = callback != SESSION_OPEN;
    if (!has_processor && target != OTHER_PROCESSOR)
        return false;
    if (!has_processor && (function == NEXT_FOREVER || function == DISPATCH || function == DRIVE))
        return false; /* waits, as it should */
    bool is_of_functions = callback == LOAD || callback == SAVE || callback == RELEASE;
    if (is_of_functions && target != OTHER_PROCESSOR && matrix_is_of_transactions(function))
        return false;                   /* transactions need a store */
    return target != OTHER_PROCESSOR || /* what is canceled is canceled where it is */
           (function != CANCEL && function != TRANSACTION_CANCEL);
}

static bool is_documented(const struct cell *cell, int64_t seen)
{
    bool is_other = cell->target == OTHER_PROCESSOR;
    bool is_callers_thread = cell->callback == SESSION_OPEN;
    bool is_stopped = cell->callback == SESSION_CLOSE && !is_other;
    switch (cell->function) {
    case CALL_RUN:
    case TRANSACTION_RUN:
#ifdef MATRIX_BUG /* a rule that is not so: must be found broken */
        return seen == BATCH_OK;
#endif
        if (is_stopped)
            return seen == BATCH_STOPPED;
        return seen == (is_callers_thread ? BATCH_OK : BATCH_DEADLOCK);
    case STOP_0:
        return is_other ? seen >= 0 : seen == BATCH_DEADLOCK;
    case STOP_FOREVER:
        return seen == (is_callers_thread ? 0 : BATCH_DEADLOCK);
    case FREE:
        return seen == (is_other ? BATCH_BUSY : BATCH_DEADLOCK);
    case NEXT_0:
        return seen == (is_stopped ? BATCH_ENDED : BATCH_TIMED_OUT);
    case NEXT_FOREVER:
        return seen == (is_stopped ? BATCH_ENDED : BATCH_DEADLOCK);
    case DISPATCH:
        return seen == BATCH_DEADLOCK;
    case DRIVE_0:
    case DRIVE:
        if (!cell->is_driven)
            return seen == BATCH_INVALID;
        return seen == (is_other && cell->function == DRIVE_0 ? BATCH_OK : BATCH_DEADLOCK);
    case DRIVEN_FD:
        return seen == (cell->is_driven ? BATCH_OK : BATCH_INVALID);
    case SUBMIT:
    case SUBMIT_MANY:
    case SUBMIT_TO:
    case SUBMIT_MANY_TO:
    case TRANSACTION_SUBMIT:
    case TRANSACTION_SUBMIT_TO:
        return seen == (is_stopped ? BATCH_STOPPED : BATCH_OK);
    case STORE_CLOSE:
        /* The cell's own store is in use only if the processor has it. */
        return seen == (is_other || has_store(cell) ? BATCH_BUSY : BATCH_OK);
    default:
        return seen == BATCH_OK;
    }
}

struct table {
    int64_t seen[CALLBACKS_SIZE][FUNCTIONS_SIZE];
    bool is_wrong[CALLBACKS_SIZE][FUNCTIONS_SIZE];
};

static void table_print(const struct table *table, uint32_t sessions, const char *driven,
                        enum target target)
{
    printf("%u sessions%s, %s; ! is wrong\n%14s", sessions, driven, target_names[target], "");
    for (int callback = 0; callback < CALLBACKS_SIZE; callback++)
        printf(" %13s", callback_names[callback]);
    printf("\n");
    for (int function = 0; function < FUNCTIONS_SIZE; function++) {
        printf("%14s", function_names[function]);
        for (int callback = 0; callback < CALLBACKS_SIZE; callback++) {
            int64_t seen = table->seen[callback][function];
            const char *name = seen == NOT_POSSIBLE ? "-" : "not called";
            if (seen <= 0)
                name = batch_status_name((int)seen) + strlen("BATCH_");
            else if (seen < NOT_CALLED)
                name = "left some";
            printf(" %12s%c", name, table->is_wrong[callback][function] ? '!' : ' ');
        }
        printf("\n");
    }
    printf("\n");
}

static void table_report(const struct table *table, uint32_t sessions, bool is_driven,
                         enum target target, bool is_shown)
{
    unsigned wrong = 0, cells = 0;
    for (int callback = 0; callback < CALLBACKS_SIZE; callback++) {
        for (int function = 0; function < FUNCTIONS_SIZE; function++) {
            cells += table->seen[callback][function] != NOT_POSSIBLE;
            wrong += table->is_wrong[callback][function];
        }
    }
    const char *driven = is_driven ? ", driven" : "";
    printf("%u sessions%s, %s: %u cells, %u wrong\n", sessions, driven, target_names[target], cells,
           wrong);
    if (is_shown || wrong > 0)
        table_print(table, sessions, driven, target);
}

/* The number of wrong cells. */
static unsigned fill_table(struct table *table, uint32_t sessions, bool is_driven,
                           enum target target)
{
    unsigned wrong = 0;
    memset(table, 0, sizeof *table);
    for (int callback = 0; callback < CALLBACKS_SIZE; callback++) {
        for (int function = 0; function < FUNCTIONS_SIZE; function++) {
            table->seen[callback][function] = NOT_POSSIBLE;
            if (!is_possible((enum callback)callback, (enum function)function, target))
                continue;
            struct cell *cell = calloc(1, sizeof *cell);
            cell->callback = (enum callback)callback;
            cell->function = (enum function)function;
            cell->target = target;
            cell->sessions = sessions;
            cell->is_driven = is_driven;
            current = cell;
            alarm(HANG_SECONDS);
            int64_t seen = cell_fill(cell);
            alarm(0);
            table->seen[callback][function] = seen;
            table->is_wrong[callback][function] = !is_documented(cell, seen);
            wrong += table->is_wrong[callback][function];
            free(cell);
        }
    }
    return wrong;
}

/* ---- For docs/threads.md -------------------------------------------------------------------- */

static const char *const full_names[] = {
    [SUBMIT] = "batch_submit",
    [SUBMIT_MANY] = "batch_submit_many",
    [CALL_RUN] = "batch_run",
    [CANCEL] = "batch_cancel",
    [STOP_0] = "batch_processor_stop(…, 0)",
    [STOP_FOREVER] = "batch_processor_stop(…, timeout)",
    [FREE] = "batch_processor_free",
    [STATS] = "batch_processor_stats",
    [HISTOGRAM] = "batch_processor_histogram",
    [HOT_KEYS] = "batch_processor_hot_keys",
    [METRICS_TEXT] = "batch_metrics_text",
    [SUBSCRIBE] = "batch_metrics_subscribe",
    [NEXT_0] = "batch_metrics_next(…, 0, …)",
    [NEXT_FOREVER] = "batch_metrics_next(…, timeout, …)",
    [DROPPED] = "batch_metrics_dropped",
    [UNSUBSCRIBE] = "batch_metrics_unsubscribe",
    [START_ANOTHER] = "batch_processor_start",
    [STORE_CLOSE] = "batch_store_close",
    [SUBMIT_TO] = "batch_submit_to",
    [SUBMIT_MANY_TO] = "batch_submit_many_to",
    [STOP_TO] = "batch_processor_stop_to",
    [DISPATCH_0] = "batch_completions_dispatch(…, 0)",
    [DISPATCH] = "batch_completions_dispatch(…, timeout)",
    [OPEN_CLOSE] = "batch_completions_open, batch_completions_close",
    [TRANSACTION_SUBMIT] = "batch_transaction_submit",
    [TRANSACTION_SUBMIT_TO] = "batch_transaction_submit_to",
    [TRANSACTION_RUN] = "batch_transaction_run",
    [TRANSACTION_CANCEL] = "batch_transaction_cancel",
    [DRIVE_0] = "batch_processor_drive(…, 0)",
    [DRIVE] = "batch_processor_drive(…, timeout)",
    [DRIVEN_FD] = "batch_processor_fd",
    [NOW] = "batch_now_ns",
    [STATUS] = "batch_status_name",
};
_Static_assert(sizeof full_names / sizeof full_names[0] == FUNCTIONS_SIZE, "each has a name");

static const char *name_of(int64_t seen)
{
    if (seen == NOT_POSSIBLE)
        return "";
    return seen > 0 ? "OK" : batch_status_name((int)seen) + strlen("BATCH_");
}

/* What all of these callbacks see, in a column. */
static void column_print(const struct table *table, int function, enum callback first,
                         enum callback last)
{
    const char *names[CALLBACKS_SIZE];
    int size = 0;
    printf(" ");
    for (int callback = (int)first; callback <= (int)last; callback++) {
        const char *name = name_of(table->seen[callback][function]);
        bool is_new = *name != '\0';
        for (int i = 0; i < size; i++)
            is_new = is_new && strcmp(names[i], name) != 0;
        if (!is_new)
            continue;
        printf("%s%s", size > 0 ? " or " : "", name);
        names[size++] = name;
    }
    printf(" |");
}

/* Those of driven processors; they differ from the others in DRIVE alone. */
static void rows_print(const struct table *own, const struct table *other)
{
    for (int function = 0; function < FUNCTIONS_SIZE; function++) {
        printf("| `%s` |", full_names[function]);
        column_print(own, function, RUN, CODEC_RELEASE);
        column_print(own, function, SESSION_CLOSE, SESSION_CLOSE);
        column_print(other, function, RUN, CODEC_RELEASE);
        column_print(other, function, SESSION_OPEN, SESSION_OPEN);
        printf("\n");
    }
}

static unsigned fill_tables(uint32_t sessions, bool is_driven, bool is_shown, bool is_for_document)
{
    static struct table tables[TARGETS_SIZE];
    unsigned wrong = 0;
    for (int target = 0; target < TARGETS_SIZE; target++) {
        wrong += fill_table(&tables[target], sessions, is_driven, (enum target)target);
        if (!is_for_document)
            table_report(&tables[target], sessions, is_driven, (enum target)target, is_shown);
    }
    if (is_for_document)
        rows_print(&tables[SAME_KEY], &tables[OTHER_PROCESSOR]);
    return wrong;
}

int main(int argc, char **argv)
{
    bool is_shown = argc > 1 && strcmp(argv[1], "--show") == 0;
    unsigned wrong = 0;
    signal(SIGALRM, on_alarm);
    if (argc > 1 && strcmp(argv[1], "--document") == 0)
        return fill_tables(1, true, false, true) > 0;
    for (uint32_t sessions = 0; sessions < 2; sessions++) {
        wrong += fill_tables(sessions, false, is_shown, false);
        wrong += fill_tables(sessions, true, is_shown, false);
    }
    return wrong > 0;
}
