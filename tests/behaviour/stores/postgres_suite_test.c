/* The PostgreSQL store: the suite, on a server of its own. */
#include "postgres_fixture.h"

int main(void)
{
    struct postgres_server server;
    struct postgres_fixture postgres;
    postgres_server_init(&server, NULL, false);
    struct store_fixture fixture = postgres_fixture(&postgres, &server);
    int failed = store_suite_run(&fixture);
    postgres_server_destroy(&server);
    return failed;
}
