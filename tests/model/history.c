#include "history.h"

#define US UINT64_C(1000) /* in ns; sweeps pause for one for each operation that waits */

/* ---- Chance --------------------------------------------------------------------------------- */

/* What the bytes say, as far as they go; then SplitMix64. */
static uint64_t chance(struct history *h)
{
    if (h->bytes_size > 0) {
        h->bytes_size--;
        return *h->bytes++ * UINT64_C(0x0101010101010101); /* from 0 to UINT64_MAX */
    }
    uint64_t z = h->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint32_t below(struct history *h, uint32_t limit)
{
    return (uint32_t)(chance(h) >> 32) % limit;
}

static bool percent(struct history *h, uint32_t percents)
{
    return below(h, 100) < percents;
}

/* Were there bytes to say how it goes, and all have been used? */
static bool is_told_all(const struct history *h)
{
    return h->bytes != NULL && h->bytes_size == 0;
}

/* Is it time for this mistake? The first few chances are let pass. */
static bool is_mistake(struct history *h, enum history_mistake mistake)
{
    if (h->mistake != mistake || h->is_mistaken || !percent(h, 50))
        return false;
    h->is_mistaken = true;
    return true;
}

/* ---- Actions -------------------------------------------------------------------------------- */

static struct history_log *resource_of(struct batch__batch *batch)
{
    return &((struct history_batch *)(void *)batch)->resource;
}

static void call_start(struct history *h, struct batch__batch *batch, bool is_save)
{
    uint64_t max_ns = is_save ? h->save_max_ns : h->load_max_ns;
    uint64_t finish_ns = h->now_ns + chance(h) % (max_ns + 1);
    if (is_mistake(h, HISTORY_THE_STORE_IS_SLOW))
        finish_ns += 3 * (h->save_max_ns + h->load_max_ns);
    if (is_mistake(h, HISTORY_A_CALL_IS_FORGOTTEN))
        return;
    h->calls[h->calls_size++] = (struct history_call){batch, is_save, finish_ns};
}

static void run(struct history *h, struct batch__batch *batch, struct history_op *op)
{
    struct history_log *resource = resource_of(batch);
    bool is_forgotten = op->has_run && is_mistake(h, HISTORY_A_REPLAY_FORGETS_AN_OPERATION);
    model_run(h, batch, op);
    batch__core_check(&h->core);
    int times = is_mistake(h, HISTORY_AN_OPERATION_IS_RUN_TWICE) ? 2 : !is_forgotten;
    for (int i = 0; i < times && op->verdict == BATCH_CHANGED; i++) {
        if (resource->size >= sizeof resource->ops)
            history_wrong(h, "a resource that was never loaded");
        resource->ops[resource->size++] = (uint8_t)(op - h->ops);
    }
    h->now_ns += op->takes_ns;
    batch__core_ran(&h->core, op->verdict, op->takes_ns == 0 ? 0 : h->now_ns);
}

static void done(struct history *h, const struct batch__action *action)
{
    if (is_mistake(h, HISTORY_AN_ANSWER_IS_LOST))
        return;
    model_done(h, action);
    struct batch__action again = *action;
    if (is_mistake(h, HISTORY_AN_ANSWER_IS_GIVEN_TWICE))
        model_done(h, &again);
    for (batch_op *op = action->op, *next; op != NULL; op = next) {
        next = op->private_next;
        memset(&op->private_next, 0xDD, sizeof op->private_next); /* theirs again */
    }
}

/* What the store says of a save, if it fails for no other reason. */
static int outcome_of_save(struct history *h, struct batch__batch *batch)
{
    bool is_as_loaded = resource_of(batch)->version == model_key(h, batch)->stored.version;
    if (!is_as_loaded && is_mistake(h, HISTORY_THE_VERSION_IS_NOT_CHECKED))
        return BATCH_OK;
    return is_as_loaded ? BATCH_OK : BATCH_CONFLICT;
}

static void loaded(struct history *h, struct batch__batch *batch, int status);
static void saved(struct history *h, struct batch__batch *batch, int status, bool is_applied);

static void perform(struct history *h, const struct batch__action *action)
{
    struct batch__batch *batch = action->batch;
    bool is_at_once = !h->is_calm && percent(h, 10); /* a store that is asked on the worker */
    switch (action->kind) {
    case BATCH__LOAD:
        model_load(h, batch);
        if (is_at_once)
            loaded(h, batch, BATCH_OK);
        else
            call_start(h, batch, false);
        break;
    case BATCH__RUN:
        run(h, batch, action->op->arg);
        break;
    case BATCH__SAVE:
        model_save(h, batch);
        if (is_at_once)
            saved(h, batch, outcome_of_save(h, batch), outcome_of_save(h, batch) == BATCH_OK);
        else
            call_start(h, batch, true);
        break;
    case BATCH__DONE:
        done(h, action);
        break;
    case BATCH__METRIC:
        model_record(h, batch);
        break;
    case BATCH__FREE_RESOURCE:
        model_release(h, batch);
        if (!is_mistake(h, HISTORY_THE_RESOURCE_IS_NOT_LOADED_AGAIN))
            resource_of(batch)->size = UINT32_MAX; /* whoever uses it now is found */
        break;
    }
}

static void take_actions(struct history *h, uint32_t max)
{
    struct batch__action action;
    while (max-- > 0 && batch__core_next(&h->core, &action))
        perform(h, &action);
    batch__core_check(&h->core);
}

/* ---- Events --------------------------------------------------------------------------------- */

/* Clocks of several threads may differ a little: time may seem to go back by that much. */
static uint64_t event_ns(struct history *h)
{
    bool is_seen = h->core.now_ns == h->now_ns;
    return is_seen && percent(h, 10) ? h->now_ns - below(h, 3) : h->now_ns;
}

static void submit(struct history *h)
{
    struct history_op *op = &h->ops[h->submitted];
    op->key = below(h, h->keys_size);
    op->verdict = percent(h, h->unchanged_percent) ? BATCH_UNCHANGED : BATCH_CHANGED;
    op->takes_ns = percent(h, h->long_percent) ? below(h, 300) * US : 0;
    op->is_canceled = percent(h, h->cancel_percent / 4);
    memset(&op->op, 0xDD, sizeof op->op); /* the private part may hold anything */
    op->op.key = h->keys[op->key].name;
    op->op.key_size = h->keys[op->key].size;
    op->op.arg = op;
    op->op.private_hash = trace_hash(op->op.key, op->op.key_size) % 5;
    op->op.private_canceled = op->is_canceled;
    op->op.start_by_ns =
        percent(h, h->start_by_percent) ? h->now_ns - 5 * US + below(h, 200) * US : 0;
    if (is_mistake(h, HISTORY_A_CANCEL_IS_TAKEN_BACK)) {
        op->is_canceled = true;
        op->op.private_canceled = 0;
    }
    model_submit(h, op);
    h->submitted++;
    uint64_t taken = h->memory.taken;
    h->memory.fail_at = percent(h, h->no_memory_percent) ? taken + 1 + below(h, 2) : 0;
    batch__core_submit(&h->core, &op->op, event_ns(h));
    op->may_lack_memory = h->memory.fail_at != 0 && h->memory.taken >= h->memory.fail_at;
    h->memory.fail_at = 0;
}

static void cancel(struct history *h)
{
    for (uint32_t tries = 0; tries < 1 + below(h, 3) && h->submitted > 0; tries++) {
        struct history_op *op = &h->ops[below(h, h->submitted)];
        if (op->is_answered)
            continue;
        op->is_canceled = true;
        op->op.private_canceled = 1;
    }
    if (percent(h, 70)) /* else the event comes later, or with another cancel */
        batch__core_cancel(&h->core, event_ns(h));
}

static void loaded(struct history *h, struct batch__batch *batch, int status)
{
    struct history_log *resource = resource_of(batch);
    bool is_stale = h->mistake == HISTORY_THE_RESOURCE_IS_NOT_LOADED_AGAIN && h->is_mistaken &&
                    resource->size < sizeof resource->ops;
    if (status == BATCH_OK && !is_stale)
        *resource = model_key(h, batch)->stored;
    model_loaded(h, batch, status);
    batch__core_loaded(&h->core, batch, status, event_ns(h));
}

static void saved(struct history *h, struct batch__batch *batch, int status, bool is_applied)
{
    if (status == BATCH_SAVE_FAILED && is_mistake(h, HISTORY_A_REFUSED_SAVE_IS_CALLED_OK))
        status = BATCH_OK;
    if (status == BATCH_SAVE_FAILED && is_mistake(h, HISTORY_A_LOST_SAVE_IS_CALLED_FAILED))
        is_applied = true;
    struct history_key *key = model_key(h, batch);
    if (is_applied) {
        resource_of(batch)->version++;
        key->stored = *resource_of(batch);
    }
    model_saved(h, batch, status, is_applied);
    if (status == BATCH_UNKNOWN && is_mistake(h, HISTORY_AN_UNKNOWN_IS_CALLED_FAILED))
        status = BATCH_SAVE_FAILED;
    if (status == BATCH_CONFLICT && is_mistake(h, HISTORY_A_CONFLICT_IS_CALLED_FAILED))
        status = BATCH_SAVE_FAILED;
    batch__core_saved(&h->core, batch, status, event_ns(h));
    key->told_ns = h->core.now_ns;
    if (is_mistake(h, HISTORY_SAVED_IS_TOLD_TWICE))
        batch__core_saved(&h->core, batch, status, event_ns(h));
}

static void call_finish(struct history *h, uint32_t at)
{
    static const int outcomes[] = {BATCH_SAVE_FAILED, BATCH_CONFLICT, BATCH_UNKNOWN};
    struct history_call call = h->calls[at];
    h->calls[at] = h->calls[--h->calls_size];
    bool is_fault = percent(h, h->fault_percent);
    if (!call.is_save) {
        loaded(h, call.batch, is_fault ? BATCH_LOAD_FAILED : BATCH_OK);
        return;
    }
    int status = outcome_of_save(h, call.batch);
    bool is_applied = status == BATCH_OK;
    if (is_fault) {
        status = outcomes[below(h, 3)];
        is_applied = is_applied && status == BATCH_UNKNOWN && percent(h, 50);
    }
    saved(h, call.batch, status, is_applied);
}

static void expire(struct history *h)
{
    if (h->mistake != HISTORY_EXPIRE_IS_NOT_CALLED)
        batch__core_expire(&h->core, event_ns(h));
}

/* Another process saves: what it found there, and its own mark. */
static void others_write(struct history *h)
{
    struct history_key *key = &h->keys[below(h, h->keys_size)];
    if (key->stored.size >= sizeof key->stored.ops - HISTORY_OPS)
        return;
    key->stored.ops[key->stored.size++] = HISTORY_SOMEBODY_ELSE;
    key->stored.version++;
    key->others_size++;
    h->tally->written_by_others++;
}

static void stop(struct history *h)
{
    h->tally->stops_with_work += !h->is_stopped && h->unanswered > 0;
    h->is_stopped = true;
    batch__core_stop(&h->core, event_ns(h));
}

/* ---- A wild history ------------------------------------------------------------------------- */

static void wild_event(struct history *h)
{
    uint32_t what = below(h, 100);
    if (what < 35 && h->submitted < h->ops_size)
        submit(h);
    else if (what < 35 + h->cancel_percent)
        cancel(h);
    else if (what < 75 && percent(h, h->others_percent))
        others_write(h);
    else if (what < 75 && h->calls_size > 0)
        call_finish(h, below(h, h->calls_size));
    else if (what < 85)
        h->now_ns += below(h, 80) * US + below(h, 2);
    else if (what < 93)
        expire(h);
    else if (what < 99)
        batch__core_flush(&h->core, below(h, 3), event_ns(h));
    else if (percent(h, 20))
        stop(h);
    batch__core_check(&h->core);
    h->tally->events++;
}

static void wild(struct history *h)
{
    for (uint32_t steps = h->ops_size * 4; steps > 0 && !is_told_all(h); steps--) {
        wild_event(h);
        if (h->is_taken_at_once || percent(h, 60))
            take_actions(h, UINT32_MAX);
        else
            take_actions(h, below(h, 4));
    }
    take_actions(h, UINT32_MAX);
}

/* ---- A calm history ------------------------------------------------------------------------- */

static uint32_t first_call(const struct history *h)
{
    uint32_t first = 0;
    for (uint32_t i = 1; i < h->calls_size; i++) {
        if (h->calls[i].finish_ns < h->calls[first].finish_ns)
            first = i;
    }
    return first;
}

static bool is_natural(const struct history *h)
{
    return h->config.window_ns == BATCH_WINDOW_NONE;
}

/* As a worker does whose store is always free. */
static void take_all_actions(struct history *h)
{
    take_actions(h, UINT32_MAX);
    if (is_natural(h))
        batch__core_flush(&h->core, UINT64_MAX, h->now_ns);
    take_actions(h, UINT32_MAX);
}

/* What is due by a time, in order. Nothing else wakes the core than what it asks for. */
static bool do_what_is_due(struct history *h, uint64_t until_ns)
{
    uint32_t call = first_call(h);
    uint64_t call_ns = h->calls_size > 0 ? h->calls[call].finish_ns : UINT64_MAX;
    uint64_t expire_ns = batch__core_deadline_ns(&h->core);
    if (h->mistake == HISTORY_EXPIRE_IS_NOT_CALLED)
        expire_ns = UINT64_MAX;
    uint64_t due_ns = call_ns < expire_ns ? call_ns : expire_ns;
    if (due_ns > until_ns || due_ns == UINT64_MAX)
        return false;
    if (due_ns > h->now_ns)
        h->now_ns = due_ns;
    if (call_ns <= expire_ns)
        call_finish(h, call);
    else
        expire(h);
    take_all_actions(h);
    h->tally->events++;
    return true;
}

static void calm(struct history *h)
{
    while (h->submitted < h->ops_size && !is_told_all(h)) {
        uint64_t until_ns = h->now_ns + (percent(h, 50) ? 0 : below(h, 60) * US);
        while (do_what_is_due(h, until_ns))
            ;
        h->now_ns = until_ns;
        submit(h);
        take_all_actions(h);
    }
}

/* From here on everything must come to an answer by itself, without a stop. */
static void become_quiet(struct history *h)
{
    take_all_actions(h);
    for (uint32_t steps = 0; do_what_is_due(h, UINT64_MAX - 1); steps++) {
        if (steps > 10000)
            history_wrong(h, "there is always something due");
    }
}

/* ---- From a seed ---------------------------------------------------------------------------- */

static void configure(struct history *h)
{
    static const uint64_t windows_us[] = {1, 20, 100, 200};
    h->is_calm = below(h, 4) == 0;
    h->keys_size = 1 + below(h, HISTORY_KEYS);
    h->ops_size = 1 + below(h, HISTORY_OPS - 1);
    h->load_max_ns = below(h, 150) * US;
    h->save_max_ns = below(h, 150) * US;
    bool is_without_window = percent(h, 25);
    h->config = (struct batch__core_config){
        .window_ns = is_without_window ? BATCH_WINDOW_NONE : windows_us[below(h, 4)] * US,
        .deadline_ns = (200 + below(h, 2) * 200) * US,
        .ops_max = UINT32_MAX,
        .ops_waiting_max = UINT32_MAX,
        .key_ops_waiting_max = UINT32_MAX,
        .expire_max = below(h, 3),
        .object_size = (sizeof(struct history_batch) + 63) / 64 * 64,
        .allocator = allocator_functions(&h->memory),
    };
    h->unchanged_percent = below(h, 3) * 30;
    h->config.cache_max = percent(h, 50) ? 1 + below(h, 3) : 0;
    h->is_taken_at_once = true;
    if (h->is_calm)
        return;
    h->is_taken_at_once = percent(h, 50);
    h->config.ops_max = percent(h, 30) ? 1 + below(h, 4) : UINT32_MAX;
    h->config.ops_waiting_max = percent(h, 20) ? 1 + below(h, 12) : UINT32_MAX;
    /* The model counts what waits on a key by what it has been told, so it must be told at once. */
    if (h->is_taken_at_once && percent(h, 30))
        h->config.key_ops_waiting_max = 1 + below(h, 5);
    h->config.replays_max = percent(h, 50) ? below(h, 4) : 0;
    h->config.refuses_early = percent(h, 30);
    h->others_percent = percent(h, 50) ? below(h, 4) * 10 : 0;
    h->fault_percent = below(h, 4) * 10;
    h->cancel_percent = below(h, 4) * 6;
    h->start_by_percent = below(h, 3) * 20;
    h->long_percent = below(h, 3) * 5;
    h->no_memory_percent = percent(h, 20) ? 20 : 0;
}

static void name_keys(struct history *h)
{
    static const char *const names[HISTORY_KEYS] = {"", "a", "b",
                                                    "a key that is longer than the others"};
    uint32_t first = below(h, HISTORY_KEYS);
    for (uint32_t i = 0; i < h->keys_size; i++) {
        const char *name = names[(first + i) % HISTORY_KEYS];
        snprintf(h->keys[i].name, sizeof h->keys[i].name, "%s", name);
        h->keys[i].size = strlen(name);
    }
}

static void live(struct history *h)
{
    configure(h);
    name_keys(h);
    batch__core_init(&h->core, &h->config);
    h->now_ns = percent(h, 10) ? UINT64_MAX / 2 : 1000 * US;
    if (h->is_calm)
        calm(h);
    else
        wild(h);
    become_quiet(h);
    model_end(h);
    stop(h);
    take_actions(h, UINT32_MAX);
    model_end(h);
    if (h->core.table.count != 0)
        history_wrong(h, "%u keys are left", (unsigned)h->core.table.count);
    batch__core_destroy(&h->core);
    if (h->memory.live != 0)
        history_wrong(h, "%u blocks of memory are left", (unsigned)h->memory.live);
}

/* Live, with all but `bytes` and `mistake` all zero. */
static const char *run_history(struct history *h, uint64_t seed, struct history_tally *tally)
{
    jmp_buf on_error;
    h->random = seed;
    h->memory.is_listed = true;
    h->tally = tally;
    h->on_error = &on_error;
    tally->histories++;
    trace_catch_panic(&on_error);
    if (setjmp(on_error) == 0)
        live(h);
    else if (h->error[0] == '\0')
        snprintf(h->error, sizeof h->error, "%s", trace_panic_text());
    trace_catch_panic(NULL);
    if (h->error[0] == '\0')
        return NULL;
    allocator_release_all(&h->memory);
    return h->error;
}

const char *history_run(struct history *h, uint64_t seed, enum history_mistake mistake,
                        struct history_tally *tally)
{
    memset(h, 0, sizeof *h);
    h->mistake = mistake;
    return run_history(h, seed, tally);
}

const char *history_run_bytes(struct history *h, const uint8_t *bytes, size_t bytes_size,
                              struct history_tally *tally)
{
    memset(h, 0, sizeof *h);
    h->bytes = bytes;
    h->bytes_size = bytes_size;
    return run_history(h, 0, tally);
}
