/* The SQLite store: the suite. */
#include "sqlite_fixture.h"

int main(void)
{
    struct sqlite_file file;
    struct store_fixture fixture = sqlite_fixture(&file);
    return store_suite_run(&fixture);
}
