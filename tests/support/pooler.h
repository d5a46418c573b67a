/* pooler.h: pgbouncer in front of a server of the test's own, for as long as it lasts. It asks
 * nobody for a password. What cannot go on ends the program with a message. */
#ifndef BATCH_TEST_SUPPORT_POOLER_H
#define BATCH_TEST_SUPPORT_POOLER_H

#include "postgres_server.h"

struct pooler {
    struct postgres_server *server;
    pid_t pid;
    unsigned port;
    char conninfo[POSTGRES_CONNINFO_SIZE]; /* as that of the server, through the pooler */
};

/* `mode`: "session", "transaction" or "statement". It answers when this returns. */
void pooler_start(struct pooler *pooler, struct postgres_server *server, const char *mode);
void pooler_end(struct pooler *pooler);

#endif
