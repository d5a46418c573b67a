/* store_options.h: where the trains are stored, as the command line says.
 *
 * Pure. A conninfo may hold a password: nothing of `where`, nor of any text that might be one, goes
 * into a message. */
#ifndef STORE_OPTIONS_H
#define STORE_OPTIONS_H

enum store_kind { STORE_NONE, STORE_SQLITE, STORE_POSTGRES };

/* The strings are those of the command line, or static. */
struct store_options {
    enum store_kind kind;
    const char *where; /* the path of the file; or a conninfo, never to be shown */
    const char *table; /* NULL: the default; none are after store_options_complete */
    const char *key_column;
    const char *version_column;
    const char *state_column;
};

/* For getopt_long: the options that name the table. Their values stand for store_options_name. */
#define STORE_OPTIONS_LONG                                                                         \
    {"table", required_argument, NULL, 'T'}, {"key-column", required_argument, NULL, 'K'},         \
        {"version-column", required_argument, NULL, 'V'},                                          \
    {                                                                                              \
        "state-column", required_argument, NULL, 'S'                                               \
    }

/* Read sqlite:PATH, postgres:CONNINFO or a URI of PostgreSQL. NULL when done, else what to write
 * instead; static. */
const char *store_options_read(struct store_options *options, const char *text);

/* The name that an option of STORE_OPTIONS_LONG sets; NULL if it is none of these. */
const char **store_options_name(struct store_options *options, int option);

/* Give the defaults of the kind of store to what is not set. NULL when done, else what is wrong. */
const char *store_options_complete(struct store_options *options);

/* A statement: `form` with %t, %k, %v and %s replaced by the quoted names of the table and its key,
 * version and state column. Of malloc; NULL: no memory. */
char *store_options_sql(const struct store_options *options, const char *form);

#endif
