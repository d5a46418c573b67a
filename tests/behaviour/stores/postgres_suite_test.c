/* The PostgreSQL store: the suite, on a server of its own, in several places of it: as it comes,
 * and where everything is the wrong way round. */
#include "pooler.h"
#include "postgres_fixture.h"

#define TABLE_SQL                                                                                  \
    "create table batch (key bytea primary key, version bigint not null, state bytea not null, "   \
    "constraint batch_long_keys check (octet_length(key) <= 2001)) "

static const struct postgres_place places[] = {
    {.name = "postgres", .database = "postgres", .role = "batch"},
    {.name = "postgres: contrary role, LATIN1, hash partitions",
     .database = "latin1",
     .encoding = "LATIN1",
     .role = "contrary",
     .table_sql = TABLE_SQL "partition by hash (key); "
                            "create table batch_0 partition of batch for values with (modulus 3, "
                            "remainder 0); "
                            "create table batch_1 partition of batch for values with (modulus 3, "
                            "remainder 1); "
                            "create table batch_2 partition of batch for values with (modulus 3, "
                            "remainder 2); "
                            "grant select, insert, update on batch to contrary"},
    {.name = "postgres: contrary role, SQL_ASCII, through pgbouncer",
     .database = "ascii",
     .encoding = "SQL_ASCII",
     .role = "contrary",
     .is_pooled = true},
};

int main(void)
{
    struct postgres_server server;
    struct pooler pooler;
    int failed = 0;
    postgres_server_init(&server, NULL, false);
    postgres_contrary_role(&server);
    pooler_start(&pooler, &server, "session");
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct postgres_fixture postgres = {.server = &server, .place = &places[i]};
        postgres_place_make(&server, &places[i]);
        postgres.port = places[i].is_pooled ? pooler.port : server.port;
        struct store_fixture fixture = postgres_fixture(&postgres);
        failed += store_suite_run(&fixture);
    }
    pooler_end(&pooler);
    postgres_server_destroy(&server);
    return failed;
}
