/* perform.h: what the worker does for each action of the core. */
#ifndef BATCH_RUNTIME_PERFORM_H
#define BATCH_RUNTIME_PERFORM_H

struct batch__shard;

/* The worker. Take and perform the core's actions until there is none. */
void batch__perform(struct batch__shard *shard);

#endif
