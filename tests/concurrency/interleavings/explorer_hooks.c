/* explorer_hooks.c: what the compiler's instrumentation for threads calls (gcc and clang agree on
 * it): a function for each size of plain access, one for each size and kind of atomic operation.
 * The names are the compiler's. */
#include "explorer_engine.h"

#include <string.h>

void __tsan_init(void);
void __tsan_func_entry(void *address);
void __tsan_func_exit(void);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *address)
{
    (void)address;
}

void __tsan_func_exit(void)
{
}

/* ---- Plain memory --------------------------------------------------------------------------- */

static void plain(const volatile void *place, size_t size, bool is_write)
{
    if (size > 0 && engine_is_running())
        memory_plain(place, size, is_write);
}

#define PLAIN(name, size, is_write)                                                                \
    void __tsan_##name(void *place);                                                               \
    void __tsan_##name(void *place)                                                                \
    {                                                                                              \
        plain(place, size, is_write);                                                              \
    }

#define PLAIN_SIZE(size)                                                                           \
    PLAIN(read##size, size, false)                                                                 \
    PLAIN(write##size, size, true)                                                                 \
    PLAIN(unaligned_read##size, size, false)                                                       \
    PLAIN(unaligned_write##size, size, true)

PLAIN_SIZE(1)
PLAIN_SIZE(2)
PLAIN_SIZE(4)
PLAIN_SIZE(8)
PLAIN_SIZE(16)

void __tsan_read_range(void *place, unsigned long size);
void __tsan_write_range(void *place, unsigned long size);

void __tsan_read_range(void *place, unsigned long size)
{
    plain(place, size, false);
}

void __tsan_write_range(void *place, unsigned long size)
{
    plain(place, size, true);
}

/* mem* of the sources under test (-Dmemcpy=explorer_memcpy …). */
void *explorer_memcpy(void *to, const void *from, size_t size);
void *explorer_memset(void *to, int byte, size_t size);
int explorer_memcmp(const void *a, const void *b, size_t size);

void *explorer_memcpy(void *to, const void *from, size_t size)
{
    plain(from, size, false);
    plain(to, size, true);
    return memcpy(to, from, size);
}

void *explorer_memset(void *to, int byte, size_t size)
{
    plain(to, size, true);
    return memset(to, byte, size);
}

int explorer_memcmp(const void *a, const void *b, size_t size)
{
    plain(a, size, false);
    plain(b, size, false);
    return memcmp(a, b, size);
}

/* ---- Atomic operations ---------------------------------------------------------------------- */

/* From the compiler's numbering: relaxed, consume, acquire, release, both, sequentially
 * consistent. */
static enum order order_of(int number)
{
    static const enum order orders[] = {ORDER_RELAXED, ORDER_ACQUIRE, ORDER_ACQUIRE,
                                        ORDER_RELEASE, ORDER_ACQ_REL, ORDER_SEQ_CST};
    return orders[number & 7];
}

static void pause_for(enum step_kind kind, const volatile void *place, int number)
{
    if (!engine_is_running())
        explorer_fail("wrong: an atomic operation outside of an execution");
    engine_pause((struct step){
        .kind = kind, .place = place, .is_seq_cst = order_of(number) == ORDER_SEQ_CST});
}

static uint64_t exchange(uint64_t value, uint64_t operand)
{
    (void)value;
    return operand;
}

static uint64_t fetch_add(uint64_t value, uint64_t operand)
{
    return value + operand;
}

static uint64_t fetch_sub(uint64_t value, uint64_t operand)
{
    return value - operand;
}

static uint64_t fetch_or(uint64_t value, uint64_t operand)
{
    return value | operand;
}

static uint64_t fetch_and(uint64_t value, uint64_t operand)
{
    return value & operand;
}

#define UPDATE(bits, name)                                                                         \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile void *place, uint##bits##_t operand,      \
                                                int order);                                        \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile void *place, uint##bits##_t operand,      \
                                                int order)                                         \
    {                                                                                              \
        pause_for(STEP_UPDATE, place, order);                                                      \
        return (uint##bits##_t)memory_update(place, bits / 8, name, operand, order_of(order));     \
    }

#define COMPARE_EXCHANGE(bits, name, is_weak)                                                      \
    int __tsan_atomic##bits##_##name(volatile void *place, uint##bits##_t *expected,               \
                                     uint##bits##_t value, int order, int failure);                \
    int __tsan_atomic##bits##_##name(volatile void *place, uint##bits##_t *expected,               \
                                     uint##bits##_t value, int order, int failure)                 \
    {                                                                                              \
        uint64_t was = *expected;                                                                  \
        pause_for(STEP_UPDATE, place, order);                                                      \
        bool is_done = memory_compare_exchange(place, bits / 8, &was, value, is_weak,              \
                                               order_of(order), order_of(failure));                \
        *expected = (uint##bits##_t)was;                                                           \
        return is_done;                                                                            \
    }

/* clang does not say whether it is weak: all in the library are. */
#define COMPARE_EXCHANGE_VALUE(bits)                                                               \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                     \
        volatile void *place, uint##bits##_t expected, uint##bits##_t value, int order,            \
        int failure);                                                                              \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                     \
        volatile void *place, uint##bits##_t expected, uint##bits##_t value, int order,            \
        int failure)                                                                               \
    {                                                                                              \
        uint64_t was = expected;                                                                   \
        pause_for(STEP_UPDATE, place, order);                                                      \
        memory_compare_exchange(place, bits / 8, &was, value, false, order_of(order),              \
                                order_of(failure));                                                \
        return (uint##bits##_t)was;                                                                \
    }

#define ATOMIC(bits)                                                                               \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile void *place, int order);              \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile void *place, int order)               \
    {                                                                                              \
        pause_for(STEP_LOAD, place, order);                                                        \
        return (uint##bits##_t)memory_load(place, bits / 8, order_of(order));                      \
    }                                                                                              \
    void __tsan_atomic##bits##_store(volatile void *place, uint##bits##_t value, int order);       \
    void __tsan_atomic##bits##_store(volatile void *place, uint##bits##_t value, int order)        \
    {                                                                                              \
        pause_for(STEP_STORE, place, order);                                                       \
        memory_store(place, bits / 8, value, order_of(order));                                     \
    }                                                                                              \
    UPDATE(bits, exchange)                                                                         \
    UPDATE(bits, fetch_add)                                                                        \
    UPDATE(bits, fetch_sub)                                                                        \
    UPDATE(bits, fetch_or)                                                                         \
    UPDATE(bits, fetch_and)                                                                        \
    COMPARE_EXCHANGE(bits, compare_exchange_weak, true)                                            \
    COMPARE_EXCHANGE(bits, compare_exchange_strong, false)                                         \
    COMPARE_EXCHANGE_VALUE(bits)

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)
