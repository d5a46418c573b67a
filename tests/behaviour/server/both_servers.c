/* both_servers.c: see both_servers.h. */
#include "both_servers.h"

#include <signal.h>

int fixture_start(void **state, const char *program, const char *const *options)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL)
        return -1;
    storage_folder(&fixture->folder);
    server_start(&fixture->server, program, &fixture->folder, options);
    *state = fixture;
    return 0;
}

int fixture_stop(void **state)
{
    struct fixture *fixture = *state;
    int code = server_end(&fixture->server, SIGTERM, NULL, 0);
    folder_remove(&fixture->folder);
    free(fixture);
    return code;
}
