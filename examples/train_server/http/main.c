/* main.c: train-server: the command line of the server that books with libbatch. */
#include "http/options.h"
#include "http/server.h"

#define WINDOW_MS_DEFAULT 100
#define SESSIONS_DEFAULT  3
#define REPLAYS_DEFAULT   10

static const char help[] =
    "train-server: book seats in trains over HTTP\n"
    "\n"
    "usage: train-server --store STORE --listen ADDR:PORT [OPTION...]\n"
    "\n"
    "  --store sqlite:PATH        the file that stores the trains; created if missing\n"
    "  --store postgres:CONNINFO  the database: \"postgres:host=db1,db2 dbname=trains\", or a "
    "URI,\n"
    "                             postgres://db1,db2/trains; all that libpq understands. Put a\n"
    "                             password into ~/.pgpass: others can see command lines\n"
    "  --listen ADDR:PORT         127.0.0.1:8080 or [::1]:8080; port 0 takes a free one, which is\n"
    "                             printed\n"
    "  --window-ms N              collect the bookings of a train for N ms and save them "
    "together;\n"
    "                             0 to 5000, default 100; 0 saves as soon as the store is free\n"
    "  --seats N                  seats of a new train, 1 to 1000, default 30, numbered from 0; a\n"
    "                             stored train has the seats that it was stored with\n"
    "  --sessions N               connections to the store, 1 to 256, default 3\n"
    "  --replays N                load a train and book again, up to N times, when another server\n"
    "                             saved it meanwhile; 0 to 1000, default 10\n"
    "  --cache N                  cache up to N trains in memory between batches, so that they "
    "need\n"
    "                             not be loaded again: for trains that mostly come to this "
    "server;\n"
    "                             0 to 10000000, default 0\n"
    "  --drain-ms N               after SIGTERM return 503 at /health and go on serving for N ms,\n"
    "                             so that balancers use other servers; 0 to 60000, default 0\n"
    "  --table NAME, --key-column NAME, --version-column NAME, --state-column NAME\n"
    "                             the table, created if missing. SQLite, by default:\n"
    "                               batch(key blob primary key, version integer, state blob)\n"
    "                             PostgreSQL, by default:\n"
    "                               train(key text primary key, state text, ver bigint)\n"
    "                             There a key may be text or bytea, a state text, bytea or jsonb, "
    "a\n"
    "                             version any integer. Other programs may write to the table as\n"
    "                             well, if they add 1 to the version each time\n"
    "  --help                     this text\n"
    "\n"
    "requests:\n"
    "  GET /book?train=T&person=P&seat=N   200 once the booking is durable; 400 and a sentence if\n"
    "                                      it is refused\n"
    "  GET /trains/T                       the stored train, {\"Seats\":[\"\",\"ann\",...]}\n"
    "  GET /                               a page to book on, with live figures\n"
    "  GET /health                         200 \"ok\", or 503 and the reason: the server is "
    "stopping;\n"
    "                                      or for 3 s the store could not be read (tried once a\n"
    "                                      second), or no booking could be saved\n"
    "  GET /metrics                        for Prometheus or OpenMetrics (docs/metrics.md)\n"
    "  HEAD is served as GET is, without the body; a booking may also be sent with POST.\n"
    "  503: nothing was changed, send it again (a limit, a stop, or other servers won each time).\n"
    "  504: it is unknown whether the booking was saved; view the train. 500: nothing changed.\n"
    "\n"
    "try:  train-server --store sqlite:trains.db --listen 127.0.0.1:8080\n"
    "      curl 'http://127.0.0.1:8080/book?train=berlin&person=ann&seat=1'\n"
    "\n"
    "SIGTERM, SIGHUP or Ctrl-C: stop listening, complete what was accepted, exit 0. A second one: "
    "stop "
    "now,\n"
    "exit 1 (while it drains: end draining).\n";

int main(int argc, char **argv)
{
    struct options options = {
        .office.window_ms = WINDOW_MS_DEFAULT,
        .office.sessions = SESSIONS_DEFAULT,
        .office.replays = REPLAYS_DEFAULT,
        .office.seats = OPTIONS_SEATS_DEFAULT,
        .help = help,
        .own = {{"window-ms", 0, 5000, &options.office.window_ms},
                {"replays", 0, 1000, &options.office.replays},
                {"cache", 0, 10000000, &options.office.cache}},
    };
    enum options_result read = options_read(&options, argc, argv);
    if (read != OPTIONS_RUN)
        return read == OPTIONS_HELP ? 0 : 2;
    return server_run(&options, false);
}
