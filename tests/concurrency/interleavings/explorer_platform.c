/* explorer_platform.c: src/platform/platform.h in the explorer's world: locks, threads, time and
 * memory; and what a failed check of the library is there: a failure of the execution. */
#include "explorer_engine.h"

#include "base/align.h"
#include "base/check.h"
#include "platform/platform.h"

#include <string.h>

enum { ARENA_SIZE = 4 * 1024 * 1024, ARENA_ALIGNMENT = 64, NOBODY = EXPLORER_THREADS, EVENTS = 4 };

void batch__panic(const char *file, int line, const char *broken)
{
    explorer_fail("wrong: %s (%s:%d)", broken, file, line);
}

/* ---- Memory: each piece is used once, so that whoever uses it after its release is seen ------ */

struct piece {
    size_t size;
    char apart[ARENA_ALIGNMENT - sizeof(size_t)];
};

static _Alignas(ARENA_ALIGNMENT) char arena[ARENA_SIZE];
static size_t arena_used;
static uint64_t time_ns;
static const struct batch__thread *started[EXPLORER_THREADS]; /* NULL: not by the library */
static const void *owners[EXPLORER_THREADS];

/* Events, by their number in place of a file descriptor. */
struct model_event {
    struct clock clock;
    bool is_open;
    uint64_t times; /* it has been set */
};

static struct model_event events[EVENTS];

void platform_reset(void)
{
    memset(events, 0, sizeof events);
    arena_used = 0;
    memset(started, 0, sizeof started);
    memset(owners, 0, sizeof owners);
    time_ns = 1000000000;
}

void *explorer_allocate(size_t size)
{
    size_t aligned = batch__round_up(size, ARENA_ALIGNMENT);
    if (size > ARENA_SIZE || arena_used + sizeof(struct piece) + aligned > ARENA_SIZE)
        explorer_fail("too large: out of memory");
    struct piece *piece = (struct piece *)(void *)(arena + arena_used);
    piece->size = size;
    arena_used += sizeof *piece + aligned;
    return piece + 1;
}

void *batch__memory_allocate(size_t size)
{
    return explorer_allocate(size);
}

void batch__memory_release(void *memory)
{
    if (memory != NULL)
        memory_freed(memory, ((struct piece *)memory - 1)->size);
}

void *batch__pages_map(size_t size)
{
    (void)size;
    explorer_fail("too large: no pages");
}

void batch__pages_unmap(void *memory, size_t size)
{
    (void)memory;
    (void)size;
}

bool batch__random(void *bytes, size_t size)
{
    memset(bytes, 42, size);
    return true;
}

/* ---- Time: passes when a wait ends by it ----------------------------------------------------- */

uint64_t batch__clock_now_ns(void)
{
    return time_ns;
}

uint64_t batch__clock_coarse_ns(void)
{
    return time_ns;
}

uint64_t batch__clock_unix_ns(void)
{
    return time_ns;
}

/* ---- Locks ---------------------------------------------------------------------------------- */

/* In the place of a struct batch__lock. */
struct model_lock {
    struct clock clock;
    uint8_t owner;
    uint8_t waiting; /* a bit for each thread */
    uint8_t woken;   /* of these */
};

static uint64_t until[EXPLORER_THREADS]; /* of each thread that waits */

static struct model_lock *model_of(const struct batch__lock *lock)
{
    _Static_assert(sizeof(struct model_lock) <= sizeof(struct batch__lock), "in its place");
    return (struct model_lock *)(void *)(uintptr_t)lock;
}

bool batch__lock_init(struct batch__lock *lock)
{
    memory_plain(lock, sizeof *lock, true);
    *model_of(lock) = (struct model_lock){.owner = NOBODY};
    return true;
}

void batch__lock_destroy(struct batch__lock *lock)
{
    memory_plain(lock, sizeof *lock, true);
    if (model_of(lock)->owner != NOBODY || model_of(lock)->waiting != 0)
        explorer_fail("wrong: a lock is destroyed while it is used");
}

static int ready_to_take(uint32_t thread, const volatile void *place)
{
    (void)thread;
    const volatile struct model_lock *model = place;
    return model->owner == NOBODY ? READY : NOT_READY;
}

static int ready_to_return(uint32_t thread, const volatile void *place)
{
    const volatile struct model_lock *model = place;
    if (model->owner != NOBODY)
        return NOT_READY;
    if ((model->woken & 1u << thread) != 0)
        return READY;
    if (until[thread] != UINT64_MAX)
        return READY_IN_TIME;
    return engine_may_have_whim() ? READY_ON_A_WHIM : NOT_READY;
}

static void own(struct model_lock *model)
{
    model->owner = (uint8_t)engine_thread();
    memory_acquire(&model->clock);
}

static void disown(struct model_lock *model)
{
    if (model->owner != engine_thread())
        explorer_fail("wrong: a lock is given by one who has not taken it");
    model->owner = NOBODY;
    memory_release(&model->clock);
}

/* While a thread has the lock, nobody else can do anything with it. */
static void go_on_with(const struct batch__lock *lock, enum step_kind kind)
{
    if (model_of(lock)->owner == engine_thread())
        engine_go_on((struct step){.kind = kind, .place = lock});
    else
        engine_pause((struct step){.kind = kind, .place = lock});
}

void batch__lock_take(struct batch__lock *lock)
{
    if (model_of(lock)->owner == engine_thread())
        explorer_fail("stuck: a lock is taken twice");
    engine_pause((struct step){.kind = STEP_TAKE, .place = lock, .readiness = ready_to_take});
    memory_touch(lock);
    own(model_of(lock));
}

void batch__lock_give(struct batch__lock *lock)
{
    go_on_with(lock, STEP_GIVE);
    memory_touch(lock);
    disown(model_of(lock));
}

void batch__lock_wake_one(struct batch__lock *lock)
{
    go_on_with(lock, STEP_WAKE);
    memory_touch(lock);
    struct model_lock *model = model_of(lock);
    uint32_t asleep = model->waiting & ~(uint32_t)model->woken;
    if (asleep == 0)
        return;
    uint32_t nth = engine_choose((uint32_t)__builtin_popcount(asleep));
    while (nth-- > 0)
        asleep &= asleep - 1;
    model->woken |= (uint8_t)(asleep & (0 - asleep));
}

void batch__lock_wake_all(struct batch__lock *lock)
{
    go_on_with(lock, STEP_WAKE);
    memory_touch(lock);
    model_of(lock)->woken = model_of(lock)->waiting;
}

void batch__lock_wait(struct batch__lock *lock, uint64_t until_ns)
{
    uint32_t self = engine_thread();
    struct model_lock *model = model_of(lock);
    go_on_with(lock, STEP_WAIT);
    memory_touch(lock);
    disown(model);
    until[self] = until_ns;
    model->waiting |= (uint8_t)(1u << self);
    engine_pause((struct step){.kind = STEP_RETURN, .place = lock, .readiness = ready_to_return});
    memory_touch(lock);
    bool is_woken = (model->woken & 1u << self) != 0;
    model->waiting &= (uint8_t) ~(1u << self);
    model->woken &= (uint8_t) ~(1u << self);
    if (!is_woken && until_ns == UINT64_MAX)
        engine_use_whim();
    if (!is_woken && until_ns != UINT64_MAX && time_ns < until_ns)
        time_ns = until_ns;
    own(model);
}

void batch__lock_wait_cancelable(struct batch__lock *lock, uint64_t until_ns,
                                 void (*undo)(void *arg), void *arg)
{
    (void)undo; /* nobody is canceled here */
    (void)arg;
    batch__lock_wait(lock, until_ns);
}

/* ---- Events --------------------------------------------------------------------------------- */

static struct model_event *event_of(const struct batch__event *event)
{
    memory_touch(event);
    struct model_event *model = &events[event->fd];
    if (!model->is_open)
        explorer_fail("use after release: of an event");
    return model;
}

bool batch__event_init(struct batch__event *event)
{
    memory_plain(event, sizeof *event, true);
    for (event->fd = 0; event->fd < EVENTS; event->fd++) {
        if (!events[event->fd].is_open) {
            events[event->fd] = (struct model_event){.is_open = true};
            return true;
        }
    }
    explorer_fail("too large: out of events");
}

void batch__event_destroy(struct batch__event *event)
{
    event_of(event)->is_open = false;
    memory_plain(event, sizeof *event, true);
}

void batch__event_set(const struct batch__event *event)
{
    engine_pause((struct step){.kind = STEP_WAKE, .place = event});
    struct model_event *model = event_of(event);
    model->times++;
    memory_release(&model->clock);
}

uint64_t batch__event_clear(const struct batch__event *event)
{
    engine_pause((struct step){.kind = STEP_TAKE, .place = event});
    struct model_event *model = event_of(event);
    uint64_t times = model->times;
    if (times > 0)
        memory_acquire(&model->clock);
    model->times = 0;
    return times;
}

static int ready_when_set(uint32_t thread, const volatile void *place)
{
    const volatile struct batch__event *event = place;
    if (events[event->fd].times > 0)
        return READY;
    return until[thread] != UINT64_MAX ? READY_IN_TIME : NOT_READY;
}

void batch__event_wait(const struct batch__event *event, uint64_t until_ns)
{
    until[engine_thread()] = until_ns;
    engine_pause((struct step){.kind = STEP_RETURN, .place = event, .readiness = ready_when_set});
    const struct model_event *model = event_of(event);
    if (model->times == 0 && time_ns < until_ns)
        time_ns = until_ns;
}

/* Time does not pass here while somebody waits for a descriptor: no scenario needs the timer. */
bool batch__alarm_init(struct batch__alarm *alarm)
{
    return batch__event_init(&alarm->event);
}

void batch__alarm_destroy(struct batch__alarm *alarm)
{
    batch__event_destroy(&alarm->event);
}

void batch__alarm_at(const struct batch__alarm *alarm, uint64_t due_ns)
{
    (void)alarm;
    if (due_ns != UINT64_MAX)
        explorer_fail("too large: no timer");
}

int batch__cancel_disable(void)
{
    return 0;
}

void batch__cancel_restore(int before)
{
    (void)before;
}

/* ---- Threads -------------------------------------------------------------------------------- */

bool batch__thread_start(struct batch__thread *thread, const char *name, const void *owner,
                         void (*body)(void *arg), void *arg)
{
    (void)name;
    memory_plain(thread, sizeof *thread, true);
    thread->owner = owner;
    thread->body = body;
    thread->arg = arg;
    uint32_t child = engine_spawn(body, arg);
    started[child] = thread;
    owners[child] = owner;
    thread->id = (pthread_t)child;
    return true;
}

void batch__thread_join(struct batch__thread *thread)
{
    memory_plain(thread, sizeof *thread, false);
    engine_join((uint32_t)thread->id);
}

bool batch__thread_is_current(const struct batch__thread *thread)
{
    return started[engine_thread()] == thread;
}

const void *batch__thread_owner(void)
{
    return owners[engine_thread()];
}

struct batch__role batch__thread_act_as(struct batch__role role)
{
    uint32_t self = engine_thread();
    struct batch__role before = {started[self], owners[self]};
    started[self] = role.thread;
    owners[self] = role.owner;
    return before;
}

const void *batch__thread_self(void)
{
    return &until[engine_thread()];
}

bool batch__thread_is_ours(void)
{
    return started[engine_thread()] != NULL;
}

static int ready_to_yield(uint32_t thread, const volatile void *place)
{
    return memory_has_changed(thread, place) ? READY : NOT_READY;
}

void batch__thread_yield(void)
{
    engine_pause((struct step){
        .kind = STEP_YIELD, .place = memory_last_load(), .readiness = ready_to_yield});
    memory_catch_up();
}

void batch__cpu_relax(void)
{
}
