/* target.c: see target.h. */
#include "http/target.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "booking/train.h"

/* A piece of the target. */
struct span {
    const char *at;
    size_t size;
};

static struct span span_until(const char **at, const char *stops)
{
    struct span span = {*at, strcspn(*at, stops)};
    *at += span.size;
    return span;
}

static bool span_is(struct span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.at, text, span.size) == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum decoded { DECODED, TOO_LONG, BROKEN, HAS_NUL };

/* Decode "%XX", and "+" as a blank if asked to. */
static enum decoded decode(char *ret_name, size_t name_max, size_t *ret_name_size, struct span from,
                           bool plus_is_blank)
{
    size_t size = 0;
    for (size_t i = 0; i < from.size; i++) {
        char c = from.at[i];
        if (c == '%') {
            int high = from.size - i > 2 ? hex_digit(from.at[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(from.at[i + 2]) : -1;
            if (low < 0)
                return BROKEN;
            c = (char)(high * 16 + low);
            i += 2;
            if (c == '\0')
                return HAS_NUL;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        } else if ((unsigned char)c <= ' ' || c == 0x7f) {
            return BROKEN; /* must have been escaped */
        }
        if (size == name_max)
            return TOO_LONG;
        ret_name[size++] = c;
    }
    *ret_name_size = size;
    return DECODED;
}

/* Bytes of the well-formed UTF-8 character at `at`, 0 if there is none (Unicode table 3-7). */
static size_t utf8_character_size(const unsigned char *at, size_t size)
{
    unsigned char first = at[0];
    size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || size <= more)
        return 0;
    for (size_t i = 1; i <= more; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    bool wrong = (first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
                 (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f);
    return wrong ? 0 : more + 1;
}

static bool is_utf8(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t character_size = utf8_character_size((const unsigned char *)text + i, size - i);
        if (character_size == 0)
            return false;
        i += character_size;
    }
    return true;
}

static const char *read_name(char *ret_name, size_t name_max, size_t *ret_name_size,
                             struct span from, bool plus_is_blank)
{
    switch (decode(ret_name, name_max, ret_name_size, from, plus_is_blank)) {
    case TOO_LONG:
        return "A name is too long: a train's may have 200 bytes, a person's 100.";
    case BROKEN:
        return "A name has a broken %XX, or a character that must be written as %XX.";
    case HAS_NUL:
        return "A name holds NUL (%00).";
    case DECODED:
        break;
    }
    return *ret_name_size == 0 ? "A name is empty." : NULL;
}

static const char *read_train_of_path(struct target *target, struct span from)
{
    return read_name(target->train, TARGET_TRAIN_MAX, &target->train_size, from, false);
}

static const char *read_train(struct target *target, struct span from)
{
    return read_name(target->train, TARGET_TRAIN_MAX, &target->train_size, from, true);
}

static const char *read_person(struct target *target, struct span from)
{
    const char *wrong =
        read_name(target->person, TARGET_PERSON_MAX, &target->person_size, from, true);
    if (wrong == NULL && !is_utf8(target->person, target->person_size))
        wrong = "The name of the person is not UTF-8.";
    return wrong;
}

static const char *read_seat(struct target *target, struct span from)
{
    uint32_t seat = 0;
    for (size_t i = 0; i < from.size; i++) {
        if (from.at[i] < '0' || from.at[i] > '9')
            return "The seat is not a number.";
        if (seat > TRAIN_SEATS_MAX)
            continue; /* no train has it; but are the rest digits? */
        seat = seat * 10 + (uint32_t)(from.at[i] - '0');
    }
    target->seat = seat;
    return from.size == 0 ? "The seat is empty." : NULL;
}

static const struct {
    const char *name;
    const char *(*read)(struct target *target, struct span from);
} book_parameters[] = {{"train", read_train}, {"person", read_person}, {"seat", read_seat}};
enum { BOOK_PARAMETERS = sizeof book_parameters / sizeof book_parameters[0] };

/* The parameters of /book, each exactly once; others are ignored. `at` is at the "?" or the end. */
static const char *read_book(struct target *target, const char *at)
{
    bool given[BOOK_PARAMETERS] = {false};
    while (*at != '\0') {
        at++; /* "?" or "&" */
        struct span name = span_until(&at, "=&");
        struct span value = {at, 0};
        if (*at == '=') {
            at++;
            value = span_until(&at, "&");
        }
        for (size_t i = 0; i < BOOK_PARAMETERS; i++) {
            if (!span_is(name, book_parameters[i].name))
                continue;
            if (given[i])
                return "A parameter is given twice.";
            given[i] = true;
            const char *wrong = book_parameters[i].read(target, value);
            if (wrong != NULL)
                return wrong;
        }
    }
    for (size_t i = 0; i < BOOK_PARAMETERS; i++) {
        if (!given[i])
            return "A parameter is missing: /book?train=T&person=P&seat=N books a seat.";
    }
    return NULL;
}

/* A target may also be in absolute form (RFC 9112, 3.2.2): "http://host/path". Its path. */
static const char *skip_authority(const char *uri)
{
    size_t scheme_size = strncasecmp(uri, "http://", 7) == 0    ? 7
                         : strncasecmp(uri, "https://", 8) == 0 ? 8
                                                                : 0;
    return scheme_size == 0 ? uri : uri + scheme_size + strcspn(uri + scheme_size, "/?");
}

void target_parse(struct target *target, const char *uri)
{
    static const char trains[] = "/trains/";
    target->kind = TARGET_UNKNOWN;
    target->wrong = NULL;
    target->seat = 0;
    target->train_size = 0;
    target->person_size = 0;
    if (uri == NULL)
        return;
    const char *at = skip_authority(uri);
    struct span path = span_until(&at, "?");
    if (span_is(path, "/book")) {
        target->kind = TARGET_BOOK;
        target->wrong = read_book(target, at);
    } else if (span_is(path, "/health")) {
        target->kind = TARGET_HEALTH;
    } else if (span_is(path, "/")) {
        target->kind = TARGET_PAGE;
    } else if (span_is(path, "/figures")) {
        target->kind = TARGET_FIGURES;
    } else if (span_is(path, "/metrics")) {
        target->kind = TARGET_METRICS;
    } else if (path.size >= strlen(trains) && memcmp(path.at, trains, strlen(trains)) == 0) {
        struct span name = {path.at + strlen(trains), path.size - strlen(trains)};
        target->kind = TARGET_TRAIN;
        target->wrong = read_train_of_path(target, name);
    }
    if (target->wrong != NULL)
        target->kind = TARGET_INVALID;
}

bool target_train_is_text(const struct target *target)
{
    return is_utf8(target->train, target->train_size);
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

size_t target_escape(char *ret_text, const char *name, size_t name_size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 0;
    for (size_t i = 0; i < name_size; i++) {
        if (is_plain(name[i])) {
            ret_text[size++] = name[i];
        } else {
            ret_text[size++] = '%';
            ret_text[size++] = digits[(unsigned char)name[i] >> 4];
            ret_text[size++] = digits[(unsigned char)name[i] & 15];
        }
    }
    return size;
}
