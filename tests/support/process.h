/* process.h: programs that a test starts. They die with it, whatever becomes of it. What cannot go
 * on (no process) ends the program with a message. */
#ifndef BATCH_TEST_SUPPORT_PROCESS_H
#define BATCH_TEST_SUPPORT_PROCESS_H

#include <sys/types.h>

/* Start a program with arguments, ended by NULL. Its standard output is `output`, or, if that is
 * -1, the test's. */
pid_t process_start(const char *const *arguments, int output);

/* The same, but `prepare` sees to all of it, in the child: to its output, and to its end, given the
 * test's process. */
pid_t process_start_prepared(const char *const *arguments, void (*prepare)(pid_t parent, void *arg),
                             void *arg);

/* Wait for the end. The exit code, or minus the signal that ended it. */
int process_end(pid_t pid);

/* Send SIGSTOP, and wait until it stands still. */
void process_pause(pid_t pid);

#endif
