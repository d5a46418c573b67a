/* main.c: direct-server: what train-server is compared with. The same HTTP server, the same trains
 * and the same table, but no libbatch: a transaction for each request.
 *
 * It is the program that one would write without libbatch, and written with care; sqlite.c and
 * postgres.c say what that means for each database. */
#include "http/options.h"
#include "http/server.h"

#define SESSIONS_DEFAULT 8

static const char help[] =
    "direct-server: train-server without libbatch, with a transaction for each request, to "
    "compare\n"
    "\n"
    "usage: direct-server --store STORE --listen ADDR:PORT [OPTION...]\n"
    "\n"
    "  --store sqlite:PATH, --store postgres:CONNINFO\n"
    "                    where the trains are stored; PostgreSQL: key and state must be text or "
    "JSON\n"
    "  --listen ADDR:PORT\n"
    "  --seats N         seats of a new train, 1 to 1000, default 30\n"
    "  --sessions N      threads, each with a connection to the store, 1 to 256, default 8\n"
    "  --drain-ms N      after SIGTERM return 503 at /health and go on serving for N ms, default "
    "0\n"
    "  --table NAME, --key-column NAME, --version-column NAME, --state-column NAME\n"
    "  --help            this text\n"
    "\n"
    "All of it, and the requests, as train-server --help explains.\n"
    "\n"
    "try:  direct-server --store sqlite:trains.db --listen 127.0.0.1:8080\n";

int main(int argc, char **argv)
{
    struct options options = {
        .office.sessions = SESSIONS_DEFAULT,
        .office.seats = OPTIONS_SEATS_DEFAULT,
        .help = help,
    };
    enum options_result read = options_read(&options, argc, argv);
    if (read != OPTIONS_RUN)
        return read == OPTIONS_HELP ? 0 : 2;
    return server_run(&options, true);
}
