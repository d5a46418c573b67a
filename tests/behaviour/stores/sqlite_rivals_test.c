/* Two processes that transfer among the same accounts, with no balancer between them: both finish,
 * and nothing is lost.
 *
 * First one of them is slow, and has a window, so that its transfers tie most accounts together.
 * Between each of its loads and its save the other one stores some transfers, as many each time: a
 * unit of many keys is then never saved, and the slow one finishes only if its units get smaller.
 * Then both do what they can.
 *
 * Each process counts what its transfers that were reported as stored have moved, in memory that
 * the test shares: at the end every account has to have just that, and at each look between, by a
 * connection of its own, the test has to see the sum of all. */
#include "driver.h"
#include "must.h"
#include "random.h"
#include "sqlite_fixture.h"
#include "store_wrapper.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ACCOUNTS = 128,
    BALANCE = 1000,
    AT_ONCE = 300,        /* transfers that a process has under way */
    ROUNDS = 3,           /* of so many, of each process */
    WINDOW_NS = 20000000, /* of the slow one */
    BETWEEN = 8,          /* transfers of the other one before each save of the slow one */
    REPLAYS_MAX = 200,    /* units that get smaller finished with 20, not with 10 */
    PAUSE_NS = 1000000    /* between two looks */
};

struct transfer {
    batch_transaction transaction; /* first */
    batch_part parts[2];
    unsigned accounts[2];
    int64_t amount;
    batch_result result;
    struct latch *latch;
};

struct shared {
    int64_t moved[2][ACCOUNTS]; /* by each process */
    int64_t stored[2];          /* transfers */
};

struct rival {
    batch_processor *processor;
    struct store_wrapper wrapper;
    batch_store *store;
    struct random random;
    struct shared *shared;
    unsigned index;
    int ask[2], reply[2]; /* pipes */
    bool is_asking;       /* before each save */
};

static char names[ACCOUNTS][8];

static void move(void *const *resources, batch_transaction *transaction)
{
    struct transfer *transfer = (struct transfer *)transaction;
    *(int64_t *)resources[0] -= transfer->amount;
    *(int64_t *)resources[1] += transfer->amount;
    transfer->parts[0].changed = transfer->parts[1].changed = true;
}

static void on_complete(batch_transaction *transaction, const batch_result *result)
{
    struct transfer *transfer = (struct transfer *)transaction;
    transfer->result = *result;
    latch_count_down(transfer->latch);
}

/* ---- A process ------------------------------------------------------------------------------ */

static void transfers_run(struct rival *rival, size_t size)
{
    static struct transfer transfers[AT_ONCE];
    struct latch latch;
    latch_init(&latch, size);
    for (size_t i = 0; i < size; i++) {
        struct transfer *transfer = &transfers[i];
        unsigned from = (unsigned)random_below(&rival->random, ACCOUNTS);
        unsigned to = (from + 1 + (unsigned)random_below(&rival->random, ACCOUNTS - 1)) % ACCOUNTS;
        *transfer = (struct transfer){.transaction = BATCH_TRANSACTION_INIT,
                                      .parts = {BATCH_PART_INIT, BATCH_PART_INIT},
                                      .accounts = {from, to},
                                      .amount = (int64_t)random_below(&rival->random, 100),
                                      .latch = &latch};
        for (size_t k = 0; k < 2; k++) {
            transfer->parts[k].key = names[transfer->accounts[k]];
            transfer->parts[k].key_size = strlen(names[transfer->accounts[k]]);
        }
        transfer->transaction.parts = transfer->parts;
        transfer->transaction.parts_size = 2;
        transfer->transaction.run = move;
        transfer->transaction.done = on_complete;
        MUST(batch_transaction_submit(rival->processor, &transfer->transaction) == BATCH_OK);
    }
    latch_wait(&latch);
    latch_destroy(&latch);
    for (size_t i = 0; i < size; i++) {
        const struct transfer *transfer = &transfers[i];
        if (transfer->result.status != BATCH_OK) { /* it does not finish */
            fprintf(stderr, "process %u: %s\n", rival->index, transfer->result.message);
            _exit(1);
        }
        rival->shared->moved[rival->index][transfer->accounts[0]] -= transfer->amount;
        rival->shared->moved[rival->index][transfer->accounts[1]] += transfer->amount;
        rival->shared->stored[rival->index]++;
    }
}

static void before_step(enum store_step step, size_t calls_size, void *arg)
{
    struct rival *rival = arg;
    char byte = 's';
    if (step != STORE_SAVES || calls_size == 0 || !rival->is_asking)
        return;
    MUST(write(rival->ask[1], &byte, 1) == 1);
    MUST(read(rival->reply[0], &byte, 1) == 1);
}

static void rival_start(struct rival *rival, const char *path, unsigned index)
{
    batch_result error;
    MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    rival->index = index;
    rival->random = (struct random){index + 1};
    rival->is_asking = index == 0;
    MUST(batch_sqlite_open(&rival->store, path, NULL, &error) == BATCH_OK);
    store_wrapper_init(&rival->wrapper, "rival", rival->store);
    rival->wrapper.store.saves_units = 1;
    rival->wrapper.before = before_step;
    rival->wrapper.arg = rival;
    batch_options options = number_options(&rival->wrapper.store, 1);
    options.replays_max = REPLAYS_MAX;
    if (index == 0)
        options.window_ns = WINDOW_NS;
    MUST(batch_processor_start(&rival->processor, &options, &error) == BATCH_OK);
}

static void rounds_run(struct rival *rival)
{
    for (int round = 0; round < ROUNDS; round++)
        transfers_run(rival, AT_ONCE);
}

static void slow_main(struct rival *rival)
{
    char byte = 'e';
    rounds_run(rival);
    batch_stats stats = BATCH_STATS_INIT;
    MUST(batch_processor_stats(rival->processor, &stats) == BATCH_OK);
    MUST(stats.units_conflicted > 0);
    rival->is_asking = false;
    MUST(write(rival->ask[1], &byte, 1) == 1);
}

static void quick_main(struct rival *rival)
{
    char byte;
    while (read(rival->ask[0], &byte, 1) == 1 && byte != 'e') {
        transfers_run(rival, BETWEEN);
        MUST(write(rival->reply[1], &byte, 1) == 1);
    }
}

static _Noreturn void rival_main(struct rival *rival, const char *path, unsigned index)
{
    rival_start(rival, path, index);
    if (index == 0)
        slow_main(rival);
    else
        quick_main(rival);
    rounds_run(rival);
    processor_end(rival->processor);
    MUST(batch_store_close(rival->store) == BATCH_OK);
    _exit(0);
}

/* ---- The test ------------------------------------------------------------------------------- */

static void accounts_make(struct sqlite_file *file)
{
    batch_store *store = sqlite_file_store(file, NULL);
    batch_processor *processor = number_processor(store, 0);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        snprintf(names[i], sizeof names[i], "%u", i);
        number_add(processor, names[i], strlen(names[i]), BALANCE);
    }
    processor_end_with_store(processor, store);
}

/* In one statement, so at one moment. */
static void balances_read(struct sqlite_file *file, int64_t balances[ACCOUNTS])
{
    sqlite3_stmt *statement;
    unsigned rows = 0;
    assert_int_equal(
        sqlite3_prepare_v2(file->db, "SELECT key, state FROM batch", -1, &statement, NULL),
        SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        char name[8] = "";
        memcpy(name, sqlite3_column_blob(statement, 0), (size_t)sqlite3_column_bytes(statement, 0));
        memcpy(&balances[atoi(name)], sqlite3_column_blob(statement, 1), sizeof balances[0]);
        rows++;
    }
    sqlite3_finalize(statement);
    assert_int_equal(rows, ACCOUNTS);
}

static void assert_sum(const int64_t balances[ACCOUNTS])
{
    int64_t sum = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++)
        sum += balances[i];
    assert_int_equal(sum, (int64_t)ACCOUNTS * BALANCE);
}

SQLITE_TEST(test_two_processes_on_the_same_accounts_both_finish_and_lose_nothing)
{
    static struct rival rivals[2];
    int64_t balances[ACCOUNTS];
    int looks = 0, running = 2, status;
    accounts_make(file);
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    assert_int_equal(pipe(rivals[0].ask), 0);
    assert_int_equal(pipe(rivals[0].reply), 0);
    memcpy(rivals[1].ask, rivals[0].ask, sizeof rivals[1].ask);
    memcpy(rivals[1].reply, rivals[0].reply, sizeof rivals[1].reply);
    for (unsigned i = 0; i < 2; i++) {
        rivals[i].shared = shared;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            rival_main(&rivals[i], file->path, i);
    }
    sqlite_file_execute(file, "PRAGMA busy_timeout = 60000");
    while (running > 0) {
        balances_read(file, balances);
        assert_sum(balances);
        looks++;
        nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
        if (waitpid(-1, &status, WNOHANG) <= 0)
            continue;
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        running--;
    }
    assert_true(looks > 2);
    balances_read(file, balances);
    assert_sum(balances);
    for (unsigned i = 0; i < ACCOUNTS; i++)
        assert_int_equal(balances[i], BALANCE + shared->moved[0][i] + shared->moved[1][i]);
    assert_int_equal(shared->stored[0], 2 * ROUNDS * AT_ONCE);
    assert_true(shared->stored[1] > ROUNDS * AT_ONCE);
    munmap(shared, sizeof *shared);
    for (int i = 0; i < 2; i++) {
        close(rivals[0].ask[i]);
        close(rivals[0].reply[i]);
    }
}
