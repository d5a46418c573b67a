/* response.c: see response.h. */
#include "http/response.h"

#include <stdio.h>

static const char plain_text[] = "text/plain; charset=utf-8";

/* The response is the first `size` bytes of request->body. */
static struct response response_text(struct request *request, unsigned http_status, size_t size)
{
    return (struct response){http_status, plain_text, request->body, size, false, false};
}

struct response response_sentence(struct request *request, unsigned http_status,
                                  const char *sentence)
{
    int size = snprintf(request->body, sizeof request->body, "%s\n", sentence);
    return response_text(request, http_status, (size_t)size);
}

static struct response response_booked(struct request *request)
{
    const struct target *target = &request->target;
    size_t size = target_escape(request->body, target->train, target->train_size);
    size += (size_t)snprintf(request->body + size, 16, " %u ", target->seat);
    size += target_escape(request->body + size, target->person, target->person_size);
    request->body[size++] = '\n';
    return response_text(request, 200, size);
}

static struct response response_train(struct request *request)
{
    struct booking *booking = &request->booking;
    if (booking->json == NULL)
        return response_sentence(request, 500, "The train could not be shown: out of memory.");
    booking->json[booking->json_size] = '\n'; /* in place of the NUL */
    return (struct response){200,  "application/json", booking->json, booking->json_size + 1, false,
                             false};
}

/* Was nothing changed, and may the same request succeed soon? CONFLICT is one of these: it means
 * that another server has won each time, not that the client has done anything wrong. */
static bool may_be_retried(int status)
{
    return status == BATCH_BUSY || status == BATCH_STOPPED || status == BATCH_CONFLICT;
}

static unsigned failure_status(const struct request *request)
{
    int status = request->booking.status;
    if (request->target.kind == TARGET_BOOK && batch_may_be_applied(status))
        return 504;
    return may_be_retried(status) ? 503 : 500;
}

unsigned response_status(const struct request *request)
{
    const struct booking *booking = &request->booking;
    if (booking->status != BATCH_OK)
        return failure_status(request);
    if (request->target.kind == TARGET_TRAIN)
        return booking->json != NULL ? 200 : 500;
    if (booking->result == TRAIN_BOOKED || booking->result == TRAIN_YOURS)
        return 200;
    return booking->result == TRAIN_NO_MEMORY ? 500 : 400;
}

static struct response response_failure(struct request *request)
{
    const char *what = "Nothing was changed";
    bool retry_later = may_be_retried(request->booking.status);
    if (request->target.kind == TARGET_TRAIN) {
        what = "The train could not be read";
    } else if (batch_may_be_applied(request->booking.status)) {
        what = "The booking may or may not have been saved; view the train before you try again";
    } else if (retry_later) {
        what = "Nothing was changed. Try again later";
    }
    int size =
        snprintf(request->body, sizeof request->body, "%s: %s\n", what, request->booking.message);
    struct response response = response_text(request, failure_status(request), (size_t)size);
    response.retry_later = retry_later;
    return response;
}

struct response response_make(struct request *request)
{
    if (request->booking.status != BATCH_OK)
        return response_failure(request);
    if (request->target.kind == TARGET_TRAIN)
        return response_train(request);
    switch (request->booking.result) {
    case TRAIN_BOOKED:
    case TRAIN_YOURS:
        return response_booked(request);
    case TRAIN_NO_SEAT:
        return response_sentence(request, 400, "There is no such seat in this train.");
    case TRAIN_TAKEN:
        return response_sentence(request, 400, "This seat is another person's.");
    case TRAIN_HAS_ANOTHER:
        return response_sentence(request, 400, "This person has another seat in this train.");
    case TRAIN_NO_MEMORY:
        break;
    }
    return response_sentence(request, 500, "Nothing was changed: out of memory.");
}
