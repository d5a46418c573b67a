/* crash_driver.c: see crash_driver.h. */
#include "crash_driver.h"

#include <batch/batch.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end != '\0') {
        fprintf(stderr, "crash: not a number: %s\n", text);
        exit(2);
    }
    return value;
}

void crash_begin(struct crash *crash, const char *help, const char *kills_variable, int argc,
                 char **argv)
{
    static const struct option options[] = {
        {"kills", required_argument, NULL, 'k'},
        {"seed", required_argument, NULL, 's'},
        {"replays", required_argument, NULL, 'r'},
        {"cache", required_argument, NULL, 'c'},
        {"transfers", no_argument, NULL, 't'},
        {"bug", required_argument, NULL, 'm'},
        {"must-find", no_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *kills = getenv(kills_variable);
    if (kills != NULL)
        crash->kills_wanted = number(kills);
    crash->seed = batch_now_ns();
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'k':
            crash->kills_wanted = number(optarg);
            break;
        case 's':
            crash->seed = number(optarg);
            break;
        case 'r':
            crash->clients.replays = (unsigned)number(optarg);
            break;
        case 'c':
            crash->clients.cache = (unsigned)number(optarg);
            break;
        case 't':
            crash->clients.transfers = 1;
            break;
        case 'm':
            crash->clients.bug = optarg;
            break;
        case 'x':
            crash->must_find = true;
            break;
        default:
            fputs(help, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 2);
        }
    }
    crash->random.state = crash->seed;
    crash->clients.target = crash->target;
    clients_make(&crash->clients);
}

double crash_run(struct crash *crash, void (*run_round)(struct crash *crash))
{
    uint64_t began_ns = batch_now_ns();
    while (crash->kills < crash->kills_wanted && audit_wrong(&crash->findings) == 0) {
        run_round(crash);
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\r%" PRIu64 " kills", crash->kills);
    }
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    return (double)(batch_now_ns() - began_ns) * 1e-9;
}

void crash_print(const struct crash *crash, const char *store)
{
    printf("{\"harness\":\"crash\",\"store\":\"%s\",\"replays\":%u,\"cache\":%u,\"transfers\":%s,"
           "\"bug\":\"%s\""
           ",\"seed\":%" PRIu64 ",\"kills\":%" PRIu64 ",",
           store, crash->clients.replays, crash->clients.cache,
           crash->clients.transfers ? "true" : "false",
           crash->clients.bug != NULL ? crash->clients.bug : "none", crash->seed, crash->kills);
}

void crash_print_end(const struct crash *crash, double seconds)
{
    audit_print(&crash->findings, stdout);
    printf(",\"looks\":%" PRIu64 ",\"seconds\":%.1f}\n", crash->looks, seconds);
}

void crash_begin_round(struct crash *crash)
{
    clients_begin_round(&crash->clients);
    for (unsigned node = 0; node < NODES; node++)
        clients_start(&crash->clients, node);
}

void crash_end_round(struct crash *crash)
{
    audit(crash->target, crash->clients.journal, crash->clients.round, &crash->findings);
}

void crash_await(struct crash *crash, unsigned node, unsigned more)
{
    unsigned completed = clients_completed(&crash->clients, node);
    if (clients_await(&crash->clients, node, completed + more, HANG_SECONDS * UINT64_C(1000000000)))
        return;
    fprintf(stderr, "crash: node %u has completed nothing for %d s, after %u operations\n", node,
            HANG_SECONDS, completed);
    exit(1);
}

void crash_look(struct crash *crash, struct log logs[KEYS])
{
    const struct log *seen[KEYS];
    for (unsigned key = 0; key < KEYS; key++)
        seen[key] = &logs[key];
    crash->looks++;
    crash->findings.torn_looks += journal_is_torn(crash->clients.journal, seen);
    for (unsigned key = 0; key < KEYS; key++)
        log_codec.release(&logs[key], NULL);
}

void crash_rest(struct crash *crash, uint64_t max_us)
{
    nanosleep(&(struct timespec){0, (long)random_below(&crash->random, max_us) * 1000}, NULL);
}
