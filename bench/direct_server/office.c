/* office.c: see booking/office.h. This office is direct-server's: it does not use libbatch.
 *
 * It is direct: its functions block, return with the outcome, and do not call `done`. Threads:
 * office_book and office_view on those of the HTTP server, office_probe on that of health.c. Each
 * opens a session with its first booking, another one when that is lost, and closes it at its end.
 */
#include "booking/office.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "database.h"

struct office {
    const struct engine *engine;
    struct database database;
    pthread_key_t session_key;
    atomic_uint_fast64_t xtransactions;
};

/* ---- The session of a thread ----------------------------------------------------------------- */

/* What the key holds for a thread: its session, and how to close it. */
struct own_session {
    const struct engine *engine;
    void *session;
};

static void own_session_close(void *arg)
{
    struct own_session *own = arg;
    own->engine->session_close(own->session);
    free(own);
}

static struct own_session *own_session_open(struct office *office, char *reterr)
{
    snprintf(reterr, BATCH_MESSAGE_SIZE, "out of memory");
    struct own_session *own = malloc(sizeof *own);
    if (own == NULL)
        return NULL;
    own->engine = office->engine;
    own->session = own->engine->session_open(office->database.options, reterr);
    if (own->session == NULL) {
        free(own);
        return NULL;
    }
    if (pthread_setspecific(office->session_key, own) != 0) {
        own_session_close(own);
        return NULL;
    }
    return own;
}

/* ---- The office ------------------------------------------------------------------------------ */

typedef bool transaction_fn(struct database *database, void *session, struct booking *booking);

static void transact(struct office *office, struct booking *booking, transaction_fn *transaction)
{
    struct own_session *own = pthread_getspecific(office->session_key);
    if (own == NULL && (own = own_session_open(office, booking->message)) == NULL) {
        booking->status = BATCH_LOAD_FAILED;
        return;
    }
    atomic_fetch_add_explicit(&office->xtransactions, 1, memory_order_relaxed);
    if (!transaction(&office->database, own->session, booking)) {
        pthread_setspecific(office->session_key, NULL);
        own_session_close(own);
    }
}

void office_book(struct office *office, struct booking *booking)
{
    transact(office, booking, office->engine->book);
}

void office_view(struct office *office, struct booking *booking)
{
    transact(office, booking, office->engine->view);
}

/* The train without a name is never stored. */
bool office_probe(struct office *office)
{
    struct booking booking = {.train = ""};
    office_view(office, &booking);
    free(booking.json);
    return booking.status == BATCH_OK;
}

struct office_totals office_totals(struct office *office)
{
    struct database *database = &office->database;
    uint64_t transactions = atomic_load_explicit(&office->xtransactions, memory_order_relaxed);
    uint64_t commits = atomic_load_explicit(&database->xcommits, memory_order_relaxed);
    return (struct office_totals){
        .batches = transactions,
        .operations = transactions,
        .commits = commits,
        .saves = commits,
        .save_ns = atomic_load_explicit(&database->xcommit_ns, memory_order_relaxed),
    };
}

size_t office_metrics(struct office *office, bool is_open, char *text, size_t size)
{
    (void)office;
    (void)is_open;
    (void)text;
    (void)size;
    return 0;
}

/* ---- Open and close -------------------------------------------------------------------------- */

int office_open(struct office **ret_office, const struct office_options *options,
                batch_result *reterr)
{
    *reterr = (batch_result){.status = BATCH_NO_MEMORY, .message = "out of memory"};
    struct office *office = calloc(1, sizeof *office);
    if (office == NULL || pthread_key_create(&office->session_key, own_session_close) != 0) {
        free(office);
        return BATCH_NO_MEMORY;
    }
    office->engine = options->store.kind == STORE_POSTGRES ? &engine_postgres : &engine_sqlite;
    office->database.options = &options->store;
    office->database.seats = options->seats;

    /* Find out now if that cannot be done. */
    void *session = office->engine->session_open(office->database.options, reterr->message);
    if (session == NULL) {
        office_close(office);
        return BATCH_STORE_FAILED;
    }
    office->engine->session_close(session);
    *ret_office = office;
    return BATCH_OK;
}

/* While the HTTP server waits its bookings are made: once it has no more, all is done. */
bool office_stop(struct office *office, uint64_t timeout_ns)
{
    (void)office;
    (void)timeout_ns;
    return true;
}

void office_close(struct office *office)
{
    pthread_key_delete(office->session_key);
    free(office);
}
