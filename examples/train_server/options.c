/* options.c: see options.h. */
#include "options.h"
#include "train.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "train-server: book seats in trains over HTTP\n"
    "\n"
    "usage: train-server --store sqlite:PATH --listen ADDR:PORT [--window-ms N] [--seats N]\n"
    "                    [--direct]\n"
    "\n"
    "  --store sqlite:PATH   the file that keeps the trains; created if missing\n"
    "  --listen ADDR:PORT    127.0.0.1:8080 or [::1]:8080; port 0 takes a free one and says which\n"
    "  --window-ms N         collect the bookings of a train for N ms before saving them "
    "together;\n"
    "                        0 to 5000, default 100; 0 saves as soon as the file is free\n"
    "  --seats N             seats of a new train, 1 to 1000, default 30; a train that is stored\n"
    "                        keeps the seats it has\n"
    "  --direct              one transaction for each request and no libbatch, to compare\n"
    "  --help                this text\n"
    "\n"
    "requests:\n"
    "  GET /book?train=T&person=P&seat=N   200 once the booking is durable; 400 and a sentence if\n"
    "                                      it is refused\n"
    "  GET /trains/T                       the saved train, {\"Seats\":[\"\",\"ann\",...]}\n"
    "\n"
    "try:  train-server --store sqlite:trains.db --listen 127.0.0.1:8080\n"
    "      curl 'http://127.0.0.1:8080/book?train=berlin&person=ann&seat=1'\n"
    "\n"
    "SIGTERM or Ctrl-C: stop listening, answer what was accepted, exit 0. A second one: exit 1 "
    "now.\n";

static enum options_result wrong(const char *option, const char *value, const char *what)
{
    fprintf(stderr, "train-server: %s %s: %s\ntry: train-server --help\n", option, value, what);
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

static enum options_result read_store(struct options *options, const char *value)
{
    static const char prefix[] = "sqlite:";
    if (strncmp(value, prefix, strlen(prefix)) != 0)
        return wrong("--store", value, "unknown kind of store; write sqlite:PATH");
    options->store_path = value + strlen(prefix);
    if (options->store_path[0] == '\0' || strcmp(options->store_path, ":memory:") == 0)
        return wrong("--store", value, "name a file after sqlite:");
    return OPTIONS_RUN;
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

static enum options_result read_option(struct options *options, int option, const char *value)
{
    switch (option) {
    case 's':
        return read_store(options, value);
    case 'l':
        return read_listen(options, value);
    case 'w':
        return read_number(value, 0, 5000, &options->window_ms)
                   ? OPTIONS_RUN
                   : wrong("--window-ms", value, "give a number from 0 to 5000");
    case 'n':
        return read_number(value, 1, TRAIN_SEATS_MAX, &options->seats)
                   ? OPTIONS_RUN
                   : wrong("--seats", value, "give a number from 1 to 1000");
    case 'd':
        options->direct = true;
        return OPTIONS_RUN;
    case 'h':
        fputs(help, stdout);
        return OPTIONS_HELP;
    default: /* getopt has said what is wrong */
        fputs("try: train-server --help\n", stderr);
        return OPTIONS_WRONG;
    }
}

enum options_result options_read(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"store", required_argument, NULL, 's'},
        {"listen", required_argument, NULL, 'l'},
        {"window-ms", required_argument, NULL, 'w'},
        {"seats", required_argument, NULL, 'n'},
        {"direct", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){.window_ms = 100, .seats = TRAIN_SEATS_DEFAULT};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        enum options_result result = read_option(options, option, optarg);
        if (result != OPTIONS_RUN)
            return result;
    }
    if (optind < argc)
        return wrong("argument", argv[optind], "not understood");
    if (options->store_path == NULL || options->address[0] == '\0') {
        fputs("train-server: say where to keep the trains and where to listen:\n"
              "  train-server --store sqlite:trains.db --listen 127.0.0.1:8080\n"
              "try: train-server --help\n",
              stderr);
        return OPTIONS_WRONG;
    }
    return OPTIONS_RUN;
}
