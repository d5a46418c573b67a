/* storage_database.c: see storage.h and storage_database.h. */
#include "storage_database.h"

#include <stdio.h>

const bool storage_is_text = true;
struct postgres_server storage_database;

int storage_begin(void **state)
{
    (void)state;
    postgres_server_init(&storage_database, NULL, false);
    return 0;
}

int storage_end(void **state)
{
    (void)state;
    postgres_server_destroy(&storage_database);
    return 0;
}

void storage_folder(struct folder *folder)
{
    folder_make(folder);
    snprintf(folder->store, sizeof folder->store, "postgres:%s", storage_database.conninfo);
    postgres_server_execute(&storage_database, "DROP TABLE IF EXISTS train");
}
