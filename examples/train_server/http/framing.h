/* framing.h: is it unambiguous where a request ends, and for which host it is (RFC 9112)?
 *
 * This covers what libmicrohttpd 0.9.75 accepts: of two lengths it uses one, a NUL ends what it
 * reads, and it does not require a Host. A proxy in front may read such a request in another way,
 * and what is a body to it may be a request to us. So the request is refused, and its connection
 * closed. */
#ifndef FRAMING_H
#define FRAMING_H

#include <microhttpd.h>
#include <stdbool.h>

struct framing {
    const char *problem; /* a sentence, static; NULL: there is none */
    bool has_body;
};

/* The first line, where it was received. */
struct framing_line {
    const char *method;
    const char *uri;
    const char *uri_end; /* the NUL behind the target, before libmicrohttpd cut off the query */
    const char *version;
};

/* Look through the headers, once all are here: in the first call of the access handler, on its
 * thread. */
struct framing framing_read(struct MHD_Connection *connection, struct framing_line line);

#endif
