/* temporary_folder.c: see temporary_folder.h. */
#include "temporary_folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

void temporary_folder_make(char *ret_path, size_t size, const char *parent)
{
    if (parent == NULL)
        parent = getenv("TMPDIR");
    int length = snprintf(ret_path, size, "%s/libbatch-XXXXXX", parent != NULL ? parent : "/tmp");
    if (length < 0 || (size_t)length >= size || mkdtemp(ret_path) == NULL) {
        perror(ret_path);
        exit(1);
    }
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void temporary_folder_remove(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
