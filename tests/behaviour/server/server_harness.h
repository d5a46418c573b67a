/* server_harness.h: start train-server on a file of one's own, ask it things, and end it.
 *
 * Servers listen on a free port of 127.0.0.1 and die with the test program, whatever becomes of it.
 * What cannot go on (no folder, no process, no answer) ends the program with a message. */
#ifndef SERVER_HARNESS_H
#define SERVER_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Say what cannot go on, and exit 1. */
_Noreturn void harness_fail(const char *what);

/* A temporary folder of its own; and remove it with all that is in it. */
struct folder {
    char path[64];    /* in TMPDIR, or /tmp */
    char store[320];  /* "sqlite:" and a file in it; tests may put another store here */
    char answers[96]; /* another file in it */
};
void folder_make(struct folder *folder);
void folder_remove(const struct folder *folder);

struct server {
    pid_t pid;
    unsigned port;
    int output; /* its standard output */
};

/* Start `program` on folder->store with more options, ended by NULL; return once it listens. In
 * place of TRAIN_SERVER, the program that TRAIN_SERVER_MUTANT in the environment names, if any. */
void server_start(struct server *server, const char *program, const struct folder *folder,
                  const char *const *options);

/* How long to wait for what is due at once: as long as no machine needs, or PATIENCE_S of the
 * environment, where it is known not to come. */
unsigned patience_s(unsigned longest_s);

/* Read what the server prints until a line has `part`. */
void server_wait_for(const struct server *server, const char *part);

/* Send a signal and wait until it has ended. Returns its exit code, or minus the signal that ended
 * it. `ret_output`, if not NULL, gets the last of what it printed. */
int server_end(struct server *server, int signal, char *ret_output, size_t output_size);

/* Run a program with arguments, ended by NULL, to its end. As server_end. */
int program_run(const char *const *arguments, char *ret_output, size_t output_size);

/* A response: status 0 if the connection was closed before there was a whole one. */
struct response {
    int status;
    size_t body_size;
    char head[2048];
    char body[65536]; /* ends in NUL */
};

/* A connection to the server, blocking. */
int connection_open(const struct server *server);
void connection_send(int connection, const void *bytes, size_t size);
void connection_read(int connection, struct response *response);

/* Send any bytes on a connection of their own and read the answer. */
void ask_raw(const struct server *server, const void *bytes, size_t size,
             struct response *response);

/* GET a target. Returns the status. */
int ask(const struct server *server, const char *target, struct response *response);

#endif
