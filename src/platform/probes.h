/* probes.h: where tracers look in (USDT): bpftrace, perf and SystemTap find these places in the
 * library by name, and each is one instruction that does nothing as long as nobody traces it. There
 * are none where the system has no <sys/sdt.h> (Debian: systemtap-sdt-dev).
 *
 *   libbatch:batch(key, key_size, operations, total_ns, status)   a batch has ended
 *   libbatch:group_begin(is_save, calls)                          the store is called,
 *   libbatch:group_end(is_save, calls)                            and has returned
 *   libbatch:refused(status, operations)                          at the door
 */
#ifndef BATCH_PLATFORM_PROBES_H
#define BATCH_PLATFORM_PROBES_H

#include <stddef.h>
#include <stdint.h>

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#endif
#endif

/* As functions, whose parameters tell the types that a tracer sees. */
#ifdef DTRACE_PROBE5
#define BATCH__PROBE2(name, a, b)          DTRACE_PROBE2(libbatch, name, a, b)
#define BATCH__PROBE5(name, a, b, c, d, e) DTRACE_PROBE5(libbatch, name, a, b, c, d, e)
#else
#define BATCH__PROBE2(name, a, b)          ((void)(a), (void)(b))
#define BATCH__PROBE5(name, a, b, c, d, e) ((void)(a), (void)(b), (void)(c), (void)(d), (void)(e))
#endif

#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments" /* of sys/sdt.h */
#endif

static inline void batch__probe_batch(const void *key, size_t key_size, uint32_t operations,
                                      uint64_t total_ns, int status)
{
    BATCH__PROBE5(batch, key, key_size, operations, total_ns, status);
}

static inline void batch__probe_group_begin(int is_save, size_t calls)
{
    BATCH__PROBE2(group_begin, is_save, calls);
}

static inline void batch__probe_group_end(int is_save, size_t calls)
{
    BATCH__PROBE2(group_end, is_save, calls);
}

static inline void batch__probe_refused(int status, uint64_t operations)
{
    BATCH__PROBE2(refused, status, operations);
}

#ifdef __clang__
#pragma clang diagnostic pop
#endif

#endif
