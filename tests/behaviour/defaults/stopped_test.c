/* A process is stopped (SIGSTOP, a suspended machine, a debugger) for longer than any time limit,
 * while it works with everything at its default: no operation fails, since the store failed none.
 * What is checked are counts; no time decides anything.
 *
 * STOPPED_MS in the environment is how long it stands still (2,500), STOPPED_TIMES how often (3).
 */
#include <batch/batch.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "postgres_server.h"
#include "process.h"
#include "temporary_folder.h"
#include "test.h"

enum { PLACE_SIZE = POSTGRES_CONNINFO_SIZE };

struct node {
    pid_t pid;
    int input, output;
};

struct pipes {
    int input[2], output[2];
};

static void prepare(pid_t parent, void *arg)
{
    const struct pipes *pipes = arg;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(pipes->input[0], STDIN_FILENO) < 0 ||
        dup2(pipes->output[1], STDOUT_FILENO) < 0)
        _exit(126);
}

static void node_start(struct node *node, const char *const *arguments)
{
    struct pipes pipes;
    assert_int_equal(pipe2(pipes.input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(pipes.output, O_CLOEXEC), 0);
    node->pid = process_start_prepared(arguments, prepare, &pipes);
    node->input = pipes.input[1];
    node->output = pipes.output[0];
    close(pipes.input[0]);
    close(pipes.output[1]);
}

static void node_ask(const struct node *node)
{
    assert_int_equal(write(node->input, "?", 1), 1);
}

static void node_await(const struct node *node)
{
    char byte;
    assert_int_equal(read(node->output, &byte, 1), 1);
}

static int node_end(const struct node *node)
{
    close(node->input);
    close(node->output);
    return process_end(node->pid);
}

static long from_environment(const char *name, long otherwise)
{
    const char *value = getenv(name);
    return value != NULL ? strtol(value, NULL, 10) : otherwise;
}

static void stand_still(void)
{
    long ms = from_environment("STOPPED_MS", 2500);
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Let them work, stand still, and work on: all at the same time. */
static void stop_now_and_then(const struct node *nodes, size_t nodes_size)
{
    for (long left = from_environment("STOPPED_TIMES", 3); left >= 0; left--) {
        for (size_t i = 0; i < nodes_size; i++)
            node_ask(&nodes[i]);
        for (size_t i = 0; i < nodes_size; i++)
            node_await(&nodes[i]);
        for (size_t i = 0; left > 0 && i < nodes_size; i++)
            process_pause(nodes[i].pid);
        if (left > 0)
            stand_still();
        for (size_t i = 0; left > 0 && i < nodes_size; i++)
            assert_int_equal(kill(nodes[i].pid, SIGCONT), 0);
    }
}

/* With a window, and saving whenever the store is free: then a call is nearly always under way. */
static void stop_on(const char *store, char places[2][PLACE_SIZE], const char *keys)
{
    static const char *const windows[] = {"default", "none"};
    struct node nodes[2];
    for (int i = 0; i < 2; i++)
        node_start(&nodes[i],
                   (const char *const[]){STOPPED_NODE, store, places[i], windows[i], keys, NULL});
    stop_now_and_then(nodes, 2);
    int failed = 0;
    for (int i = 0; i < 2; i++)
        failed += node_end(&nodes[i]) != 0;
    assert_int_equal(failed, 0);
}

TEST(nobody_fails_on_the_memory_store)
{
    char places[2][PLACE_SIZE] = {"", ""};
    stop_on("memory", places, MANY_KEYS);
}

TEST(nobody_fails_on_sqlite)
{
    char folder[128], places[2][PLACE_SIZE];
    temporary_folder_make(folder, sizeof folder, NULL);
    for (int i = 0; i < 2; i++)
        snprintf(places[i], sizeof places[i], "%s/%d.db", folder, i);
    stop_on("sqlite", places, MANY_KEYS);
    temporary_folder_remove(folder);
}

TEST(nobody_fails_on_postgres)
{
    struct postgres_server server;
    char places[2][PLACE_SIZE];
    postgres_server_init(&server, NULL, false);
    for (int i = 0; i < 2; i++)
        snprintf(places[i], sizeof places[i], "%s", server.conninfo);
    stop_on("postgres", places, MANY_KEYS);
    postgres_server_destroy(&server);
}

/* In the middle of a load, and of a save: in a session, and where the worker calls the store. */
TEST(what_is_under_way_is_not_late)
{
    static const char *const stages[] = {"load", "save"}, *const sessions[] = {"3", "0"};
    struct node nodes[4];
    for (int i = 0; i < 4; i++) {
        node_start(&nodes[i], (const char *const[]){STOPPED_NODE, "held", stages[i / 2],
                                                    sessions[i % 2], NULL});
        node_await(&nodes[i]);
        process_pause(nodes[i].pid);
    }
    stand_still();
    int failed = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(kill(nodes[i].pid, SIGCONT), 0);
        failed += node_end(&nodes[i]) != 0;
    }
    assert_int_equal(failed, 0);
}
