/* postgres_server.h: a PostgreSQL server of one's own, for as long as a test lasts.
 *
 * A new cluster (UTF-8, C.UTF-8) in a folder of its own, on a free port of 127.0.0.1 and on a
 * socket in that folder; never a server of the system. As root it runs as "postgres", or as
 * "nobody" where there is no such user. The folder is in /dev/shm if there is room: `fsync` is on,
 * as everywhere where it counts (the store refuses a server without it), but these tests ask what
 * is reported and when, not whether a disk honours flushes, and a flush to memory costs nothing.
 * Power cuts cannot be tried here; a killed server can.
 *
 * Nothing is left behind: server and folder go with the test program, even if it is killed.
 * BATCH_TEST_POSTGRES_PROGRAMS in the environment is the folder of another version's programs. What
 * cannot go on (no server, SQL that fails) ends the program with a message and the last of the
 * server's log, exit 1. Settings of the environment (PGHOST, PGOPTIONS, ...) are taken out of it.
 *
 * Threads: the functions that run SQL may be called from any; the others from the one that started
 * the server, which must not end before it.
 */
#ifndef BATCH_TEST_SUPPORT_POSTGRES_SERVER_H
#define BATCH_TEST_SUPPORT_POSTGRES_SERVER_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define POSTGRES_CONNINFO_SIZE 256

struct postgres_server {
    char folder[64]; /* "data", "log" and the socket are in it */
    unsigned port;
    char password[33]; /* of user "batch"; empty if none is asked for */
    char conninfo[POSTGRES_CONNINFO_SIZE];
    const char *const *settings; /* "name=value" each, ended by NULL; read at every start */
    pid_t pid;                   /* of the postmaster, 0 when it does not run */
    pid_t keeper;                /* removes what is left once this end of its pipe is closed */
    int keeper_end;
    pthread_mutex_t lock; /* guards the connection */
    PGconn *connection;   /* a plain one, as another program would have; NULL until it is needed */
};

/* Make the cluster and start it; it accepts connections when this returns. `settings` may be NULL
 * and must stay valid as long as the server. With `asks_password`, everybody has to give one
 * (scram-sha-256). */
void postgres_server_init(struct postgres_server *server, const char *const *settings,
                          bool asks_password);
/* Stop it, if it runs, and remove the folder. */
void postgres_server_destroy(struct postgres_server *server);

/* Stop it as an administrator does who is in a hurry ("fast": sessions are ended, what they began
 * is rolled back). Or kill -9 all its processes at once. Nothing of it runs any more on return. */
void postgres_server_stop(struct postgres_server *server);
void postgres_server_kill(struct postgres_server *server);
/* Start it again on the same data and port; it accepts connections when this returns. */
void postgres_server_start(struct postgres_server *server);

/* Stop all its processes where they are (SIGSTOP), and let them go on. */
void postgres_server_pause(struct postgres_server *server);
void postgres_server_resume(struct postgres_server *server);

/* What libpq needs to connect to it through another port of 127.0.0.1. */
void postgres_server_conninfo_at(const struct postgres_server *server, unsigned port,
                                 char ret_conninfo[POSTGRES_CONNINFO_SIZE]);

/* A connection of one's own, to close with PQfinish. */
PGconn *postgres_server_connect(struct postgres_server *server);

/* On the plain connection: run SQL; and the first column of the first row, as text (NULL if it is
 * null or there is no row; free it), or as a number, which must be there. */
void postgres_server_execute(struct postgres_server *server, const char *sql);
char *postgres_server_value(struct postgres_server *server, const char *sql);
int64_t postgres_server_number(struct postgres_server *server, const char *sql);

/* Run another program as the server's user, in its folder, with its log for output; it goes with
 * the test. And a port of 127.0.0.1 for it, that nobody listens on. */
pid_t postgres_server_run(struct postgres_server *server, const char *const *arguments);
unsigned postgres_server_free_port(const struct postgres_server *server);

/* The last of the server's log, on standard error. */
void postgres_server_show_log(const struct postgres_server *server);

#endif
