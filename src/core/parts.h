/* parts.h: what the files of the core share among themselves: events in core.c, actions in step.c,
 * replays and kept resources in again.c, sweeps in sweep.c, early refusal in early.c, checks in
 * valid.c. */
#ifndef BATCH_CORE_PARTS_H
#define BATCH_CORE_PARTS_H

#include "core.h"

/* step.c */
void batch__todo_push(struct batch__core *core, struct batch__batch *batch);
void batch__answer(struct batch__core *core, batch_op *op, int status);

/* core.c: the window of a batch. Begin: for the batch's first operation. Restart: its first
 * operation left before it ran, so the window is that of the next one. */
void batch__begin(struct batch__core *core, struct batch__batch *batch);
/* The same with the resource of the batch before: no load. */
void batch__begin_kept(struct batch__core *core, struct batch__batch *batch);
void batch__window_restart(struct batch__core *core, struct batch__batch *batch);
void batch__window_end(struct batch__core *core, struct batch__batch *batch);
/* The deadline that load and save are told: counted from when the batch began. */
void batch__deadline_set(struct batch__core *core, struct batch__batch *batch);

/* again.c: what a batch does to run once more, and the resources that are kept between batches. */
bool batch__may_replay(const struct batch__core *core, const struct batch__batch *batch);
void batch__run_again(struct batch__batch *batch);
bool batch__may_keep(const struct batch__core *core, const struct batch__batch *batch);
void batch__keep(struct batch__core *core, struct batch__batch *batch);
void batch__keep_end(struct batch__core *core, struct batch__batch *batch);
/* Forget those used longest ago until `kept_max` are left. */
void batch__keep_at_most(struct batch__core *core, uint64_t kept_max);

/* early.c: how long loads and saves take, and what follows for those who cannot wait, with
 * config.refuses_early. */
void batch__mean_add(uint64_t *mean_ns, uint64_t time_ns);
bool batch__is_hopeless(const struct batch__core *core, const struct batch__batch *batch,
                        const batch_op *op);

/* sweep.c */
void batch__sweep_note(struct batch__core *core, const struct batch__batch *batch);
void batch__sweep_if_due(struct batch__core *core);
uint64_t batch__sweep_due_ns(const struct batch__core *core);

#endif
