/* train.h: a train and the rule by which its seats are booked.
 *
 * Pure: no I/O, no clock, no JSON, no libbatch. A train belongs to one thread at a time. Seats are
 * numbered from 0; a person is any bytes but none, and has at most one seat in a train. */
#ifndef TRAIN_H
#define TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAIN_SEATS_MAX 1000

/* Who has a seat. The bytes belong to the train. */
struct train_seat {
    char *person; /* NULL: the seat is free */
    size_t person_size;
};

/* All zero is a train without seats, which train_release may be given. */
struct train {
    struct train_seat *seats;
    uint32_t seats_size; /* 0 to TRAIN_SEATS_MAX */
    char *json;          /* of malloc, or NULL: what libbatch is saving, see office.c */
};

enum train_result {
    TRAIN_BOOKED,      /* the seat was free and is now this person's */
    TRAIN_YOURS,       /* it was this person's before; nothing changed */
    TRAIN_NO_SEAT,     /* refused: the train has no such seat */
    TRAIN_TAKEN,       /* refused: the seat is another person's */
    TRAIN_HAS_ANOTHER, /* refused: this person has another seat in the train */
    TRAIN_NO_MEMORY    /* not booked */
};

/* Make a train of free seats. False: no memory; the train is all zero. */
bool train_init(struct train *train, uint32_t seats_size);

/* Free what the train holds; it is all zero then. */
void train_release(struct train *train);

/* Give a seat to a person, whoever has it. Copies the bytes. False: no memory, or no such seat;
 * nothing changed. */
bool train_set(struct train *train, uint32_t seat, const char *person, size_t person_size);

/* Book a seat for a person. Unless the result is TRAIN_BOOKED, nothing changed. */
enum train_result train_book(struct train *train, uint32_t seat, const char *person,
                             size_t person_size);

#endif
