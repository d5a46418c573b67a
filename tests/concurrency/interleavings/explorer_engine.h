/* explorer_engine.h: between the parts of the explorer: fibers and choices (explorer_engine.c),
 * memory (explorer_memory.c), what the compiler calls (explorer_hooks.c), the platform
 * (explorer_platform.c) and the program (explorer.c). */
#ifndef ENGINE_H
#define ENGINE_H

#include "explorer.h"

/* ---- explorer_engine.c: one execution after the other --------------------------------------- */

/* What else keeps count of executions and threads is called as they go on. */
struct engine_watchers {
    void (*begin)(void);            /* an execution */
    void (*step)(uint32_t thread);  /* a thread begins one */
    void (*spawn)(uint32_t thread); /* it starts this one */
    void (*join)(uint32_t thread);  /* this one has ended */
};

/* What explorer.c sets and reads. */
struct engine_state {
    struct engine_watchers watchers;
    const struct explorer_scenario *scenario;
    const char *must_find; /* a failure that begins so is what we want; NULL: none */
    uint64_t seed;
    uint64_t executions;
    uint64_t cut; /* short: like an earlier one */
    uint64_t steps;
    uint32_t wanted;
    uint32_t seen;
};

extern struct engine_state engine;

void engine_init(void);
void engine_execute(void);
/* To the next execution of an exhaustive scenario. False: there was the last one. */
bool engine_advance(void);

enum step_kind {
    STEP_BEGIN,
    STEP_LOAD,
    STEP_STORE,
    STEP_UPDATE, /* read-modify-write */
    STEP_TAKE,   /* from here on, not on atomic variables: */
    STEP_GIVE,
    STEP_WAIT,
    STEP_RETURN, /* from a wait */
    STEP_WAKE,
    STEP_YIELD,
    STEP_JOIN,
    STEP_END
};

/* Can a thread take its step: no; yes; if time passes; if it happens without cause. */
enum readiness { NOT_READY, READY, READY_IN_TIME, READY_ON_A_WHIM };

/* What a thread is about to do. */
struct step {
    enum step_kind kind;
    bool is_seq_cst;
    const volatile void *place;
    int (*readiness)(uint32_t thread, const volatile void *place); /* NULL: always READY */
};

/* Thread that runs, or EXPLORER_THREADS outside of executions. */
uint32_t engine_thread(void);

/* Let others go first; returns when it is the turn of this thread's `step` and it is ready. */
void engine_pause(struct step step);
/* A step that no other thread can be in the way of, nor see whether it comes sooner or later: taken
 * at once. */
void engine_go_on(struct step step);
/* The step that was allowed last, for the trace: the value that it read or wrote. */
void engine_note(uint64_t value);

/* One of `options`, each of them in some execution; 0 is what usually happens. */
uint32_t engine_choose(uint32_t options);
/* Something happens without cause, now and then. */
bool engine_has_whim(void);
bool engine_may_have_whim(void);
void engine_use_whim(void);

/* Has no other thread been started yet? */
bool engine_is_first(void);
/* A new thread; its number. */
uint32_t engine_spawn(void (*body)(void *arg), void *arg);
void engine_join(uint32_t thread);

static inline bool engine_is_running(void)
{
    return engine_thread() < EXPLORER_THREADS;
}

/* ---- explorer_memory.c ---------------------------------------------------------------------- */

struct clock {
    uint16_t at[EXPLORER_THREADS];
};

/* Bits. */
enum order {
    ORDER_RELAXED = 0,
    ORDER_ACQUIRE = 1,
    ORDER_RELEASE = 2,
    ORDER_ACQ_REL = 3,
    ORDER_SEQ_CST = 7
};

void memory_reset(void);
void memory_tick(uint32_t thread); /* a step begins */
void memory_fork(uint32_t child);
void memory_join(uint32_t child);
void memory_release(struct clock *clock); /* hand over what this thread knows */
void memory_acquire(const struct clock *clock);

void memory_plain(const volatile void *place, size_t size, bool is_write);
void memory_freed(const volatile void *place, size_t size);
/* A lock or a thread is used: races with its making and its end, not with other uses. */
void memory_touch(const volatile void *place);

uint64_t memory_load(const volatile void *place, size_t size, enum order order);
void memory_store(volatile void *place, size_t size, uint64_t value, enum order order);
/* Read the newest value, store what `change` makes of it, return what was read. */
uint64_t memory_update(volatile void *place, size_t size,
                       uint64_t (*change)(uint64_t value, uint64_t operand), uint64_t operand,
                       enum order order);
bool memory_compare_exchange(volatile void *place, size_t size, uint64_t *expected, uint64_t value,
                             bool is_weak, enum order order, enum order failure);

/* What this thread loaded last, for a yield: the place, and has it changed since? The next load of
 * it is not late. */
const volatile void *memory_last_load(void);
bool memory_has_changed(uint32_t thread, const volatile void *place);
void memory_catch_up(void);

/* ---- explorer_platform.c -------------------------------------------------------------------- */

void platform_reset(void);

#endif
