#include "trace.h"

#include "base/check.h"

#include <batch/metrics.h>

/* ---- Panic ----------------------------------------------------------------------------------- */

static jmp_buf *panic_jump;
static char panic_text[256];

void trace_catch_panic(jmp_buf *jump)
{
    panic_jump = jump;
}

const char *trace_panic_text(void)
{
    return panic_text;
}

void batch__panic(const char *file, int line, const char *broken)
{
    snprintf(panic_text, sizeof panic_text, "%s:%d: %s", file, line, broken);
    if (panic_jump != NULL)
        longjmp(*panic_jump, 1);
    fprintf(stderr, "the core is broken: %s\n", panic_text);
    abort();
}

/* ---- Text ----------------------------------------------------------------------------------- */

const char *trace_status_name(int status)
{
    switch (status) {
#define NAME_CASE(name, number, text)                                                              \
    case number:                                                                                   \
        return #name;
        BATCH_STATUS_MAP(NAME_CASE)
#undef NAME_CASE
    default:
        return "?";
    }
}

static const char *reason_name(int reason)
{
    static const char *const names[] = {"window", "store", "size", "stop", "error", "age"};
    assert_in_range(reason, 0, BATCH_CLOSE_REASON_COUNT - 1);
    return names[reason];
}

__attribute__((format(printf, 2, 3))) static void say(struct trace *t, const char *format, ...)
{
    size_t room = sizeof t->text - t->text_size;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(t->text + t->text_size, room, format, arguments);
    va_end(arguments);
    assert_true(size >= 0 && (size_t)size < room);
    t->text_size += (size_t)size;
}

static unsigned long ms_of(const struct trace *t, uint64_t ns)
{
    return (unsigned long)((ns - t->options.start_ns) / TRACE_MS);
}

static void say_key(struct trace *t, const struct batch__batch *batch)
{
    const unsigned char *key = batch->key;
    for (uint32_t i = 0; i < batch->key_size && i < 40; i++) {
        if (key[i] >= ' ' && key[i] < 127)
            say(t, "%c", key[i]);
        else
            say(t, "\\%02x", key[i]);
    }
    if (batch->key_size > 40)
        say(t, "...");
}

/* "[ 20] " or "[ 20] a: " */
static void say_when(struct trace *t, const struct batch__batch *batch)
{
    say(t, "[%3lu] ", ms_of(t, t->now_ns));
    if (batch == NULL)
        return;
    say_key(t, batch);
    say(t, ": ");
}

static void say_record(struct trace *t, const struct batch__batch *batch)
{
    t->records++;
    if (!t->options.show_records)
        return;
    say_when(t, batch);
    say(t, "record of %lu ops, %lu changed: begun %lu, load %lu-%lu, first wait %lu ms",
        (unsigned long)batch->ran.count, (unsigned long)batch->changed, ms_of(t, batch->begun_ns),
        ms_of(t, batch->load_ns), ms_of(t, batch->loaded_ns),
        (unsigned long)(batch->first_wait_ns / TRACE_MS));
    if (batch->save_ns != 0)
        say(t, ", save %lu-%lu", ms_of(t, batch->save_ns), ms_of(t, batch->saved_ns));
    if (batch->replays > 0)
        say(t, ", replays %u", batch->replays);
    if (batch->unit_size > 0)
        say(t, ", %s of a unit of %u", batch->unit_count > 0 ? "first" : "one", batch->unit_size);
    say(t, ", closed by %s, %s\n", reason_name(batch->close_reason),
        trace_status_name(batch->status));
}

void trace_expect(struct trace *t, const char *expected)
{
    assert_string_equal(t->text, expected);
    trace_skip(t);
}

/* ---- Actions -------------------------------------------------------------------------------- */

static void call_add(struct trace *t, struct batch__batch *batch, bool is_save)
{
    uint64_t ms = is_save ? t->options.save_ms : t->options.load_ms;
    assert_true(t->calls_size < TRACE_CALLS_MAX);
    for (size_t i = 0; i < t->calls_size; i++)
        assert_ptr_not_equal(t->calls[i].batch, batch); /* one call at a time for a key */
    uint64_t finish_ns = ms == 0 ? UINT64_MAX : t->now_ns + ms * TRACE_MS;
    t->calls[t->calls_size++] = (struct trace_call){batch, is_save, finish_ns};
}

static void load(struct trace *t, struct batch__batch *batch)
{
    t->loads++;
    call_add(t, batch, false);
    say_when(t, batch);
    say(t, "load\n");
}

/* All of a unit, in the order of its ring. */
static void save(struct trace *t, struct batch__batch *batch)
{
    struct batch__batch *each = batch;
    say(t, "[%3lu]", ms_of(t, t->now_ns));
    do {
        t->saves++;
        call_add(t, each, true);
        say(t, " ");
        say_key(t, each);
        say(t, each->changed > 0 ? "" : "?");
        each = batch__unit_next(each);
    } while (each != batch);
    say(t, ": save, closed by %s\n", reason_name(batch->close_reason));
}

static bool is_replay(const struct trace *t)
{
    return t->has_transactions || t->options.replays_max > 0 || t->options.cache_max > 0 ||
           t->options.age_ms > 0;
}

static struct trace_transaction *transaction_of(const batch_op *leg)
{
    return (struct trace_transaction *)(void *)batch__leg_transaction(leg);
}

static void run(struct trace *t, struct batch__batch *batch, batch_op *op)
{
    struct trace_op *op_run = op->arg;
    assert_true(op_run->is_submitted);
    assert_true(!op_run->has_run || is_replay(t));
    op_run->has_run = true;
    t->runs++;
    if (op_run->name != 0) {
        say_when(t, batch);
        say(t, "run %c\n", op_run->name);
    }
    batch__core_check(&t->core);
    t->now_ns += op_run->takes_ms * TRACE_MS;
    batch__core_ran(&t->core, op_run->verdict, t->now_ns);
}

static void run_transaction(struct trace *t, batch_transaction *transaction)
{
    struct trace_transaction *runs = (struct trace_transaction *)(void *)transaction;
    assert_true(runs->is_submitted);
    t->runs++;
    say_when(t, NULL);
    say(t, "run %c on", runs->name);
    for (size_t i = 0; i < transaction->parts_size; i++) {
        batch_part *part = &transaction->parts[i];
        char key = *(const char *)part->key;
        say(t, " %c", key);
        part->changed = runs->unchanged == NULL || strchr(runs->unchanged, key) == NULL;
    }
    say(t, "\n");
    batch__core_check(&t->core);
    t->now_ns += runs->takes_ms * TRACE_MS;
    batch__core_ran_transaction(&t->core, t->now_ns);
}

static void complete_leg(struct trace *t, struct trace_transaction *completed)
{
    assert_true(completed->is_submitted);
    assert_true(completed->legs > 0);
    if (--completed->legs > 0)
        return;
    completed->is_submitted = false;
    t->finished[t->finished_size++] = completed;
}

/* Those whose last leg was in the line above. */
static void say_finished(struct trace *t)
{
    for (size_t i = 0; i < t->finished_size; i++) {
        int status = t->finished[i]->transaction.private_status;
        say_when(t, NULL);
        say(t, "complete %c %s\n", t->finished[i]->name, trace_status_name(status));
    }
    t->finished_size = 0;
}

static void complete(struct trace *t, batch_op *op, int status)
{
    if (batch__op_is_leg(op)) {
        t->completed++;
        t->completed_as[-status]++;
        say(t, " %c", transaction_of(op)->name);
        complete_leg(t, transaction_of(op));
        return;
    }
    struct trace_op *completed = op->arg;
    assert_true(completed->is_submitted);
    completed->is_submitted = false;
    t->completed++;
    t->completed_as[-status]++;
    if (completed->name == 0)
        return;
    say(t, " %c", completed->name);
}

static void done(struct trace *t, const struct batch__action *action)
{
    uint64_t count = 0;
    bool is_named = false;
    for (batch_op *op = action->op, *next; op != NULL; op = next) {
        next = op->private_next;
        count++;
        is_named = batch__op_is_leg(op) || ((struct trace_op *)op->arg)->name != 0;
        int status = action->batch != NULL ? action->batch->status : op->private_status;
        bool must_have_run = action->batch != NULL && status != BATCH_LOAD_FAILED;
        if (!batch__op_is_leg(op) && (must_have_run || !is_replay(t)))
            assert_int_equal(((struct trace_op *)op->arg)->has_run, must_have_run);
        if (is_named && (action->batch == NULL || count == 1)) {
            say_when(t, action->batch);
            say(t, "done");
        }
        complete(t, op, status);
        if (is_named && (action->batch == NULL || next == NULL))
            say(t, " %s\n", trace_status_name(status));
        if (action->batch == NULL || next == NULL)
            say_finished(t);
    }
    assert_int_equal(count, action->count);
    assert_true(count > 0);
}

static void perform(struct trace *t, const struct batch__action *action)
{
    switch (action->kind) {
    case BATCH__LOAD:
        load(t, action->batch);
        break;
    case BATCH__RUN:
        run(t, action->batch, action->op);
        break;
    case BATCH__RUN_TRANSACTION:
        run_transaction(t, batch__leg_transaction(action->op));
        break;
    case BATCH__SAVE:
        save(t, action->batch);
        break;
    case BATCH__DONE:
        done(t, action);
        break;
    case BATCH__METRIC:
        say_record(t, action->batch);
        break;
    case BATCH__FREE_RESOURCE:
        t->releases++;
        say_when(t, action->batch);
        say(t, "release\n");
        break;
    }
}

void trace_go(struct trace *t)
{
    struct batch__action action;
    t->is_held = false;
    while (batch__core_next(&t->core, &action)) {
        perform(t, &action);
    }
    batch__core_check(&t->core);
}

void trace_sort(struct trace *t)
{
    struct batch__action action;
    while (batch__core_next_but_run(&t->core, &action))
        perform(t, &action);
    batch__core_check(&t->core);
}

void trace_step(struct trace *t)
{
    struct batch__action action;
    assert_true(batch__core_next(&t->core, &action));
    perform(t, &action);
    batch__core_check(&t->core);
}

void trace_hold(struct trace *t)
{
    t->is_held = true;
}

/* ---- Events --------------------------------------------------------------------------------- */

static void after_event(struct trace *t)
{
    batch__core_check(&t->core);
    if (!t->is_held)
        trace_go(t);
}

/* FNV-1a: any hash will do here. */
uint32_t trace_hash(const void *key, size_t key_size)
{
    const unsigned char *bytes = key;
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < key_size; i++)
        hash = (hash ^ bytes[i]) * 16777619U;
    return hash;
}

struct trace_op *trace_op(struct trace *t, char name)
{
    assert_true(name > ' ' && name < 127);
    return &t->ops[(int)name];
}

void trace_submit_one(struct trace *t, struct trace_op *op)
{
    assert_false(op->is_submitted);
    op->is_submitted = true;
    op->has_run = false;
    op->op.arg = op;
    op->op.private_hash = trace_hash(op->op.key, op->op.key_size);
    t->submitted++;
    batch__core_submit(&t->core, &op->op, t->now_ns);
    after_event(t);
}

void trace_submit(struct trace *t, const char *key, const char *names)
{
    for (; *names != '\0'; names++) {
        struct trace_op *op = trace_op(t, *names);
        op->op.key = key;
        op->op.key_size = strlen(key);
        trace_submit_one(t, op);
    }
}

struct trace_transaction *trace_transaction(struct trace *t, char name)
{
    assert_true(name > ' ' && name < 127);
    return &t->transactions[(int)name];
}

void trace_transact(struct trace *t, char name, const char *keys)
{
    struct trace_transaction *submitted = trace_transaction(t, name);
    batch_transaction *transaction = &submitted->transaction;
    assert_false(submitted->is_submitted);
    submitted->is_submitted = true;
    submitted->name = name;
    transaction->parts = submitted->parts;
    transaction->parts_size = 0;
    for (; *keys != '\0'; keys++) {
        if (*keys == ' ')
            continue;
        assert_true(transaction->parts_size < BATCH_PARTS_MAX);
        batch_part *part = &submitted->parts[transaction->parts_size++];
        part->key = part->private_leg.key = keys;
        part->key_size = part->private_leg.key_size = 1;
        part->private_leg.private_hash = trace_hash(keys, 1);
        part->private_leg.start_by_ns = transaction->start_by_ns;
    }
    submitted->legs = transaction->parts_size;
    t->submitted += transaction->parts_size;
    t->has_transactions = true;
    batch__core_submit_transaction(&t->core, transaction, t->now_ns);
    after_event(t);
}

void trace_cancel_transaction(struct trace *t, char name)
{
    trace_transaction(t, name)->transaction.private_canceled = 1;
    batch__core_cancel(&t->core, t->now_ns);
    after_event(t);
}

void trace_cancel(struct trace *t, const char *names)
{
    for (; *names != '\0'; names++)
        trace_op(t, *names)->op.private_canceled = 1;
    batch__core_cancel(&t->core, t->now_ns);
    after_event(t);
}

struct batch__batch *trace_batch(struct trace *t, const char *key)
{
    size_t key_size = strlen(key);
    return batch__table_find(&t->core.table, key, key_size, trace_hash(key, key_size));
}

static void call_finish(struct trace *t, size_t at, int status)
{
    struct trace_call call = t->calls[at];
    t->calls_size--;
    memmove(&t->calls[at], &t->calls[at + 1], (t->calls_size - at) * sizeof t->calls[0]);
    if (call.is_save)
        batch__core_saved(&t->core, call.batch, status, t->now_ns);
    else
        batch__core_loaded(&t->core, call.batch, status, t->load_ended_ns, t->now_ns);
    after_event(t);
}

static void finish_named(struct trace *t, const char *key, bool is_save, int status)
{
    struct batch__batch *batch = trace_batch(t, key);
    assert_non_null(batch);
    for (size_t i = 0; i < t->calls_size; i++) {
        if (t->calls[i].batch == batch && t->calls[i].is_save == is_save) {
            call_finish(t, i, status);
            return;
        }
    }
    fail_msg("the store was not asked to %s %s", is_save ? "save" : "load", key);
}

static void finish_each(struct trace *t, const char *keys, bool is_save, int status)
{
    char key[16];
    t->load_ended_ns = t->now_ns;
    for (int size; sscanf(keys, " %15s%n", key, &size) == 1; keys += size)
        finish_named(t, key, is_save, status);
}

void trace_loaded(struct trace *t, const char *keys, int status)
{
    finish_each(t, keys, false, status);
}

void trace_saved(struct trace *t, const char *keys, int status)
{
    finish_each(t, keys, true, status);
}

void trace_loaded_at(struct trace *t, const char *key, uint64_t ms)
{
    t->load_ended_ns = t->options.start_ns + ms * TRACE_MS;
    finish_named(t, key, false, BATCH_OK);
}

void trace_expire(struct trace *t)
{
    batch__core_expire(&t->core, t->now_ns);
    after_event(t);
}

uint64_t trace_flush(struct trace *t, uint64_t calls_max)
{
    uint64_t flushed = batch__core_flush(&t->core, calls_max, t->now_ns);
    after_event(t);
    return flushed;
}

void trace_stop(struct trace *t)
{
    batch__core_stop(&t->core, t->now_ns);
    after_event(t);
}

/* ---- Time ----------------------------------------------------------------------------------- */

static size_t first_call(const struct trace *t)
{
    size_t first = 0;
    for (size_t i = 1; i < t->calls_size; i++) {
        if (t->calls[i].finish_ns < t->calls[first].finish_ns)
            first = i;
    }
    return first;
}

/* What the store finishes comes before what expires at the same time. */
static bool do_what_is_due(struct trace *t, uint64_t until_ns)
{
    size_t call = first_call(t);
    uint64_t call_ns = t->calls_size > 0 ? t->calls[call].finish_ns : UINT64_MAX;
    uint64_t expire_ns = batch__core_deadline_ns(&t->core);
    uint64_t due_ns = call_ns < expire_ns ? call_ns : expire_ns;
    if (due_ns > until_ns || due_ns == UINT64_MAX)
        return false;
    if (due_ns > t->now_ns)
        t->now_ns = due_ns;
    t->load_ended_ns = t->now_ns;
    if (call_ns <= expire_ns)
        call_finish(t, call, BATCH_OK);
    else
        trace_expire(t);
    return true;
}

void trace_at(struct trace *t, uint64_t ms)
{
    uint64_t until_ns = t->options.start_ns + ms * TRACE_MS;
    for (int steps = 0; do_what_is_due(t, until_ns); steps++)
        assert_true(steps < 10000); /* what is due must not stay due */
    trace_late(t, ms);
}

void trace_late(struct trace *t, uint64_t ms)
{
    uint64_t now_ns = t->options.start_ns + ms * TRACE_MS;
    if (now_ns > t->now_ns)
        t->now_ns = now_ns;
}

/* ---- Beginning and end ---------------------------------------------------------------------- */

static uint64_t limit_of(uint64_t given)
{
    return given != 0 ? given : UINT32_MAX;
}

struct trace *trace_new(const struct trace_options *options)
{
    struct trace *t = calloc(1, sizeof *t);
    assert_non_null(t);
    if (options != NULL)
        t->options = *options;
    struct trace_options *o = &t->options;
    uint64_t window_ms = o->window_ms == 0 ? 100 : o->window_ms;
    uint64_t window_ns = window_ms == TRACE_NO_WINDOW ? BATCH_WINDOW_NONE : window_ms * TRACE_MS;
    t->memory.is_listed = true;
    struct batch__core_config config = {
        .window_ns = window_ns,
        .deadline_ns = (o->deadline_ms == 0 ? 200 : o->deadline_ms) * TRACE_MS,
        .age_max_ns = o->age_ms == 0 ? UINT64_MAX : o->age_ms * TRACE_MS,
        .ops_max = limit_of(o->ops_max),
        .ops_waiting_max = limit_of(o->ops_waiting_max),
        .key_ops_waiting_max = limit_of(o->key_ops_waiting_max),
        .cache_max = o->cache_max,
        .replays_max = o->replays_max,
        .unit_max = o->unit_max == 0 ? 1000 : o->unit_max,
        .expire_max = o->expire_max,
        .late_max_ns = o->late_ms * TRACE_MS,
        .turn_ops_max = limit_of(o->turn_ops),
        .turn_ns = o->turn_ms == 0 ? UINT64_MAX : o->turn_ms * TRACE_MS,
        .op_first_max_ns = 1000,
        .object_size = (sizeof(struct batch__batch) + 63) / 64 * 64,
        .allocator = allocator_functions(&t->memory),
    };
    batch__core_init(&t->core, &config);
    t->now_ns = o->start_ns;
    for (int name = 0; name < TRACE_NAMES_MAX; name++) {
        t->ops[name].verdict = BATCH_CHANGED;
        t->ops[name].name = (char)name;
    }
    return t;
}

void trace_end(struct trace *t)
{
    t->options.load_ms = t->options.save_ms = 0;
    trace_stop(t);
    trace_go(t);
    t->load_ended_ns = t->now_ns;
    while (t->calls_size > 0) {
        call_finish(t, 0, BATCH_OK);
        trace_go(t);
        trace_skip(t);
    }
    assert_int_equal(t->completed, t->submitted);
    assert_true(batch__core_is_idle(&t->core));
    batch__core_destroy(&t->core);
    assert_int_equal(t->memory.live, 0);
    free(t);
}
