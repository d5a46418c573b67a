/* server.h: a booking server from start to stop. */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>

struct options;

/* Open the office, serve requests until SIGTERM, SIGINT or SIGHUP, and close. To stop: accept no
 * more connections, let the office complete what it has accepted, send these responses. Returns the
 * exit code of the program: 0, or 1 having said what failed.
 *
 * `office_is_direct`: as in http.h; then there are as many threads as sessions. */
int server_run(const struct options *options, bool office_is_direct);

#endif
