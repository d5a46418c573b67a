/* result.h: results and their messages: what failed, for which key, at which stage, and why. */
#ifndef BATCH_RUNTIME_RESULT_H
#define BATCH_RUNTIME_RESULT_H

#include <batch/metrics.h>

/* A result without a batch, with a printf format; returns status. result may be NULL. */
int batch__result_set(batch_result *result, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For a call that fails because of another one: "key 'culprit': its reason". */
void batch__result_reason(char *text, size_t text_size, const batch_call *culprit);

/* The result of a batch's operations. */
void batch__result_of_call(batch_result *result, const batch_call *call);

/* A sentence on a batch that was slow: its key, and what took how long. */
void batch__result_slow(char *message, size_t message_size, const batch_call *call,
                        const batch_metric *metric);

#endif
