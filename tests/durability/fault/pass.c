/* pass.c: see pass.h. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "pass.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { HANG_S = 120 }; /* no pass takes that long */

static struct {
    const char *name;
    struct faults_plan plan;
    uint64_t count;
} running;

static void show_where(void)
{
    static const char *const modes[] = {"once", "from then on", "interrupted"};
    char text[160];
    int size = snprintf(text, sizeof text, "%s, %s, number %lu, pass %lu\n", running.name,
                        modes[running.plan.mode], (unsigned long)running.plan.number,
                        (unsigned long)running.count);
    (void)!write(STDERR_FILENO, text, (size_t)size);
    faults_describe();
}

void wrong(const char *format, ...)
{
    faults_disarm();
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    show_where();
    _exit(1);
}

static void on_signal(int signal)
{
    static const char hang[] = "it hangs: ";
    static const char crash[] = "it crashed: ";
    if (signal == SIGALRM)
        (void)!write(STDERR_FILENO, hang, sizeof hang - 1);
    else
        (void)!write(STDERR_FILENO, crash, sizeof crash - 1);
    show_where();
    _exit(1);
}

void pass_watch(void)
{
    static const int signals[] = {SIGALRM, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
    alarm(HANG_S);
}

void pass_begin(const char *name, const struct faults_plan *plan)
{
    running.name = name;
    running.plan = *plan;
    running.count++;
    alarm(HANG_S);
}

uint64_t pass_count(void)
{
    return running.count;
}

int pass_first_mode(void)
{
    const char *mode = getenv("FAULT_FIRST_MODE");
    return mode != NULL ? atoi(mode) : FAULTS_ONCE;
}

void pass_report(const char *program)
{
    static const char *const names[FAULTS_KINDS] = {"memory", "threads", "locks", "random",
                                                    "polls",  "sockets", "files", "callbacks",
                                                    "waits",  "wishes"};
    struct faults_totals totals = faults_totals();
    printf("%lu passes, %lu calls that can fail, %lu faults:", (unsigned long)running.count,
           (unsigned long)totals.calls, (unsigned long)totals.injected);
    for (int kind = 0; kind < FAULTS_KINDS; kind++)
        printf(" %s %lu", names[kind], (unsigned long)totals.kinds[kind]);
    printf("\n");
    const char *places = getenv("FAULT_PLACES");
    if (places != NULL)
        faults_write_places(places, program);
}
