/* postgres_server.c: see postgres_server.h.
 *
 * The server is started directly, not through pg_ctl, so that it is a child of the test. Each of
 * its own children leads a process group of its own, so what is done to all of them goes by the
 * parent's id in /proc.
 *
 * The port is below those that the system gives to clients: one that tries again and again to
 * connect to a port of that range while nobody listens there will one day be given the same port,
 * and talk to itself. */
#include "postgres_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "temporary_folder.h"

enum {
    PORT_FIRST = 20000,
    PORT_COUNT = 12000,
    PATIENCE_S = 60,    /* no server is slow enough to reach it */
    CHILDREN_MAX = 256, /* of a postmaster */
    LOG_SHOWN = 4096,   /* bytes */
    PATH_SIZE = 512,
    SHM_NEEDED = 512 << 20 /* bytes free in /dev/shm */
};

extern char **environ;

static _Noreturn void fail(const struct postgres_server *server, const char *what, const char *why)
{
    fprintf(stderr, "postgres server: %s: %s\n", what, why);
    postgres_server_show_log(server);
    exit(1);
}

static void rest(void)
{
    nanosleep(&(struct timespec){0, 5000000}, NULL);
}

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

void postgres_server_show_log(const struct postgres_server *server)
{
    char path[96], text[LOG_SHOWN];
    snprintf(path, sizeof path, "%s/log", server->folder);
    FILE *log = fopen(path, "r");
    if (log == NULL)
        return;
    if (fseek(log, -(long)sizeof text, SEEK_END) != 0)
        rewind(log);
    size_t size = fread(text, 1, sizeof text, log);
    fprintf(stderr, "---- the last of its log\n%.*s----\n", (int)size, text);
    fclose(log);
}

/* ---- The folder ----------------------------------------------------------------------------- */

/* Whose server it is: the user of that name, or whoever runs the test if that is not root. */
static const struct passwd *owner(void)
{
    if (geteuid() != 0)
        return NULL;
    const struct passwd *user = getpwnam("postgres");
    return user != NULL ? user : getpwnam("nobody");
}

static void folder_make(struct postgres_server *server)
{
    const char *parent = getenv("TMPDIR");
    struct statvfs shm;
    /* The path of a socket has to be short. */
    if (parent == NULL || strlen(parent) > 40)
        parent = "/tmp";
    if (access("/dev/shm", W_OK) == 0 && statvfs("/dev/shm", &shm) == 0 &&
        shm.f_bavail >= SHM_NEEDED / shm.f_frsize)
        parent = "/dev/shm";
    temporary_folder_make(server->folder, sizeof server->folder, parent);
    const struct passwd *user = owner();
    if (user != NULL && chown(server->folder, user->pw_uid, user->pw_gid) != 0)
        fail(server, "chown", strerror(errno));
}

/* A shell that waits until the test has ended, in whatever way, and then sees to it that nothing is
 * left: it stands outside of the test's process group and reads from a pipe that only ends. */
static const char keeper_script[] =
    "read -r line\n"
    "pid=$(head -n 1 \"$1/data/postmaster.pid\" 2>/dev/null)\n"
    "while [ \"${pid#-}\" != \"$pid\" ] && [ \"/proc/${pid#-}/cwd\" -ef \"$1/data\" ]; do\n"
    "    sleep 0.1\n" /* what initdb had begun ends by itself */
    "done\n"
    "if [ -n \"$pid\" ] && grep -qF \"$1/data\" \"/proc/$pid/cmdline\" 2>/dev/null; then\n"
    "    family=\n"
    "    for status in $(grep -lsx \"PPid:[[:space:]]*$pid\" /proc/[0-9]*/status); do\n"
    "        status=${status%/status}\n"
    "        family=\"$family ${status#/proc/}\"\n"
    "    done\n"
    "    kill -QUIT $pid\n"
    "    kill -CONT $family $pid\n"
    "    for one in $family $pid; do\n"
    "        while grep -qs '^State:[[:space:]]*[^XZ]' /proc/$one/status; do sleep 0.1; done\n"
    "    done\n"
    "fi 2>/dev/null\n"
    "tries=0\n"
    "until rm -rf \"$1\" || [ $tries -gt 100 ]; do\n"
    "    tries=$((tries + 1))\n"
    "    sleep 0.1\n"
    "done\n";

static void keeper_start(struct postgres_server *server)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        fail(server, "pipe", strerror(errno));
    server->keeper = fork();
    if (server->keeper < 0)
        fail(server, "fork", strerror(errno));
    if (server->keeper == 0) {
        setsid();
        dup2(ends[0], STDIN_FILENO);
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO); /* who reads the test's output must not wait for this */
        dup2(null, STDERR_FILENO);
        execl("/bin/sh", "sh", "-c", keeper_script, "sh", server->folder, (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    server->keeper_end = ends[1];
}

/* ---- Processes ------------------------------------------------------------------------------ */

/* In the child: become the owner, in the folder, with the log as output, and gone with the test. */
static void become_server(pid_t parent, void *arg)
{
    const struct postgres_server *server = arg;
    char path[96];
    const struct passwd *user = owner();
    if (user != NULL &&
        (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT); /* after setuid, which takes it back */
    if (getppid() != parent || setsid() < 0 || chdir(server->folder) != 0)
        _exit(126);
    snprintf(path, sizeof path, "%s/log", server->folder);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t postgres_server_run(struct postgres_server *server, const char *const *arguments)
{
    return process_start_prepared(arguments, become_server, server);
}

/* What /proc says of a process: its state and its parent. False: there is no such process. */
static bool process_look(pid_t pid, char *ret_state, pid_t *ret_parent)
{
    char path[32], text[256];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    text[size > 0 ? size : 0] = '\0';
    const char *after_name = strrchr(text, ')');
    int parent;
    if (after_name == NULL || sscanf(after_name, ") %c %d", ret_state, &parent) != 2)
        return false;
    *ret_parent = parent;
    return true;
}

static size_t children_of(const struct postgres_server *server, pid_t ret_pids[CHILDREN_MAX])
{
    size_t size = 0;
    char state;
    pid_t parent;
    DIR *processes = opendir("/proc");
    if (processes == NULL)
        fail(server, "/proc", strerror(errno));
    for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && size < CHILDREN_MAX && process_look(pid, &state, &parent) &&
            parent == server->pid)
            ret_pids[size++] = pid;
    }
    closedir(processes);
    return size;
}

static void wait_until_stopped(const struct postgres_server *server, pid_t pid)
{
    char state;
    pid_t parent;
    for (time_t began_s = now_s();
         process_look(pid, &state, &parent) && strchr("TtZX", state) == NULL; rest()) {
        if (now_s() > began_s + PATIENCE_S)
            fail(server, "pause", "a process does not stop");
    }
}

static void wait_until_gone(const struct postgres_server *server, pid_t pid)
{
    char state;
    pid_t parent;
    for (time_t began_s = now_s();
         process_look(pid, &state, &parent) && strchr("ZX", state) == NULL; rest()) {
        if (now_s() > began_s + PATIENCE_S)
            fail(server, "kill", "a process does not end");
    }
}

/* ---- Start and end -------------------------------------------------------------------------- */

unsigned postgres_server_free_port(const struct postgres_server *server)
{
    for (int i = 0; i < 1000; i++) {
        uint16_t random;
        if (getrandom(&random, sizeof random, 0) != sizeof random)
            break;
        unsigned port = PORT_FIRST + random % PORT_COUNT;
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int attempt = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool is_free = bind(attempt, (struct sockaddr *)&address, sizeof address) == 0;
        close(attempt);
        if (is_free)
            return port;
    }
    fail(server, "port", "none is free");
}

static void make_password(struct postgres_server *server)
{
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        fail(server, "getrandom", strerror(errno));
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(server->password + 2 * i, 3, "%02x", random[i]);
}

/* The path of a program of the server: of the version that the environment names, or of the one
 * that the tests were built for. */
static void program_path(const char *name, char ret_path[PATH_SIZE])
{
    const char *programs = getenv("BATCH_TEST_POSTGRES_PROGRAMS");
    snprintf(ret_path, PATH_SIZE, "%s/%s", programs != NULL ? programs : POSTGRES_PROGRAMS, name);
}

static void make_cluster(struct postgres_server *server)
{
    char data[96], password_file[128], initdb[PATH_SIZE];
    program_path("initdb", initdb);
    snprintf(data, sizeof data, "%s/data", server->folder);
    snprintf(password_file, sizeof password_file, "--pwfile=%s/password", server->folder);
    bool asks_password = server->password[0] != '\0';
    if (asks_password) {
        FILE *file = fopen(password_file + strlen("--pwfile="), "w");
        const struct passwd *user = owner();
        if (file == NULL || fprintf(file, "%s\n", server->password) < 0 ||
            (user != NULL && fchown(fileno(file), user->pw_uid, user->pw_gid) != 0) ||
            fclose(file) != 0)
            fail(server, "password", strerror(errno));
    }
    const char *arguments[] = {initdb,
                               "--no-sync",
                               "--username=batch",
                               "--encoding=UTF8",
                               "--locale=C.UTF-8",
                               "--pgdata",
                               data,
                               asks_password ? "--auth=scram-sha-256" : "--auth=trust",
                               asks_password ? password_file : NULL,
                               NULL};
    if (process_end(postgres_server_run(server, arguments)) != 0)
        fail(server, "initdb", "failed");
    if (asks_password)
        unlink(password_file + strlen("--pwfile="));
}

/* Start it and wait until it accepts connections. False: it ended before that. */
static bool try_to_start(struct postgres_server *server)
{
    static const char *const own_settings[] = {
        "listen_addresses=127.0.0.1",
        "shared_buffers=32MB",
        "dynamic_shared_memory_type=mmap", /* in the folder */
        "log_line_prefix=%m [%p] %a ",
    };
    enum { OWN = sizeof own_settings / sizeof own_settings[0], SETTINGS_MAX = 32 };
    char data[96], port[32], folder[96];
    char postgres[PATH_SIZE];
    program_path("postgres", postgres);
    const char *arguments[2 * SETTINGS_MAX] = {postgres, "-D", data, "-c", port, "-c", folder};
    size_t size = 7;
    snprintf(data, sizeof data, "%s/data", server->folder);
    snprintf(port, sizeof port, "port=%u", server->port);
    snprintf(folder, sizeof folder, "unix_socket_directories=%s", server->folder);
    for (size_t i = 0; i < OWN; i++) {
        arguments[size++] = "-c";
        arguments[size++] = own_settings[i];
    }
    for (size_t i = 0; server->settings != NULL && server->settings[i] != NULL; i++) {
        if (size + 3 > sizeof arguments / sizeof arguments[0])
            fail(server, "settings", "too many");
        arguments[size++] = "-c";
        arguments[size++] = server->settings[i];
    }
    server->pid = postgres_server_run(server, arguments);
    for (time_t began_s = now_s(); PQping(server->conninfo) != PQPING_OK; rest()) {
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            server->pid = 0;
            return false;
        }
        if (now_s() > began_s + PATIENCE_S)
            fail(server, "start", "it does not respond");
    }
    return true;
}

void postgres_server_start(struct postgres_server *server)
{
    if (!try_to_start(server))
        fail(server, "start", "it ended");
}

static void clear_environment(void)
{
    for (char **at = environ; at != NULL && *at != NULL;) {
        char name[64];
        size_t size = strcspn(*at, "=");
        if (strncmp(*at, "PG", 2) == 0 && size < sizeof name) {
            memcpy(name, *at, size);
            name[size] = '\0';
            unsetenv(name);
            at = environ;
        } else {
            at++;
        }
    }
}

void postgres_server_init(struct postgres_server *server, const char *const *settings,
                          bool asks_password)
{
    *server = (struct postgres_server){.settings = settings};
    pthread_mutex_init(&server->lock, NULL);
    clear_environment();
    folder_make(server);
    keeper_start(server);
    if (asks_password)
        make_password(server);
    make_cluster(server);
    /* Between looking for a port and listening on it, another program may take it. */
    for (int tries = 0;; tries++) {
        server->port = postgres_server_free_port(server);
        postgres_server_conninfo_at(server, server->port, server->conninfo);
        if (try_to_start(server))
            return;
        if (tries == 5)
            fail(server, "start", "it ended");
    }
}

void postgres_server_destroy(struct postgres_server *server)
{
    if (server->pid != 0)
        postgres_server_stop(server);
    pthread_mutex_destroy(&server->lock);
    temporary_folder_remove(server->folder);
    close(server->keeper_end);
    process_end(server->keeper);
}

static void forget_connection(struct postgres_server *server)
{
    pthread_mutex_lock(&server->lock);
    PQfinish(server->connection);
    server->connection = NULL;
    pthread_mutex_unlock(&server->lock);
}

void postgres_server_stop(struct postgres_server *server)
{
    forget_connection(server);
    kill(server->pid, SIGINT);
    process_end(server->pid);
    server->pid = 0;
}

void postgres_server_kill(struct postgres_server *server)
{
    pid_t children[CHILDREN_MAX];
    postgres_server_pause(server); /* so that no child is born while they are killed */
    size_t size = children_of(server, children);
    kill(server->pid, SIGKILL);
    for (size_t i = 0; i < size; i++)
        kill(children[i], SIGKILL);
    process_end(server->pid);
    server->pid = 0;
    for (size_t i = 0; i < size; i++)
        wait_until_gone(server, children[i]);
    forget_connection(server);
}

void postgres_server_pause(struct postgres_server *server)
{
    pid_t children[CHILDREN_MAX];
    kill(server->pid, SIGSTOP);
    wait_until_stopped(server, server->pid);
    size_t size = children_of(server, children);
    for (size_t i = 0; i < size; i++)
        kill(children[i], SIGSTOP);
    for (size_t i = 0; i < size; i++)
        wait_until_stopped(server, children[i]);
}

void postgres_server_resume(struct postgres_server *server)
{
    pid_t children[CHILDREN_MAX];
    size_t size = children_of(server, children);
    for (size_t i = 0; i < size; i++)
        kill(children[i], SIGCONT);
    kill(server->pid, SIGCONT);
}

/* ---- SQL ------------------------------------------------------------------------------------ */

void postgres_server_conninfo_at(const struct postgres_server *server, unsigned port,
                                 char ret_conninfo[POSTGRES_CONNINFO_SIZE])
{
    bool asks_password = server->password[0] != '\0';
    snprintf(ret_conninfo, POSTGRES_CONNINFO_SIZE,
             "host=127.0.0.1 port=%u user=batch dbname=postgres sslmode=disable gssencmode=disable"
             "%s%s",
             port, asks_password ? " password=" : "", server->password);
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

PGconn *postgres_server_connect(struct postgres_server *server)
{
    PGconn *connection = PQconnectdb(server->conninfo);
    if (PQstatus(connection) != CONNECTION_OK)
        fail(server, "connect", PQerrorMessage(connection));
    PQsetNoticeProcessor(connection, ignore_notice, NULL);
    return connection;
}

/* With the lock held. */
static PGresult *query(struct postgres_server *server, const char *sql)
{
    if (server->connection == NULL)
        server->connection = postgres_server_connect(server);
    PGresult *result = PQexec(server->connection, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail(server, sql, PQresultErrorMessage(result));
    return result;
}

void postgres_server_execute(struct postgres_server *server, const char *sql)
{
    pthread_mutex_lock(&server->lock);
    PQclear(query(server, sql));
    pthread_mutex_unlock(&server->lock);
}

char *postgres_server_value(struct postgres_server *server, const char *sql)
{
    pthread_mutex_lock(&server->lock);
    PGresult *result = query(server, sql);
    char *value = NULL;
    if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0)) {
        value = strdup(PQgetvalue(result, 0, 0));
        if (value == NULL)
            fail(server, sql, "out of memory");
    }
    PQclear(result);
    pthread_mutex_unlock(&server->lock);
    return value;
}

int64_t postgres_server_number(struct postgres_server *server, const char *sql)
{
    char *value = postgres_server_value(server, sql);
    if (value == NULL)
        fail(server, sql, "there is no number");
    int64_t number = strtoll(value, NULL, 10);
    free(value);
    return number;
}
