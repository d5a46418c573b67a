/* session.h: what one thread of a processor has of the store: a connection, and what it keeps from
 * one group to the next. Each part is handed only to who needs it.
 *
 * Opening a session connects, so that what is wrong is known when the processor starts. From then
 * on connection.h sees to it that there is a connection. Closing never waits for the server.
 *
 * Threads: one at a time.
 */
#ifndef BATCH_POSTGRES_SESSION_H
#define BATCH_POSTGRES_SESSION_H

#include "connection.h"
#include "group.h"
#include "save.h"

struct batch__postgres_session {
    struct batch__postgres_connection connection;
    struct batch__postgres_group_memory memory; /* of the group under way */
    struct batch__postgres_save_state save_state;
};

/* `is_first`: create the table if it is missing. Connections that were lost and are back are
 * counted in *xreconnects. */
int batch__postgres_session_open(const struct batch__postgres_conninfo *conninfo,
                                 struct batch__postgres_spec *spec, bool is_first,
                                 uint64_t *xreconnects,
                                 struct batch__postgres_session **ret_session,
                                 batch_result *reterr);
void batch__postgres_session_close(struct batch__postgres_session *session);

#endif
