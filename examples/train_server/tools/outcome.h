/* outcome.h: what a client knows of a booking that it has sent, as train-load records it. */
#ifndef OUTCOME_H
#define OUTCOME_H

enum outcome {
    OUTCOME_OK,      /* 200: it is stored */
    OUTCOME_REFUSED, /* 4xx: it is not, the seat is another person's */
    OUTCOME_FAILED,  /* 500 or 503: it is not, the service has failed */
    OUTCOME_UNKNOWN, /* any other status, in particular 502 and 504 */
    OUTCOME_LOST,    /* no response: the connection was lost, or the client timed out */
    OUTCOMES
};

/* "ok", "refused", ... */
extern const char *const outcome_names[OUTCOMES];

/* The outcome of that name; OUTCOMES if there is none. */
enum outcome outcome_named(const char *name);

#endif
