/* server_harness.c: see server_harness.h. */
#include "server_harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"
#include "temporary_folder.h"

_Noreturn void harness_fail(const char *what)
{
    fprintf(stderr, "server harness: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Folders --------------------------------------------------------------------------------- */

void folder_make(struct folder *folder)
{
    temporary_folder_make(folder->path, sizeof folder->path, NULL);
    snprintf(folder->store, sizeof folder->store, "sqlite:%s/trains.db", folder->path);
    snprintf(folder->answers, sizeof folder->answers, "%s/answers", folder->path);
}

void folder_remove(const struct folder *folder)
{
    temporary_folder_remove(folder->path);
}

/* ---- Processes ------------------------------------------------------------------------------- */

/* Start a program whose standard output is read from *ret_output. */
static pid_t program_start(const char *const *arguments, int *ret_output)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        harness_fail("pipe");
    pid_t pid = process_start(arguments, ends[1]);
    close(ends[1]);
    *ret_output = ends[0];
    return pid;
}

/* Read all there is to read, keep the last of it, wait for the end. */
static int program_end(pid_t pid, int output, char *ret_output, size_t output_size)
{
    char text[8192];
    size_t size = 0;
    ssize_t got;
    while ((got = read(output, text + size, sizeof text - size)) > 0) {
        size += (size_t)got;
        if (size == sizeof text) {
            size /= 2;
            memmove(text, text + size, size);
        }
    }
    close(output);
    if (ret_output != NULL) {
        size_t kept = size < output_size ? size : output_size - 1;
        memcpy(ret_output, text + size - kept, kept);
        ret_output[kept] = '\0';
    }
    return process_end(pid);
}

int program_run(const char *const *arguments, char *ret_output, size_t output_size)
{
    int output;
    pid_t pid = program_start(arguments, &output);
    return program_end(pid, output, ret_output, output_size);
}

void server_start(struct server *server, const char *program, const struct folder *folder,
                  const char *const *options)
{
    const char *mutant = strcmp(program, TRAIN_SERVER) == 0 ? getenv("TRAIN_SERVER_MUTANT") : NULL;
    if (mutant != NULL)
        program = mutant;
    const char *arguments[16] = {program, "--store", folder->store, "--listen", "127.0.0.1:0"};
    for (size_t i = 5; *options != NULL && i < 15; i++)
        arguments[i] = *options++;
    server->pid = program_start(arguments, &server->output);
    char line[128];
    size_t size = 0;
    while (size < sizeof line - 1 && read(server->output, line + size, 1) == 1 &&
           line[size] != '\n')
        size++;
    line[size] = '\0';
    if (sscanf(line, "listening on http://127.0.0.1:%u", &server->port) != 1)
        harness_fail("the server does not start");
}

unsigned patience_s(unsigned longest_s)
{
    const char *given = getenv("PATIENCE_S");
    return given != NULL ? (unsigned)strtoul(given, NULL, 10) : longest_s;
}

int server_end(struct server *server, int signal, char *ret_output, size_t output_size)
{
    kill(server->pid, signal);
    return program_end(server->pid, server->output, ret_output, output_size);
}

void server_wait_for(const struct server *server, const char *part)
{
    char line[256] = "";
    size_t size = 0;
    while (read(server->output, line + size, 1) == 1) {
        if (line[size] != '\n' && size < sizeof line - 1) {
            size++;
            continue;
        }
        line[size] = '\0';
        if (strstr(line, part) != NULL)
            return;
        size = 0;
    }
    harness_fail("the server has ended");
}

/* ---- Requests -------------------------------------------------------------------------------- */

int connection_open(const struct server *server)
{
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) != 0)
        harness_fail("connect");
    return connection;
}

void connection_send(int connection, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t sent = send(connection, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server has hung up: there will be no response */
        at += sent;
        size -= (size_t)sent;
    }
}

/* One byte, -1 at the end. */
static int read_byte(int connection)
{
    unsigned char byte;
    return recv(connection, &byte, 1, 0) == 1 ? byte : -1;
}

/* Read up to and with the empty line. False: the connection ended before. */
static bool read_head(int connection, struct response *response)
{
    size_t size = 0;
    int byte;
    while (size < sizeof response->head - 1 && (byte = read_byte(connection)) >= 0) {
        response->head[size++] = (char)byte;
        response->head[size] = '\0';
        if (size >= 4 && memcmp(response->head + size - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

void connection_read(int connection, struct response *response)
{
    response->status = 0;
    response->body_size = 0;
    response->head[0] = '\0';
    response->body[0] = '\0';
    int status;
    if (!read_head(connection, response) || sscanf(response->head, "HTTP/1.1 %d ", &status) != 1)
        return;
    const char *length = strcasestr(response->head, "\r\nContent-Length: ");
    size_t size = length != NULL ? strtoul(length + 18, NULL, 10) : 0;
    for (; response->body_size < size && size < sizeof response->body; response->body_size++) {
        int byte = read_byte(connection);
        if (byte < 0)
            return;
        response->body[response->body_size] = (char)byte;
    }
    response->body[response->body_size] = '\0';
    response->status = status;
}

void ask_raw(const struct server *server, const void *bytes, size_t size, struct response *response)
{
    int connection = connection_open(server);
    connection_send(connection, bytes, size);
    connection_read(connection, response);
    close(connection);
}

int ask(const struct server *server, const char *target, struct response *response)
{
    char request[4096];
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
    ask_raw(server, request, (size_t)size, response);
    return response->status;
}
