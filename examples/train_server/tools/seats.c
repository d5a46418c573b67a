/* seats.c: see seats.h. */
#include "tools/seats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *seats_memory(void *memory)
{
    if (memory == NULL) {
        fputs("train-audit: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

void seats_add(struct seats *seats, const char *train, unsigned number, const char *person)
{
    if (seats->size == seats->room) {
        seats->room = seats->room > 0 ? 2 * seats->room : 1024;
        seats->at = seats_memory(realloc(seats->at, seats->room * sizeof *seats->at));
    }
    size_t train_size = strlen(train) + 1;
    char *names = seats_memory(malloc(train_size + strlen(person) + 1));
    memcpy(names, train, train_size);
    strcpy(names + train_size, person);
    seats->at[seats->size++] = (struct seat){names, names + train_size, number};
}

static int compare_places(const struct seat *a, const struct seat *b)
{
    int trains = strcmp(a->train, b->train);
    return trains != 0 ? trains : (a->number > b->number) - (a->number < b->number);
}

static int compare(const void *a, const void *b)
{
    int places = compare_places(a, b);
    return places != 0 ? places
                       : strcmp(((const struct seat *)a)->person, ((const struct seat *)b)->person);
}

static int compare_trains(const void *a, const void *b)
{
    return strcmp(((const struct seat *)a)->train, ((const struct seat *)b)->train);
}

static int compare_persons(const void *a, const void *b)
{
    int trains = compare_trains(a, b);
    return trains != 0 ? trains
                       : strcmp(((const struct seat *)a)->person, ((const struct seat *)b)->person);
}

static void sort(struct seats *seats, int (*by)(const void *a, const void *b))
{
    if (seats->size > 0)
        qsort(seats->at, seats->size, sizeof *seats->at, by);
}

void seats_sort(struct seats *seats)
{
    size_t size = 0;
    sort(seats, compare);
    for (size_t i = 0; i < seats->size; i++) {
        if (size == 0 || compare(&seats->at[size - 1], &seats->at[i]) != 0)
            seats->at[size++] = seats->at[i];
        else
            free(seats->at[i].train);
    }
    seats->size = size;
}

void seats_sort_by_person(struct seats *seats)
{
    sort(seats, compare_persons);
}

static bool find(const struct seats *seats, const struct seat *seat,
                 int (*by)(const void *a, const void *b))
{
    return seats->size > 0 && bsearch(seat, seats->at, seats->size, sizeof *seat, by) != NULL;
}

bool seats_have(const struct seats *seats, const struct seat *seat)
{
    return find(seats, seat, compare);
}

bool seats_have_train_of(const struct seats *seats, const struct seat *seat)
{
    return find(seats, seat, compare_trains);
}

bool seats_same_place(const struct seat *a, const struct seat *b)
{
    return compare_places(a, b) == 0;
}

bool seats_same_person(const struct seat *a, const struct seat *b)
{
    return compare_persons(a, b) == 0;
}

void seats_free(struct seats *seats)
{
    for (size_t i = 0; i < seats->size; i++)
        free(seats->at[i].train);
    free(seats->at);
}
