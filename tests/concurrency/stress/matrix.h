/* matrix.h: a cell of the table (matrix.c), and the function that its callback calls. */
#ifndef BATCH_TEST_STRESS_MATRIX_H
#define BATCH_TEST_STRESS_MATRIX_H

#include <batch/completions.h>
#include <batch/driven.h>
#include <batch/metrics.h>
#include <batch/store.h>

#include <pthread.h>

#include "store_wrapper.h"

#define CALLBACKS(X)                                                                               \
    X(RUN, "run")                                                                                  \
    X(DONE, "done")                                                                                \
    X(LOAD, "load")                                                                                \
    X(SAVE, "save")                                                                                \
    X(RELEASE, "release")                                                                          \
    X(LOG, "log")                                                                                  \
    X(STORE_LOAD, "store load")                                                                    \
    X(STORE_SAVE, "store save")                                                                    \
    X(RUN_OF_TRANSACTION, "t_run")                                                                 \
    X(DONE_OF_TRANSACTION, "t_done")                                                               \
    X(DECODE, "decode")                                                                            \
    X(ENCODE, "encode")                                                                            \
    X(CODEC_RELEASE, "codec release")                                                              \
    X(SESSION_OPEN, "session_open")                                                                \
    X(SESSION_CLOSE, "session_close")

#define FUNCTIONS(X)                                                                               \
    X(SUBMIT, "submit")                                                                            \
    X(SUBMIT_MANY, "submit_many")                                                                  \
    X(CALL_RUN, "run")                                                                             \
    X(CANCEL, "cancel")                                                                            \
    X(STOP_0, "stop(0)")                                                                           \
    X(STOP_FOREVER, "stop(forever)")                                                               \
    X(FREE, "free")                                                                                \
    X(STATS, "stats")                                                                              \
    X(HISTOGRAM, "histogram")                                                                      \
    X(HOT_KEYS, "hot_keys")                                                                        \
    X(METRICS_TEXT, "metrics_text")                                                                \
    X(SUBSCRIBE, "subscribe")                                                                      \
    X(NEXT_0, "next(0)")                                                                           \
    X(NEXT_FOREVER, "next(forever)")                                                               \
    X(DROPPED, "dropped")                                                                          \
    X(UNSUBSCRIBE, "unsubscribe")                                                                  \
    X(START_ANOTHER, "start another")                                                              \
    X(STORE_CLOSE, "store_close")                                                                  \
    X(SUBMIT_TO, "submit_to")                                                                      \
    X(SUBMIT_MANY_TO, "submit_many_to")                                                            \
    X(STOP_TO, "stop_to")                                                                          \
    X(DISPATCH_0, "dispatch(0)")                                                                   \
    X(DISPATCH, "dispatch(forever)")                                                               \
    X(OPEN_CLOSE, "open and close")                                                                \
    X(TRANSACTION_SUBMIT, "t_submit")                                                              \
    X(TRANSACTION_SUBMIT_TO, "t_submit_to")                                                        \
    X(TRANSACTION_RUN, "t_run")                                                                    \
    X(TRANSACTION_CANCEL, "t_cancel")                                                              \
    X(DRIVE_0, "drive(0)")                                                                         \
    X(DRIVE, "drive(forever)")                                                                     \
    X(DRIVEN_FD, "fd")                                                                             \
    X(NOW, "now")                                                                                  \
    X(STATUS, "status")

#define ENTRY(name, text) name,
#define TEXT(name, text)  text,
enum callback { CALLBACKS(ENTRY) CALLBACKS_SIZE };
enum function { FUNCTIONS(ENTRY) FUNCTIONS_SIZE };
enum target { SAME_KEY, OTHER_KEY, OTHER_PROCESSOR, TARGETS_SIZE };

enum { NOT_CALLED = 1000, NOT_POSSIBLE = 1001, OPS = 3 };

/* ---- A cell --------------------------------------------------------------------------------- */

enum { PARTS = 2 };

struct cell_transaction {
    batch_transaction transaction;
    batch_part parts[PARTS];
};

struct cell {
    struct store_wrapper wrapper; /* of `inner` */
    batch_store *inner;
    batch_codec codec;
    enum callback callback;
    enum function function;
    enum target target;
    uint32_t sessions;
    bool is_driven; /* both processors, by the one who makes the cell */

    batch_processor *processor;
    batch_processor *other; /* its store is other_store */
    batch_store *other_store;
    batch_subscription *subscription; /* of the target; for UNSUBSCRIBE */
    batch_completions *completions;   /* dispatched by the one who makes the cell */
    bool is_stop_awaited;             /* under lock: a stop is to be reported there */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_armed;     /* under lock: the callback has not called yet */
    int64_t seen;      /* under lock: what the function said */
    batch_op model;    /* of all operations */
    batch_op op;       /* the one that goes through the callbacks */
    batch_op ops[OPS]; /* submitted from there */
    batch_transaction transactions_model;
    struct cell_transaction through; /* in place of `op`, for the callbacks of transactions */
    struct cell_transaction from_there;
    unsigned accepted, completed; /* under lock; of all */
};

/* A copy of the cell's model. */
void matrix_op_init(const struct cell *cell, batch_op *op, const char *key);
/* A transaction on this key and another one. */
void matrix_transaction_init(const struct cell *cell, struct cell_transaction *transaction,
                             const char *key);
void matrix_count_accepted(struct cell *cell, unsigned count);
void matrix_count_completed(struct cell *cell);

/* It is one of transactions: the processor needs a store that saves units, and one shard. */
bool matrix_is_of_transactions(enum function function);

/* Call the function of the cell, now. What it says. */
int64_t matrix_call_function(struct cell *cell);

#endif
