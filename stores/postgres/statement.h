/* statement.h: one statement sent, and its result received, by a deadline.
 *
 * What is known when. The server commits at the Sync message, the last one of a statement, and
 * reports it with ReadyForQuery, the last one of the response; rows come earlier and prove nothing.
 *
 *   - libpq still holds a part of what is to be sent: no Sync, nothing is stored (NOT_SENT).
 *   - An error that leaves the connection in use: ROLLED_BACK.
 *   - ReadyForQuery without an error: COMMITTED.
 *   - An error in libpq's own words, without a SQLSTATE: it had no memory to read the response, and
 *     does not say what the server did (IN_DOUBT).
 *   - The connection ends in between, even with an error message of the server (a shutdown) or of a
 *     pooler: it may have been committed (IN_DOUBT).
 *   - The server's own warning that it stopped waiting for a synchronous standby; then it reports
 *     success: committed, but not where it should be (IN_DOUBT). The same if a save was being
 *     canceled, reports success, and there are synchronous standbys, whatever was printed.
 *   - An error of a guard (sql.h): the connection is not ours alone, or the table has changed; or
 *     another error that a changed table causes: nothing is stored, and the statement may be
 *     retried once the table has been checked again (NOT_SENT).
 *
 * The first error of the server is the one that is reported; later ones mostly say that the
 * connection is gone.
 *
 * When the time is over the statement is canceled (cancel.h), and both get a grace of half a
 * second; what the server reports counts, if it comes by then. After that, and after every cancel,
 * the connection is dropped; the server ends what it was doing when it finds the client gone
 * (client_connection_check_interval).
 */
#ifndef BATCH_POSTGRES_STATEMENT_H
#define BATCH_POSTGRES_STATEMENT_H

#include "connection.h"
#include "values.h"

enum batch__postgres_outcome {
    BATCH__POSTGRES_COMMITTED,   /* `rows` */
    BATCH__POSTGRES_ROLLED_BACK, /* `error` */
    BATCH__POSTGRES_NOT_SENT,    /* the connection was lost, or time was over, before the server had
                                    the whole of it, or it is to be sent again: nothing is stored */
    BATCH__POSTGRES_IN_DOUBT     /* it may have been committed */
};

struct batch__postgres_reply {
    enum batch__postgres_outcome outcome;
    PGresult *rows; /* of what is COMMITTED, without `on_row`: the caller's to clear */
    struct batch__postgres_error error; /* of everything else */
    bool is_torn;                       /* ROLLED_BACK, since a unit would have been torn */
};

typedef void (*batch__postgres_row_fn)(const PGresult *rows, void *arg);

/* Run a statement, prepared once for a connection, as a transaction of its own, and wait for its
 * end. The connection is ready. With `on_row` each row is handed over as it comes, whatever the end
 * will be. When anything is in doubt the connection is dropped. */
void batch__postgres_run(struct batch__postgres_connection *connection,
                         enum batch__postgres_statement statement,
                         const struct batch__postgres_params *params,
                         const struct batch__postgres_limit *limit, batch__postgres_row_fn on_row,
                         void *arg, struct batch__postgres_reply *ret_reply);

/* Run a statement that saves, and roll it back: COMMITTED means that it could have been. */
void batch__postgres_run_trial(struct batch__postgres_connection *connection,
                               enum batch__postgres_statement statement,
                               const struct batch__postgres_params *params,
                               const struct batch__postgres_limit *limit,
                               struct batch__postgres_reply *ret_reply);

/* Run SAVE_UNITS with `params`, after LOCK_UNITS with `locks` and in the same transaction. Four
 * round trips; what is known when is decided by the last one, the commit: before it has been sent,
 * nothing is stored. `is_hurried`: wait less for what others have locked. */
void batch__postgres_run_locked(struct batch__postgres_connection *connection,
                                const struct batch__postgres_params *locks,
                                const struct batch__postgres_params *params, bool is_hurried,
                                const struct batch__postgres_limit *limit,
                                struct batch__postgres_reply *ret_reply);

#endif
