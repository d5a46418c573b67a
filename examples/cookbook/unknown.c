/* unknown.c: retry after BATCH_UNKNOWN without doing it twice: the resource remembers requests.
 *
 * The load and save functions stand for a database whose confirmation is lost once in three times:
 * half of these saves have been applied, the others have not. */
#include "cookbook.h"

enum { REMEMBERED = 16 };

struct account {
    int64_t cents;
    uint64_t requests[REMEMBERED]; /* the last ones that were applied */
    uint64_t next;
};

struct deposit {
    uint64_t request; /* unique; the client keeps it when it tries again */
    int64_t cents;
    bool was_there; /* an earlier try has been applied */
};

static batch_verdict apply_once(void *resource, void *arg)
{
    struct account *account = resource;
    struct deposit *deposit = arg;
    deposit->was_there = false;
    for (int i = 0; i < REMEMBERED; i++)
        deposit->was_there |= account->requests[i] == deposit->request;
    if (deposit->was_there)
        return BATCH_UNCHANGED;
    account->cents += deposit->cents;
    account->requests[account->next++ % REMEMBERED] = deposit->request;
    return BATCH_CHANGED;
}

static struct account database;
static int saves;

static int load(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)arg;
    memcpy(resource, &database, sizeof database);
    return BATCH_OK;
}

static int save(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)arg;
    int number = saves++;
    if (number % 3 == 0 && number % 2 == 0)
        return BATCH_UNKNOWN; /* lost on the way there */
    memcpy(&database, resource, sizeof database);
    return number % 3 == 0 ? BATCH_UNKNOWN : BATCH_OK; /* lost on the way back */
}

int main(void)
{
    batch_processor *processor = NULL;
    batch_options options = BATCH_OPTIONS_INIT;
    options.load = load;
    options.save = save;
    options.sessions = 1;
    options.window_ns = BATCH_WINDOW_NONE;
    options.resource_size = sizeof(struct account);
    EXPECT(batch_processor_start(&processor, &options, NULL) == BATCH_OK);
    int unknown = 0, found = 0;
    for (uint64_t request = 1; request <= 100; request++) {
        struct deposit deposit = {.request = request, .cents = 10};
        int status;
        while ((status = run(processor, "ann", apply_once, &deposit)) == BATCH_UNKNOWN)
            unknown++;
        EXPECT(status == BATCH_OK);
        found += deposit.was_there;
    }
    batch_processor_stop(processor, BATCH_FOREVER);
    batch_processor_free(processor);
    EXPECT(database.cents == 100 * 10);
    EXPECT(unknown > 0 && found > 0 && found < unknown);
    printf("100 deposits, %d times unknown, of which %d had been applied\n", unknown, found);
    return 0;
}
