/* options.c: see options.h. */
#include "options.h"

#include "common/arguments.h"
#include "key.h"

#include <batch/batch.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

const char *const mode_names[] = {"none", "direct", "single", "grouped", NULL};
static const char *const direct_by[] = {"lock", "version", NULL}; /* from BY_LOCK on */

static const char help[] =
    "bench/store: operations per second on a store, with libbatch and without\n"
    "\n"
    "usage: store --store S --mode M [--keys K] [--outstanding N] [--seconds T] [...]\n"
    "\n"
    "  --store memory             the store in memory\n"
    "  --store sqlite:PATH        a SQLite file, created if missing\n"
    "  --store postgres:CONNINFO  a PostgreSQL server: a libpq connection string, host=... or URI\n"
    "                             All rows are in the table " BENCH_TABLE
    ", created anew and dropped.\n"
    "\n"
    "  --mode grouped             libbatch as it is: one commit for all keys that are ready\n"
    "  --mode single              libbatch with one key per commit\n"
    "  --mode direct              no libbatch: a pool of connections, and for each operation a\n"
    "                             transaction that reads, changes and writes its row\n"
    "  --direct-by lock|version   concurrency control of direct on PostgreSQL: SELECT ... FOR\n"
    "                             UPDATE, or UPDATE ... WHERE version = (default: lock for fewer\n"
    "                             than 128 keys, else version)\n"
    "\n"
    "  --keys K         keys, chosen at random (10000; at most 10000000)\n"
    "  --outstanding N  operations in flight at any time (100000); of direct's, as many as it has\n"
    "                   sessions are running, and the others wait in its queue\n"
    "  --seconds T      duration of the measurement (5), and --warm-up T before it (1)\n"
    "  --size BYTES     of a state, its counter included (64; 8 to 1048576)\n"
    "  --sessions N     connections (default: the best for the store and mode)\n"
    "  --window-ms W    window of a batch, 1 to 60000; default none: BATCH_WINDOW_NONE\n"
    "  --group-max N    keys in one commit of grouped (default: that of libbatch)\n"
    "  --help           this text\n"
    "\n"
    "Prints one line of JSON. A row is a key saved once, for all its operations in a batch.\n"
    "Latency is from submission to completion (of one operation in 64 when 4096 or more are\n"
    "outstanding). It is null if not every operation had completed once when measuring began:\n"
    "the queue was too long for the run. At the end the counters in the store are added up;\n"
    "\"verified\" is true if their sum is the number of operations that completed with BATCH_OK.\n"
    "If not, exits 1.\n"
    "\n"
    "try:  store --store sqlite:/tmp/bench.db --mode direct\n"
    "      store --store sqlite:/tmp/bench.db --mode grouped\n";

static void read_option(struct settings *settings, int option, const char *value)
{
    switch (option) {
    case 's':
        settings->store = value;
        break;
    case 'm':
        settings->mode =
            (enum mode)(MODE_DIRECT + argument_choice("--mode", value, mode_names + MODE_DIRECT));
        break;
    case 'd':
        settings->direct_by =
            (enum direct_by)(BY_LOCK + argument_choice("--direct-by", value, direct_by));
        break;
    case 'k':
        settings->keys = argument_u32("--keys", value, 1, KEYS_MAX);
        break;
    case 'o':
        settings->outstanding = argument_u32("--outstanding", value, 1, 100000000);
        break;
    case 't':
        settings->time_ns = argument_seconds("--seconds", value, 0.001);
        break;
    case 'u':
        settings->warm_up_ns = argument_seconds("--warm-up", value, 0);
        break;
    case 'b':
        settings->size = argument_u32("--size", value, STATE_SIZE_MIN, STATE_SIZE_MAX);
        break;
    case 'c':
        settings->sessions = argument_u32("--sessions", value, 1, 1024);
        break;
    case 'w':
        settings->window_ns = argument_number("--window-ms", value, 1, 60000) * 1000000;
        break;
    case 'g':
        settings->group_max = argument_u32("--group-max", value, 1, 65536);
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
                                          {"keys", required_argument, NULL, 'k'},
                                          {"outstanding", required_argument, NULL, 'o'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"warm-up", required_argument, NULL, 'u'},
                                          {"size", required_argument, NULL, 'b'},
                                          {"sessions", required_argument, NULL, 'c'},
                                          {"window-ms", required_argument, NULL, 'w'},
                                          {"group-max", required_argument, NULL, 'g'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct settings settings = {.keys = 10000,
                                .outstanding = 100000,
                                .size = 64,
                                .window_ns = BATCH_WINDOW_NONE,
                                .warm_up_ns = 1000000000,
                                .time_ns = 5000000000};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;)
        read_option(&settings, option, optarg);
    if (optind < argc)
        argument_is_wrong("argument", argv[optind], "not understood");
    if (settings.store == NULL || settings.mode == MODE_NONE) {
        fputs("bench/store: give a store and a mode:\n"
              "  store --store sqlite:/tmp/bench.db --mode grouped\n"
              "try: store --help\n",
              stderr);
        exit(2);
    }
    return settings;
}
