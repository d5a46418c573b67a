/* storage_file.c: see storage.h. */
#include "storage.h"

const bool storage_is_text = false;

int storage_begin(void **state)
{
    (void)state;
    return 0;
}

int storage_end(void **state)
{
    (void)state;
    return 0;
}

void storage_folder(struct folder *folder)
{
    folder_make(folder);
}
