/* connection.h: the connection of a session, opened and reopened in steps that never block.
 *
 *   DOWN ──► CONNECTING ──► SETTING_UP ──► READY
 *     ▲           │           │      ▲       │
 *     │           │           │      └───────┤  the table has changed
 *     └───────────┴───────────┴──────────────┘  lost, refused, or too slow
 *
 * Whoever needs the connection advances it until it is ready or until its own time is over; the
 * next one continues from there. So connecting may take longer than the deadline of any batch.
 *
 * Each address of each host (hosts.h, addresses.h) has the same time limit. Only a server that
 * accepts writes will do: any other is a failed attempt, found in the set-up (settings.h). Every
 * connection is made, and set up, in this one place.
 *
 * Invariants: `conn` is NULL in DOWN and only there; statements are prepared in READY only.
 *
 * Threads: those of one session. A connection stays where it was initialized.
 */
#ifndef BATCH_POSTGRES_CONNECTION_H
#define BATCH_POSTGRES_CONNECTION_H

#include "addresses.h"
#include "conninfo.h"
#include "error.h"
#include "hosts.h"
#include "key.h"
#include "sql.h"
#include "table.h"
#include "wait.h"

enum batch__postgres_stage {
    BATCH__POSTGRES_DOWN,
    BATCH__POSTGRES_CONNECTING,
    BATCH__POSTGRES_SETTING_UP,
    BATCH__POSTGRES_READY
};

struct batch__postgres_connection {
    const struct batch__postgres_conninfo *conninfo;
    struct batch__postgres_hosts hosts;
    struct batch__postgres_addresses addresses; /* of the current host */
    struct batch__postgres_table table;         /* as this connection sees it */
    struct batch__postgres_key key;
    uint64_t *xreconnects; /* of the store: those that were lost, and are back */
    PGconn *conn;
    enum batch__postgres_stage stage;
    PostgresPollingStatusType polling; /* while it is CONNECTING */
    uint64_t attempt_until_ns;         /* while it is CONNECTING or SETTING_UP */
    bool is_step_sent;                 /* of the table; its result has not come yet */
    bool was_ready;                    /* once */
    bool is_connected;                 /* and was ready, since it was opened */
    bool is_refused;                   /* the last attempt: there is a server, but the table is
                                          not fit for use */
    bool is_closing;                   /* the server has announced that it will close it */
    bool is_back;                      /* it was lost, and is READY again; reset when logged */
    bool is_warned;                    /* of a commit that no standby has confirmed; reset before
                                          each statement */
    bool is_suspect;                   /* the table is to be checked again, before it is used */
    int encoding;                      /* of texts, as libpq numbers it, when it was made ready */
    uint64_t trusted_until_ns;         /* it was found unchanged, so errors have other reasons */
    bool is_prepared[BATCH__POSTGRES_STATEMENTS];
    struct batch__postgres_error error;      /* why it is not READY, if that is known */
    struct batch__postgres_error last_words; /* of the server, unasked, while it is closing */
};

/* DOWN. `may_create`: create the table if it is missing. */
void batch__postgres_connection_init(struct batch__postgres_connection *connection,
                                     const struct batch__postgres_conninfo *conninfo,
                                     struct batch__postgres_spec *spec, bool may_create,
                                     uint64_t *xreconnects);

/* Make it READY, reconnecting if it was lost. False: the limit is over, or, unless `is_patient`,
 * every host has failed; then `error` has the reason. No patience helps if the table is refused. */
bool batch__postgres_connect(struct batch__postgres_connection *connection,
                             const struct batch__postgres_limit *limit, bool is_patient);

/* A statement failed as it might if the table had changed since it was checked: it is to be checked
 * again. False: that was done just now, so the error is real. */
bool batch__postgres_suspect(struct batch__postgres_connection *connection);

bool batch__postgres_is_ready(const struct batch__postgres_connection *connection);

/* Close it, whatever it was doing, without waiting for the server. */
void batch__postgres_drop(struct batch__postgres_connection *connection);

#endif
