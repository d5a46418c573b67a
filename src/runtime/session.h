/* session.h: a connection to the store, and what uses it: a thread of its own, or with sessions = 0
 * the worker of a shard. */
#ifndef BATCH_RUNTIME_SESSION_H
#define BATCH_RUNTIME_SESSION_H

#include "../platform/platform.h"
#include "call.h"

struct batch__shared;

struct batch__session {
    struct batch__shared *shared;
    void *session; /* the store's */
    bool is_open;
    batch_call **calls; /* room for group_max */
    uint64_t
        call_ns[BATCH__STAGES]; /* the recent time of a call; of functions, the first for all */
    struct batch__thread thread;
};

/* BATCH_OK, or the store's error, with reterr (may be NULL). Close in either case. */
int batch__session_open(struct batch__session *session, struct batch__shared *shared,
                        batch_result *reterr);
/* May take the store some time; may be called again. */
void batch__session_close(struct batch__session *session);
void batch__session_free(struct batch__session *session); /* after close */

/* Give the first `count` of session->calls to the store, as a group, and count it. */
void batch__session_perform(struct batch__session *session, enum batch__stage stage, size_t count);

/* The thread of a session; `session` is a struct batch__session. Takes groups from the I/O queue
 * and gives them to the store, until the queue is closed. */
void batch__session_main(void *session);

#endif
