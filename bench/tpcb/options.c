/* options.c: see options.h. */
#include "options.h"

#include <batch/batch.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/arguments.h"

/* By their enums, the first of which is 0 or 1. */
static const char *const modes[] = {"direct", "batched", NULL};
static const char *const workloads[] = {"tpcb", "pairs", NULL};
static const char *const direct_by[] = {"lock", "version", NULL};

static const char help[] =
    "tpcb: transactions on several keys, with libbatch and without\n"
    "\n"
    "usage: tpcb --store S --mode M [--branches B | --workload pairs --keys K] [...]\n"
    "\n"
    "  --store sqlite:PATH        a SQLite file, created if missing\n"
    "  --store postgres:CONNINFO  a PostgreSQL server: a libpq connection string, host=... or URI\n"
    "                             All rows are in the table batch_tpcb, created anew and dropped.\n"
    "\n"
    "  --mode batched       libbatch: N transactions outstanding\n"
    "  --mode direct        no libbatch: connections with prepared statements, one transaction at "
    "a\n"
    "                       time on each\n"
    "  --direct-by WAY      lock: SELECT ... FOR UPDATE in a fixed order, UPDATE; version: "
    "SELECT,\n"
    "                       UPDATE ... WHERE version =, again after a conflict (default: which of\n"
    "                       the two, and with how many connections, is tried first)\n"
    "\n"
    "  --workload tpcb      TPC-B's transaction without history: an amount is added to an "
    "account,\n"
    "                       a teller and a branch, each chosen at random (default)\n"
    "  --branches B         10 tellers each (10; at most 90)\n"
    "  --accounts N         of each branch (100000)\n"
    "  --workload pairs     an amount moves from one account to another, both at random\n"
    "  --keys K             accounts of pairs (10000)\n"
    "\n"
    "  --outstanding N      transactions in flight at any time, of batched (20000)\n"
    "  --seconds T          duration of the measurement (5), and --warm-up T before it (1)\n"
    "  --sessions N         connections (default: the best for the store and mode)\n"
    "  --window-ms W        window of a batch, 1 to 60000; default none: BATCH_WINDOW_NONE\n"
    "  --cache N            resource_cache_max of batched (0)\n"
    "  --help               this text\n"
    "\n"
    "Prints one line of JSON. At the end the balances of accounts, tellers and branches are added\n"
    "up; \"verified\" is true if they agree, and if each transaction that completed with BATCH_OK "
    "is\n"
    "in all of its rows. If not, exits 1.\n";

static void read_option(struct settings *settings, int option, const char *value)
{
    switch (option) {
    case 's':
        settings->store = value;
        break;
    case 'm':
        settings->mode = (enum mode)(MODE_DIRECT + argument_choice("--mode", value, modes));
        break;
    case 'd':
        settings->direct_by =
            (enum direct_by)(BY_LOCK + argument_choice("--direct-by", value, direct_by));
        break;
    case 'l':
        settings->workload = (enum workload)argument_choice("--workload", value, workloads);
        break;
    case 'b':
        settings->branches = argument_u32("--branches", value, 1, 90);
        break;
    case 'a':
        settings->accounts = argument_u32("--accounts", value, 1, 100000);
        break;
    case 'k':
        settings->keys = argument_u32("--keys", value, 2, 9000000);
        break;
    case 'o':
        settings->outstanding = argument_u32("--outstanding", value, 1, 1000000);
        break;
    case 't':
        settings->time_ns = argument_seconds("--seconds", value, 0.01);
        break;
    case 'u':
        settings->warm_up_ns = argument_seconds("--warm-up", value, 0);
        break;
    case 'c':
        settings->sessions = argument_u32("--sessions", value, 1, 1024);
        break;
    case 'w':
        settings->window_ns = argument_number("--window-ms", value, 1, 60000) * 1000000;
        break;
    case 'r':
        settings->cache = argument_u32("--cache", value, 0, 100000000);
        break;
    default:
        argument_help(option, help);
    }
}

struct settings options_read(int argc, char **argv)
{
    static const struct option known[] = {{"store", required_argument, NULL, 's'},
                                          {"mode", required_argument, NULL, 'm'},
                                          {"direct-by", required_argument, NULL, 'd'},
                                          {"workload", required_argument, NULL, 'l'},
                                          {"branches", required_argument, NULL, 'b'},
                                          {"accounts", required_argument, NULL, 'a'},
                                          {"keys", required_argument, NULL, 'k'},
                                          {"outstanding", required_argument, NULL, 'o'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"warm-up", required_argument, NULL, 'u'},
                                          {"sessions", required_argument, NULL, 'c'},
                                          {"window-ms", required_argument, NULL, 'w'},
                                          {"cache", required_argument, NULL, 'r'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct settings settings = {.branches = 10,
                                .accounts = 100000,
                                .keys = 10000,
                                .outstanding = 20000,
                                .window_ns = BATCH_WINDOW_NONE,
                                .warm_up_ns = 1000000000,
                                .time_ns = 5000000000};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;)
        read_option(&settings, option, optarg);
    if (optind < argc)
        argument_is_wrong("argument", argv[optind], "not understood");
    if (settings.store == NULL || settings.mode == MODE_NONE) {
        fputs("tpcb: give a store and a mode:\n"
              "  tpcb --store sqlite:/tmp/tpcb.db --mode batched\n"
              "try: tpcb --help\n",
              stderr);
        exit(2);
    }
    return settings;
}
