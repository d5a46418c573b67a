/* driven_calls_test.c: a driven processor without sessions asks nothing of the system for an
 * operation: neither in a submit nor in drive. In a process of its own, every system call but those
 * that end it is forbidden once everything is warm. */
#include "driven.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPS = 100, ROUNDS = 1000, CANNOT_FORBID = 2 };

static batch_op ops[OPS];
static unsigned completed;

static batch_verdict increment(void *resource, void *arg)
{
    (void)arg;
    ++*(int64_t *)resource;
    return BATCH_CHANGED;
}

static void count(batch_op *op, const batch_result *result)
{
    (void)op;
    completed += result->status == BATCH_OK;
}

static void round_of_all(batch_processor *processor)
{
    for (int i = 0; i < OPS; i++)
        MUST(batch_submit(processor, &ops[i]) == BATCH_OK);
    while (batch_processor_drive(processor, 0) == 0)
        continue;
}

/* Any other call ends the process with SIGSYS. */
static bool forbid_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static void run_without_calls(bool is_watched)
{
    static const char keys[] = "abcdefg";
    batch_processor *processor;
    batch_options options = BATCH_OPTIONS_INIT;
    options.driven = true;
    options.sessions = 0;
    options.resource_size = sizeof(int64_t);
    options.window_ns = BATCH_WINDOW_NONE;
    MUST(batch_processor_start(&processor, &options, NULL) == BATCH_OK);
    for (int i = 0; i < OPS; i++) {
        ops[i] = (batch_op)BATCH_OP_INIT;
        ops[i].key = &keys[(size_t)i % (sizeof keys - 1)];
        ops[i].key_size = 1;
        ops[i].run = increment;
        ops[i].done = count;
    }
    if (is_watched)
        MUST(batch_processor_fd(processor) >= 0);
    round_of_all(processor);
    completed = 0;
    if (!forbid_calls())
        _exit(CANNOT_FORBID);
    for (int i = 0; i < ROUNDS; i++)
        round_of_all(processor);
    _exit(completed == OPS * ROUNDS ? 0 : 1);
}

/* How it ended. */
static int in_a_process(bool is_watched)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_without_calls(is_watched);
    int status;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_FORBID)
        skip(); /* a kernel without it */
    return status;
}

TEST(operations_need_no_system_call)
{
    int status = in_a_process(false);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A descriptor that is watched is set, which is one: so the test above would have seen it. */
TEST(system_calls_would_be_seen)
{
    int status = in_a_process(true);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}
