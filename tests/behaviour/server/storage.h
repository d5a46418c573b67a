/* storage.h: what the servers under test keep their trains in: a file (storage_file.c) or a
 * PostgreSQL server of the test program's own (storage_database.c). The same tests are linked with
 * each. */
#ifndef STORAGE_H
#define STORAGE_H

#include "server_harness.h"

/* For the setup and the teardown of the group of tests. */
int storage_begin(void **state);
int storage_end(void **state);

/* folder_make, with a store that is empty. One at a time: they may share what is empty now. */
void storage_folder(struct folder *folder);

/* Can the name of a train be only what a column of text can hold? */
extern const bool storage_is_text;

#endif
