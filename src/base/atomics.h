/* atomics.h: every atomic operation of the library, with its memory order in its name.
 *
 * Fields touched by more than one thread without a lock have names that begin with `x`. Orders are
 * relaxed (a number that nothing else depends on), acquire/release (hand over what was written
 * before), and seq_cst (two threads that each write one flag and read the other's). No stand-alone
 * fences.
 */
#ifndef BATCH_BASE_ATOMICS_H
#define BATCH_BASE_ATOMICS_H

#define batch__load_relaxed(place) __atomic_load_n((place), __ATOMIC_RELAXED)
#define batch__load_acquire(place) __atomic_load_n((place), __ATOMIC_ACQUIRE)
#define batch__load_seq_cst(place) __atomic_load_n((place), __ATOMIC_SEQ_CST)

#define batch__store_relaxed(place, value) __atomic_store_n((place), (value), __ATOMIC_RELAXED)
#define batch__store_release(place, value) __atomic_store_n((place), (value), __ATOMIC_RELEASE)
#define batch__store_seq_cst(place, value) __atomic_store_n((place), (value), __ATOMIC_SEQ_CST)

#define batch__exchange_acquire(place, value)                                                      \
    __atomic_exchange_n((place), (value), __ATOMIC_ACQUIRE)
#define batch__exchange_seq_cst(place, value)                                                      \
    __atomic_exchange_n((place), (value), __ATOMIC_SEQ_CST)
#define batch__exchange_acq_rel(place, value)                                                      \
    __atomic_exchange_n((place), (value), __ATOMIC_ACQ_REL)

#define batch__add_relaxed(place, value) __atomic_fetch_add((place), (value), __ATOMIC_RELAXED)
#define batch__or_seq_cst(place, value)  __atomic_fetch_or((place), (value), __ATOMIC_SEQ_CST)
#define batch__add_seq_cst(place, value) __atomic_fetch_add((place), (value), __ATOMIC_SEQ_CST)
#define batch__sub_release(place, value) __atomic_fetch_sub((place), (value), __ATOMIC_RELEASE)
#define batch__sub_acq_rel(place, value) __atomic_fetch_sub((place), (value), __ATOMIC_ACQ_REL)

/* Weak: may fail without cause, for loops. On failure `*expected` is what was there. */
#define batch__compare_exchange_seq_cst(place, expected, value)                                    \
    __atomic_compare_exchange_n((place), (expected), (value), true, __ATOMIC_SEQ_CST,              \
                                __ATOMIC_RELAXED)

/* A number that only one thread writes and others read: no read-modify-write needed. */
#define batch__count(place, value)                                                                 \
    batch__store_relaxed((place), batch__load_relaxed(place) + (value))

#endif
