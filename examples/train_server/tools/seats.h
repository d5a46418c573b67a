/* seats.h: a set of seats of trains, each with a person who has it or who asked for it.
 *
 * Names are strings, escaped as in the server's responses. One seat may be in a set several times,
 * for different persons. Out of memory ends the program with exit code 2. */
#ifndef SEATS_H
#define SEATS_H

#include <stdbool.h>
#include <stddef.h>

struct seat {
    char *train; /* an allocation that holds `person` too */
    const char *person;
    unsigned number;
};

/* All zero is an empty set. */
struct seats {
    struct seat *at;
    size_t size;
    size_t room;
};

/* What malloc gave, if it is not NULL. */
void *seats_memory(void *memory);

/* Copies the names. */
void seats_add(struct seats *seats, const char *train, unsigned number, const char *person);

/* Sort by train, number and person, and drop duplicates. The next two need it. */
void seats_sort(struct seats *seats);

/* Is this seat in the set, for this person? */
bool seats_have(const struct seats *seats, const struct seat *seat);

/* Is any seat of its train in the set? */
bool seats_have_train_of(const struct seats *seats, const struct seat *seat);

/* Sort by train and person instead. */
void seats_sort_by_person(struct seats *seats);

/* Do two that follow each other have the same place, or the same person in the same train? */
bool seats_same_place(const struct seat *a, const struct seat *b);
bool seats_same_person(const struct seat *a, const struct seat *b);

void seats_free(struct seats *seats);

#endif
