/* faults.h: one injector for every call of the library that can fail.
 *
 * Whatever can fail goes through here: memory, threads, locks, randomness, polls, sockets, files,
 * and the functions of the user. The linker puts it between the library, linked statically, and the
 * system (--wrap); faults_hook() puts it between a client library (libpq, libsqlite3) and the
 * system, so that what fails is below that library and it never contradicts itself.
 *
 * All calls are counted by one counter. Armed by number, the N-th fails. Armed by path, the first
 * call fails whose stack of callers has not had a fault yet: so a sweep fails every call on every
 * path to it once, however often it is repeated and whichever thread is faster.
 *
 * Where a fault was injected is recorded: the stack's places in this program, for `sites`.
 *
 * Threads: arming, disarming and writing are for the test's thread while no other makes calls that
 * count; all else is for any thread.
 */
#ifndef BATCH_TEST_FAULT_FAULTS_H
#define BATCH_TEST_FAULT_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum faults_kind {
    FAULTS_MEMORY,
    FAULTS_THREAD,
    FAULTS_LOCK, /* a lock or a condition cannot be made */
    FAULTS_RANDOM,
    FAULTS_POLL,
    FAULTS_SOCKET,
    FAULTS_FILE,
    FAULTS_CALLBACK, /* a function of the user, or of a store */
    FAULTS_WAIT,     /* ends too early */
    FAULTS_WISH,     /* of no consequence: nothing may come of it */
    FAULTS_KINDS
};

enum faults_mode {
    FAULTS_ONCE,
    FAULTS_FROM_THEN_ON,
    FAULTS_INTERRUPT, /* once, and only what a signal can interrupt, as one would: EINTR */
    FAULTS_MODES
};

struct faults_plan {
    enum faults_mode mode;
    uint64_t number; /* of the call that fails, from 1; 0: by path */
};

/* Once, before the first thread is started. */
void faults_init(void);

/* Send what `library` (a part of its path) calls of the system through here. False: it is not
 * there, or calls nothing of it. */
bool faults_hook(const char *library);

void faults_arm(const struct faults_plan *plan);
/* True if a call has failed since it was armed. Only this makes them all go well again. */
bool faults_disarm(void);
bool faults_is_hit(void);

/* Was the first fault since then in a call of the library itself, and of which kind? */
bool faults_is_direct(void);
enum faults_kind faults_first_kind(void);

/* What the calling thread does in between is the test's: it neither counts nor fails. */
void faults_exempt_begin(void);
void faults_exempt_end(void);

/* For wrappers: does this call fail? 0: no; else the error to fail with, `error`, or EINTR.
 * `caller` is the return address of the wrapper. */
int faults_error(enum faults_kind kind, int error, bool can_interrupt, const void *caller);
/* The same for what cannot fail, but may end too early: true only with FAULTS_INTERRUPT. */
bool faults_interrupts(const void *caller);
/* And for a function of the user. */
bool faults_callback_fails(void);

/* Where calls fail from then on, whoever sleeps before trying again sleeps no time: the clock of
 * the library jumps forward instead, and the longest patience ends soon. faults_nap() says whether
 * it did. Arming sets the clock back. */
bool faults_nap(void);
uint64_t faults_jumped_ns(void);
/* Whoever waits for a time has to look again: it may come sooner. */
bool faults_may_jump(void);

/* Sockets take little at a time, and every other time nothing: from now on, or no longer. */
void faults_slow_down(bool is_slow);

/* Blocks of memory that were taken through here and not given back. */
int64_t faults_live(void);
void faults_count_live(int64_t change);

struct faults_totals {
    uint64_t calls;               /* that count, while armed */
    uint64_t injected;            /* faults */
    uint64_t kinds[FAULTS_KINDS]; /* injected, of each kind */
    uint64_t paths;               /* different stacks of callers that had a fault */
};
struct faults_totals faults_totals(void);

/* On standard error: the last fault, and the way to it. For use in a signal handler, too. */
void faults_describe(void);

/* Write a line "program address" for each place in this program that a fault passed on its way. */
void faults_write_places(const char *path, const char *program);

#endif
