/* output.c: see output.h. */
#include "http/output.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_SIZE 512
#define TEXT_SIZE     4096

struct output {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool closing; /* this and the next two are under the mutex */
    size_t size;
    char text[TEXT_SIZE]; /* not yet taken by the thread */
};

/* What cannot be written (nobody reads any more) is dropped. */
static void write_all(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, text, size);
        if (written > 0) {
            text += written;
            size -= (size_t)written;
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void *run(void *arg)
{
    struct output *output = arg;
    char text[TEXT_SIZE];
    pthread_mutex_lock(&output->mutex);
    while (!output->closing || output->size > 0) {
        size_t size = output->size;
        if (size == 0) {
            pthread_cond_wait(&output->changed, &output->mutex);
            continue;
        }
        memcpy(text, output->text, size);
        output->size = 0;
        pthread_mutex_unlock(&output->mutex);
        write_all(text, size);
        pthread_mutex_lock(&output->mutex);
    }
    pthread_mutex_unlock(&output->mutex);
    return NULL;
}

struct output *output_open(void)
{
    struct output *output = calloc(1, sizeof *output);
    if (output == NULL)
        return NULL;
    pthread_mutex_init(&output->mutex, NULL);
    pthread_cond_init(&output->changed, NULL);
    if (pthread_create(&output->thread, NULL, run, output) != 0) {
        pthread_cond_destroy(&output->changed);
        pthread_mutex_destroy(&output->mutex);
        free(output);
        return NULL;
    }
    return output;
}

void output_print(struct output *output, const char *format, ...)
{
    char line[LINE_MAX_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    size_t size = length < LINE_MAX_SIZE ? (size_t)length : LINE_MAX_SIZE - 1;
    pthread_mutex_lock(&output->mutex);
    if (size <= TEXT_SIZE - output->size) {
        memcpy(output->text + output->size, line, size);
        output->size += size;
        pthread_cond_signal(&output->changed);
    }
    pthread_mutex_unlock(&output->mutex);
}

void output_close(struct output *output)
{
    pthread_mutex_lock(&output->mutex);
    output->closing = true;
    pthread_cond_signal(&output->changed);
    pthread_mutex_unlock(&output->mutex);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (pthread_timedjoin_np(output->thread, NULL, &until) != 0) {
        pthread_detach(output->thread); /* it is held up, and ends with the process */
        return;
    }
    pthread_cond_destroy(&output->changed);
    pthread_mutex_destroy(&output->mutex);
    free(output);
}
