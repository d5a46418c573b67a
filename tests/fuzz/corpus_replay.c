/* corpus_replay.c: run a fuzz target on every file of a folder, and ask it if that showed
 * everything.
 *
 *     fuzz-api-corpus FOLDER
 */
#include "fuzz.h"

#include <dirent.h>

enum { PATH_SIZE = 4096 };

static bool run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    static uint8_t bytes[65536];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    /* Memory of its own size: a step behind the end is seen, where something looks. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        return false;
    memcpy(copy, bytes, size);
    printf("%s\n", path);
    fflush(stdout); /* so that the last one named is the one that was wrong */
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return true;
}

/* Returns how many files there were, 0 if one could not be read. */
static unsigned run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        perror(folder);
        return 0;
    }
    unsigned files = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[PATH_SIZE];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (!run_file(path)) {
            files = 0;
            break;
        }
        files++;
    }
    closedir(dir);
    return files;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    unsigned files = run_folder(argv[1]);
    printf("%u files\n", files);
    return files > 0 && fuzz_is_complete() ? 0 : 1;
}
