/* node.c STORE JOURNAL ROUND INCARNATION REPLAYS CACHE [early|blind]: a server without a network:
 * threads that submit operations to a processor as fast as they complete, until somebody kills it.
 *
 * Writes what was sent and what was completed into the journal; see journal.h. Injected bugs to
 * switch on: "early" completes an operation when it has run, before it is saved; "blind" ignores
 * versions.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"
#include "log.h"
#include "random.h"
#include "store_target.h"

enum {
    BURST_MAX = 8,
    READS_ONE_IN = 4,
    REST_NS = 20 * 1000 * 1000 /* after a load that failed: the store is away */
};

static struct {
    struct journal *journal;
    unsigned incarnation;
    bool is_early;
    char keys[KEYS][KEY_SIZE];
    atomic_uint seen[KEYS]; /* the most that a completion on this node has seen in the state */
    batch_processor *processor;
} node;

struct submitter;

struct request {
    batch_op op; /* first */
    struct submitter *submitter;
    struct entry *entry; /* NULL: it reads */
    unsigned key;
    unsigned at_least; /* it must see so many before it */
    unsigned seen;
    uint32_t id;
};

struct submitter {
    pthread_t thread;
    unsigned index;
    struct random random;
    unsigned number; /* of the next operation */
    struct request requests[BURST_MAX];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned pending;  /* under lock */
    bool has_no_store; /* under lock: a load has failed */
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "crash-node: %s\n", what);
    exit(1);
}

/* ---- Operations ----------------------------------------------------------------------------- */

static void complete(struct request *request, enum outcome outcome)
{
    atomic_store(&request->entry->outcome, (unsigned char)outcome);
    if (outcome == OUTCOME_OK)
        atomic_fetch_add(&node.journal->in_state[request->key], 1);
}

static batch_verdict append(void *resource, void *arg)
{
    struct request *request = arg;
    struct log *log = resource;
    request->seen = log->count;
    log_append(log, request->id);
    if (node.is_early)
        complete(request, OUTCOME_OK);
    return BATCH_CHANGED;
}

static batch_verdict count(void *resource, void *arg)
{
    ((struct request *)arg)->seen = ((const struct log *)resource)->count;
    return BATCH_UNCHANGED;
}

/* Completions come on one thread. */
static void look_at_seen(struct request *request)
{
    atomic_fetch_add(&node.journal->reads, request->entry == NULL);
    if (request->seen < request->at_least)
        atomic_fetch_add(&node.journal->stale, 1);
    if (request->seen > atomic_load(&node.seen[request->key]))
        atomic_store(&node.seen[request->key], request->seen);
}

static void done(batch_op *op, const batch_result *result)
{
    struct request *request = (struct request *)(void *)op;
    if (result->status == BATCH_OK)
        look_at_seen(request);
    if (request->entry != NULL && !node.is_early)
        complete(request, result->status == BATCH_OK        ? OUTCOME_OK
                          : result->status == BATCH_UNKNOWN ? OUTCOME_UNKNOWN
                                                            : OUTCOME_REFUSED);
    atomic_fetch_add(&node.journal->incarnations[node.incarnation].completed,
                     result->status == BATCH_OK);
    struct submitter *submitter = request->submitter;
    pthread_mutex_lock(&submitter->lock);
    submitter->has_no_store = submitter->has_no_store || result->status == BATCH_LOAD_FAILED;
    if (--submitter->pending == 0)
        pthread_cond_signal(&submitter->changed);
    pthread_mutex_unlock(&submitter->lock);
}

/* ---- Submitters ----------------------------------------------------------------------------- */

/* What appends must see everything that was acknowledged before, by whichever node. What only reads
 * sees the state as its batch loaded it, so at least what a completion on this node has seen. */
static void request_fill(struct submitter *submitter, struct request *request)
{
    request->submitter = submitter;
    request->key = (unsigned)random_below(&submitter->random, KEYS);
    request->op = (batch_op)BATCH_OP_INIT;
    request->op.key = node.keys[request->key];
    request->op.key_size = strlen(node.keys[request->key]);
    request->op.arg = request;
    request->op.done = done;
    if (random_below(&submitter->random, READS_ONE_IN) == 0) {
        request->op.run = count;
        request->entry = NULL;
        request->at_least = atomic_load(&node.seen[request->key]);
        return;
    }
    unsigned number = submitter->number++;
    request->op.run = append;
    request->at_least = atomic_load(&node.journal->in_state[request->key]);
    request->id = id_of(node.incarnation, submitter->index, number);
    request->entry =
        &node.journal->incarnations[node.incarnation].entries[submitter->index][number];
    atomic_store(&request->entry->key, (unsigned char)request->key);
    atomic_store(&request->entry->outcome, OUTCOME_SENT);
}

static void *submit_for_ever(void *arg)
{
    struct submitter *submitter = arg;
    while (submitter->number + BURST_MAX < OPERATIONS_MAX) {
        unsigned burst = 1 + (unsigned)random_below(&submitter->random, BURST_MAX);
        submitter->pending = burst; /* nobody else has it yet */
        for (unsigned i = 0; i < burst; i++) {
            request_fill(submitter, &submitter->requests[i]);
            if (batch_submit(node.processor, &submitter->requests[i].op) != BATCH_OK)
                fail("an operation is not accepted");
        }
        pthread_mutex_lock(&submitter->lock);
        while (submitter->pending > 0)
            pthread_cond_wait(&submitter->changed, &submitter->lock);
        bool must_rest = submitter->has_no_store;
        submitter->has_no_store = false;
        pthread_mutex_unlock(&submitter->lock);
        if (must_rest)
            nanosleep(&(struct timespec){0, REST_NS}, NULL);
    }
    return NULL;
}

static void submitter_start(struct submitter *submitter, unsigned index)
{
    submitter->index = index;
    submitter->random.state = batch_now_ns() + index;
    if (pthread_mutex_init(&submitter->lock, NULL) != 0 ||
        pthread_cond_init(&submitter->changed, NULL) != 0 ||
        pthread_create(&submitter->thread, NULL, submit_for_ever, submitter) != 0)
        fail("no thread");
}

/* ---- The node ------------------------------------------------------------------------------- */

static struct journal *book_open(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *memory = MAP_FAILED;
    if (file >= 0)
        memory = mmap(NULL, sizeof(struct journal), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED)
        fail("cannot open the journal");
    close(file);
    return memory;
}

static void node_start(char **argv)
{
    batch_result error;
    batch_store *store;
    batch_options options = BATCH_OPTIONS_INIT;
    node.journal = book_open(argv[2]);
    node.incarnation = (unsigned)strtoul(argv[4], NULL, 10);
    for (unsigned key = 0; key < KEYS; key++)
        snprintf(node.keys[key], KEY_SIZE, "%s/%u", argv[3], key);
    const char *bug = argv[7] != NULL ? argv[7] : "";
    node.is_early = strcmp(bug, "early") == 0;
    if (target_open(&store, argv[1], &error) != BATCH_OK)
        fail(error.message);
    options.store = strcmp(bug, "blind") == 0 ? blind_store_over(store, argv[1]) : store;
    options.resource_size = sizeof(struct log);
    options.codec = &log_codec;
    options.window_ns = node.incarnation % 3 == 0 ? 1000000 : BATCH_WINDOW_NONE;
    options.deadline_ns = 1000000000;
    options.replays_max = (uint32_t)strtoul(argv[5], NULL, 10);
    options.resource_cache_max = strtoull(argv[6], NULL, 10);
    if (batch_processor_start(&node.processor, &options, &error) != BATCH_OK)
        fail(error.message);
}

int main(int argc, char **argv)
{
    static struct submitter submitters[SUBMITTERS];
    if (argc < 7)
        fail("usage: crash-node STORE JOURNAL ROUND INCARNATION REPLAYS CACHE [early|blind]");
    node_start(argv);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        submitter_start(&submitters[i], i);
    for (;;)
        pause();
}
