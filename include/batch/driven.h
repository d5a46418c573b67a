/* driven.h: a processor that the caller drives, in place of a worker thread.
 *
 * With options.driven a processor has no worker. Operations, completions and releases run on the
 * thread that calls batch_processor_drive: in a program with one thread they share everything with
 * the rest of it without a lock, and they may be written in a language whose interpreter has a
 * thread of its own. Sessions stay threads. With `sessions = 0`, for a store that never blocks,
 * there is no thread at all, and the order of everything is that of the calls: good for tests too.
 *
 * In an event loop, either of these is enough:
 *
 *   - Call batch_processor_drive before each wait, and wait no longer than it returns. If anything
 *     comes from other threads (sessions, or submits), wait for batch_processor_fd as well.
 *   - Wait for batch_processor_fd alone, and drive when it is readable. A submit outside of drive
 *     then costs a system call, the first one after each drive.
 *
 * One thread drives at a time. It is the worker while it does: in its callbacks, calls that would
 * wait return BATCH_DEADLOCK. The thread that drove last (at first, the one that started the
 * processor) is the one that will drive again: there, outside of callbacks, batch_run and
 * batch_processor_stop drive until they have what they wait for, and so call other operations and
 * completions. Other threads wait until it drives. So if nobody does, nothing completes, and a stop
 * does not end; whoever calls batch_processor_drive takes over.
 */
#ifndef BATCH_DRIVEN_H
#define BATCH_DRIVEN_H

#include <batch/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Do what is due: run operations, hand batches to the store, complete, release.
 *
 * Returns when nothing is due; or at the latest after a fixed number of rounds, of some thousand
 * short operations at most, so that the rest of a loop gets its turn. When nothing is due at first,
 * waits for something for at most `wait_ns` (0: do not wait; BATCH_FOREVER), and does that. In an
 * event loop pass 0.
 *
 * Returns the nanoseconds until it must be called again: 0: at once; INT64_MAX: not before
 * something comes (a submit, a cancel, a stop, a session that is done). Negative:
 * BATCH_STOPPED   a stop was requested, and everything has been completed: there is nothing to
 *                 drive any more. Sessions may still be about to end: batch_processor_stop
 * BATCH_BUSY      another thread drives; nothing was done
 * BATCH_DEADLOCK  called from a callback of this processor; or would wait, in one of another
 * BATCH_INVALID   `processor` is NULL, or not driven
 *
 * The time limits of calls that sessions have taken (deadline_ns) run on meanwhile, in real time.
 *
 * Threads: any but callbacks of this processor; one at a time. Blocks for at most `wait_ns`, and
 * for as long as what it calls. */
BATCH_API int64_t batch_processor_drive(batch_processor *processor, uint64_t wait_ns);

/* A file descriptor to wait for: readable when there is something to do, as soon as it comes or is
 * due; until batch_processor_drive is called. It belongs to the processor, until that is freed; do
 * not read, write or close it. It is closed by exec. (Until this is called for the first time,
 * nothing is spent on it.)
 *
 * Returns the descriptor; or BATCH_INVALID, which is negative, if `processor` is NULL or not
 * driven.
 *
 * Threads: any. Does not block. */
BATCH_API int batch_processor_fd(batch_processor *processor);

#ifdef __cplusplus
}
#endif

#endif
