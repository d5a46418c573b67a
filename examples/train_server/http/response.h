/* response.h: what an HTTP client gets.
 *
 * Pure: from a request with its outcome to a status, a body and a few headers. */
#ifndef RESPONSE_H
#define RESPONSE_H

#include "http/request.h"

struct response {
    unsigned http_status;
    const char *type; /* Content-Type; static */
    const char *body; /* belongs to the request */
    size_t body_size;
    bool retry_later; /* Retry-After */
    bool close_after; /* Connection: close */
};

/* The response to a request whose booking is complete. Failures are of three kinds, for clients,
 * balancers and audits to go by:
 *   503  nothing was changed, and the same request may be sent again: a limit was reached, the
 *        server is stopping, or other servers won every time on this train (BATCH_CONFLICT)
 *   504  it is unknown whether the booking was saved (BATCH_UNKNOWN)
 *   500  nothing was changed, and the same request would probably fail again
 * A booking with status 200 has the body "TRAIN SEAT PERSON\n", the names as target_escape writes
 * them. May use request->body. */
struct response response_make(struct request *request);

/* The status alone of that response. */
unsigned response_status(const struct request *request);

/* A response that is one sentence, static, and a line feed. */
struct response response_sentence(struct request *request, unsigned http_status,
                                  const char *sentence);

#endif
