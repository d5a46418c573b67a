/* target.h: what a request asks for, parsed from its target (the path and parameters of the URI).
 *
 * Pure. Works on the raw target, before any decoding, so that a name may hold any byte ("%2F",
 * "%FF") and a broken escape is refused instead of guessed at. The one byte that no name may hold
 * is NUL: columns of text and of JSON cannot, and what ends at it would be another name. */
#ifndef TARGET_H
#define TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARGET_TRAIN_MAX  200 /* bytes of a train's name, decoded */
#define TARGET_PERSON_MAX 100 /* bytes of a person's name, decoded */

enum target_kind {
    TARGET_BOOK,    /* /book?train=T&person=P&seat=N */
    TARGET_TRAIN,   /* /trains/T */
    TARGET_HEALTH,  /* /health */
    TARGET_PAGE,    /* / */
    TARGET_FIGURES, /* /figures */
    TARGET_METRICS, /* /metrics */
    TARGET_INVALID, /* one of these, but malformed: see `wrong` */
    TARGET_UNKNOWN  /* no such path */
};

struct target {
    enum target_kind kind;
    const char *wrong; /* for TARGET_INVALID: a sentence saying why; static */
    uint32_t seat;
    size_t train_size;
    size_t person_size;
    char train[TARGET_TRAIN_MAX];
    char person[TARGET_PERSON_MAX];
};

/* Read a raw target. `uri` may be NULL. Fills everything but the unused bytes of the names. */
void target_parse(struct target *target, const char *uri);

/* Is the train's name UTF-8, so that a column of text can hold it? */
bool target_train_is_text(const struct target *target);

/* Write `name` with all but letters, digits and "-._~" as "%XX", no NUL behind. `ret_text` has room
 * for 3 * name_size bytes. Returns the bytes written. */
size_t target_escape(char *ret_text, const char *name, size_t name_size);

#endif
