#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* backtrace */
#endif
#include "faults.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH = 40, NEAREST = 7, LOOKED_AT = 64, PATHS_MAX = 1 << 16, PLACES_MAX = 1 << 14 };

/* Ends of this program's code, from the linker. */
extern const char __executable_start[];
extern const char etext[];

struct path {
    void *frames[DEPTH];
    int depth;
};

/* There is one for the program, as there is one system. */
static struct {
    atomic_bool is_armed;
    atomic_bool is_hit;
    struct faults_plan plan;
    atomic_uint_fast64_t count; /* since it was armed */
    atomic_uint_fast64_t calls; /* in all */
    atomic_int_fast64_t live;
    atomic_uint_fast64_t jumped_ns;
    atomic_uint_fast64_t more; /* faults after the first, since it was armed */

    pthread_mutex_t lock;                     /* guards what follows */
    uint64_t failed[FAULTS_MODES][PATHS_MAX]; /* hashes of paths that had a fault; 0: free */
    uintptr_t places[PLACES_MAX];             /* in this program; 0: free */
    struct faults_totals totals;
    struct path last;
    enum faults_kind first_kind;
    bool is_direct;
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local unsigned exempt;

static void complain(const char *text)
{
    fprintf(stderr, "faults: %s\n", text);
    abort();
}

void faults_init(void)
{
    struct path path;
    backtrace(path.frames, DEPTH); /* the first call takes memory */
}

void faults_arm(const struct faults_plan *plan)
{
    faults.plan = *plan;
    atomic_store(&faults.count, 0);
    atomic_store(&faults.jumped_ns, 0);
    atomic_store(&faults.more, 0);
    atomic_store(&faults.is_hit, false);
    atomic_store(&faults.is_armed, true);
}

bool faults_disarm(void)
{
    atomic_store(&faults.is_armed, false);
    return atomic_load(&faults.is_hit);
}

bool faults_is_hit(void)
{
    return atomic_load(&faults.is_hit);
}

bool faults_is_direct(void)
{
    return faults.is_direct;
}

enum faults_kind faults_first_kind(void)
{
    return faults.first_kind;
}

void faults_exempt_begin(void)
{
    exempt++;
}

void faults_exempt_end(void)
{
    exempt--;
}

int64_t faults_live(void)
{
    return atomic_load(&faults.live);
}

void faults_count_live(int64_t change)
{
    atomic_fetch_add(&faults.live, change);
}

struct faults_totals faults_totals(void)
{
    struct faults_totals totals = faults.totals;
    totals.calls = atomic_load(&faults.calls);
    return totals;
}

/* ---- Paths ---------------------------------------------------------------------------------- */

static bool is_ours(const void *address)
{
    return (const char *)address >= __executable_start && (const char *)address < etext;
}

/* Of all callers in this program, and of the nearest ones in a client library: it has a thousand
 * ways within itself. */
static uint64_t hash_of(const struct path *path)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < path->depth; i++) {
        if (i < NEAREST || is_ours(path->frames[i]))
            hash = (hash ^ (uintptr_t)path->frames[i]) * UINT64_C(0x100000001b3);
    }
    return hash != 0 ? hash : 1;
}

/* Locks: held. True if it was not there yet. */
static bool add_path(uint64_t *paths, uint64_t hash)
{
    for (uint64_t i = hash % PATHS_MAX, tries = 0; tries < PATHS_MAX; i = (i + 1) % PATHS_MAX) {
        if (paths[i] == hash)
            return false;
        if (paths[i] == 0) {
            paths[i] = hash;
            return true;
        }
        tries++;
    }
    complain("too many paths");
    return false;
}

static void add_place(uintptr_t place)
{
    for (uint64_t i = place % PLACES_MAX, tries = 0; tries < PLACES_MAX; i = (i + 1) % PLACES_MAX) {
        if (faults.places[i] == place)
            return;
        if (faults.places[i] == 0) {
            faults.places[i] = place;
            return;
        }
        tries++;
    }
    complain("too many places");
}

/* Locks: held. A return address is behind its call, so one less is within it. */
static void keep(const struct path *path, enum faults_kind kind, bool is_direct)
{
    faults.last = *path;
    for (int i = 0; i < path->depth; i++) {
        if (is_ours(path->frames[i]))
            add_place((uintptr_t)path->frames[i] - (uintptr_t)__executable_start - 1);
    }
    if (!atomic_load(&faults.is_hit)) {
        faults.first_kind = kind;
        faults.is_direct = is_direct;
    }
    faults.totals.injected++;
    faults.totals.kinds[kind]++;
    atomic_store(&faults.is_hit, true);
}

/* ---- The question --------------------------------------------------------------------------- */

/* Locks: held. */
static bool fails_by_path(const struct path *path)
{
    bool is_new = false;
    if (!atomic_load(&faults.is_hit))
        is_new = add_path(faults.failed[faults.plan.mode], hash_of(path));
    faults.totals.paths += is_new;
    return is_new || (atomic_load(&faults.is_hit) && faults.plan.mode == FAULTS_FROM_THEN_ON);
}

static bool fails(enum faults_kind kind, const void *caller)
{
    uint64_t count = atomic_fetch_add(&faults.count, 1) + 1;
    uint64_t number = faults.plan.number;
    bool goes_on = faults.plan.mode == FAULTS_FROM_THEN_ON;
    if (number != 0 && count != number && !(goes_on && count > number))
        return false;
    if (number == 0 && atomic_load(&faults.is_hit) && !goes_on)
        return false;
    /* From then on everything fails; the ways to the first ones will do. */
    if (goes_on && atomic_load(&faults.is_hit) && atomic_fetch_add(&faults.more, 1) > LOOKED_AT)
        return true;
    exempt++;
    struct path path;
    path.depth = backtrace(path.frames, DEPTH);
    pthread_mutex_lock(&faults.lock);
    bool does_fail = number != 0 || fails_by_path(&path);
    if (does_fail)
        keep(&path, kind, is_ours(caller));
    pthread_mutex_unlock(&faults.lock);
    exempt--;
    return does_fail;
}

int faults_error(enum faults_kind kind, int error, bool can_interrupt, const void *caller)
{
    if (exempt > 0 || !atomic_load(&faults.is_armed))
        return 0;
    bool interrupts = faults.plan.mode == FAULTS_INTERRUPT;
    if (interrupts && !can_interrupt)
        return 0;
    atomic_fetch_add(&faults.calls, 1);
    if (!fails(kind, caller))
        return 0;
    return interrupts ? EINTR : error;
}

bool faults_interrupts(const void *caller)
{
    return atomic_load(&faults.is_armed) && faults.plan.mode == FAULTS_INTERRUPT &&
           faults_error(FAULTS_WAIT, EINTR, true, caller) != 0;
}

bool faults_callback_fails(void)
{
    return faults_error(FAULTS_CALLBACK, 1, false, __executable_start) != 0;
}

/* ---- The clock ------------------------------------------------------------------------------- */

bool faults_may_jump(void)
{
    return atomic_load(&faults.is_armed) && faults.plan.mode == FAULTS_FROM_THEN_ON;
}

bool faults_nap(void)
{
    enum { NAP_NS = 1000000000 };
    if (exempt > 0 || !faults_may_jump() || !atomic_load(&faults.is_hit))
        return false;
    atomic_fetch_add(&faults.jumped_ns, NAP_NS);
    return true;
}

uint64_t faults_jumped_ns(void)
{
    return atomic_load(&faults.jumped_ns);
}

/* ---- Telling -------------------------------------------------------------------------------- */

void faults_describe(void)
{
    static const char said[] = "the last fault was here:\n";
    if (!atomic_load(&faults.is_hit)) {
        static const char none[] = "there was no fault\n";
        (void)!write(STDERR_FILENO, none, sizeof none - 1);
        return;
    }
    (void)!write(STDERR_FILENO, said, sizeof said - 1);
    backtrace_symbols_fd(faults.last.frames, faults.last.depth, STDERR_FILENO);
}

void faults_write_places(const char *path, const char *program)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        complain("cannot write the places");
    for (int i = 0; i < PLACES_MAX; i++) {
        if (faults.places[i] != 0)
            fprintf(file, "%s 0x%lx\n", program, (unsigned long)faults.places[i]);
    }
    if (fclose(file) != 0)
        complain("cannot write the places");
}
