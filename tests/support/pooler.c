#include "pooler.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "process.h"

/* Write a file that the server's user may read. */
static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void configure(const struct pooler *pooler, const char *mode, char ret_path[128])
{
    const struct postgres_server *server = pooler->server;
    char text[1024], users[128];
    snprintf(users, sizeof users, "%s/users", server->folder);
    write_file(users, "\"batch\" \"\"\n\"contrary\" \"\"\n");
    snprintf(text, sizeof text,
             "[databases]\n"
             "* = host=127.0.0.1 port=%u\n"
             "[pgbouncer]\n"
             "listen_addr = 127.0.0.1\n"
             "listen_port = %u\n"
             "unix_socket_dir =\n"
             "auth_type = trust\n"
             "auth_file = %s\n"
             "pool_mode = %s\n"
             "server_login_retry = 1\n"
             "default_pool_size = 50\n",
             server->port, pooler->port, users, mode);
    snprintf(ret_path, 128, "%s/pooler-%u", server->folder, pooler->port);
    write_file(ret_path, text);
}

static bool is_answering(const struct pooler *pooler)
{
    enum { TRIES_MAX = 6000 };
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        if (PQping(pooler->conninfo) == PQPING_OK)
            return true;
        if (kill(pooler->pid, 0) != 0)
            return false;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    return false;
}

void pooler_start(struct pooler *pooler, struct postgres_server *server, const char *mode)
{
    char path[128];
    *pooler = (struct pooler){.server = server, .port = postgres_server_free_port(server)};
    postgres_server_conninfo_at(server, pooler->port, pooler->conninfo);
    configure(pooler, mode, path);
    const char *arguments[] = {PGBOUNCER, "-q", path, NULL};
    pooler->pid = postgres_server_run(server, arguments);
    if (!is_answering(pooler)) {
        fprintf(stderr, "pgbouncer does not answer\n");
        postgres_server_show_log(server);
        exit(1);
    }
}

void pooler_end(struct pooler *pooler)
{
    kill(pooler->pid, SIGKILL);
    process_end(pooler->pid);
}
