/* parts.h: what the files of the core share among themselves: events in core.c, actions in step.c,
 * sweeps in sweep.c, checks in valid.c. */
#ifndef BATCH_CORE_PARTS_H
#define BATCH_CORE_PARTS_H

#include "core.h"

/* step.c */
void batch__todo_push(struct batch__core *core, struct batch__batch *batch);
void batch__answer(struct batch__core *core, batch_op *op, int status);

/* core.c: the window of a batch. Begin: for the batch's first operation. Restart: its first
 * operation left before it ran, so the window is that of the next one. */
void batch__begin(struct batch__core *core, struct batch__batch *batch);
void batch__window_restart(struct batch__core *core, struct batch__batch *batch);
void batch__window_end(struct batch__core *core, struct batch__batch *batch);
/* The deadline that load and save are told: counted from when the batch began. */
void batch__deadline_set(struct batch__core *core, struct batch__batch *batch);

/* sweep.c */
void batch__sweep_note(struct batch__core *core, const struct batch__batch *batch);
void batch__sweep_if_due(struct batch__core *core);
uint64_t batch__sweep_due_ns(const struct batch__core *core);

#endif
