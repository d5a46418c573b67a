/* answer.c: see answer.h. */
#include "answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train_codec.h"

static const char plain_text[] = "text/plain; charset=utf-8";

/* The answer is the first `size` bytes of request->body. */
static struct answer answer_body(struct request *request, unsigned http_status, size_t size)
{
    return (struct answer){http_status, plain_text, request->body, size, false};
}

struct answer answer_sentence(struct request *request, unsigned http_status, const char *sentence)
{
    int size = snprintf(request->body, sizeof request->body, "%s\n", sentence);
    return answer_body(request, http_status, (size_t)size);
}

static struct answer answer_booked(struct request *request)
{
    const struct target *target = &request->target;
    size_t size = target_escape(request->body, target->train, target->train_size);
    size += (size_t)snprintf(request->body + size, 16, " %u ", target->seat);
    size += target_escape(request->body + size, target->person, target->person_size);
    request->body[size++] = '\n';
    return answer_body(request, 200, size);
}

void answer_keep_train(struct request *request, struct train *train)
{
    size_t size = 0;
    const char *json = train_encode(train, &size);
    free(request->json); /* the batch was run before, and is run again */
    request->json = json != NULL ? malloc(size + 1) : NULL;
    if (request->json != NULL) {
        memcpy(request->json, json, size);
        request->json[size] = '\n';
        request->json_size = size + 1;
    }
}

static struct answer answer_train(struct request *request)
{
    if (request->json == NULL)
        return answer_sentence(request, 500, "The train could not be shown: out of memory.");
    return (struct answer){200, "application/json", request->json, request->json_size, false};
}

/* Was nothing changed, and may the same request succeed soon? CONFLICT is one of these: it means
 * that another server has won each time, not that the client has done anything wrong. */
static bool may_be_sent_again(int status)
{
    return status == BATCH_BUSY || status == BATCH_STOPPED || status == BATCH_CONFLICT;
}

static struct answer answer_failure(struct request *request)
{
    unsigned http_status = 500;
    const char *what = "Nothing was changed";
    bool retry_later = may_be_sent_again(request->status);
    if (request->target.kind == TARGET_TRAIN) {
        http_status = retry_later ? 503 : 500;
        what = "The train could not be read";
    } else if (batch_may_be_applied(request->status)) {
        http_status = 504;
        what = "The booking may or may not have been saved; look at the train before you try again";
    } else if (retry_later) {
        http_status = 503;
        what = "Nothing was changed. Try again later";
    }
    int size = snprintf(request->body, sizeof request->body, "%s: %s\n", what, request->message);
    struct answer answer = answer_body(request, http_status, (size_t)size);
    answer.retry_later = retry_later;
    return answer;
}

struct answer answer_make(struct request *request)
{
    if (request->status != BATCH_OK)
        return answer_failure(request);
    if (request->target.kind == TARGET_TRAIN)
        return answer_train(request);
    switch (request->answer) {
    case TRAIN_BOOKED:
    case TRAIN_YOURS:
        return answer_booked(request);
    case TRAIN_NO_SEAT:
        return answer_sentence(request, 400, "There is no such seat in this train.");
    case TRAIN_TAKEN:
        return answer_sentence(request, 400, "This seat is another person's.");
    case TRAIN_HAS_ANOTHER:
        return answer_sentence(request, 400, "This person has another seat in this train.");
    case TRAIN_NO_MEMORY:
        break;
    }
    return answer_sentence(request, 500, "Nothing was changed: out of memory.");
}
