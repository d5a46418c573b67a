/* temporary_folder.h: a folder of one's own, for as long as a test lasts. */
#ifndef BATCH_TEST_SUPPORT_TEMPORARY_FOLDER_H
#define BATCH_TEST_SUPPORT_TEMPORARY_FOLDER_H

#include <stddef.h>

/* Make one in `parent`; NULL: in TMPDIR of the environment, or /tmp. Ends the program if that
 * cannot be done, or if the path has no room in `size`. */
void temporary_folder_make(char *ret_path, size_t size, const char *parent);

/* Remove it with all that is in it. */
void temporary_folder_remove(const char *path);

#endif
