/* The PostgreSQL store while there is no memory: it reports that, nothing is stored that is not
 * reported, and it goes on afterwards. */
#include "driver.h"
#include "postgres_case.h"
#include "refused.h"
#include "test.h"

PG_TEST(test_a_store_is_opened_with_all_its_memory_or_not_at_all)
{
    batch_postgres_options options = BATCH_POSTGRES_OPTIONS_INIT;
    options.schema = "public";
    batch_store *store = NULL;
    int number = 0;
    bool was_reached = true;
    while (was_reached) {
        batch_result error = {0};
        refuse(++number);
        int status = batch_postgres_open(&store, server->conninfo, &options, &error);
        was_reached = refuse(0);
        if (was_reached) {
            assert_true(status == BATCH_NO_MEMORY || status == BATCH_STORE_FAILED);
            assert_non_null(strstr(error.message, "memory"));
            assert_null(store);
        }
    }
    assert_true(number > 5);
    assert_non_null(store);
    pg_store_end(store);
}

PG_TEST(test_a_batch_without_memory_is_told_so_and_stores_nothing)
{
    batch_store *store = pg_store(server, NULL, NULL);
    refused_batches(store);
    pg_store_end(store);
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
