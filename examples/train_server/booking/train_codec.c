/* train_codec.c: see train_codec.h. */
#include "booking/train_codec.h"

#include <jansson.h>
#include <string.h>

static const char no_memory[] = "out of memory";

/* Fill the seats from the array. */
static const char *read_seats(struct train *train, const json_t *seats)
{
    size_t i;
    json_t *person;
    json_array_foreach(seats, i, person)
    {
        if (!json_is_string(person))
            return "the stored train is damaged: a seat is not a string";
        size_t size = json_string_length(person);
        if (size > 0 && !train_set(train, (uint32_t)i, json_string_value(person), size))
            return no_memory;
    }
    return NULL;
}

static const char *read_train(struct train *train, const json_t *root)
{
    const json_t *seats = json_object_get(root, "Seats");
    if (!json_is_array(seats))
        return "the stored train is damaged: it has no array \"Seats\"";
    if (json_array_size(seats) > TRAIN_SEATS_MAX)
        return "the stored train is damaged: it has too many seats";
    if (!train_init(train, (uint32_t)json_array_size(seats)))
        return no_memory;
    const char *wrong = read_seats(train, seats);
    if (wrong != NULL)
        train_release(train);
    return wrong;
}

const char *train_decode(struct train *train, const void *json, size_t json_size,
                         uint32_t seats_new)
{
    *train = (struct train){NULL, 0, NULL};
    if (json == NULL)
        return train_init(train, seats_new) ? NULL : no_memory;
    json_t *root = json_loadb(json, json_size, JSON_ALLOW_NUL, NULL);
    if (root == NULL)
        return "the stored train is damaged: it is not JSON";
    const char *wrong = read_train(train, root);
    json_decref(root);
    return wrong;
}

/* The array of persons. Free seats share one empty string. */
static json_t *make_seats(const struct train *train)
{
    json_t *seats = json_array();
    json_t *nobody = json_string("");
    for (uint32_t i = 0; i < train->seats_size; i++) {
        const struct train_seat *seat = &train->seats[i];
        json_t *person = seat->person == NULL ? json_incref(nobody)
                                              : json_stringn(seat->person, seat->person_size);
        if (json_array_append_new(seats, person) != 0) { /* also if one of them is NULL */
            json_decref(seats);
            seats = NULL;
            break;
        }
    }
    json_decref(nobody);
    return seats;
}

char *train_encode(const struct train *train, size_t *ret_json_size)
{
    char *json = NULL;
    json_t *root = json_object();
    if (json_object_set_new(root, "Seats", make_seats(train)) == 0)
        json = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (json != NULL)
        *ret_json_size = strlen(json);
    return json;
}
