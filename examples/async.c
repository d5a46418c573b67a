/* async.c: a thousand deposits and withdrawals on ten accounts, submitted at once by one thread.
 *
 * No thread waits for any of them. The operation is embedded in the request; `on_done` is called
 * on the worker, exactly once for each accepted request, when its outcome is final.
 */
#include <batch/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 1000, ACCOUNTS = 10 };

struct account {
    long long balance;
    long long movements;
};

struct totals {
    int booked;
    int refused;
    int failed;
    unsigned largest_batch;
};

struct request {
    batch_op op; /* first, so that an operation is a request */
    char account[16];
    long long amount; /* to deposit; negative: to withdraw */
    int is_refused;
    struct totals *totals; /* touched by the one worker only, until stop returns */
};

/* Runs alone on the account, in memory. A refusal leaves the account unchanged. */
static batch_verdict book(void *resource, void *arg)
{
    struct account *account = resource;
    struct request *request = arg;
    request->is_refused = account->balance + request->amount < 0;
    if (request->is_refused)
        return BATCH_UNCHANGED;
    account->balance += request->amount;
    account->movements++;
    return BATCH_CHANGED;
}

/* Only now may the outcome be used, also that of a refusal: it was decided on a balance that was
 * not saved yet. */
static void on_done(batch_op *op, const batch_result *result)
{
    struct request *request = (struct request *)op;
    struct totals *totals = request->totals;
    if (result->status != BATCH_OK) {
        fprintf(stderr, "%s: %s%s\n", request->account, result->message,
                batch_may_be_applied(result->status) ? " (check what is stored before you retry)"
                                                     : "");
        totals->failed++;
        return;
    }
    if (request->is_refused)
        totals->refused++;
    else
        totals->booked++;
    if (result->batch_operations > totals->largest_batch)
        totals->largest_batch = result->batch_operations;
}

static void fill(struct request *request, int number, struct totals *totals)
{
    *request = (struct request){.op = BATCH_OP_INIT, .totals = totals};
    snprintf(request->account, sizeof request->account, "account-%d", number % ACCOUNTS);
    request->amount = number % 3 == 0 ? -50 : 30;
    request->op.key = request->account;
    request->op.key_size = strlen(request->account);
    request->op.run = book;
    request->op.done = on_done;
    request->op.arg = request;
}

int main(int argc, char **argv)
{
    batch_result error;
    batch_store *store = NULL;
    batch_processor *processor = NULL;
    batch_options options = BATCH_OPTIONS_INIT;
    options.resource_size = sizeof(struct account);
    options.window_ns = 10 * 1000000; /* 10 ms */
    if (batch_sqlite_open(&store, argc > 1 ? argv[1] : "accounts.db", NULL, &error) != BATCH_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    options.store = store;
    struct request *requests = calloc(REQUESTS, sizeof *requests);
    if (requests == NULL || batch_processor_start(&processor, &options, &error) != BATCH_OK) {
        fprintf(stderr, "%s\n", requests == NULL ? "out of memory" : error.message);
        free(requests);
        batch_store_close(store);
        return 1;
    }

    struct totals totals = {0, 0, 0, 0};
    int not_accepted = 0;
    for (int i = 0; i < REQUESTS; i++) {
        fill(&requests[i], i, &totals);
        if (batch_submit(processor, &requests[i].op) != BATCH_OK)
            not_accepted++; /* `done` will not be called for this one */
    }

    batch_processor_stop(processor, BATCH_FOREVER); /* returns when all are complete */
    printf("%d booked, %d refused, %d failed, %d not accepted; largest batch: %u operations\n",
           totals.booked, totals.refused, totals.failed, not_accepted, totals.largest_batch);
    batch_processor_free(processor);
    batch_store_close(store);
    free(requests);
    return totals.failed + not_accepted == 0 ? 0 : 1;
}
