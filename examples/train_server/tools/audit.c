/* audit.c: train-audit: does the store hold what the servers answered?
 *
 * Reads the answers 200 that clients recorded, "TRAIN SEAT PERSON" a line with names as the server
 * escapes them, and the stored trains, and looks for: answers that are not stored, seats that were
 * sold to two persons, persons with two seats in a train. With --all, also for stored seats that
 * nobody was told of (after a kill there may be some, after SIGTERM none). */
#include <batch/batch.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "booking/train_codec.h"
#include "http/target.h"
#include "table/stored.h"

static const char help[] =
    "train-audit: does the store hold what train-server answered?\n"
    "\n"
    "usage: train-audit [--all] [--table NAME] [--key-column NAME] [--state-column NAME]\n"
    "                   STORE ANSWERS...\n"
    "\n"
    "  STORE    sqlite:PATH or postgres:CONNINFO, as the server was told, and so its table\n"
    "  ANSWERS  files with the bodies of answers 200 to /book: \"TRAIN SEAT PERSON\", one a line\n"
    "  --all    every stored seat must have been answered too\n"
    "\n"
    "Exit 0: every answer is stored, and no seat is sold twice. 1: not so. 2: cannot tell.\n";

/* One answer, or one taken seat of the store. The names are escaped. */
struct seat {
    char *train; /* the start of an allocation that holds `person` too */
    const char *person;
    unsigned number;
};

struct seats {
    struct seat *at;
    size_t size;
    size_t room;
};

static void *must_have(void *memory)
{
    if (memory == NULL) {
        fputs("train-audit: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static void seats_add(struct seats *seats, struct seat seat)
{
    if (seats->size == seats->room) {
        seats->room = seats->room > 0 ? 2 * seats->room : 1024;
        seats->at = must_have(realloc(seats->at, seats->room * sizeof *seats->at));
    }
    seats->at[seats->size++] = seat;
}

static int compare_places(const struct seat *a, const struct seat *b)
{
    int trains = strcmp(a->train, b->train);
    return trains != 0 ? trains : (a->number > b->number) - (a->number < b->number);
}

static int compare_seats(const void *a, const void *b)
{
    int places = compare_places(a, b);
    return places != 0 ? places
                       : strcmp(((const struct seat *)a)->person, ((const struct seat *)b)->person);
}

static int compare_persons(const void *a, const void *b)
{
    const struct seat *left = a;
    const struct seat *right = b;
    int trains = strcmp(left->train, right->train);
    return trains != 0 ? trains : strcmp(left->person, right->person);
}

/* Sort, and leave out what is there twice: a seat may be booked again by its person. */
static void seats_sort(struct seats *seats)
{
    qsort(seats->at, seats->size, sizeof *seats->at, compare_seats);
    size_t kept = 0;
    for (size_t i = 0; i < seats->size; i++) {
        if (kept == 0 || compare_seats(&seats->at[kept - 1], &seats->at[i]) != 0)
            seats->at[kept++] = seats->at[i];
        else
            free(seats->at[i].train);
    }
    seats->size = kept;
}

static void seats_free(struct seats *seats)
{
    for (size_t i = 0; i < seats->size; i++)
        free(seats->at[i].train);
    free(seats->at);
}

/* Read a file of answers. The last line may be cut off where its writer was killed: without its
 * line feed it does not count. */
static void read_answers(struct seats *seats, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) { /* its name may be the rest of a conninfo that is not quoted */
        fprintf(stderr, "train-audit: a file of answers cannot be read: %s\n", strerror(errno));
        exit(2);
    }
    char *line = NULL;
    size_t room = 0;
    for (ssize_t size; (size = getline(&line, &room, file)) > 0 && line[size - 1] == '\n';) {
        char *train = must_have(strdup(line));
        char *place = NULL;
        strtok_r(train, " \n", &place);
        const char *number = strtok_r(NULL, " \n", &place);
        const char *person = strtok_r(NULL, " \n", &place);
        if (person == NULL) {
            fprintf(stderr, "train-audit: %s: not \"TRAIN SEAT PERSON\": %s", path, line);
            exit(2);
        }
        seats_add(seats, (struct seat){train, person, (unsigned)strtoul(number, NULL, 10)});
    }
    free(line);
    fclose(file);
}

static struct seat seat_make(const void *train, size_t train_size, const struct train_seat *seat,
                             unsigned number)
{
    char *text = must_have(malloc(3 * (train_size + seat->person_size) + 2));
    size_t size = target_escape(text, train, train_size);
    text[size++] = '\0';
    char *person = text + size;
    person[target_escape(person, seat->person, seat->person_size)] = '\0';
    return (struct seat){text, person, number};
}

static void read_train(const void *name, size_t name_size, const void *json, size_t json_size,
                       void *arg)
{
    struct train train;
    const char *wrong = train_decode(&train, json, json_size, 0);
    if (wrong != NULL) {
        fprintf(stderr, "train-audit: train %.*s: %s\n", (int)name_size, (const char *)name, wrong);
        exit(2);
    }
    for (uint32_t i = 0; i < train.seats_size; i++) {
        const struct train_seat *seat = &train.seats[i];
        if (seat->person != NULL)
            seats_add(arg, seat_make(name, name_size, seat, i + 1));
    }
    train_release(&train);
}

static void read_store(struct seats *seats, const struct store_options *options)
{
    char error[BATCH_MESSAGE_SIZE];
    bool read = options->kind == STORE_POSTGRES
                    ? stored_read_postgres(options, read_train, seats, error)
                    : stored_read_sqlite(options, read_train, seats, error);
    if (!read) {
        fprintf(stderr, "train-audit: %s\n", error);
        exit(2);
    }
}

/* How many of `some` are not in `all`; both sorted. Shows the first few. */
static size_t count_missing(const struct seats *some, const struct seats *all, const char *what)
{
    size_t missing = 0;
    size_t j = 0;
    for (size_t i = 0; i < some->size; i++) {
        while (j < all->size && compare_seats(&all->at[j], &some->at[i]) < 0)
            j++;
        if (j < all->size && compare_seats(&all->at[j], &some->at[i]) == 0)
            continue;
        if (missing++ < 3)
            printf("%s: train %s, seat %u, %s\n", what, some->at[i].train, some->at[i].number,
                   some->at[i].person);
    }
    return missing;
}

/* Places that two answers give to different persons; sorted. */
static size_t count_sold_twice(const struct seats *answers)
{
    size_t twice = 0;
    for (size_t i = 1; i < answers->size; i++)
        twice += compare_places(&answers->at[i - 1], &answers->at[i]) == 0;
    return twice;
}

/* Persons with two seats in a stored train. Sorts by person. */
static size_t count_persons_twice(struct seats *taken)
{
    size_t twice = 0;
    qsort(taken->at, taken->size, sizeof *taken->at, compare_persons);
    for (size_t i = 1; i < taken->size; i++)
        twice += compare_persons(&taken->at[i - 1], &taken->at[i]) == 0;
    return twice;
}

/* Read the options. Returns where STORE is in argv; 0: --help; -1: wrong. */
static int read_options(struct store_options *store, bool *ret_all, int argc, char **argv)
{
    static const struct option known[] = {
        {"all", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        STORE_OPTIONS_LONG,
        {NULL, 0, NULL, 0},
    };
    *store = (struct store_options){.kind = STORE_NONE};
    *ret_all = false;
    opterr = 0; /* what is wrong may be a part of a conninfo */
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        const char **name = store_options_name(store, option);
        if (name != NULL)
            *name = optarg;
        else if (option == 'a')
            *ret_all = true;
        else
            return option == 'h' ? 0 : -1;
    }
    bool known_store = argc >= optind + 2 && store_options_read(store, argv[optind]) == NULL &&
                       store_options_complete(store) == NULL;
    return known_store ? optind : -1;
}

int main(int argc, char **argv)
{
    struct store_options store;
    bool all;
    int first = read_options(&store, &all, argc, argv);
    if (first <= 0) {
        fputs(help, first == 0 ? stdout : stderr);
        return first == 0 ? 0 : 2;
    }
    const char *place = store.kind == STORE_SQLITE ? "file" : "table";
    struct seats answers = {NULL, 0, 0};
    struct seats taken = {NULL, 0, 0};
    for (int i = first + 1; i < argc; i++)
        read_answers(&answers, argv[i]);
    read_store(&taken, &store);
    seats_sort(&answers);
    seats_sort(&taken);
    size_t missing = count_missing(&answers, &taken, "answered 200, not stored");
    size_t untold = all ? count_missing(&taken, &answers, "stored, not answered") : 0;
    size_t twice = count_sold_twice(&answers);
    size_t persons = count_persons_twice(&taken);
    printf("%zu bookings answered 200: ", answers.size);
    if (missing == 0)
        printf("all in the %s", place);
    else
        printf("%zu MISSING in the %s", missing, place);
    printf("; %zu seats taken in the %s; seats sold twice: %zu\n", taken.size, place, twice);
    if (persons > 0)
        printf("persons with two seats in a train: %zu\n", persons);
    seats_free(&answers);
    seats_free(&taken);
    return missing + untold + twice + persons == 0 ? 0 : 1;
}
