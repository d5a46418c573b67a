/* fuzz_codecs.c: bytes of a store read back, and what is written so that it can be: trains as JSON,
 * the values of PostgreSQL (postgres.c), keys in messages. The first byte chooses.
 */
#include "fuzz_codecs.h"

#include "booking/train_codec.h"
#include "runtime/call.h"
#include "runtime/result.h"

enum { SUBJECTS = 10 };

static uint64_t subjects[SUBJECTS];
static uint64_t trains_read, trains_refused;

/* ---- Trains --------------------------------------------------------------------------------- */

static void expect_same_train(const struct train *train, const struct train *again)
{
    fuzz_expect(again->seats_size == train->seats_size);
    for (uint32_t i = 0; i < train->seats_size; i++) {
        const struct train_seat *seat = &train->seats[i];
        fuzz_expect(again->seats[i].person_size == seat->person_size);
        fuzz_expect((again->seats[i].person == NULL) == (seat->person == NULL));
        if (seat->person != NULL)
            fuzz_expect(memcmp(again->seats[i].person, seat->person, seat->person_size) == 0);
    }
}

static void expect_round_trip(struct train *train)
{
    size_t size;
    char *json = train_encode(train, &size);
    fuzz_expect(json != NULL);
    struct train again;
    fuzz_expect(train_decode(&again, json, size, 1) == NULL);
    expect_same_train(train, &again);
    size_t size_again;
    char *json_again = train_encode(&again, &size_again);
    fuzz_expect(json_again != NULL);
    fuzz_expect(size_again == size && memcmp(json_again, json, size) == 0);
    free(json);
    free(json_again);
    train_release(&again);
}

/* Anything may be in a row. */
void try_stored_train(struct fuzz_bytes *bytes)
{
    size_t size;
    char *json = fuzz_take(bytes, bytes->left, false, &size);
    struct train train;
    const char *wrong = train_decode(&train, json, size, 1);
    free(json);
    if (wrong != NULL) {
        trains_refused++;
        fuzz_expect(train.seats == NULL && train.seats_size == 0 && train.json == NULL);
        return;
    }
    trains_read++;
    fuzz_expect(train.seats_size <= TRAIN_SEATS_MAX);
    expect_round_trip(&train);
    train_release(&train);
}

void try_train(struct fuzz_bytes *bytes)
{
    struct train train;
    uint32_t seats_size = fuzz_byte(bytes);
    seats_size = seats_size == 255 ? TRAIN_SEATS_MAX : seats_size % 32;
    fuzz_expect(train_init(&train, seats_size));
    while (bytes->left > 0) {
        size_t size;
        uint32_t seat = fuzz_byte(bytes);
        char *person = fuzz_take(bytes, fuzz_byte(bytes) % 101u, false, &size);
        if (size > 0 && fuzz_is_utf8(person, size)) {
            enum train_result result = train_book(&train, seat, person, size);
            fuzz_expect((result == TRAIN_NO_SEAT) == (seat >= seats_size));
            fuzz_expect(result != TRAIN_BOOKED ||
                        train_book(&train, seat, person, size) == TRAIN_YOURS);
        }
        free(person);
    }
    expect_round_trip(&train);
    train_release(&train);
}

/* ---- Keys in messages ----------------------------------------------------------------------- */

/* Write the key as a message should have it, all of it. Returns the bytes. */
static size_t show(char *ret_text, const char *key, size_t key_size)
{
    char *at = ret_text;
    for (size_t i = 0; i < key_size && i < 48; i++) {
        unsigned char c = (unsigned char)key[i];
        bool is_plain = c >= 0x20 && c < 0x7f && strchr("\\'", c) == NULL;
        at += is_plain ? sprintf(at, "%c", c) : sprintf(at, "\\x%02x", c);
    }
    at += sprintf(at, "%s'", key_size > 48 ? "..." : "");
    return (size_t)(at - ret_text);
}

void try_key_in_message(struct fuzz_bytes *bytes)
{
    batch_call call;
    batch_result result;
    size_t why_size;
    memset(&call, 0, sizeof call);
    memset(&result, 0xDD, sizeof result);
    call.batch.status = (int8_t) - (fuzz_byte(bytes) % BATCH_STATUS_COUNT);
    bool has_why = fuzz_byte(bytes) % 2 == 1;
    call.error_text = has_why ? fuzz_take(bytes, fuzz_byte(bytes), true, &why_size) : NULL;
    size_t key_size;
    char *key = fuzz_take(bytes, bytes->left, false, &key_size);
    call.batch.key = key;
    call.batch.key_size = (uint32_t)key_size;
    batch__result_of_call(&result, &call);
    fuzz_expect(result.status == call.batch.status);
    fuzz_expect(result.message[0] != '\0');
    fuzz_expect(memchr(result.message, '\0', sizeof result.message) != NULL);
    if (result.status != BATCH_OK) {
        char shown[48 * 4 + 8];
        show(shown, key, key_size);
        const char *at = strstr(result.message, " key '");
        fuzz_expect(at != NULL);
        at += strlen(" key '");
        fuzz_expect(strncmp(at, shown, strlen(shown)) == 0 ||
                    strlen(result.message) == sizeof result.message - 1);
        fuzz_expect(strncmp(at, shown, strlen(at)) == 0 || strncmp(at, shown, strlen(shown)) == 0);
    }
    free(key);
    free(call.error_text);
}

/* ---- All ------------------------------------------------------------------------------------ */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_size)
{
    static void (*const tries[SUBJECTS])(struct fuzz_bytes * bytes) = {
        try_stored_train, try_train,    try_key_in_message, try_array,    try_array_written,
        try_text,         try_versions, try_sqlstate,       try_conninfo, try_refused_conninfo};
    struct fuzz_bytes left = {bytes, bytes_size};
    unsigned subject = fuzz_byte(&left) % SUBJECTS;
    subjects[subject]++;
    tries[subject](&left);
    return 0;
}

bool fuzz_is_complete(void)
{
    bool is_complete =
        trains_read > 0 && trains_refused > 0 && conninfos_refused > 0 && conninfos_hidden > 0;
    for (size_t i = 0; i < SUBJECTS; i++)
        is_complete &= subjects[i] > 0;
    printf("%s\n", is_complete ? "all was tried" : "something was never tried");
    return is_complete;
}
