/* explorer_memory.c: what a load may return, what happens before what, and who raced; see
 * explorer.h.
 *
 * The clock of a thread says how much of each thread's past happened before its present. A byte
 * remembers when each thread last read and wrote it, plainly and atomically. */
#include "explorer_engine.h"

#include <string.h>

enum {
    STORES = 8,     /* remembered for each place */
    PLACES = 16384, /* powers of two */
    CELLS = 65536,  /* of eight bytes */
    CELL_BYTES = 8,
    FREED_MAX = 64
};

struct store {
    uint64_t value;
    struct clock handed; /* to those who acquire */
    struct clock seen;   /* when each thread first knew of it; 0: it does not */
};

struct place {
    const volatile void *at;
    uint32_t generation;
    uint32_t next;       /* index of the next store; that of the oldest is at least next - STORES */
    uint32_t strict;     /* the newest store that a sequentially consistent access wrote or read */
    bool is_overwritten; /* plainly */
    struct store stores[STORES];
};

/* Index: plain read, plain write, atomic read, atomic write. */
enum access { PLAIN_READ, PLAIN_WRITE, ATOMIC_READ, ATOMIC_WRITE, ACCESSES };

struct byte {
    uint8_t used; /* a bit for each access that any thread has made */
    struct clock when[ACCESSES];
};

struct cell {
    uintptr_t at;
    uint32_t generation;
    struct byte bytes[CELL_BYTES];
};

static uint32_t generation = 0; /* of the execution */
static struct place places[PLACES];
static uint32_t places_size;
static struct cell cells[CELLS];
static struct cell *used_cells[CELLS];
static uint32_t used_size;
static struct {
    uintptr_t begin;
    uintptr_t end;
} freed[FREED_MAX];
static uint32_t freed_size;
static struct clock clocks[EXPLORER_THREADS];
static struct {
    const volatile void *place;
    uint32_t index;
} last_loads[EXPLORER_THREADS];

static struct clock *now(void)
{
    return &clocks[engine_thread()];
}

static void join(struct clock *clock, const struct clock *other)
{
    for (int i = 0; i < EXPLORER_THREADS; i++) {
        if (clock->at[i] < other->at[i])
            clock->at[i] = other->at[i];
    }
}

void memory_reset(void)
{
    generation++;
    places_size = used_size = freed_size = 0;
    memset(clocks, 0, sizeof clocks);
    memset(last_loads, 0, sizeof last_loads);
    for (int i = 0; i < EXPLORER_THREADS; i++)
        clocks[i].at[i] = 1;
}

void memory_tick(uint32_t thread)
{
    if (++clocks[thread].at[thread] == UINT16_MAX)
        explorer_fail("endless: a thread has taken %d steps", UINT16_MAX);
}

void memory_fork(uint32_t child)
{
    join(&clocks[child], now());
    clocks[engine_thread()].at[engine_thread()]++;
}

void memory_join(uint32_t child)
{
    join(now(), &clocks[child]);
}

void memory_release(struct clock *clock)
{
    join(clock, now());
}

void memory_acquire(const struct clock *clock)
{
    join(now(), clock);
}

/* ---- Plain memory --------------------------------------------------------------------------- */

static uint32_t hash_of(uintptr_t at)
{
    return (uint32_t)((at * 0x9e3779b97f4a7c15u) >> 40);
}

static struct cell *cell_of(uintptr_t at)
{
    at -= at % CELL_BYTES;
    for (uint32_t i = hash_of(at), tries = 0; tries < CELLS; i++, tries++) {
        struct cell *cell = &cells[i % CELLS];
        if (cell->generation == generation && cell->at == at)
            return cell;
        if (cell->generation == generation)
            continue;
        cell->generation = generation;
        cell->at = at;
        used_cells[used_size++] = cell;
        for (int byte = 0; byte < CELL_BYTES; byte++)
            cell->bytes[byte].used = 0;
        return cell;
    }
    explorer_fail("too large: more memory is used than is remembered");
}

/* Has every access of this kind happened before this thread's present? */
static bool is_before(const struct byte *byte, enum access access)
{
    if ((byte->used & 1u << access) == 0)
        return true;
    const struct clock *clock = now();
    for (int i = 0; i < EXPLORER_THREADS; i++) {
        if (byte->when[access].at[i] > clock->at[i])
            return false;
    }
    return true;
}

static bool is_ordered(const struct byte *byte, enum access access)
{
    switch (access) {
    case PLAIN_READ:
        return is_before(byte, PLAIN_WRITE) && is_before(byte, ATOMIC_WRITE);
    case ATOMIC_READ:
        return is_before(byte, PLAIN_WRITE);
    case ATOMIC_WRITE:
        return is_before(byte, PLAIN_WRITE) && is_before(byte, PLAIN_READ);
    default:
        return is_before(byte, PLAIN_WRITE) && is_before(byte, ATOMIC_WRITE) &&
               is_before(byte, PLAIN_READ) && is_before(byte, ATOMIC_READ);
    }
}

/* The place of an atomic variable, if it is one. */
static struct place *find_place(const volatile void *at, bool make)
{
    for (uint32_t i = hash_of((uintptr_t)at), tries = 0; tries < PLACES; i++, tries++) {
        struct place *place = &places[i % PLACES];
        if (place->generation == generation && place->at == at)
            return place;
        if (place->generation == generation)
            continue;
        if (!make)
            return NULL;
        place->generation = generation;
        place->at = at;
        place->is_overwritten = true;
        places_size++;
        return place;
    }
    explorer_fail("too large: more atomic variables are used than are remembered");
}

/* An atomic variable is written plainly: what it was is forgotten when it is used next. */
static void overwrite(uintptr_t at)
{
    struct place *place = find_place((const volatile void *)at, false);
    if (place != NULL)
        place->is_overwritten = true;
}

static const char *const access_names[ACCESSES] = {"read", "write", "atomic load", "atomic store"};

static void check_freed(uintptr_t at, size_t size, enum access access)
{
    for (uint32_t i = 0; i < freed_size; i++) {
        if (at < freed[i].end && at + size > freed[i].begin)
            explorer_fail("use after release: %s of %zu bytes", access_names[access], size);
    }
}

static void note_access(const volatile void *place, size_t size, enum access access)
{
    uint32_t thread = engine_thread();
    check_freed((uintptr_t)place, size, access);
    struct cell *cell = NULL;
    for (uintptr_t at = (uintptr_t)place; at < (uintptr_t)place + size; at++) {
        if (cell == NULL || at % CELL_BYTES == 0)
            cell = cell_of(at);
        struct byte *byte = &cell->bytes[at % CELL_BYTES];
        if (byte->used != 0 && !is_ordered(byte, access))
            explorer_fail("race: %s of %zu bytes is not ordered after what others did there",
                          access_names[access], size);
        if ((byte->used & 1u << access) == 0)
            memset(&byte->when[access], 0, sizeof byte->when[access]);
        if (access == PLAIN_WRITE && (byte->used & (1u << ATOMIC_READ | 1u << ATOMIC_WRITE)) != 0)
            overwrite(at);
        byte->used |= (uint8_t)(1u << access);
        byte->when[access].at[thread] = now()->at[thread];
    }
}

void memory_plain(const volatile void *place, size_t size, bool is_write)
{
    if (engine_is_first() && places_size == 0)
        return; /* all others will begin after it */
    note_access(place, size, is_write ? PLAIN_WRITE : PLAIN_READ);
}

/* As a write, but only where something was before: it may be large. */
void memory_freed(const volatile void *place, size_t size)
{
    uintptr_t begin = (uintptr_t)place;
    for (uint32_t i = 0; i < used_size; i++) {
        const struct cell *cell = used_cells[i];
        if (cell->at + CELL_BYTES <= begin || cell->at >= begin + size)
            continue;
        for (uintptr_t byte = 0; byte < CELL_BYTES; byte++) {
            bool is_inside = cell->at + byte >= begin && cell->at + byte < begin + size;
            if (is_inside && !is_ordered(&cell->bytes[byte], PLAIN_WRITE))
                explorer_fail("race: a release is not ordered after what others did there");
        }
    }
    if (freed_size == FREED_MAX)
        explorer_fail("too large: more than %d pieces of memory are released", FREED_MAX);
    freed[freed_size].begin = begin;
    freed[freed_size++].end = begin + size;
}

void memory_touch(const volatile void *place)
{
    note_access(place, 1, ATOMIC_WRITE);
}

/* ---- Atomic variables ----------------------------------------------------------------------- */

static uint64_t fetch(const volatile void *at, size_t size)
{
    uint64_t value = 0; /* little endian */
    memcpy(&value, (const void *)(uintptr_t)at, size);
    return value;
}

static struct place *place_of(const volatile void *at, size_t size)
{
    struct place *place = find_place(at, true);
    if (place->is_overwritten) {
        place->is_overwritten = false;
        place->next = 1;
        place->strict = 0;
        memset(&place->stores[0], 0, sizeof place->stores[0]);
        place->stores[0].value = fetch(at, size);
    }
    return place;
}

static struct store *store_at(struct place *place, uint32_t index)
{
    return &place->stores[index % STORES];
}

/* The oldest store that this thread may still read. */
static uint32_t oldest_of(struct place *place, enum order order)
{
    const struct clock *clock = now();
    uint32_t end = place->next > STORES ? place->next - STORES : 0;
    if (order == ORDER_SEQ_CST && place->strict > end)
        end = place->strict;
    for (uint32_t i = place->next - 1; i > end; i--) {
        const struct clock *seen = &store_at(place, i)->seen;
        for (int thread = 0; thread < EXPLORER_THREADS; thread++) {
            if (seen->at[thread] != 0 && seen->at[thread] <= clock->at[thread])
                return i;
        }
    }
    return end;
}

static struct store *read_store(struct place *place, uint32_t index, enum order order)
{
    uint32_t thread = engine_thread();
    struct store *store = store_at(place, index);
    if (store->seen.at[thread] == 0)
        store->seen.at[thread] = now()->at[thread];
    if ((order & ORDER_ACQUIRE) != 0)
        join(now(), &store->handed);
    if (order == ORDER_SEQ_CST && place->strict < index)
        place->strict = index;
    last_loads[thread].place = place->at;
    last_loads[thread].index = index;
    return store;
}

static void write_store(struct place *place, size_t size, uint64_t value, enum order order,
                        const struct clock *carried)
{
    uint32_t index = place->next++;
    struct store *store = store_at(place, index);
    struct clock handed = {{0}};
    if (carried != NULL)
        handed = *carried;
    if ((order & ORDER_RELEASE) != 0)
        join(&handed, now());
    *store = (struct store){.value = value, .handed = handed};
    store->seen.at[engine_thread()] = now()->at[engine_thread()];
    if (order == ORDER_SEQ_CST)
        place->strict = index;
    memcpy((void *)(uintptr_t)place->at, &value, size);
    engine_note(value);
}

uint64_t memory_load(const volatile void *at, size_t size, enum order order)
{
    note_access(at, size, ATOMIC_READ);
    struct place *place = place_of(at, size);
    uint32_t late = engine_choose(place->next - oldest_of(place, order));
    uint64_t value = read_store(place, place->next - 1 - late, order)->value;
    engine_note(value);
    return value;
}

void memory_store(volatile void *at, size_t size, uint64_t value, enum order order)
{
    note_access(at, size, ATOMIC_WRITE);
    write_store(place_of(at, size), size, value, order, NULL);
}

uint64_t memory_update(volatile void *at, size_t size,
                       uint64_t (*change)(uint64_t value, uint64_t operand), uint64_t operand,
                       enum order order)
{
    note_access(at, size, ATOMIC_WRITE);
    struct place *place = place_of(at, size);
    struct store read = *read_store(place, place->next - 1, order);
    write_store(place, size, change(read.value, operand), order, &read.handed);
    return read.value;
}

/* A late load that finds what is expected would succeed on a value that is no more: there is no
 * such execution, so these are left out, but for the one that is a failure without cause. */
bool memory_compare_exchange(volatile void *at, size_t size, uint64_t *expected, uint64_t value,
                             bool is_weak, enum order order, enum order failure)
{
    note_access(at, size, ATOMIC_WRITE);
    struct place *place = place_of(at, size);
    uint32_t indexes[STORES];
    uint32_t options = 0;
    uint32_t oldest = oldest_of(place, failure);
    for (uint32_t i = place->next; i-- > oldest;) {
        if (i == place->next - 1 || store_at(place, i)->value != *expected)
            indexes[options++] = i;
    }
    uint32_t index = indexes[engine_choose(options)];
    if (index == place->next - 1 && store_at(place, index)->value == *expected &&
        !(is_weak && engine_has_whim())) {
        struct store read = *read_store(place, index, order);
        write_store(place, size, value, order, &read.handed);
        return true;
    }
    *expected = read_store(place, index, failure)->value;
    engine_note(*expected);
    return false;
}

/* ---- Yields --------------------------------------------------------------------------------- */

const volatile void *memory_last_load(void)
{
    return last_loads[engine_thread()].place;
}

bool memory_has_changed(uint32_t thread, const volatile void *at)
{
    const struct place *place = at != NULL ? find_place(at, false) : NULL;
    return place == NULL || place->is_overwritten || place->next - 1 > last_loads[thread].index;
}

void memory_catch_up(void)
{
    const volatile void *at = memory_last_load();
    struct place *place = at != NULL ? find_place(at, false) : NULL;
    if (place != NULL && !place->is_overwritten)
        store_at(place, place->next - 1)->seen.at[engine_thread()] = now()->at[engine_thread()];
}
