/* train.c: see train.h. */
#include "booking/train.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool train_init(struct train *train, uint32_t seats_size)
{
    assert(seats_size <= TRAIN_SEATS_MAX);
    *train = (struct train){NULL, 0, NULL};
    train->seats = calloc(seats_size > 0 ? seats_size : 1, sizeof *train->seats);
    if (train->seats == NULL)
        return false;
    train->seats_size = seats_size;
    return true;
}

void train_release(struct train *train)
{
    for (uint32_t i = 0; i < train->seats_size; i++)
        free(train->seats[i].person);
    free(train->seats);
    free(train->json);
    *train = (struct train){NULL, 0, NULL};
}

bool train_set(struct train *train, uint32_t seat, const char *person, size_t person_size)
{
    if (seat >= train->seats_size)
        return false;
    assert(person_size > 0);
    char *copy = malloc(person_size);
    if (copy == NULL)
        return false;
    memcpy(copy, person, person_size);
    free(train->seats[seat].person);
    train->seats[seat] = (struct train_seat){copy, person_size};
    return true;
}

static bool seat_is_of(const struct train_seat *seat, const char *person, size_t person_size)
{
    return seat->person != NULL && seat->person_size == person_size &&
           memcmp(seat->person, person, person_size) == 0;
}

enum train_result train_book(struct train *train, uint32_t seat, const char *person,
                             size_t person_size)
{
    assert(person_size > 0);
    if (seat >= train->seats_size)
        return TRAIN_NO_SEAT;
    const struct train_seat *wanted = &train->seats[seat];
    if (wanted->person != NULL)
        return seat_is_of(wanted, person, person_size) ? TRAIN_YOURS : TRAIN_TAKEN;
    for (uint32_t i = 0; i < train->seats_size; i++)
        if (seat_is_of(&train->seats[i], person, person_size))
            return TRAIN_HAS_ANOTHER;
    return train_set(train, seat, person, person_size) ? TRAIN_BOOKED : TRAIN_NO_MEMORY;
}
