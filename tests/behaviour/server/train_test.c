/* The booking rule and the JSON of a train. */

#include "booking/train_codec.h"
#include "test.h"

static enum train_result book(struct train *train, uint32_t seat, const char *person)
{
    return train_book(train, seat, person, strlen(person));
}

static void assert_json(struct train *train, const char *expected)
{
    size_t size = 0;
    char *json = train_encode(train, &size);
    assert_non_null(json);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(json, expected);
    free(json);
}

#define TRAIN_TEST(name, seats)                                                                    \
    static void name##_of(struct train *train);                                                    \
    TEST(name)                                                                                     \
    {                                                                                              \
        struct train train;                                                                        \
        assert_true(train_init(&train, seats));                                                    \
        name##_of(&train);                                                                         \
        train_release(&train);                                                                     \
    }                                                                                              \
    static void name##_of(struct train *train)

TRAIN_TEST(a_free_seat_is_booked, 3)
{
    assert_int_equal(book(train, 0, "ann"), TRAIN_BOOKED);
    assert_int_equal(book(train, 2, "bob"), TRAIN_BOOKED);
    assert_json(train, "{\"Seats\":[\"ann\",\"\",\"bob\"]}");
}

TRAIN_TEST(seats_are_numbered_from_0_to_the_last, 2)
{
    assert_int_equal(book(train, 0, "bob"), TRAIN_BOOKED);
    assert_int_equal(book(train, 2, "ann"), TRAIN_NO_SEAT);
    assert_int_equal(book(train, UINT32_MAX, "ann"), TRAIN_NO_SEAT);
    assert_int_equal(book(train, 1, "ann"), TRAIN_BOOKED);
}

TRAIN_TEST(a_seat_is_sold_once, 2)
{
    assert_int_equal(book(train, 0, "ann"), TRAIN_BOOKED);
    assert_int_equal(book(train, 0, "bob"), TRAIN_TAKEN);
    assert_int_equal(book(train, 0, "an"), TRAIN_TAKEN);
    assert_int_equal(book(train, 0, "anna"), TRAIN_TAKEN);
    assert_json(train, "{\"Seats\":[\"ann\",\"\"]}");
}

TRAIN_TEST(booking_ones_own_seat_again_changes_nothing, 1)
{
    assert_int_equal(book(train, 0, "ann"), TRAIN_BOOKED);
    assert_int_equal(book(train, 0, "ann"), TRAIN_YOURS);
    assert_json(train, "{\"Seats\":[\"ann\"]}");
}

TRAIN_TEST(a_person_has_one_seat_in_a_train, 3)
{
    assert_int_equal(book(train, 1, "ann"), TRAIN_BOOKED);
    assert_int_equal(book(train, 0, "ann"), TRAIN_HAS_ANOTHER);
    assert_int_equal(book(train, 2, "ann"), TRAIN_HAS_ANOTHER);
    assert_json(train, "{\"Seats\":[\"\",\"ann\",\"\"]}");
}

TRAIN_TEST(a_taken_seat_is_reported_before_another_of_ones_own, 2)
{
    assert_int_equal(book(train, 0, "ann"), TRAIN_BOOKED);
    assert_int_equal(book(train, 1, "bob"), TRAIN_BOOKED);
    assert_int_equal(book(train, 0, "bob"), TRAIN_TAKEN);
}

TEST(a_train_that_is_not_stored_has_free_seats)
{
    struct train train;
    assert_null(train_decode(&train, NULL, 0, 4));
    assert_json(&train, "{\"Seats\":[\"\",\"\",\"\",\"\"]}");
    train_release(&train);
}

TEST(a_stored_train_is_read_back)
{
    static const char json[] = "{\"Seats\":[\"\",\"a\\\"b\\\\\\u0001\",\"\xc3\xbc\"]}";
    struct train train;
    assert_null(train_decode(&train, json, strlen(json), 30));
    assert_int_equal(train.seats_size, 3); /* as stored, not as the server would make it */
    assert_int_equal(book(&train, 1, "a\"b\\\001"), TRAIN_YOURS);
    assert_json(&train, json);
    train_release(&train);
}

TEST(a_name_with_nul_is_preserved)
{
    static const char json[] = "{\"Seats\":[\"a\\u0000b\"]}";
    struct train train;
    assert_null(train_decode(&train, json, strlen(json), 30));
    assert_int_equal(train_book(&train, 0, "a\0b", 3), TRAIN_YOURS);
    assert_int_equal(train_book(&train, 0, "a", 1), TRAIN_TAKEN);
    assert_json(&train, json);
    train_release(&train);
}

TEST(unknown_members_are_ignored)
{
    static const char json[] = "{\"Name\":\"ICE 1\",\"Seats\":[\"ann\",\"\"],\"Cars\":[1,{}]}";
    struct train train;
    assert_null(train_decode(&train, json, strlen(json), 30));
    assert_json(&train, "{\"Seats\":[\"ann\",\"\"]}");
    train_release(&train);
}

TEST(damaged_trains_are_refused)
{
    static const char *const damaged[] = {"",
                                          "x",
                                          "[]",
                                          "null",
                                          "{}",
                                          "{\"Seats\":3}",
                                          "{\"Seats\":[1]}",
                                          "{\"Seats\":[\"a\",null]}",
                                          "{\"Seats\":[\"a\"",
                                          "{\"Seats\":[\"\xff\"]}",
                                          "{\"Seats\":[\"a\"]}{}",
                                          "{\"seats\":[]}"};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct train train;
        assert_non_null(train_decode(&train, damaged[i], strlen(damaged[i]), 30));
        assert_null(train.seats);
        train_release(&train);
    }
}

TEST(a_train_has_at_most_seats_max_seats)
{
    char json[3 * (TRAIN_SEATS_MAX + 1) + 16] = "{\"Seats\":[";
    for (int i = 0; i < TRAIN_SEATS_MAX; i++)
        strcat(json, i > 0 ? ",\"\"" : "\"\"");
    size_t size = strlen(json);
    struct train train;
    strcpy(json + size, "]}");
    assert_null(train_decode(&train, json, strlen(json), 30));
    assert_int_equal(train.seats_size, TRAIN_SEATS_MAX);
    train_release(&train);
    strcpy(json + size, ",\"\"]}");
    assert_non_null(train_decode(&train, json, strlen(json), 30));
}
