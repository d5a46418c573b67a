/* explorer.h: runs the real sources of the library under every order of their threads' steps that
 * can make a difference, or, where these are too many, under random ones; and under the orders of
 * memory that C11 permits and this machine may never show.
 *
 * How. The sources are compiled as they are, with the compiler's instrumentation for threads
 * (-fsanitize=thread), but linked with explorer_hooks.c instead of the compiler's library: each
 * atomic operation and each access to plain memory is a call to us. Threads are fibers: one runs at
 * a time, and stops before each atomic operation and each operation on a lock or a thread
 * (explorer_platform.c stands in for src/platform/posix.c). The scheduler says who goes on.
 *
 * Orders, exhaustive (`runs` is 0). Depth first through all choices, starting each execution anew.
 * Sleep sets leave out executions that differ only in the order of steps that commute: those on
 * different places, and two loads of one place of which one is not sequentially consistent. What a
 * thread does to a lock that it has, and the begin and end of threads, are no choices: nobody can
 * be in the way. No bound on preemptions nor on anything else: what has run to its end is shown
 * for the scenario, as far as the model goes. Executions that turn out to be like an earlier one
 * are cut short and counted apart.
 *
 * Orders, random (`runs` is not 0). Who goes on is drawn, and so is, for each execution, how
 * readily threads are switched and how often loads are late. The seed is printed with a failure and
 * repeats it.
 *
 * Memory (explorer_memory.c). A place has the list of what was stored there. A load may return any
 * store that coherence permits: none older than what the thread has seen, or than what happened
 * before it; sequentially consistent loads none older than the latest sequentially consistent
 * access. Acquire takes over the vector clock of the release it reads from; read-modify-writes read
 * the newest store and carry on the release sequence; compare-and-exchange that fails is a load of
 * its failure order, and may fail without cause (`whims`). Each byte of plain memory knows who read
 * and wrote it, so two accesses that nothing orders are found in any execution that has both, as
 * are accesses to released memory.
 *
 * What it finds: races, use after release, threads that wait for ever (lost wakes), threads that
 * spin for ever, locks destroyed while in use, and whatever a scenario checks.
 *
 * What it cannot show:
 * - A store becomes the newest of its place when the thread comes to it. So stores of one thread
 *   never overtake each other on their way to a read-modify-write, there is no load buffering, no
 *   value out of thin air; and of two stores to one place that nothing orders, the later one in the
 *   execution wins. Late loads show everything else, store buffers first of all.
 * - A yield waits until the place that was loaded last has changed: spinning is not explored.
 * - At most the eight newest stores of a place are remembered. Accesses of different sizes to the
 *   same bytes, fences and signals are not modeled: the library has none.
 * - What is called and was not compiled so (libsodium, libc but for mem*) is not looked at.
 * - It is as good as its scenarios. Each kind of bug is injected once: the real source with one
 *   change, in which it must be found.
 */
#ifndef EXPLORER_H
#define EXPLORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EXPLORER_THREADS = 8,  /* in all, with the one that begins and ends a scenario */
    EXPLORER_PARALLEL = 4, /* that a scenario names; others are started by the library */
};

/* `begin` runs before the threads start, `end` after all have ended, both on thread 0. Nothing is
 * kept from one execution to the next but what `begin` leaves alone. */
struct explorer_scenario {
    const char *name;
    void (*begin)(void);
    void (*threads[EXPLORER_PARALLEL])(void);
    void (*end)(void);
    uint64_t runs;  /* random executions; 0: all there are */
    uint32_t whims; /* waits and exchanges that may fail without cause, in one execution */
};

/* The execution fails unless `condition`. */
#define explorer_check(condition)                                                                  \
    do {                                                                                           \
        if (!(condition))                                                                          \
            explorer_fail("wrong: %s (%s:%d)", #condition, __FILE__, __LINE__);                    \
    } while (0)

void explorer_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* For the trace: what is at this place. */
void explorer_name(const volatile void *place, const char *name);

/* Count that something occurred in this execution; a scenario in which one of these never occurs
 * fails. `bit` below 32; `wanted` is set once in `begin`. */
void explorer_want(uint32_t wanted);
void explorer_saw(uint32_t bit);

/* One of `options`, in some execution each. */
uint32_t explorer_choose(uint32_t options);

/* Memory that ends with the execution. */
void *explorer_allocate(size_t size);

int explorer_main(int argc, char **argv, const struct explorer_scenario *scenarios, size_t count);

#endif
