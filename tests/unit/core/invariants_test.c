/* The whole-state check: each relation is broken by hand, and the check says which. Without this, a
 * check that finds nothing would look like a core that does nothing wrong. */
#include "trace.h"

#include "core/lists.h"
#include "core/turns.h"
#include "core/window.h"

/* A batch in every phase that can be seen from outside, and nothing on `todo`. */
struct scene {
    struct trace *t;
    struct batch__core *core;
    struct batch__batch *cached, *open, *saving, *loading, *reloading, *turn;
    struct batch__batch *tied[3]; /* a unit that is open: two transactions on three keys */
    struct batch__batch *blocked,
        *awaited; /* a leg is ready on the first, and waits on the second */
    batch_op extra;
};

static void scene_set(struct scene *s)
{
    static const struct trace_options options = {.cache_max = 2,
                                                 .replays_max = 1,
                                                 .ops_max = 9,
                                                 .ops_waiting_max = 99,
                                                 .turn_ops = 9,
                                                 .unit_max = 64};
    struct trace *t = trace_new(&options);
    *s = (struct scene){.t = t, .core = &t->core};
    static const char *const keys[] = {"cached", "saving", "reloading"};
    static const char *const names[] = {"K", "S", "R"};
    for (size_t i = 0; i < 3; i++) {
        trace_submit(t, keys[i], names[i]);
        trace_loaded(t, keys[i], BATCH_OK);
    }
    trace_at(t, 100);
    trace_saved(t, "cached", BATCH_OK);
    trace_saved(t, "reloading", BATCH_CONFLICT);
    trace_submit(t, "open", "O");
    trace_loaded(t, "open", BATCH_OK);
    trace_at(t, 110);
    trace_op(t, 'L')->op.start_by_ns = 150 * TRACE_MS;
    trace_submit(t, "loading", "LM");
    trace_submit(t, "saving", "T");
    trace_transact(t, '1', "x y");
    trace_transact(t, '2', "y z");
    trace_transact(t, '3', "p q");
    static const char *const tied[] = {"x", "y", "z"};
    for (size_t i = 0; i < 3; i++) {
        trace_loaded(t, tied[i], BATCH_OK);
        s->tied[i] = trace_batch(t, tied[i]);
    }
    trace_loaded(t, "p", BATCH_OK);
    s->blocked = trace_batch(t, "p");
    s->awaited = trace_batch(t, "q");
    trace_submit(t, "turn", "U");
    trace_loaded(t, "turn", BATCH_OK);
    trace_hold(t);
    trace_submit(t, "turn", "V");
    s->turn = trace_batch(t, "turn");
    s->cached = trace_batch(t, "cached");
    s->open = trace_batch(t, "open");
    s->saving = trace_batch(t, "saving");
    s->loading = trace_batch(t, "loading");
    s->reloading = trace_batch(t, "reloading");
    assert_int_equal(s->cached->phase, BATCH__CACHED);
    assert_int_equal(s->open->phase, BATCH__OPEN);
    assert_int_equal(s->saving->phase, BATCH__SAVING);
    assert_true(s->turn->in_turns);
    assert_int_equal(s->loading->phase, BATCH__LOADING);
    assert_int_equal(s->reloading->phase, BATCH__LOADING);
}

/* What is broken cannot be brought to an end. */
static void scene_end(struct scene *s)
{
    allocator_release_all(&s->t->memory);
    free(s->t);
}

/* All of the unit are in this phase. */
static void unit_phase(struct scene *s, enum batch__phase phase, uint16_t unit_count)
{
    for (size_t i = 0; i < 3; i++) {
        if (s->tied[i]->in_due)
            batch__window_end(s->core, s->tied[i]);
        s->tied[i]->phase = (uint8_t)phase;
        if (phase == BATCH__LOADING)
            s->tied[i]->is_loaded = false;
    }
    s->tied[0]->unit->unit_count = unit_count;
}

/* As if it were loaded, and nothing had come of it. */
static void open_awaited(struct scene *s)
{
    s->awaited->phase = BATCH__OPEN;
    s->awaited->is_loaded = true;
}

#define NONE ((struct batch__ops){NULL, NULL, 0})

/* What is done to the scene, and what the check must say then. */
#define OPS_MAP(X)                                                                                 \
    X(s->loading->waiting.count = 1, "count <= ops->count")                                        \
    X(s->loading->waiting.count = 3, "count == ops->count")                                        \
    X(s->loading->waiting.tail = s->loading->waiting.head, "last == ops->tail")                    \
    X(s->open->ran.count = 2, "count == ops->count")                                               \
    X(s->saving->ran.count = 2, "count == ops->count")                                             \
    X(s->reloading->waiting.count = 2, "count == ops->count")                                      \
    X(s->core->refused.count = 1, "count == ops->count")                                           \
    X(s->loading->joining = 3, "batch->joining <= batch->waiting.count")                           \
    X(s->saving->joining = 1, "batch->joining == 0 || batch->phase == BATCH__OPEN")                \
    X(s->loading->in_waiting = false, "batch->in_waiting == (batch->waiting.count > 0")            \
    X(s->open->in_waiting = true, "batch->in_waiting == (batch->waiting.count > 0")                \
    X((s->loading->in_waiting = false, s->loading->in_turns = true),                               \
      ": batch->phase == BATCH__OPEN")                                                             \
    X(s->core->start_by_min_ns = UINT64_MAX, "core->start_by_min_ns <= batch->start_by_min_ns")    \
    X((s->core->start_by_min_ns = 5, s->reloading->start_by_min_ns = 4),                           \
      "core->start_by_min_ns <= batch->start_by_min_ns")                                           \
    X(trace_op(s->t, 'M')->op.start_by_ns = 1, "op->start_by_ns >= batch->start_by_min_ns")        \
    X((batch__ops_push(&s->reloading->waiting, &s->extra), s->extra.start_by_ns = 1),              \
      "op->start_by_ns >= batch->start_by_min_ns")                                                 \
    X(s->core->ops++, "ops == core->ops")                                                          \
    X(s->core->config.ops_waiting_max = 4, "core->ops <= core->config.ops_waiting_max")

#define PHASE_MAP(X)                                                                               \
    X(s->open->phase = BATCH__POOLED, "is_phase_of_key(batch->phase)")                             \
    X(s->open->phase = BATCH__CACHED + 1, "is_phase_of_key(batch->phase)")                         \
    X(s->open->is_loaded = false, ": batch->is_loaded")                                            \
    X(s->saving->is_loaded = false, ": batch->is_loaded")                                          \
    X(s->cached->is_loaded = false, ": batch->is_loaded")                                          \
    X(s->loading->is_loaded = true, "!batch->is_loaded")                                           \
    X(s->reloading->is_loaded = true, "!batch->is_loaded")                                         \
    X(s->open->replays = 2, "batch->replays <= core->config.replays_max")                          \
    X(s->reloading->is_replay = false, "batch->is_replay")                                         \
    X(s->reloading->replaying = 2, "batch->replaying <= batch->waiting.count")                     \
    X(s->open->changed = 2, "batch->changed <= batch->ran.count")                                  \
    X(s->core->config.ops_max = 0, "batch->ran.count <= core->config.ops_max")                     \
    X(s->cached->in_due = true, "is_open || (is_next && batch__has_window(core))")                 \
    X(s->open->is_replay = true, "is_open || (is_next && batch__has_window(core))")                \
    X(s->reloading->in_due = true, "is_open || (is_next && batch__has_window(core))")              \
    X(s->core->config.window_ns = BATCH_WINDOW_NONE,                                               \
      "is_open || (is_next && batch__has_window(core))")                                           \
    X(s->saving->changed = 0, "batch->changed > 0")                                                \
    X((batch__todo_push(s->core, s->saving), s->saving->phase = BATCH__CLOSED,                     \
       s->saving->changed = 0),                                                                    \
      "batch->changed > 0")                                                                        \
    X(batch__todo_push(s->core, s->cached), "!batch->in_todo")                                     \
    X((batch__ops_push(&s->cached->waiting, &s->extra), s->cached->in_waiting = true),             \
      "batch->waiting.count == 0")

/* What has something to do and is not on `todo` would be forgotten. */
#define LEG_OF(name) (&trace_transaction(s->t, name)->parts[0])

#define UNIT_MAP(X)                                                                                \
    X(s->tied[0]->unit_next = NULL, "(batch->unit == NULL) == (batch->unit_next == NULL)")         \
    X(s->tied[1]->unit = s->tied[1], "each->unit == batch")                                        \
    X(s->tied[1]->phase = BATCH__SAVING, "each->phase == batch->phase")                            \
    X((s->tied[1]->ran = NONE, s->core->ops -= 2), "each->ran.count > 0")                          \
    X(s->tied[0]->unit->unit_size = 2, "size <= batch->unit_size")                                 \
    X(s->tied[0]->unit->unit_size = 4, "size == batch->unit_size")                                 \
    X(s->tied[0]->unit->unit_count = 1, "batch->unit_count == joining")                            \
    X(s->tied[0]->unit->is_closing = true, "batch->unit_count == joining")                         \
    X(unit_phase(s, BATCH__SAVING, 0), "batch->unit_count > 0 && batch->unit_count <= size")       \
    X(unit_phase(s, BATCH__SAVING, 4), "batch->unit_count > 0 && batch->unit_count <= size")       \
    X(unit_phase(s, BATCH__LOADING, 0), "batch->phase == BATCH__OPEN ||")                          \
    X((s->open->unit = s->tied[0]->unit, s->open->unit_next = s->open), "tied == in_units")        \
    X(s->core->unit_max = 0, "core->unit_max > 0")                                                 \
    X(s->core->unit_max = 65, "core->unit_max <= core->config.unit_max")                           \
    X(LEG_OF('3')->private_batch = s->awaited, "other == batch")                                   \
    X(LEG_OF('3')[1].private_is_ready = true, "batch->waiting.head == leg")                        \
    X(trace_transaction(s->t, '3')->transaction.private_ready = 0, "private_ready == ready")       \
    X((LEG_OF('3')[1].private_is_ready = true, open_awaited(s),                                    \
       trace_transaction(s->t, '3')->transaction.private_ready = 2),                               \
      "ready < transaction->parts_size || is_remembered")

#define TODO_MAP(X)                                                                                \
    X((s->open->ran = NONE, s->open->changed = 0), "must_act")                                     \
    X(s->open->in_due = false, "must_act")                                                         \
    X(s->core->is_stopping = true, "must_act")                                                     \
    X(s->saving->phase = BATCH__CLOSED, "must_act")                                                \
    X(s->loading->phase = BATCH__BEGUN, "must_act")                                                \
    X(s->core->todo_first = s->saving, "batch->in_todo")                                           \
    X((batch__todo_push(s->core, s->open), s->core->todo_last = NULL), "batch == core->todo_last") \
    X((batch__todo_push(s->core, s->open), s->open->todo_next = s->open), "count <= expected")     \
    X(s->open->in_todo = true, "count == expected")                                                \
    X((s->core->running = &s->extra, s->turn->waiting = NONE,                                      \
       batch__turns_leave(s->core, s->turn)),                                                      \
      "core->turns.first != NULL")

/* Who has something to run is in `turns`, and nobody else. */
#define TURNS_MAP(X)                                                                               \
    X((s->turn->in_turns = false, s->core->turns = (struct batch__list){0}),                       \
      "batch->in_waiting == (batch->waiting.count > 0")                                            \
    X(s->core->turns.first = s->open, "batch->in_turns")                                           \
    X(s->turn->waiters.previous = s->open, "batch->waiters.previous == previous")                  \
    X(s->turn->waiters.next = s->turn, "batch->waiters.previous == previous")                      \
    X(s->core->turns.last = NULL, "core->turns.last == previous")                                  \
    X(s->open->in_turns = true, "count == expected")                                               \
    X(s->core->turn_ops = 10, "core->turn_ops <= core->config.turn_ops_max")                       \
    X(s->core->is_turn_over = true, "core->turn_ops > 0 || !core->is_turn_over")

#define LIST_MAP(X)                                                                                \
    X(s->loading->in_due = false, "batch->in_due")                                                 \
    X(s->core->due.first->due.previous = s->cached, "batch->due.previous == previous")             \
    X(s->core->due.last->due.previous = NULL, "batch->due.previous == previous")                   \
    X(s->core->due.last->closes_ns = 1, "batch->closes_ns >= before_ns")                           \
    X(s->core->due.last = NULL, "core->due.last == previous")                                      \
    X(s->core->due = (struct batch__list){0}, "count == expected")                                 \
    X((batch__window_end(s->core, s->saving), s->saving->waiting = NONE,                           \
       s->saving->in_waiting = false, s->core->ops--),                                             \
      "batch->in_waiting")                                                                         \
    X(s->core->waiting.first->waiters.previous = s->cached, "batch->waiters.previous == previous") \
    X(s->core->waiting.last->waiters.previous = NULL, "batch->waiters.previous == previous")       \
    X(s->core->waiting.last = NULL, "core->waiting.last == previous")                              \
    X(s->core->waiting = (struct batch__list){0}, "count == expected")                             \
    X(s->core->cached.first = s->open, "batch->phase == BATCH__CACHED")                            \
    X(s->cached->due.previous = s->open, "batch->due.previous == previous")                        \
    X(s->core->cached.last = NULL, "core->cached.last == previous")                                \
    X(s->core->cached = (struct batch__list){0}, "count == expected")                              \
    X(s->core->cached_size = 2, "count == core->cached_size")                                      \
    X(s->core->config.cache_max = 0, "count <= core->config.cache_max")                            \
    X((batch__todo_push(s->core, s->open), batch__todo_push(s->core, s->tied[0]),                  \
       batch__todo_push(s->core, s->tied[1]), batch__todo_push(s->core, s->tied[2]),               \
       s->core->is_stopping = true),                                                               \
      "!core->is_stopping")                                                                        \
    X(s->open->hash ^= 1U << 31, "slot->hash == batch->hash")                                      \
    X(misplace(s), "batch__table_find")                                                            \
    X(s->core->table.count++, "batches == core->table.count")

#define BREAK_MAP(X) OPS_MAP(X) UNIT_MAP(X) PHASE_MAP(X) TODO_MAP(X) TURNS_MAP(X) LIST_MAP(X)

#define TEXT(broken, text) text,
static const char *const texts[] = {BREAK_MAP(TEXT)};
#undef TEXT

/* Where nobody who looks for it comes by: behind an empty slot. */
static void misplace(struct scene *s)
{
    struct batch__table *table = &s->core->table;
    uint64_t mask = table->size - 1;
    uint64_t from = s->open->hash & mask;
    while (table->slots[from].batch != s->open)
        from = (from + 1) & mask;
    uint64_t to = (from + table->size / 2) & mask;
    while (table->slots[to].batch != NULL)
        to = (to + 1) & mask;
    table->slots[to] = table->slots[from];
    table->slots[from] = (struct batch__slot){NULL, 0};
}

static void damage(struct scene *s, size_t which)
{
    size_t i = 0;
#define APPLY(broken, text)                                                                        \
    if (which == i++) {                                                                            \
        broken;                                                                                    \
        return;                                                                                    \
    }
    BREAK_MAP(APPLY)
#undef APPLY
}

/* What a panic says; an empty text if there is none. */
static const char *panic_of_check(struct scene *s)
{
    jmp_buf jump;
    trace_catch_panic(&jump);
    if (setjmp(jump) == 0) {
        batch__core_check(s->core);
        trace_catch_panic(NULL);
        return "";
    }
    trace_catch_panic(NULL);
    return trace_panic_text();
}

TEST(what_is_right_is_let_pass)
{
    struct scene s;
    scene_set(&s);
    assert_string_equal(panic_of_check(&s), "");
    trace_end(s.t);
}

TEST(every_relation_that_is_broken_is_found)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct scene s;
        scene_set(&s);
        damage(&s, i);
        const char *panic = panic_of_check(&s);
        if (strstr(panic, texts[i]) == NULL)
            fail_msg("damage %zu: found '%s' instead of '%s'", i, panic, texts[i]);
        scene_end(&s);
    }
}

/* An object that is free, or a phase that there is not, has nothing to do. */
TEST(a_batch_in_no_phase_is_not_stepped)
{
    static const uint8_t phases[] = {BATCH__POOLED, BATCH__CACHED + 1};
    for (size_t i = 0; i < 2; i++) {
        struct scene s;
        jmp_buf jump;
        scene_set(&s);
        batch__todo_push(s.core, s.open);
        s.open->phase = phases[i];
        trace_catch_panic(&jump);
        if (setjmp(jump) == 0) {
            struct batch__action action;
            batch__core_next(s.core, &action);
            fail_msg("it was stepped");
        }
        trace_catch_panic(NULL);
        assert_non_null(strstr(trace_panic_text(), "a pooled batch has something to do"));
        scene_end(&s);
    }
}
