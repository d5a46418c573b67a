/* explorer_engine.c: one execution after the other: fibers, and the choices of who goes on; see
 * explorer.h.
 */
#include "explorer_engine.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum {
    STACK_SIZE = 128 * 1024,
    CHOICES_MAX = 65536,
    STEPS_MAX = 60000, /* then an execution is taken to be endless */
    TRACE_MAX = 200,   /* the last steps, printed with a failure */
    NAMES_MAX = 64
};

struct thread {
    struct step step; /* the next one */
    void (*body)(void *arg);
    void *arg;
    bool is_started;
    bool has_ended;
    ucontext_t context; /* how to start it */
    jmp_buf place;      /* how to go on */
    _Alignas(64) char stack[STACK_SIZE];
};

/* A choice between threads (`ready` is not 0: a bit for each) or between values. */
struct choice {
    uint8_t ready;
    uint8_t asleep; /* threads whose step leads to executions that are known already */
    uint8_t chosen;
    uint8_t options;
};

struct trace_line {
    uint8_t thread;
    uint8_t kind;
    const volatile void *place;
    uint64_t value;
};

static struct thread threads[EXPLORER_THREADS];
static uint32_t threads_size;
static uint32_t current = EXPLORER_THREADS;
static jmp_buf execution_over;

/* This execution. */
static uint32_t steps;
static uint32_t choices_used; /* of `choices`, so far */
static uint8_t asleep;
static uint32_t whims_left;
static struct random drawn;
static uint32_t stay_percent;
static uint32_t late_percent;
static struct trace_line trace[TRACE_MAX];
static struct {
    const volatile void *place;
    const char *name;
} names[NAMES_MAX];
static uint32_t names_size;

/* All executions of the scenario. */
struct engine_state engine;
static struct choice choices[CHOICES_MAX];
static uint32_t choices_size;

/* ---- Failure -------------------------------------------------------------------------------- */

static const char *const kind_names[] = {"begin", "load",   "store", "update", "take", "give",
                                         "wait",  "return", "wake",  "yield",  "join", "end"};

static void print_trace(void)
{
    uint32_t first = steps > TRACE_MAX ? steps - TRACE_MAX : 0;
    for (uint32_t i = first; i < steps; i++) {
        const struct trace_line *line = &trace[i % TRACE_MAX];
        const char *name = NULL;
        for (uint32_t n = 0; n < names_size; n++) {
            if (names[n].place == line->place)
                name = names[n].name;
        }
        fprintf(stderr, "  %5u  %*sthread %u: %s ", i, line->thread * 2, "", line->thread,
                kind_names[line->kind]);
        if (name != NULL)
            fprintf(stderr, "%s", name);
        else
            fprintf(stderr, "%p", (void *)(uintptr_t)line->place);
        if (line->kind >= STEP_LOAD && line->kind <= STEP_UPDATE)
            fprintf(stderr, " = %#llx", (unsigned long long)line->value);
        fputc('\n', stderr);
    }
}

void explorer_fail(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    uint32_t thread = current;
    if (engine.must_find != NULL &&
        strncmp(text, engine.must_find, strlen(engine.must_find)) == 0) {
        printf("%s: found in execution %llu: thread %u: %s\n", engine.scenario->name,
               (unsigned long long)(engine.executions + engine.cut + 1), thread, text);
        exit(0);
    }
    print_trace();
    fprintf(stderr, "%s: execution %llu", engine.scenario->name,
            (unsigned long long)(engine.executions + engine.cut + 1));
    if (engine.scenario->runs > 0)
        fprintf(stderr, " (--seed %llu)", (unsigned long long)engine.seed);
    fprintf(stderr, ": thread %u: %s\n", thread, text);
    exit(1);
}

void explorer_name(const volatile void *place, const char *name)
{
    if (names_size < NAMES_MAX) {
        names[names_size].place = place;
        names[names_size++].name = name;
    }
}

void explorer_want(uint32_t wanted)
{
    engine.wanted = wanted;
}

void explorer_saw(uint32_t bit)
{
    engine.seen |= 1u << bit;
}

/* ---- Choices -------------------------------------------------------------------------------- */

static uint32_t draw(uint32_t options)
{
    return (uint32_t)random_below(&drawn, options);
}

/* The next choice: as in the execution before, or new. */
static struct choice *next_choice(void)
{
    if (choices_used == CHOICES_MAX)
        explorer_fail("endless: %d choices in one execution", CHOICES_MAX);
    struct choice *choice = &choices[choices_used++];
    if (choices_used > choices_size) {
        choices_size = choices_used;
        *choice = (struct choice){0};
    }
    return choice;
}

uint32_t engine_choose(uint32_t options)
{
    if (options <= 1)
        return 0;
    if (engine.scenario->runs > 0)
        return draw(100) < late_percent ? draw(options) : 0;
    struct choice *choice = next_choice();
    if (choice->options == 0)
        choice->options = (uint8_t)options;
    if (choice->options != options || choice->ready != 0)
        explorer_fail("not repeatable: %u options where there were %u", options, choice->options);
    return choice->chosen;
}

uint32_t explorer_choose(uint32_t options)
{
    return engine.scenario->runs > 0 ? draw(options) : engine_choose(options);
}

bool engine_has_whim(void)
{
    if (whims_left == 0 || (engine.scenario->runs > 0 && draw(16) != 0))
        return false;
    if (engine.scenario->runs == 0 && engine_choose(2) == 0)
        return false;
    whims_left--;
    return true;
}

bool engine_may_have_whim(void)
{
    return whims_left > 0;
}

void engine_use_whim(void)
{
    whims_left--;
}

/* Do two steps of different threads lead to the same, whichever comes first? */
static bool commute(const struct step *a, const struct step *b)
{
    if (a->place != b->place || a->place == NULL)
        return true;
    return a->kind == STEP_LOAD && b->kind == STEP_LOAD && !(a->is_seq_cst && b->is_seq_cst);
}

static enum readiness readiness_of(uint32_t thread)
{
    const struct step *step = &threads[thread].step;
    if (threads[thread].has_ended)
        return NOT_READY;
    if (step->readiness == NULL)
        return READY;
    return (enum readiness)step->readiness(thread, step->place);
}

/* What a thread waits for, for a failure. */
static void fail_stuck(void)
{
    char text[256];
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < threads_size; i++) {
        if (!threads[i].has_ended && threads[i].step.kind != STEP_JOIN)
            length += (size_t)snprintf(text + length, sizeof text - length, "; thread %u: %s", i,
                                       kind_names[threads[i].step.kind]);
    }
    explorer_fail("stuck: nobody can go on%s", text);
}

/* The threads that may go on, a bit for each. */
static uint32_t ready_threads(void)
{
    uint32_t ready[READY_ON_A_WHIM + 1] = {0};
    for (uint32_t i = 0; i < threads_size; i++)
        ready[readiness_of(i)] |= 1u << i;
    if ((ready[READY] | ready[READY_IN_TIME]) == 0)
        fail_stuck();
    if (engine.scenario->runs == 0)
        return ready[READY] | ready[READY_IN_TIME] | ready[READY_ON_A_WHIM];
    /* Time passes when nothing else can happen, or now and then. */
    uint32_t all = ready[READY];
    if (all == 0 || draw(32) == 0)
        all |= ready[READY_IN_TIME];
    if (ready[READY_ON_A_WHIM] != 0 && draw(32) == 0)
        all |= ready[READY_ON_A_WHIM];
    return all;
}

static uint32_t pick_random(uint32_t ready)
{
    if ((ready & 1u << current) != 0 && draw(100) < stay_percent)
        return current;
    uint32_t nth = draw((uint32_t)__builtin_popcount(ready));
    while (nth-- > 0)
        ready &= ready - 1;
    return (uint32_t)__builtin_ctz(ready);
}

/* A thread whose step commutes with whatever others may ever do: no other order makes a
 * difference. */
static bool find_urgent(uint32_t ready, uint32_t *ret_thread)
{
    for (uint32_t i = 0; i < threads_size; i++) {
        enum step_kind kind = threads[i].step.kind;
        if ((ready & 1u << i) != 0 && (kind == STEP_BEGIN || kind == STEP_JOIN)) {
            *ret_thread = i;
            return true;
        }
    }
    return false;
}

/* The thread that goes on; does not return if the execution would be like an earlier one. */
static uint32_t pick(void)
{
    uint32_t ready = ready_threads();
    if (engine.scenario->runs > 0)
        return pick_random(ready);
    uint32_t chosen;
    if (find_urgent(ready, &chosen))
        return chosen;
    if ((ready & ~(uint32_t)asleep) == 0) {
        engine.cut++;
        _longjmp(execution_over, 2);
    }
    if ((ready & (ready - 1)) == 0) {
        chosen = (uint32_t)__builtin_ctz(ready);
    } else {
        struct choice *choice = next_choice();
        if (choice->ready == 0) {
            if (choice->options != 0)
                explorer_fail("not repeatable: threads where there were values");
            choice->ready = (uint8_t)ready;
            choice->asleep = asleep;
            uint32_t awake = ready & ~(uint32_t)asleep;
            choice->chosen = (uint8_t)(current < EXPLORER_THREADS && (awake & 1u << current) != 0
                                           ? current
                                           : (uint32_t)__builtin_ctz(awake));
        }
        if (choice->ready != ready)
            explorer_fail("not repeatable: threads %x where there were %x", ready, choice->ready);
        asleep = choice->asleep;
        chosen = choice->chosen;
    }
    for (uint32_t i = 0; i < threads_size; i++) {
        if ((asleep & 1u << i) != 0 && !commute(&threads[i].step, &threads[chosen].step))
            asleep &= (uint8_t) ~(1u << i);
    }
    return chosen;
}

bool engine_advance(void)
{
    while (choices_size > 0) {
        struct choice *choice = &choices[choices_size - 1];
        if (choice->ready == 0) {
            if (++choice->chosen < choice->options)
                return true;
        } else {
            choice->asleep |= (uint8_t)(1u << choice->chosen);
            uint32_t awake = choice->ready & ~(uint32_t)choice->asleep;
            if (awake != 0) {
                choice->chosen = (uint8_t)__builtin_ctz(awake);
                return true;
            }
        }
        choices_size--;
    }
    return false;
}

/* ---- Fibers --------------------------------------------------------------------------------- */

uint32_t engine_thread(void)
{
    return current;
}

bool engine_is_first(void)
{
    return threads_size == 1;
}

static void resume(uint32_t thread)
{
    current = thread;
    if (threads[thread].is_started)
        _longjmp(threads[thread].place, 1);
    threads[thread].is_started = true;
    setcontext(&threads[thread].context);
}

static void note_step(const struct step *step)
{
    if (steps == STEPS_MAX)
        explorer_fail("endless: %d steps in one execution", STEPS_MAX);
    trace[steps % TRACE_MAX] =
        (struct trace_line){(uint8_t)current, (uint8_t)step->kind, step->place, 0};
    steps++;
    engine.watchers.step(current);
}

void engine_note(uint64_t value)
{
    trace[(steps - 1) % TRACE_MAX].value = value;
}

void engine_pause(struct step step)
{
    uint32_t self = current;
    threads[self].step = step;
    uint32_t next = pick();
    if (next != self && _setjmp(threads[self].place) == 0)
        resume(next);
    note_step(&threads[self].step);
}

void engine_go_on(struct step step)
{
    note_step(&step);
}

static void thread_main(void)
{
    uint32_t self = current;
    note_step(&threads[self].step);
    threads[self].body(threads[self].arg);
    engine_go_on((struct step){.kind = STEP_END, .place = &threads[self].has_ended});
    threads[self].has_ended = true;
    if (self == 0)
        _longjmp(execution_over, 1);
    resume(pick());
}

static uint32_t add_thread(void (*body)(void *arg), void *arg)
{
    if (threads_size == EXPLORER_THREADS)
        explorer_fail("too large: more than %d threads", EXPLORER_THREADS);
    struct thread *thread = &threads[threads_size];
    thread->step = (struct step){.kind = STEP_BEGIN};
    thread->body = body;
    thread->arg = arg;
    thread->is_started = thread->has_ended = false;
    thread->context.uc_stack.ss_sp = thread->stack;
    thread->context.uc_stack.ss_size = sizeof thread->stack;
    makecontext(&thread->context, thread_main, 0);
    return threads_size++;
}

uint32_t engine_spawn(void (*body)(void *arg), void *arg)
{
    uint32_t child = add_thread(body, arg);
    engine.watchers.spawn(child);
    return child;
}

/* ---- Executions ----------------------------------------------------------------------------- */

static int ready_to_join(uint32_t thread, const volatile void *place)
{
    (void)thread;
    return *(const volatile bool *)place ? READY : NOT_READY;
}

void engine_join(uint32_t thread)
{
    engine_pause((struct step){
        .kind = STEP_JOIN, .place = &threads[thread].has_ended, .readiness = ready_to_join});
    engine.watchers.join(thread);
}

static void run_body(void *arg)
{
    void (*const *body)(void) = arg;
    (*body)();
}

static void run_scenario(void *arg)
{
    (void)arg;
    uint32_t children[EXPLORER_PARALLEL];
    size_t size = 0;
    engine.scenario->begin();
    for (; size < EXPLORER_PARALLEL && engine.scenario->threads[size] != NULL; size++)
        children[size] = engine_spawn(run_body, (void *)(uintptr_t)&engine.scenario->threads[size]);
    for (size_t i = 0; i < size; i++)
        engine_join(children[i]);
    engine.scenario->end();
    for (uint32_t i = 1; i < threads_size; i++) {
        if (!threads[i].has_ended)
            explorer_fail("wrong: thread %u has not ended", i);
    }
}

void engine_init(void)
{
    for (uint32_t i = 0; i < EXPLORER_THREADS; i++)
        getcontext(&threads[i].context);
}

void engine_execute(void)
{
    static const uint32_t stays[] = {0, 30, 60, 85, 95};
    static const uint32_t lates[] = {0, 10, 30, 60};
    steps = choices_used = names_size = threads_size = 0;
    asleep = 0;
    whims_left = engine.scenario->whims;
    drawn.state = engine.seed;
    stay_percent = stays[draw(sizeof stays / sizeof *stays)];
    late_percent = lates[draw(sizeof lates / sizeof *lates)];
    engine.watchers.begin();
    add_thread(run_scenario, NULL);
    int how = _setjmp(execution_over);
    if (how == 0)
        resume(0);
    current = EXPLORER_THREADS;
    engine.steps += steps;
    if (how == 1)
        engine.executions++;
}
