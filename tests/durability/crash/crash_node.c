/* node.c STORE JOURNAL ROUND INCARNATION REPLAYS CACHE TRANSFERS [early|blind|split]: a server
 * without a network: threads that submit operations to a processor as fast as they complete, until
 * somebody kills it.
 *
 * With TRANSFERS 1 half of them are transactions: most append to some keys and read others; the
 * rest read all keys, and look whether they see a part of another one.
 *
 * Writes what was sent and what was completed into the journal; see journal.h. Injected bugs to
 * switch on: "early" completes an operation when it has run, before it is saved; "blind" ignores
 * versions; "split" saves the keys of a unit one by one.
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
    LOOKS_ONE_IN = 32,         /* transactions that read all keys */
    REST_NS = 20 * 1000 * 1000 /* after a load that failed: the store is away */
};

static struct {
    struct journal *journal;
    unsigned incarnation;
    bool is_early;
    bool has_transfers;
    char keys[KEYS][KEY_SIZE];
    atomic_uint seen[KEYS]; /* the most that a completion on this node has seen in the state */
    batch_processor *processor;
} node;

struct submitter;

/* What is done to a key. */
struct part {
    unsigned key;
    bool is_appended;
    unsigned at_least; /* it must see so many before it */
    unsigned seen;
};

struct request {
    batch_op op; /* if there is one part, and no transaction */
    batch_transaction transaction;
    batch_part transaction_parts[KEYS];
    struct submitter *submitter;
    struct entry *entry; /* NULL: it only reads */
    struct part parts[KEYS];
    unsigned parts_size;
    bool is_torn; /* it saw a part of another transaction */
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
    for (unsigned i = 0; outcome == OUTCOME_OK && i < request->parts_size; i++)
        atomic_fetch_add(&node.journal->in_state[request->parts[i].key],
                         request->parts[i].is_appended);
}

static void apply(struct request *request, struct part *part, struct log *log)
{
    part->seen = log->count;
    if (part->is_appended)
        log_append(log, request->id);
}

static batch_verdict run(void *resource, void *arg)
{
    struct request *request = arg;
    apply(request, &request->parts[0], resource);
    if (request->entry == NULL)
        return BATCH_UNCHANGED;
    if (node.is_early)
        complete(request, OUTCOME_OK);
    return BATCH_CHANGED;
}

static void run_transaction(void *const *resources, batch_transaction *transaction)
{
    struct request *request = transaction->arg;
    if (request->entry == NULL)
        request->is_torn =
            journal_is_torn(node.journal, (const struct log *const *)(const void *)resources);
    for (unsigned i = 0; i < request->parts_size; i++) {
        apply(request, &request->parts[i], resources[i]);
        transaction->parts[i].changed = request->parts[i].is_appended;
    }
    if (node.is_early && request->entry != NULL)
        complete(request, OUTCOME_OK);
}

/* Completions come on one thread. */
static void look_at_seen(const struct request *request)
{
    atomic_fetch_add(&node.journal->reads, request->entry == NULL);
    atomic_fetch_add(&node.journal->torn, request->is_torn);
    for (unsigned i = 0; i < request->parts_size; i++) {
        const struct part *part = &request->parts[i];
        if (part->seen < part->at_least)
            atomic_fetch_add(&node.journal->stale, 1);
        if (part->seen > atomic_load(&node.seen[part->key]))
            atomic_store(&node.seen[part->key], part->seen);
    }
}

static void completed(struct request *request, const batch_result *result)
{
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

static void done(batch_op *op, const batch_result *result)
{
    completed(op->arg, result);
}

static void transaction_done(batch_transaction *transaction, const batch_result *result)
{
    completed(transaction->arg, result);
}

/* ---- Submitters ----------------------------------------------------------------------------- */

/* What appends must see everything that was acknowledged before, by whichever node, and so must a
 * transaction. What only reads a key sees the state as its batch loaded it, so at least what a
 * completion on this node has seen. */
static void part_add(struct request *request, unsigned key, bool is_appended, bool sees_all)
{
    struct part *part = &request->parts[request->parts_size++];
    part->key = key;
    part->is_appended = is_appended;
    part->at_least =
        atomic_load(sees_all || is_appended ? &node.journal->in_state[key] : &node.seen[key]);
    part->seen = 0;
}

/* Afterwards there are only reads. */
static bool has_numbers_left(const struct submitter *submitter)
{
    return submitter->number < OPERATIONS_MAX;
}

/* Some keys, beginning anywhere, all different. */
static void choose_parts(struct submitter *submitter, struct request *request)
{
    struct random *random = &submitter->random;
    unsigned key = (unsigned)random_below(random, KEYS);
    unsigned step = 1 + (unsigned)random_below(random, 2) * 4; /* 1 or 5: prime to KEYS */
    bool is_look = random_below(random, LOOKS_ONE_IN) == 0 || !has_numbers_left(submitter);
    unsigned size = is_look ? KEYS : 2 + (unsigned)random_below(random, 3);
    for (unsigned i = 0; i < size; i++) {
        unsigned next = is_look ? i : (key + i * step) % KEYS;
        part_add(request, next, !is_look && (i == 0 || random_below(random, 3) > 0), true);
    }
}

static void write_entry(struct submitter *submitter, struct request *request)
{
    unsigned keys = 0, number = submitter->number;
    for (unsigned i = 0; i < request->parts_size; i++)
        keys |= (unsigned)request->parts[i].is_appended << request->parts[i].key;
    request->entry = NULL;
    if (keys == 0)
        return;
    submitter->number++;
    request->id = id_of(node.incarnation, submitter->index, number);
    request->entry =
        &node.journal->incarnations[node.incarnation].entries[submitter->index][number];
    atomic_store(&request->entry->keys, (unsigned char)keys);
    atomic_store(&request->entry->outcome, OUTCOME_SENT);
}

static int submit_op(struct request *request)
{
    const char *key = node.keys[request->parts[0].key];
    request->op = (batch_op)BATCH_OP_INIT;
    request->op.key = key;
    request->op.key_size = strlen(key);
    request->op.arg = request;
    request->op.run = run;
    request->op.done = done;
    return batch_submit(node.processor, &request->op);
}

static int submit_transaction(struct request *request)
{
    batch_transaction *transaction = &request->transaction;
    for (unsigned i = 0; i < request->parts_size; i++) {
        const char *key = node.keys[request->parts[i].key];
        request->transaction_parts[i] = (batch_part)BATCH_PART_INIT;
        request->transaction_parts[i].key = key;
        request->transaction_parts[i].key_size = strlen(key);
    }
    *transaction = (batch_transaction)BATCH_TRANSACTION_INIT;
    transaction->parts = request->transaction_parts;
    transaction->parts_size = request->parts_size;
    transaction->run = run_transaction;
    transaction->done = transaction_done;
    transaction->arg = request;
    return batch_transaction_submit(node.processor, transaction);
}

static int submit(struct submitter *submitter, struct request *request)
{
    struct random *random = &submitter->random;
    request->submitter = submitter;
    request->parts_size = 0;
    request->is_torn = false;
    bool is_transaction = node.has_transfers && random_below(random, 2) == 0;
    if (is_transaction)
        choose_parts(submitter, request);
    else
        part_add(request, (unsigned)random_below(random, KEYS),
                 random_below(random, READS_ONE_IN) > 0 && has_numbers_left(submitter), false);
    write_entry(submitter, request);
    return is_transaction ? submit_transaction(request) : submit_op(request);
}

static void *submit_for_ever(void *arg)
{
    struct submitter *submitter = arg;
    for (;;) {
        unsigned burst = 1 + (unsigned)random_below(&submitter->random, BURST_MAX);
        submitter->pending = burst; /* nobody else has it yet */
        for (unsigned i = 0; i < burst; i++) {
            if (submit(submitter, &submitter->requests[i]) != BATCH_OK)
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
    node.has_transfers = strcmp(argv[7], "1") == 0;
    const char *bug = argv[8] != NULL ? argv[8] : "";
    node.is_early = strcmp(bug, "early") == 0;
    if (target_open(&store, argv[1], &error) != BATCH_OK)
        fail(error.message);
    options.store = strcmp(bug, "blind") == 0   ? blind_store_over(store, argv[1])
                    : strcmp(bug, "split") == 0 ? split_store_over(store)
                                                : store;
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
    if (argc < 8)
        fail("usage: crash-node STORE JOURNAL ROUND INCARNATION REPLAYS CACHE TRANSFERS "
             "[early|blind|split]");
    node_start(argv);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        submitter_start(&submitters[i], i);
    for (;;)
        pause();
}
