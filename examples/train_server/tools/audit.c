/* audit.c: train-audit: does the store hold what the servers answered?
 *
 * Reads what clients have recorded, and the stored trains, and looks for: bookings that were
 * answered 200 and are not stored, seats that were sold to two persons, and persons with two seats
 * in a train. With --all, also for stored seats that are not in a response (after a kill there may
 * be some, after SIGTERM none). With --record, where the outcome of every booking is known, also
 * for seats that are stored although their booking was refused or failed, or was never sent. */
#include <batch/batch.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "booking/train_codec.h"
#include "http/target.h"
#include "table/stored.h"
#include "tools/outcome.h"
#include "tools/seats.h"

static const char help[] =
    "train-audit: does the store hold what train-server confirmed?\n"
    "\n"
    "usage: train-audit [--all] [--table NAME] [--key-column NAME] [--state-column NAME]\n"
    "                   STORE FILE...\n"
    "       train-audit --record [--table NAME] [--key-column NAME] [--state-column NAME]\n"
    "                   STORE FILE...\n"
    "\n"
    "  STORE     sqlite:PATH or postgres:CONNINFO, as given to the server, and so its table\n"
    "  FILE      the bodies of responses 200 to /book: \"TRAIN SEAT PERSON\", one a line\n"
    "  --all     every stored seat must be in them too\n"
    "  --record  FILE is a record of train-load: no booking that was refused or failed may be\n"
    "            stored, and no seat of the record's trains that it did not ask for\n"
    "\n"
    "Exit 0: every booking answered 200 is stored, and no seat is sold twice. 1: otherwise. 2: it\n"
    "could not be checked.\n";

struct audit {
    struct store_options store;
    bool is_all;
    bool is_record;
    struct seats sent[OUTCOMES]; /* what clients have recorded, by outcome */
    size_t lines[OUTCOMES];
    struct seats stored;
};

/* ---- What is recorded, and what is stored ---------------------------------------------------- */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "train-audit: %s\n", what);
    exit(2);
}

/* A line of a record is OUTCOME STATUS SENT TOOK TRAIN SEAT PERSON. False: it is not. */
static bool read_line(struct audit *audit, char *line)
{
    enum outcome outcome = OUTCOME_OK;
    char *place = NULL;
    const char *field = strtok_r(line, " \n", &place);
    if (audit->is_record && field != NULL) {
        outcome = outcome_named(field);
        for (int i = 0; i < 4; i++)
            field = strtok_r(NULL, " \n", &place);
    }
    const char *train = field;
    const char *number = strtok_r(NULL, " \n", &place);
    const char *person = strtok_r(NULL, " \n", &place);
    if (person == NULL || outcome == OUTCOMES)
        return false;
    audit->lines[outcome]++;
    seats_add(&audit->sent[outcome], train, (unsigned)strtoul(number, NULL, 10), person);
    return true;
}

/* The last line may be cut off where its writer was killed: without its line feed it does not
 * count. */
static void read_file(struct audit *audit, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) { /* its name may be the rest of a conninfo that is not quoted */
        fprintf(stderr, "train-audit: a file cannot be read: %s\n", strerror(errno));
        exit(2);
    }
    char *line = NULL;
    size_t room = 0;
    size_t count = 0;
    for (ssize_t size; (size = getline(&line, &room, file)) > 0 && line[size - 1] == '\n';) {
        count++;
        if (!read_line(audit, line)) {
            fprintf(stderr, "train-audit: %s: line %zu is not one of a %s\n", path, count,
                    audit->is_record ? "record" : "list of bookings");
            exit(2);
        }
    }
    free(line);
    fclose(file);
}

static char *escape(const void *name, size_t name_size)
{
    char *text = seats_memory(malloc(3 * name_size + 1));
    text[target_escape(text, name, name_size)] = '\0';
    return text;
}

static void read_train(const void *name, size_t name_size, const void *json, size_t json_size,
                       void *arg)
{
    struct audit *audit = arg;
    struct train train;
    char *escaped = escape(name, name_size);
    const char *wrong = train_decode(&train, json, json_size, 0);
    if (wrong != NULL) {
        fprintf(stderr, "train-audit: train %s: %s\n", escaped, wrong);
        exit(2);
    }
    for (uint32_t i = 0; i < train.seats_size; i++) {
        const struct train_seat *seat = &train.seats[i];
        if (seat->person == NULL)
            continue;
        char *person = escape(seat->person, seat->person_size);
        seats_add(&audit->stored, escaped, i, person);
        free(person);
    }
    train_release(&train);
    free(escaped);
}

static void read_store(struct audit *audit)
{
    char error[BATCH_MESSAGE_SIZE];
    bool read = audit->store.kind == STORE_POSTGRES
                    ? stored_read_postgres(&audit->store, read_train, audit, error)
                    : stored_read_sqlite(&audit->store, read_train, audit, error);
    if (!read)
        fail(error);
}

/* ---- What is wrong --------------------------------------------------------------------------- */

/* Show the first few of a kind. */
static void complain(size_t count, const char *what, const struct seat *seat)
{
    if (count <= 3)
        printf("%s: train %s, seat %u, %s\n", what, seat->train, seat->number, seat->person);
}

/* How many of `some` are in `all`, or are not. `what`: to complain of each; or NULL. */
static size_t count_seats(const struct seats *some, const struct seats *all, bool in,
                          const char *what)
{
    size_t count = 0;
    for (size_t i = 0; i < some->size; i++) {
        if (seats_have(all, &some->at[i]) != in)
            continue;
        count++;
        if (what != NULL)
            complain(count, what, &some->at[i]);
    }
    return count;
}

static bool is_sent(const struct audit *audit, const struct seat *seat)
{
    bool is = false;
    for (int outcome = 0; outcome < OUTCOMES; outcome++)
        is = is || seats_have(&audit->sent[outcome], seat);
    return is;
}

static bool is_train_of_record(const struct audit *audit, const struct seat *seat)
{
    bool is = false;
    for (int outcome = 0; outcome < OUTCOMES; outcome++)
        is = is || seats_have_train_of(&audit->sent[outcome], seat);
    return is;
}

/* Seats that are stored, of trains that are in the record, but for a booking that is not. */
static size_t count_never_sent(const struct audit *audit)
{
    size_t count = 0;
    for (size_t i = 0; i < audit->stored.size; i++) {
        const struct seat *seat = &audit->stored.at[i];
        if (is_train_of_record(audit, seat) && !is_sent(audit, seat))
            complain(++count, "stored, but never sent", seat);
    }
    return count;
}

/* Neighbours that are the same. */
static size_t count_twice(const struct seats *seats,
                          bool (*same)(const struct seat *a, const struct seat *b),
                          const char *what)
{
    size_t count = 0;
    for (size_t i = 1; i < seats->size; i++) {
        if (!same(&seats->at[i - 1], &seats->at[i]))
            continue;
        count++;
        complain(count, what, &seats->at[i - 1]);
        complain(count, "            and", &seats->at[i]);
    }
    return count;
}

/* What only a record shows. */
static size_t check_record(const struct audit *audit)
{
    const struct seats *stored = &audit->stored;
    size_t wrong = count_seats(&audit->sent[OUTCOME_REFUSED], stored, true, "refused, but stored");
    wrong += count_seats(&audit->sent[OUTCOME_FAILED], stored, true, "failed, but stored");
    wrong += count_never_sent(audit);
    printf("%zu ok, %zu refused, %zu failed, %zu unknown (%zu of them stored), %zu lost (%zu)\n",
           audit->lines[OUTCOME_OK], audit->lines[OUTCOME_REFUSED], audit->lines[OUTCOME_FAILED],
           audit->lines[OUTCOME_UNKNOWN],
           count_seats(&audit->sent[OUTCOME_UNKNOWN], stored, true, NULL),
           audit->lines[OUTCOME_LOST], count_seats(&audit->sent[OUTCOME_LOST], stored, true, NULL));
    return wrong;
}

/* Returns how many things are wrong. */
static size_t check(struct audit *audit)
{
    const char *place = audit->store.kind == STORE_SQLITE ? "file" : "table";
    const struct seats *ok = &audit->sent[OUTCOME_OK];
    for (int outcome = 0; outcome < OUTCOMES; outcome++)
        seats_sort(&audit->sent[outcome]);
    seats_sort(&audit->stored);
    size_t missing = count_seats(ok, &audit->stored, false, "answered 200, but not stored");
    size_t wrong = missing;
    if (audit->is_all)
        wrong += count_seats(&audit->stored, ok, false, "stored, but not answered");
    if (audit->is_record)
        wrong += check_record(audit);
    size_t twice = count_twice(ok, seats_same_place, "sold twice");
    seats_sort_by_person(&audit->stored);
    size_t persons = count_twice(&audit->stored, seats_same_person, "two seats in a train");
    printf("%zu bookings answered 200: ", ok->size);
    if (missing == 0)
        printf("all in the %s", place);
    else
        printf("%zu MISSING in the %s", missing, place);
    printf("; %zu seats taken in the %s; seats sold twice: %zu\n", audit->stored.size, place,
           twice);
    if (persons > 0)
        printf("persons with two seats in a train: %zu\n", persons);
    return wrong + twice + persons;
}

/* ---- The command line ------------------------------------------------------------------------ */

/* Read the options. Returns where STORE is in argv; 0: --help; -1: wrong. */
static int read_options(struct audit *audit, int argc, char **argv)
{
    static const struct option known[] = {
        {"all", no_argument, NULL, 'a'},
        {"record", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        STORE_OPTIONS_LONG,
        {NULL, 0, NULL, 0},
    };
    opterr = 0; /* what is wrong may be a part of a conninfo */
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        const char **name = store_options_name(&audit->store, option);
        if (name != NULL)
            *name = optarg;
        else if (option == 'a')
            audit->is_all = true;
        else if (option == 'r')
            audit->is_record = true;
        else
            return option == 'h' ? 0 : -1;
    }
    bool is_complete = argc >= optind + 2 && !(audit->is_all && audit->is_record) &&
                       store_options_read(&audit->store, argv[optind]) == NULL &&
                       store_options_complete(&audit->store) == NULL;
    return is_complete ? optind : -1;
}

int main(int argc, char **argv)
{
    struct audit audit = {.store.kind = STORE_NONE};
    int first = read_options(&audit, argc, argv);
    if (first <= 0) {
        fputs(help, first == 0 ? stdout : stderr);
        return first == 0 ? 0 : 2;
    }
    for (int i = first + 1; i < argc; i++)
        read_file(&audit, argv[i]);
    read_store(&audit);
    size_t wrong = check(&audit);
    for (int outcome = 0; outcome < OUTCOMES; outcome++)
        seats_free(&audit.sent[outcome]);
    seats_free(&audit.stored);
    return wrong == 0 ? 0 : 1;
}
