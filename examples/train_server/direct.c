/* direct.c: see direct.h.
 *
 * Threads: serve() on the threads of the HTTP server, which it blocks, and probe() on a thread of
 * health.c; each opens its session with its first request, opens another one when that is lost, and
 * closes it when it ends. */
#include "direct.h"

#include <stdio.h>
#include <stdlib.h>

#include "answer.h"
#include "train_codec.h"

void direct_fail(struct request *request, int status, const char *message)
{
    request->status = status;
    snprintf(request->message, sizeof request->message, "%s", message);
}

bool direct_decode(struct direct *direct, struct request *request, struct train *train,
                   const void *json, size_t json_size)
{
    const char *wrong = train_decode(train, json, json_size, direct->seats);
    if (wrong != NULL)
        direct_fail(request, BATCH_LOAD_FAILED, wrong);
    return wrong == NULL;
}

void direct_count_commit(struct direct *direct, uint64_t begin_ns)
{
    atomic_fetch_add_explicit(&direct->xcommit_ns, batch_now_ns() - begin_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&direct->xcommits, 1, memory_order_relaxed);
}

/* ---- The session of a thread ----------------------------------------------------------------- */

/* What the key holds for a thread: its session, and how to close it. */
struct own_session {
    const struct direct_store *store;
    void *session;
};

static void own_session_close(void *arg)
{
    struct own_session *own = arg;
    own->store->session_close(own->session);
    free(own);
}

static struct own_session *own_session_open(struct direct *direct, char *reterr)
{
    bool names_are_text;
    struct own_session *own = malloc(sizeof *own);
    if (own == NULL) {
        snprintf(reterr, BATCH_MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    own->store = direct->store;
    own->session = direct->store->session_open(direct->options, &names_are_text, reterr);
    if (own->session == NULL) {
        free(own);
        return NULL;
    }
    if (pthread_setspecific(direct->session_key, own) != 0) {
        own_session_close(own);
        snprintf(reterr, BATCH_MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    return own;
}

/* ---- The service ----------------------------------------------------------------------------- */

static void serve(struct service *service, struct request *request)
{
    struct direct *direct = (struct direct *)service;
    struct own_session *own = pthread_getspecific(direct->session_key);
    if (own == NULL && (own = own_session_open(direct, request->message)) == NULL) {
        request->status = BATCH_LOAD_FAILED;
        return;
    }
    atomic_fetch_add_explicit(&direct->xtransactions, 1, memory_order_relaxed);
    bool (*how)(struct direct *, void *, struct request *) =
        request->target.kind == TARGET_BOOK ? direct->store->book : direct->store->look;
    if (!how(direct, own->session, request)) {
        pthread_setspecific(direct->session_key, NULL);
        own_session_close(own);
    }
}

/* Look at the train without a name, which is never stored. */
static bool probe(struct service *service)
{
    struct request request;
    request.target.kind = TARGET_TRAIN;
    request.target.train_size = 0;
    request.json = NULL;
    serve(service, &request);
    free(request.json);
    return request.status == BATCH_OK;
}

static void totals(struct service *service, struct service_totals *ret_totals)
{
    struct direct *direct = (struct direct *)service;
    uint64_t transactions = atomic_load_explicit(&direct->xtransactions, memory_order_relaxed);
    uint64_t commits = atomic_load_explicit(&direct->xcommits, memory_order_relaxed);
    *ret_totals = (struct service_totals){
        .batches = transactions,
        .operations = transactions,
        .commits = commits,
        .saves = commits,
        .save_ns = atomic_load_explicit(&direct->xcommit_ns, memory_order_relaxed),
    };
}

/* Requests are served while the HTTP server waits: once it has no more, all is done. */
static bool stop(struct service *service, uint64_t timeout_ns)
{
    (void)service;
    (void)timeout_ns;
    return true;
}

static void close_service(struct service *service)
{
    struct direct *direct = (struct direct *)service;
    pthread_key_delete(direct->session_key);
    free(direct);
}

struct service *direct_open(const struct options *options)
{
    struct direct *direct = calloc(1, sizeof *direct);
    if (direct == NULL || pthread_key_create(&direct->session_key, own_session_close) != 0) {
        fputs("train-server: out of memory\n", stderr);
        free(direct);
        return NULL;
    }
    direct->service = (struct service){
        .serve = serve, .probe = probe, .totals = totals, .stop = stop, .close = close_service};
    direct->store = options->store.kind == STORE_POSTGRES ? &direct_postgres : &direct_sqlite;
    direct->options = &options->store;
    direct->seats = options->seats;

    /* Make the table now, and find out now if that cannot be done. */
    char error[BATCH_MESSAGE_SIZE];
    void *session =
        direct->store->session_open(direct->options, &direct->service.names_are_text, error);
    if (session == NULL) {
        fprintf(stderr, "train-server: cannot keep trains: %s\n", error);
        close_service(&direct->service);
        return NULL;
    }
    direct->store->session_close(session);
    return &direct->service;
}
