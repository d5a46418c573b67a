/* answer.h: what an HTTP client is told.
 *
 * Pure: from a request with its outcome to a status, a body and a few headers. */
#ifndef ANSWER_H
#define ANSWER_H

#include "request.h"

struct answer {
    unsigned http_status;
    const char *type; /* Content-Type; static */
    const char *body; /* belongs to the request, or is static */
    size_t body_size;
    bool retry_later; /* Retry-After */
};

/* Keep a train as JSON for the answer to a request for TARGET_TRAIN. */
void answer_keep_train(struct request *request, struct train *train);

/* The answer to a request that was served. What went wrong is one of three, for clients, balancers
 * and audits to go by:
 *   503  nothing was changed, and the same request may be sent again: a limit is reached, the
 *        server is stopping, or other servers won every time on this train (BATCH_CONFLICT)
 *   504  nobody knows if the booking was saved (BATCH_UNKNOWN)
 *   500  nothing was changed, and the same request would fail again as far as anybody knows
 * A booking answered 200 says "TRAIN SEAT PERSON\n", the
 * names as target_escape writes them. May use request->body. */
struct answer answer_make(struct request *request);

/* An answer that is one sentence, static, and a line feed. */
struct answer answer_sentence(struct request *request, unsigned http_status, const char *sentence);

#endif
