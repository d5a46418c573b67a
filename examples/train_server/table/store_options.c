/* store_options.c: see store_options.h. */
#include "table/store_options.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

const char *store_options_read(struct store_options *options, const char *text)
{
    static const char sqlite[] = "sqlite:";
    static const char postgres[] = "postgres:";
    if (has_prefix(text, sqlite)) {
        options->kind = STORE_SQLITE;
        options->where = text + strlen(sqlite);
        bool is_file = options->where[0] != '\0' && strcmp(options->where, ":memory:") != 0;
        return is_file ? NULL : "name a file after sqlite:";
    }
    if (has_prefix(text, "postgres://") || has_prefix(text, "postgresql://")) {
        options->kind = STORE_POSTGRES;
        options->where = text;
        return NULL;
    }
    if (has_prefix(text, postgres)) {
        options->kind = STORE_POSTGRES;
        options->where = text + strlen(postgres);
        return NULL; /* all defaults, if it is empty */
    }
    return "unknown kind of store; write sqlite:PATH or postgres:CONNINFO";
}

const char **store_options_name(struct store_options *options, int option)
{
    switch (option) {
    case 'T':
        return &options->table;
    case 'K':
        return &options->key_column;
    case 'V':
        return &options->version_column;
    case 'S':
        return &options->state_column;
    default:
        return NULL;
    }
}

const char *store_options_complete(struct store_options *options)
{
    static const struct store_options defaults[] = {
        [STORE_SQLITE] = {STORE_SQLITE, NULL, "batch", "key", "version", "state"},
        [STORE_POSTGRES] = {STORE_POSTGRES, NULL, "train", "key", "ver", "state"},
    };
    struct store_options of_kind = defaults[options->kind];
    for (const char *option = "TKVS"; *option != '\0'; option++) {
        const char **name = store_options_name(options, *option);
        if (*name == NULL)
            *name = *store_options_name(&of_kind, *option);
        if (**name == '\0')
            return "the name of a table or column is empty";
    }
    return NULL;
}

/* The name that a letter stands for, NULL for none. */
static const char *name_of(const struct store_options *options, char letter)
{
    switch (letter) {
    case 't':
        return options->table;
    case 'k':
        return options->key_column;
    case 'v':
        return options->version_column;
    case 's':
        return options->state_column;
    default:
        return NULL;
    }
}

/* Write a name in quotes, quotes in it doubled; count only, if `at` is NULL. Returns the bytes. */
static size_t quote(char *at, const char *name)
{
    size_t size = 0;
    for (const char *c = name; *c != '\0'; c++) {
        for (int times = *c == '"' ? 2 : 1; times > 0; times--, size++) {
            if (at != NULL)
                at[1 + size] = *c;
        }
    }
    if (at != NULL)
        at[0] = at[1 + size] = '"';
    return size + 2;
}

/* As quote, for the whole statement. */
static size_t fill(char *at, const struct store_options *options, const char *form)
{
    size_t size = 0;
    for (const char *c = form; *c != '\0'; c++) {
        const char *name = *c == '%' ? name_of(options, c[1]) : NULL;
        if (name != NULL) {
            size += quote(at != NULL ? at + size : NULL, name);
            c++;
        } else {
            if (at != NULL)
                at[size] = *c;
            size++;
        }
    }
    return size;
}

char *store_options_sql(const struct store_options *options, const char *form)
{
    size_t size = fill(NULL, options, form);
    char *sql = malloc(size + 1);
    if (sql != NULL) {
        fill(sql, options, form);
        sql[size] = '\0';
    }
    return sql;
}
