#include "session.h"

#include "../check.h"
#include "error.h"

#include <stdlib.h>

int batch__postgres_session_open(const struct batch__postgres_conninfo *conninfo,
                                 struct batch__postgres_spec *spec, bool is_first,
                                 uint64_t *xreconnects,
                                 struct batch__postgres_session **ret_session, batch_result *reterr)
{
    struct batch__postgres_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return batch__postgres_fail(reterr, BATCH_NO_MEMORY, 0, "no memory for a session");
    struct batch__postgres_connection *connection = &session->connection;
    batch__postgres_connection_init(connection, conninfo, spec, is_first, xreconnects);
    session->memory.random = batch__postgres_random_seed(&session->memory);

    /* It ends before that, when every address of every host has had its time. */
    uint64_t wait_ns = conninfo->connect_ns * conninfo->hosts_size * BATCH__POSTGRES_ADDRESSES_MAX;
    struct batch__postgres_limit limit = {batch_now_ns() + wait_ns, NULL};
    if (!batch__postgres_connect(connection, &limit, false)) {
        batch__postgres_fail(reterr, BATCH_STORE_FAILED, connection->error.code,
                             connection->error.text);
        batch__postgres_session_close(session);
        return BATCH_STORE_FAILED;
    }
    batch__check(batch__postgres_is_ready(connection));
    *ret_session = session;
    return BATCH_OK;
}

void batch__postgres_session_close(struct batch__postgres_session *session)
{
    batch__check(session != NULL);
    batch__postgres_drop(&session->connection);
    batch__postgres_group_memory_free(&session->memory);
    free(session);
}
