/* options.c: see options.h. */
#include "http/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/say.h"

#define SESSIONS_MAX 256
#define DRAIN_MS_MAX 60000

enum { NUMBERS_COMMON = 3, NUMBERS_MAX = NUMBERS_COMMON + OPTIONS_OWN_MAX };

/* What getopt_long returns for the numbers: this one plus their place in the list. */
#define NUMBER_FIRST 1000

static enum options_result wrong(void)
{
    fprintf(stderr, "try: %s --help\n", program_invocation_short_name);
    return OPTIONS_WRONG;
}

/* `value` must be one that cannot hold a password. */
static enum options_result wrong_value(const char *option, const char *value, const char *what)
{
    say("--%s %s: %s", option, value, what);
    return wrong();
}

static enum options_result wrong_store(const char *what)
{
    say("--store: %s", what);
    return wrong();
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

static enum options_result take_number(const struct option_number *number, const char *value)
{
    char what[64];
    if (read_number(value, number->min, number->max, number->value))
        return OPTIONS_RUN;
    snprintf(what, sizeof what, "give a number from %u to %u", number->min, number->max);
    return wrong_value(number->name, value, what);
}

static enum options_result take_listen(struct options *options, const char *value)
{
    const char *colon = strrchr(value, ':');
    uint32_t port;
    if (colon == NULL || !read_number(colon + 1, 0, 65535, &port))
        return wrong_value("listen", value,
                           "write ADDR:PORT, such as 127.0.0.1:8080 or [::1]:8080");
    const char *address = value;
    size_t address_size = (size_t)(colon - value);
    if (address_size >= 2 && address[0] == '[' && address[address_size - 1] == ']') {
        address++;
        address_size -= 2;
    }
    if (address_size == 0 || address_size >= sizeof options->address)
        return wrong_value("listen", value,
                           "no address before the port; 127.0.0.1 is this machine");
    memcpy(options->address, address, address_size);
    options->address[address_size] = '\0';
    snprintf(options->port, sizeof options->port, "%u", port);
    return OPTIONS_RUN;
}

static enum options_result take_store(struct options *options, const char *value)
{
    const char *what = store_options_read(&options->office.store, value);
    return what == NULL ? OPTIONS_RUN : wrong_store(what);
}

static enum options_result take(struct options *options, const struct option_number *numbers,
                                int option, const char *value)
{
    const char **name = store_options_name(&options->office.store, option);
    if (name != NULL) {
        *name = value;
        return OPTIONS_RUN;
    }
    if (option >= NUMBER_FIRST)
        return take_number(&numbers[option - NUMBER_FIRST], value);
    switch (option) {
    case 's':
        return take_store(options, value);
    case 'l':
        return take_listen(options, value);
    case 'h':
        fputs(options->help, stdout);
        return OPTIONS_HELP;
    default: /* which one is not said: what follows a blank in a conninfo may be a password */
        say("an option is not known, or has no value, or one too many; quote a conninfo that has"
            " blanks");
        return wrong();
    }
}

/* What must be there, and what follows from the rest. */
static enum options_result complete(struct options *options)
{
    if (options->office.store.kind == STORE_NONE || options->address[0] == '\0') {
        say("specify where to store the trains and where to listen:\n"
            "  %s --store sqlite:trains.db --listen 127.0.0.1:8080",
            program_invocation_short_name);
        return wrong();
    }
    const char *what = store_options_complete(&options->office.store);
    return what == NULL ? OPTIONS_RUN : wrong_store(what);
}

/* The options that are numbers: those of every server, then the program's own. */
static size_t list_numbers(struct options *options, struct option_number *ret_numbers)
{
    const struct option_number common[NUMBERS_COMMON] = {
        {"seats", 1, TRAIN_SEATS_MAX, &options->office.seats},
        {"sessions", 1, SESSIONS_MAX, &options->office.sessions},
        {"drain-ms", 0, DRAIN_MS_MAX, &options->drain_ms},
    };
    size_t size = 0;
    for (; size < NUMBERS_COMMON; size++)
        ret_numbers[size] = common[size];
    for (size_t i = 0; i < OPTIONS_OWN_MAX && options->own[i].name != NULL; i++)
        ret_numbers[size++] = options->own[i];
    return size;
}

enum options_result options_read(struct options *options, int argc, char **argv)
{
    static const struct option texts[] = {
        {"store", required_argument, NULL, 's'},
        {"listen", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        STORE_OPTIONS_LONG,
    };
    enum { TEXTS = sizeof texts / sizeof texts[0] };
    struct option known[TEXTS + NUMBERS_MAX + 1] = {{NULL, 0, NULL, 0}};
    struct option_number numbers[NUMBERS_MAX];
    size_t numbers_size = list_numbers(options, numbers);
    memcpy(known, texts, sizeof texts);
    for (size_t i = 0; i < numbers_size; i++) {
        known[TEXTS + i] =
            (struct option){numbers[i].name, required_argument, NULL, NUMBER_FIRST + (int)i};
    }
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        enum options_result result = take(options, numbers, option, optarg);
        if (result != OPTIONS_RUN)
            return result;
    }
    return optind < argc ? take(options, numbers, '?', NULL) : complete(options);
}
