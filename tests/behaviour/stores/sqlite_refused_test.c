/* The SQLite store while there is no memory: it reports that, nothing is stored that is not
 * reported, and it goes on afterwards. */
#include "driver.h"
#include "refused.h"
#include "sqlite_fixture.h"
#include "test.h"

TEST(test_a_store_is_opened_with_all_its_memory_or_not_at_all)
{
    struct sqlite_file file;
    sqlite_file_init(&file);
    batch_store *store = NULL;
    int number = 0;
    bool was_reached = true;
    while (was_reached) {
        batch_result error = {0};
        refuse(++number);
        int status = batch_sqlite_open(&store, file.path, NULL, &error);
        was_reached = refuse(0);
        if (was_reached) {
            assert_int_equal(status, BATCH_NO_MEMORY);
            assert_non_null(strstr(error.message, "memory"));
            assert_null(store);
        }
    }
    assert_true(number > 2);
    assert_int_equal(batch_store_close(store), BATCH_OK);
    sqlite_file_destroy(&file);
}

TEST(test_a_batch_without_memory_is_told_so_and_stores_nothing)
{
    struct sqlite_file file;
    sqlite_file_init(&file);
    batch_store *store = sqlite_file_store(&file, NULL);
    refused_batches(store);
    assert_int_equal(batch_store_close(store), BATCH_OK);
    sqlite_file_destroy(&file);
}
