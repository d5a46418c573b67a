/* driver.h: what the store tests use to run operations and look at what came of them.
 *
 * Nothing here asserts on a thread of the library: what happens there is stored, and checked by the
 * test.
 */
#ifndef BATCH_TEST_STORE_DRIVER_H
#define BATCH_TEST_STORE_DRIVER_H

#include <batch/metrics.h>
#include <batch/store.h>

#include <pthread.h>

/* No test waits for it: it is there so that no machine is slow enough to reach it. */
#define LONG_NS 600000000000u

/* ---- Processors ----------------------------------------------------------------------------- */

/* A processor on `store` with the given number of sessions, no window, a deadline of LONG_NS, and
 * states of one int64_t. */
batch_options number_options(batch_store *store, uint32_t sessions);
batch_processor *processor_start(const batch_options *options);
batch_processor *number_processor(batch_store *store, uint32_t sessions); /* of number_options */
batch_processor *text_processor(batch_store *store, uint32_t sessions);   /* of text_options */
void processor_end(batch_processor *processor);                           /* stop and free */
void processor_end_with_store(batch_processor *processor, batch_store *store); /* and close it */

/* ---- Operations ----------------------------------------------------------------------------- */

/* Runs on the worker while the resource is loaded and not saved. */
typedef void (*meddle_fn)(void *arg);

struct latch;

struct request {
    batch_op op; /* first */
    int64_t add; /* to a number; 0: read it, and change nothing */
    int64_t seen;
    meddle_fn meddle; /* called before that, or NULL */
    void *meddle_arg;
    batch_result result;
    struct latch *latch;
};

/* An operation that adds to a number. */
void request_init(struct request *request, const void *key, size_t key_size, int64_t add);

/* Run it alone; the result is also in request->result. */
int request_run(batch_processor *processor, struct request *request);

/* Hand all over at once, and wait until all are complete. */
void requests_run(batch_processor *processor, struct request *requests, size_t requests_size);

/* Add to a number, or read it; must go well. The value after that. */
int64_t number_add(batch_processor *processor, const void *key, size_t key_size, int64_t add);

/* Counts down; a test waits for 0. */
struct latch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t left;
};

void latch_init(struct latch *latch, size_t left);
void latch_count_down(struct latch *latch);
void latch_wait(struct latch *latch);
void latch_destroy(struct latch *latch);

/* ---- A codec for texts ---------------------------------------------------------------------- */

/* The resource: bytes of any length. `bytes` is NULL if nothing is stored. */
struct text {
    char *bytes;
    size_t size;
    bool must_not_encode;
};

/* States beginning with this are not decoded. */
#define TEXT_SPOILT      "spoilt"
#define TEXT_DECODE_CODE (-4711)
#define TEXT_ENCODE_CODE (-4712)

batch_options text_options(batch_store *store, uint32_t sessions);

struct text_request {
    struct request request; /* first; for result and latch */
    const void *set;        /* NULL: read it, and change nothing */
    size_t set_size;
    bool must_not_encode;
    char *seen; /* what was there, NULL if nothing; the test's to free */
    size_t seen_size;
};

/* An operation that sets a text, or reads it. */
void text_request_init(struct text_request *request, const void *key, size_t key_size,
                       const void *set, size_t set_size);

/* Set a text; must go well. */
void text_set(batch_processor *processor, const void *key, size_t key_size, const void *set,
              size_t set_size);

/* Read a text; must go well. NULL: nothing is stored. The test's to free. */
char *text_get(batch_processor *processor, const void *key, size_t key_size, size_t *ret_size);

#endif
