/* bank.c: transfers between accounts, each stored as a whole or not at all.
 *
 * Four threads move money between ten accounts at random. A transfer that an account cannot afford
 * is refused, and changes nothing. However many there were, the sum of all balances is what it was
 * at first: it is printed at the end, and again after the store was closed and opened. */
#include <batch/sqlite.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { ACCOUNTS = 10, THREADS = 4, TRANSFERS = 50 /* of each thread */, BALANCE = 100 };

struct account {
    long long balance, is_open; /* a new account is all zero */
};

static const char *const names[ACCOUNTS] = {"ann", "bob", "cid", "dan", "eve",
                                            "fay", "gus", "hal", "ida", "jim"};

struct transfer {
    long long amount, is_refused;
};

/* Runs alone on both accounts, in memory. Which of them it has changed it notes in their parts. */
static void move(void *const *resources, batch_transaction *transaction)
{
    struct account *from = resources[0], *to = resources[1];
    struct transfer *transfer = transaction->arg;
    transfer->is_refused = from->balance < transfer->amount;
    if (transfer->is_refused)
        return; /* nothing is changed; what was read is checked all the same */
    from->balance -= transfer->amount;
    to->balance += transfer->amount;
    transaction->parts[0].changed = transaction->parts[1].changed = true;
}

/* On all accounts: give those that are new their first balance, and add up. */
static void open_and_add_up(void *const *resources, batch_transaction *transaction)
{
    long long *sum = transaction->arg;
    *sum = 0; /* it may run again: only the last time counts */
    for (size_t i = 0; i < transaction->parts_size; i++) {
        struct account *account = resources[i];
        if (!account->is_open) {
            *account = (struct account){BALANCE, 1};
            transaction->parts[i].changed = true;
        }
        *sum += account->balance;
    }
}

/* Run on the accounts with these numbers, and wait until that is stored. */
static int run(batch_processor *processor, const unsigned *accounts, size_t size,
               batch_transaction_run_fn what, void *arg)
{
    batch_part parts[ACCOUNTS];
    batch_transaction transaction = BATCH_TRANSACTION_INIT;
    batch_result result;
    for (size_t i = 0; i < size; i++) {
        parts[i] = (batch_part){.key = names[accounts[i]], .key_size = 3}; /* letters */
    }
    transaction.parts = parts;
    transaction.parts_size = size;
    transaction.run = what;
    transaction.arg = arg;
    int status = batch_transaction_run(processor, &transaction, &result);
    if (status != BATCH_OK)
        fprintf(stderr, "%s\n", result.message);
    return status;
}

struct client {
    batch_processor *processor;
    pthread_t thread;
    unsigned random;
    int booked, refused, failed;
};

static unsigned below(struct client *client, unsigned bound)
{
    client->random = client->random * 1103515245u + 12345u;
    return (client->random >> 16) % bound;
}

static void *transfer_at_random(void *arg)
{
    struct client *client = arg;
    for (int i = 0; i < TRANSFERS; i++) {
        unsigned from = below(client, ACCOUNTS);
        unsigned accounts[] = {from, (from + 1 + below(client, ACCOUNTS - 1)) % ACCOUNTS};
        struct transfer transfer = {1 + below(client, BALANCE), 0};
        if (run(client->processor, accounts, 2, move, &transfer) != BATCH_OK)
            client->failed++;
        else if (transfer.is_refused)
            client->refused++;
        else
            client->booked++;
    }
    return NULL;
}

/* Open the store, do it, add up, and close. */
static long long with_bank(const char *path, void (*work)(batch_processor *processor))
{
    static const unsigned all[ACCOUNTS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    batch_result error;
    batch_processor *processor = NULL;
    batch_options options = BATCH_OPTIONS_INIT;
    options.resource_size = sizeof(struct account);
    options.window_ns = BATCH_WINDOW_NONE; /* each thread waits for its own transfer */
    long long sum = 0;
    if (batch_sqlite_open(&options.store, path, NULL, &error) != BATCH_OK ||
        batch_processor_start(&processor, &options, &error) != BATCH_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    int status = run(processor, all, ACCOUNTS, open_and_add_up, &sum);
    if (work != NULL) {
        work(processor);
        status = run(processor, all, ACCOUNTS, open_and_add_up, &sum);
    }
    batch_processor_stop(processor, BATCH_FOREVER);
    batch_processor_free(processor);
    batch_store_close(options.store);
    return status == BATCH_OK ? sum : -1;
}

static void many_transfers(batch_processor *processor)
{
    struct client clients[THREADS];
    int booked = 0, refused = 0, failed = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        clients[i] = (struct client){.processor = processor, .random = i + 1};
        pthread_create(&clients[i].thread, NULL, transfer_at_random, &clients[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(clients[i].thread, NULL);
        booked += clients[i].booked, refused += clients[i].refused, failed += clients[i].failed;
    }
    printf("%d transfers booked, %d refused, %d failed\n", booked, refused, failed);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "bank.db";
    long long at_the_end = with_bank(path, many_transfers), after_restart = with_bank(path, NULL);
    printf("sum at the end: %lld; after a restart: %lld\n", at_the_end, after_restart);
    return at_the_end == ACCOUNTS * BALANCE && after_restart == at_the_end ? 0 : 1;
}
