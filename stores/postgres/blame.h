/* blame.h: whom an error belongs to: a row, or all of them. Found out by sending less.
 *
 * A pure state machine, told how each statement ended and asked what to send next. Its answer never
 * rests on a SQLSTATE alone (error.h), but on what was tried:
 *
 *   - Does it help to send it again? A class that may pass is sent again, RETURNS_MAX times, on a
 *     new connection if it is STALE. What returns is found like any other.
 *   - Does a single row meet it too? A part that fails is halved; what is left of it after a half
 *     has succeeded is known to fail, and halved without being sent. So one bad row of n costs the
 *     others no more than one statement per halving; after it, parts grow again by four.
 *   - Do all meet it? What does not look like a row's error is first tried with single rows, spread
 *     over the group: if one of them succeeds it is not of all. If SINGLES_PLAIN fail (or
 *     SINGLES_IN_CONTEXT, where the error says that a row has set it off), and nothing has
 *     succeeded, it is. What looks like a row's is bisected first; when SINGLES_ROW_BEFORE rows in
 *     a row have failed by themselves, single rows all over the group are tried, and it takes
 *     SINGLES_ROW of them, all rejected at the same place (error.h), to fail the others untried.
 *   - Does a statement without rows meet it? Then it is of all, for certain. Such a probe is sent
 *     for what does not look like a row's error, and when two parts in a row have failed for what
 *     a trigger or a function has raised.
 *
 * So what all rows meet costs a constant number of statements. A group of up to SINGLES_ROW rows is
 * always asked about each row for what is in it; of a larger one in which nearly all rows are
 * rejected, a good one may be missed: it fails, certainly not stored, and is told so.
 *
 * Threads: any; nothing is shared.
 */
#ifndef BATCH_POSTGRES_BLAME_H
#define BATCH_POSTGRES_BLAME_H

#include "error.h"

enum {
    BATCH__POSTGRES_RETURNS_MAX = 2, /* how often a transient error is sent again; 1 if STALE */
    BATCH__POSTGRES_SINGLES_PLAIN = 16,
    BATCH__POSTGRES_SINGLES_IN_CONTEXT = 64,
    BATCH__POSTGRES_SINGLES_ROW = 256,
    BATCH__POSTGRES_SINGLES_ROW_BEFORE = 8
};

struct batch__postgres_blame {
    size_t items_size;  /* of the group, at least 1 */
    size_t part_max;    /* the next part, if nobody is suspected; 1 to items_size */
    size_t suspects;    /* so many of the first ones fail together; 0: not known of any */
    size_t run;         /* succeeded since the last one to blame */
    size_t singles;     /* that failed one after the other, with this error: */
    int code;           /* 0: none yet */
    uint32_t origin;    /* of the error */
    size_t samples;     /* where the next single one is */
    unsigned returns;   /* how often something was sent again in vain */
    unsigned failures;  /* parts that failed one after the other */
    bool is_sampling;   /* single ones, spread over all */
    bool wants_probe;   /* next */
    bool is_probed;     /* the probe has succeeded, with this error */
    bool has_succeeded; /* anything of the group */
};

/* What to send next: `size` of those pending, from the `first` of them on, or a probe, of none. */
struct batch__postgres_part {
    size_t first;
    size_t size;
    bool is_probe;
};

enum batch__postgres_blamed {
    BATCH__POSTGRES_BLAME_LATER,    /* nobody yet: pause, and send again */
    BATCH__POSTGRES_BLAME_STALE,    /* likewise, on a new connection */
    BATCH__POSTGRES_BLAME_PART,     /* somebody of this part: ask for the next one */
    BATCH__POSTGRES_BLAME_ONE,      /* the one that it was sent for, and it fails */
    BATCH__POSTGRES_BLAME_ASIDE,    /* likewise, but it may succeed later, alone */
    BATCH__POSTGRES_BLAME_ALL,      /* everybody who is pending */
    BATCH__POSTGRES_BLAME_ALL_LATER /* likewise, but it may pass: pause, and send all again */
};

void batch__postgres_blame_init(struct batch__postgres_blame *blame, size_t items_size);

struct batch__postgres_part batch__postgres_blame_next(struct batch__postgres_blame *blame,
                                                       size_t pending);

/* A part of this size has succeeded; 0: the probe. */
void batch__postgres_blame_succeeded(struct batch__postgres_blame *blame, size_t size);

/* It has failed, for `left` of those that it was sent for: loads hand over rows before they fail.
 * `error` NULL: the connection was lost, and nothing is stored. */
enum batch__postgres_blamed batch__postgres_blame_failed(struct batch__postgres_blame *blame,
                                                         size_t size, size_t left,
                                                         const struct batch__postgres_error *error);

#endif
