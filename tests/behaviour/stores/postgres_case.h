/* postgres_case.h: what the tests of the PostgreSQL store share: a server for the whole program,
 * and a database that is empty at the beginning of each test. */
#ifndef BATCH_TEST_STORE_POSTGRES_CASE_H
#define BATCH_TEST_STORE_POSTGRES_CASE_H

#include <batch/postgres.h>

#include "driver.h"
#include "postgres_server.h"

/* For cmocka: *state is the struct postgres_server, one for all tests of the program. */
int pg_server_set_up(void **state);
int pg_server_tear_down(void **state);
/* Before each test: nothing is in the database, and no setting is changed. */
int pg_set_up(void **state);
#define PG_TEST(name) TEST_ON(name, struct postgres_server *server, pg_set_up, NULL)

/* SQL in the manner of printf, on the plain connection of the server; must go well. */
__attribute__((format(printf, 2, 3))) void pg_sql(struct postgres_server *server,
                                                  const char *format, ...);
__attribute__((format(printf, 2, 3))) int64_t pg_number(struct postgres_server *server,
                                                        const char *format, ...);
/* NULL if it is null or there is no row; the test's to free. */
__attribute__((format(printf, 2, 3))) char *pg_value(struct postgres_server *server,
                                                     const char *format, ...);
/* What the query gives must be this text; NULL: null, or no row. */
__attribute__((format(printf, 3, 4))) void pg_expect(struct postgres_server *server,
                                                     const char *expected, const char *format, ...);

/* Wait until the query gives something else than 0; `what` is said when that takes for ever. */
__attribute__((format(printf, 3, 4))) void pg_wait(struct postgres_server *server, const char *what,
                                                   const char *format, ...);

/* Change a setting of the running server ("alter system"), and wait until new sessions have it. */
void pg_configure(struct postgres_server *server, const char *name, const char *value);

/* From now on new sessions log their statements; and in how many lines of the log this text is,
 * since the last time that it was NULL. */
void pg_log_statements(struct postgres_server *server);
size_t pg_count_logged(struct postgres_server *server, const char *text);

/* A store; must go well. `conninfo` NULL: the server's own. */
batch_store *pg_store(struct postgres_server *server, const char *conninfo,
                      const batch_postgres_options *options);
/* What opening a store says, which must fail; the SQLSTATE in `ret_sqlstate`. */
int pg_refused(const char *conninfo, const batch_postgres_options *options, batch_result *reterr,
               char ret_sqlstate[6]);
void pg_store_end(batch_store *store);

/* A table of texts: its options for a store, and SQL to make it. */
batch_postgres_options pg_text_table(struct postgres_server *server, const char *table);

/* As number_options(), but a number is stored as text, which SQL can read. The state is empty or a
 * number in decimal. */
batch_options pg_number_options(batch_store *store, uint32_t sessions);

/* Run many text requests at once, and wait until all are complete. */
void pg_texts_run(batch_processor *processor, struct text_request *requests, size_t requests_size);

/* Rest a little, before looking again at what is waited for. */
void pg_rest(void);

#endif
