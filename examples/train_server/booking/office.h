/* office.h: a ticket office: it books seats of trains, and stores what is booked.
 *
 * office.c does that with libbatch: this is what the example is about. bench/direct_server has
 * another one, with a transaction for each booking, to compare. */
#ifndef OFFICE_H
#define OFFICE_H

#include <batch/completions.h>

#include "table/store_options.h"
#include "booking/train.h"

/* A booking of a seat, or a view of a train. It contains the operation that libbatch runs, so that
 * booking allocates nothing more. It belongs to the office from office_book or office_view until
 * `done` is called. */
struct booking {
    batch_op op; /* first, so that an operation is a booking; the office's */
    const char *train;
    size_t train_size;
    const char *person; /* this one and `seat`: for office_book */
    size_t person_size;
    uint32_t seat;
    void (*done)(struct booking *booking);
    batch_completions *completions; /* where `done` is called */

    /* The outcome. */
    int status;                       /* enum batch_status */
    char message[BATCH_MESSAGE_SIZE]; /* why, if it is not BATCH_OK */
    enum train_result result;         /* of office_book, if it is */
    char *json;                       /* of office_view: the train, of malloc; NULL: no memory. */
    size_t json_size;                 /* The caller sets it to NULL before and frees it after */
};

/* All but the first three: for libbatch. The strings must live as long as the office. */
struct office_options {
    struct store_options store;
    uint32_t seats;     /* of a train that was never stored */
    uint32_t sessions;  /* connections to the store */
    uint32_t window_ms; /* 0: none */
    uint32_t replays;   /* of a batch, after conflicts */
    uint32_t cache;     /* trains cached between batches */
};

/* What an office has done since it was opened. */
struct office_totals {
    uint64_t batches;    /* that have ended; of an office without libbatch, transactions */
    uint64_t operations; /* in these */
    uint64_t commits;    /* write transactions */
    uint64_t saves;      /* trains saved */
    uint64_t save_ns;    /* time that the saves took, in sum */
};

struct office;

/* Blocks on the disk or the network. BATCH_OK and *ret_office, or a status and *reterr. */
int office_open(struct office **ret_office, const struct office_options *options,
                batch_result *reterr);

/* Book a seat, or view a train. Return at once; booking->done is called when the outcome is there
 * and stored: when booking->completions is dispatched; or before they return, if it is refused. */
void office_book(struct office *office, struct booking *booking);
void office_view(struct office *office, struct booking *booking);

/* Read from the store, as office_view would. False: that failed, or the office has stopped. Blocks;
 * one thread at a time, and none that serves requests. */
bool office_probe(struct office *office);

struct office_totals office_totals(struct office *office);

/* The metrics of libbatch (docs/metrics.md), at most `size` bytes of them, as batch_metrics_text
 * writes them. The length of all; 0 without libbatch. */
size_t office_metrics(struct office *office, bool is_open, char *text, size_t size);

/* Accept no more (BATCH_STOPPED) and complete what was accepted. False: some of it is not complete
 * after `timeout_ns`; call again. */
bool office_stop(struct office *office, uint64_t timeout_ns);

/* Free an office that has stopped. */
void office_close(struct office *office);

#endif
