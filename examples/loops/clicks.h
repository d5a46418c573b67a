/* clicks.h: a server that counts clicks, but for its loop: each example here is this server in
 * another event loop.
 *
 * A client sends a line, the name of a counter; the response is the name and the number of clicks
 * so far, once that is stored. All of it runs on the thread of the loop, with one exception:
 * click(), which libbatch runs on its own thread, alone on the counter; in driven.c on that of the
 * loop too. There is no lock. */
#ifndef CLICKS_H
#define CLICKS_H

#include <batch/completions.h>

#include <pthread.h>
#include <signal.h>

struct clicks {
    batch_store *store;
    batch_processor *processor;
    batch_completions *completions; /* set by the loop, before a client comes; not in driven.c */
    pthread_t thread;               /* the loop's: only to check that no other comes by */
    bool is_driven;
};

enum { CLICKS_LINE_MAX = 128 };

/* What a loop knows of a client stands around this. */
struct client {
    batch_op op; /* first */
    struct clicks *clicks;
    void (*send)(struct client *client, const char *text, size_t size);
    void (*free)(struct client *client);
    char line[CLICKS_LINE_MAX]; /* received; the first line is the key of `op` while it is busy */
    size_t line_size;
    long long count; /* after the click */
    bool is_busy;    /* `op` is submitted */
    bool is_gone;    /* free it when it no longer is */
};

/* Open the database and start libbatch, or end the program. SIGTERM, in *ret_signal, is blocked. */
void clicks_open(struct clicks *clicks, const char *database, sigset_t *ret_signal);
/* The same, with a processor that the loop drives. */
void clicks_open_driven(struct clicks *clicks, const char *database, sigset_t *ret_signal);
/* After libbatch has stopped: free everything. The status of the program. */
int clicks_close(struct clicks *clicks);

/* A socket that listens at a path, and does not block. Ends the program if it cannot. */
int clicks_listen(const char *path);

/* Bytes have come: one click for each line, one at a time. False: what it sends is no line. */
bool client_received(struct client *client, const char *bytes, size_t size);
/* The connection is over: free it, now or when its click is complete. */
void client_gone(struct client *client);

#endif
