/* options.c: see options.h. */
#include "options.h"
#include "train.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_DEFAULT        3
#define SESSIONS_DIRECT_DEFAULT 8
#define SESSIONS_MAX            256
#define REPLAYS_DEFAULT         10
#define REPLAYS_MAX             1000
#define CACHE_MAX               10000000

static const char help[] =
    "train-server: book seats in trains over HTTP\n"
    "\n"
    "usage: train-server --store STORE --listen ADDR:PORT [OPTION...]\n"
    "\n"
    "  --store sqlite:PATH        the file that keeps the trains; created if missing\n"
    "  --store postgres:CONNINFO  the database: \"postgres:host=db1,db2 dbname=trains\", or a "
    "URI,\n"
    "                             postgres://db1,db2/trains; all that libpq understands. Keep a\n"
    "                             password in ~/.pgpass: command lines can be seen by others\n"
    "  --listen ADDR:PORT         127.0.0.1:8080 or [::1]:8080; port 0 takes a free one and says\n"
    "                             which\n"
    "  --window-ms N              collect the bookings of a train for N ms before saving them\n"
    "                             together; 0 to 5000, default 100; 0 saves as soon as the store\n"
    "                             is free\n"
    "  --seats N                  seats of a new train, 1 to 1000, default 30; a train that is\n"
    "                             stored keeps the seats it has\n"
    "  --sessions N               connections to the store, 1 to 256, default 3; with --direct as\n"
    "                             many threads too, default 8\n"
    "  --replays N                load a train again and book again, up to N times, when another\n"
    "                             server saved it meanwhile; 0 to 1000, default 10\n"
    "  --cache N                  keep up to N trains in memory between batches, so that they "
    "need\n"
    "                             not be loaded again: for trains that mostly come to this "
    "server;\n"
    "                             0 to 10000000, default 0\n"
    "  --drain-ms N               after SIGTERM say 503 at /health and serve on for N ms before "
    "the\n"
    "                             stop, so that balancers go elsewhere; 0 to 60000, default 0\n"
    "  --direct                   one transaction for each request and no libbatch, to compare\n"
    "  --table NAME, --key-column NAME, --version-column NAME, --state-column NAME\n"
    "                             the table, made if missing. SQLite, by default:\n"
    "                               batch(key blob primary key, version integer, state blob)\n"
    "                             PostgreSQL, by default:\n"
    "                               train(key text primary key, state text, ver bigint)\n"
    "                             There a key may be text or bytea, a state text, bytea or jsonb, "
    "a\n"
    "                             version any integer. Other programs may write to the table as\n"
    "                             well, if they add 1 to the version each time\n"
    "  --help                     this text\n"
    "\n"
    "requests:\n"
    "  GET /book?train=T&person=P&seat=N   200 once the booking is durable; 400 and a sentence if\n"
    "                                      it is refused\n"
    "  GET /trains/T                       the saved train, {\"Seats\":[\"\",\"ann\",...]}\n"
    "  GET /health                         200 \"ok\", or 503 and why: the server is stopping; or "
    "for\n"
    "                                      3 s the store could not be read (tried once a second), "
    "or\n"
    "                                      of the bookings tried none could be saved. HEAD too\n"
    "  503: nothing was changed, send it again (a limit, a stop, or other servers won each time).\n"
    "  504: nobody knows if the booking was saved; look. 500: nothing was changed.\n"
    "\n"
    "try:  train-server --store sqlite:trains.db --listen 127.0.0.1:8080\n"
    "      curl 'http://127.0.0.1:8080/book?train=berlin&person=ann&seat=1'\n"
    "\n"
    "SIGTERM or Ctrl-C: stop listening, answer what was accepted, exit 0. A second one: stop "
    "now, exit 1\n"
    "(while it drains: drain no longer).\n";

/* `value` must be one that cannot hold a password. */
static enum options_result wrong(const char *option, const char *value, const char *what)
{
    fprintf(stderr, "train-server: %s %s: %s\ntry: train-server --help\n", option, value, what);
    return OPTIONS_WRONG;
}

static enum options_result wrong_store(const char *what)
{
    fprintf(stderr, "train-server: --store: %s\ntry: train-server --help\n", what);
    return OPTIONS_WRONG;
}

/* A number from min to max, digits only. */
static bool read_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret_number)
{
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    unsigned long number = strtoul(text, NULL, 10);
    if (errno != 0 || number < min || number > max)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static enum options_result read_listen(struct options *options, const char *value)
{
    const char *colon = strrchr(value, ':');
    uint32_t port;
    if (colon == NULL || !read_number(colon + 1, 0, 65535, &port))
        return wrong("--listen", value, "write ADDR:PORT, such as 127.0.0.1:8080 or [::1]:8080");
    const char *address = value;
    size_t address_size = (size_t)(colon - value);
    if (address_size >= 2 && address[0] == '[' && address[address_size - 1] == ']') {
        address++;
        address_size -= 2;
    }
    if (address_size == 0 || address_size >= sizeof options->address)
        return wrong("--listen", value, "no address before the port; 127.0.0.1 is this machine");
    memcpy(options->address, address, address_size);
    options->address[address_size] = '\0';
    snprintf(options->port, sizeof options->port, "%u", port);
    return OPTIONS_RUN;
}

/* A number, or what is wrong. */
static enum options_result take_number(const char *option, const char *value, uint32_t min,
                                       uint32_t max, uint32_t *ret_number)
{
    char what[64];
    if (read_number(value, min, max, ret_number))
        return OPTIONS_RUN;
    snprintf(what, sizeof what, "give a number from %u to %u", min, max);
    return wrong(option, value, what);
}

static enum options_result read_option(struct options *options, int option, const char *value)
{
    const char **name = store_options_name(&options->store, option);
    if (name != NULL) {
        *name = value;
        return OPTIONS_RUN;
    }
    const char *what;
    switch (option) {
    case 's':
        what = store_options_read(&options->store, value);
        return what == NULL ? OPTIONS_RUN : wrong_store(what);
    case 'l':
        return read_listen(options, value);
    case 'w':
        return take_number("--window-ms", value, 0, 5000, &options->window_ms);
    case 'n':
        return take_number("--seats", value, 1, TRAIN_SEATS_MAX, &options->seats);
    case 'c':
        return take_number("--sessions", value, 1, SESSIONS_MAX, &options->sessions);
    case 'g':
        return take_number("--drain-ms", value, 0, 60000, &options->drain_ms);
    case 'r':
        return take_number("--replays", value, 0, REPLAYS_MAX, &options->replays);
    case 'm':
        return take_number("--cache", value, 0, CACHE_MAX, &options->cache);
    case 'd':
        options->direct = true;
        return OPTIONS_RUN;
    case 'h':
        fputs(help, stdout);
        return OPTIONS_HELP;
    default: /* which one is not said: what follows a blank in a conninfo may be a password */
        fputs("train-server: an option is not known, or has no value, or one too many; quote a"
              " conninfo that has blanks\ntry: train-server --help\n",
              stderr);
        return OPTIONS_WRONG;
    }
}

/* What must be there, and what follows from the rest. */
static enum options_result complete(struct options *options)
{
    if (options->store.kind == STORE_NONE || options->address[0] == '\0') {
        fputs("train-server: say where to keep the trains and where to listen:\n"
              "  train-server --store sqlite:trains.db --listen 127.0.0.1:8080\n"
              "try: train-server --help\n",
              stderr);
        return OPTIONS_WRONG;
    }
    const char *what = store_options_complete(&options->store);
    if (what != NULL)
        return wrong_store(what);
    if (options->sessions == 0)
        options->sessions = options->direct ? SESSIONS_DIRECT_DEFAULT : SESSIONS_DEFAULT;
    return OPTIONS_RUN;
}

enum options_result options_read(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"store", required_argument, NULL, 's'},
        {"listen", required_argument, NULL, 'l'},
        {"window-ms", required_argument, NULL, 'w'},
        {"seats", required_argument, NULL, 'n'},
        {"sessions", required_argument, NULL, 'c'},
        {"drain-ms", required_argument, NULL, 'g'},
        {"replays", required_argument, NULL, 'r'},
        {"cache", required_argument, NULL, 'm'},
        {"direct", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        STORE_OPTIONS_LONG,
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){
        .window_ms = 100, .seats = TRAIN_SEATS_DEFAULT, .replays = REPLAYS_DEFAULT};
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        enum options_result result = read_option(options, option, optarg);
        if (result != OPTIONS_RUN)
            return result;
    }
    return optind < argc ? read_option(options, '?', NULL) : complete(options);
}
