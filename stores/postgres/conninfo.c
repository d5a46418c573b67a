#define _POSIX_C_SOURCE 200809L /* strndup */
#include "conninfo.h"

#include "../check.h"
#include "error.h"
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMS_MAX = 64 };
enum { CONNECT_S = 10, CONNECT_SEVERAL_S = 2, CONNECT_MIN_S = 1, CONNECT_MAX_S = 3600 };

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
    for (; options != NULL && options->keyword != NULL; options++) {
        if (strcmp(options->keyword, keyword) == 0 && options->val != NULL &&
            options->val[0] != '\0')
            return options->val;
    }
    return NULL;
}

/* ---- Lists ---------------------------------------------------------------------------------- */

static size_t list_size(const char *list)
{
    size_t size = list != NULL ? 1 : 0;
    for (; list != NULL && *list != '\0'; list++) {
        if (*list == ',')
            size++;
    }
    return size;
}

/* Copy an element of a list. False: no memory. NULL stands for an empty one, or for no list. */
static bool list_copy(const char *list, size_t index, char **ret_text)
{
    for (; list != NULL && index > 0; index--) {
        list = strchr(list, ',');
        list = list != NULL ? list + 1 : NULL;
    }
    *ret_text = NULL;
    if (list == NULL || *list == '\0' || *list == ',')
        return true;
    *ret_text = strndup(list, strcspn(list, ","));
    return *ret_text != NULL;
}

static int invalid(batch_result *reterr, const char *text)
{
    return batch__postgres_fail(reterr, BATCH_INVALID, 0, text);
}

static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 5 && text[digits] == '\0';
}

static int split_lists(struct batch__postgres_conninfo *conninfo, const PQconninfoOption *defaults,
                       batch_result *reterr)
{
    static const char *const keywords[3] = {"host", "hostaddr", "port"};
    const char *lists[3];
    for (int i = 0; i < 3; i++) {
        lists[i] = option_value(conninfo->options, keywords[i]);
        if (lists[i] == NULL)
            lists[i] = option_value(defaults, keywords[i]);
    }
    size_t hosts = list_size(lists[0]);
    size_t addresses = list_size(lists[1]);
    size_t ports = list_size(lists[2]);
    if (hosts > 0 && addresses > 0 && hosts != addresses)
        return invalid(reterr, "conninfo: hostaddr must list as many hosts as host");
    conninfo->hosts_size = hosts > addresses ? hosts : addresses;
    if (conninfo->hosts_size == 0)
        conninfo->hosts_size = 1;
    if (ports > 1 && ports != conninfo->hosts_size)
        return invalid(reterr, "conninfo: port must list one port, or one for each host");
    if (conninfo->hosts_size > BATCH__POSTGRES_HOSTS_MAX)
        return invalid(reterr, "conninfo: more than 32 hosts");
    for (size_t i = 0; i < conninfo->hosts_size; i++) {
        struct batch__postgres_host *host = &conninfo->hosts[i];
        if (!list_copy(lists[0], i, &host->host) || !list_copy(lists[1], i, &host->hostaddr) ||
            !list_copy(lists[2], ports > 1 ? i : 0, &host->port))
            return batch__postgres_fail(reterr, BATCH_NO_MEMORY, 0, "no memory for hosts");
        if (host->port != NULL && !is_port(host->port))
            return invalid(reterr, "conninfo: a port is not a number (in a URI, special characters "
                                   "of a password must be percent-encoded)");
        if (host->host != NULL && strchr(host->host + 1, '@') != NULL)
            return invalid(reterr, "conninfo: a host contains @ (in a URI, special characters of a "
                                   "password must be percent-encoded)");
    }
    return BATCH_OK;
}

/* ---- The string ----------------------------------------------------------------------------- */

static uint64_t nanoseconds(long seconds)
{
    batch__check(seconds >= CONNECT_MIN_S && seconds <= CONNECT_MAX_S);
    return (uint64_t)seconds * 1000 * BATCH__POSTGRES_MS;
}

static void set_connect_ns(struct batch__postgres_conninfo *conninfo,
                           const PQconninfoOption *defaults)
{
    const char *text = option_value(conninfo->options, "connect_timeout");
    if (text == NULL)
        text = option_value(defaults, "connect_timeout");
    long seconds = text != NULL ? strtol(text, NULL, 10) : 0;
    if (seconds > CONNECT_MAX_S)
        seconds = CONNECT_MAX_S;
    bool is_set = seconds > 0;
    conninfo->connect_several_ns = nanoseconds(is_set ? seconds : CONNECT_SEVERAL_S);
    conninfo->connect_ns = nanoseconds(is_set                     ? seconds
                                       : conninfo->hosts_size > 1 ? CONNECT_SEVERAL_S
                                                                  : CONNECT_S);
}

uint64_t batch__postgres_connect_ns(const struct batch__postgres_conninfo *conninfo,
                                    size_t addresses_size)
{
    return addresses_size > 1 ? conninfo->connect_several_ns : conninfo->connect_ns;
}

/* There is no other sign of it: libpq then reports this and nothing else, while an error in a
 * string begins differently, though it may repeat any part of it. (The text is English unless the
 * program has called setlocale; then the string is taken to be invalid.) */
static bool is_out_of_memory(const PQconninfoOption *options, const char *error)
{
    static const char words[] = "out of memory";
    return options == NULL && (error == NULL || strncmp(error, words, sizeof words - 1) == 0);
}

int batch__postgres_conninfo_init(struct batch__postgres_conninfo *conninfo, const char *text,
                                  batch_result *reterr)
{
    char *error = NULL;
    *conninfo = (struct batch__postgres_conninfo){.options = PQconninfoParse(text, &error)};
    bool is_short = is_out_of_memory(conninfo->options, error);
    PQfreemem(error); /* it may repeat a part of the string */
    if (is_short)
        return batch__postgres_fail(reterr, BATCH_NO_MEMORY, 0, "no memory for conninfo");
    if (conninfo->options == NULL)
        return invalid(reterr, "conninfo is not a valid libpq connection string (not shown, as it "
                               "may contain a password): use keyword=value pairs, with 'quotes' "
                               "around values with spaces, or a postgresql:// URI");
    /* A service that the string names overrides the environment, and only libpq reads it. */
    PQconninfoOption *defaults = NULL;
    if (option_value(conninfo->options, "service") == NULL)
        defaults = PQconndefaults();
    int status = split_lists(conninfo, defaults, reterr);
    set_connect_ns(conninfo, defaults);
    PQconninfoFree(defaults);
    batch__check(status != BATCH_OK || conninfo->hosts_size > 0);
    return status;
}

void batch__postgres_conninfo_destroy(struct batch__postgres_conninfo *conninfo)
{
    for (size_t i = 0; i < BATCH__POSTGRES_HOSTS_MAX; i++) {
        free(conninfo->hosts[i].host);
        free(conninfo->hosts[i].hostaddr);
        free(conninfo->hosts[i].port);
    }
    PQconninfoFree(conninfo->options);
}

/* The whole text is searched: a value that is long, or has line feeds, would not be found any more
 * in the one short line. */
void batch__postgres_conninfo_hide(const struct batch__postgres_conninfo *conninfo,
                                   const char *text, char *ret_text, size_t text_size)
{
    enum { SECRET_MIN = 4 }; /* shorter ones would be found in any text */
    static const char *const known[] = {"host", "hostaddr", "port", "user", "dbname"};
    batch__postgres_one_line(ret_text, text_size, text);
    for (const PQconninfoOption *option = conninfo->options; option->keyword != NULL; option++) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            is_known |= strcmp(option->keyword, known[i]) == 0;
        if (!is_known && option->val != NULL && strlen(option->val) >= SECRET_MIN &&
            strstr(text, option->val) != NULL)
            snprintf(ret_text, text_size,
                     "libpq rejects the value of %.32s in conninfo (not shown, as it may be a "
                     "password)",
                     option->keyword);
    }
}

/* ---- Connecting ----------------------------------------------------------------------------- */

struct list {
    const char *keywords[PARAMS_MAX + 1];
    const char *values[PARAMS_MAX + 1];
    size_t size;
};

static void list_add(struct list *list, const char *keyword, const char *value)
{
    if (value == NULL)
        return;
    batch__check(list->size < PARAMS_MAX);
    list->keywords[list->size] = keyword;
    list->values[list->size++] = value;
}

static bool is_ours(const char *keyword)
{
    static const char *const ours[] = {
        "host", "hostaddr", "port", "target_session_attrs", "client_encoding", "connect_timeout"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcmp(keyword, ours[i]) == 0)
            return true;
    }
    return false;
}

/* Unless they are set: options by which libpq notices within a minute that the server is gone. */
static void list_add_defaults(struct list *list, const PQconninfoOption *options)
{
    static const char *const defaults[][3] = {
        {"keepalives_idle", "10", NULL},
        {"keepalives_interval", "5", NULL},
        {"keepalives_count", "3", NULL},
        {"tcp_user_timeout", "25000", NULL},
    };
    list_add(list, "fallback_application_name", "libbatch");
    if (option_value(options, "service") != NULL)
        return; /* it may set them, and what is set here would override it */
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        if (option_value(options, defaults[i][0]) == NULL)
            list_add(list, defaults[i][0], defaults[i][1]);
    }
}

PGconn *batch__postgres_connect_start(const struct batch__postgres_conninfo *conninfo, size_t host,
                                      const char *address)
{
    batch__check(host < conninfo->hosts_size);
    const struct batch__postgres_host *place = &conninfo->hosts[host];
    struct list list = {.size = 0};
    list_add(&list, "host", place->host);
    list_add(&list, "hostaddr", address != NULL ? address : place->hostaddr);
    list_add(&list, "port", place->port);
    list_add(&list, "client_encoding", "UTF8");
    list_add(&list, "target_session_attrs", "any"); /* the server itself is asked: settings.h */
    for (const PQconninfoOption *option = conninfo->options; option->keyword != NULL; option++) {
        if (option->val != NULL && !is_ours(option->keyword))
            list_add(&list, option->keyword, option->val);
    }
    list_add_defaults(&list, conninfo->options);
    return PQconnectStartParams(list.keywords, list.values, 0);
}
