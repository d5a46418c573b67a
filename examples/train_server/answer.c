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

/* What has failed, and what is known of the booking. */
static const char *failure(const struct request *request, bool retry_later)
{
    if (request->target.kind == TARGET_TRAIN)
        return "The train could not be read";
    if (batch_may_be_applied(request->status))
        return "The booking may or may not have been saved; look at the train before you try again";
    return retry_later ? "Nothing was changed. Try again later" : "Nothing was changed";
}

static struct answer answer_failure(struct request *request)
{
    bool retry_later = request->status == BATCH_BUSY || request->status == BATCH_STOPPED;
    int size = snprintf(request->body, sizeof request->body, "%s: %s\n",
                        failure(request, retry_later), request->message);
    struct answer answer = answer_body(request, retry_later ? 503 : 500, (size_t)size);
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
