/* session.c: what a session has besides its connection: memory, waiting, randomness, error texts.
 *
 * Opening a session connects, so that what is wrong is known when the processor starts. From then
 * on connection.c sees to it that there is a connection. Closing never waits for the server.
 *
 * Waiting is done in slices: libpq's socket cannot tell that the processor was told to stop.
 */
#include "internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define SLICE_NS (20 * BATCH__POSTGRES_MS)

/* ---- Waiting -------------------------------------------------------------------------------- */

bool batch__postgres_is_over(const struct batch__postgres_limit *limit)
{
    if (limit->call != NULL && batch_call_is_canceled(limit->call))
        return true;
    return batch_now_ns() > limit->until_ns;
}

/* How long to wait at a time. */
static uint64_t slice_ns(const struct batch__postgres_limit *limit)
{
    uint64_t now_ns = batch_now_ns();
    if (now_ns > limit->until_ns)
        return 0;
    uint64_t left_ns = limit->until_ns - now_ns + 1; /* over means after it */
    return left_ns < SLICE_NS ? left_ns : SLICE_NS;
}

void batch__postgres_poll(struct pollfd *fds, size_t fds_size,
                          const struct batch__postgres_limit *limit)
{
    uint64_t wait_ms = (slice_ns(limit) + BATCH__POSTGRES_MS - 1) / BATCH__POSTGRES_MS;
    for (size_t i = 0; i < fds_size; i++)
        fds[i].revents = 0;
    if (poll(fds, (nfds_t)fds_size, (int)wait_ms) < 0) {
        for (size_t i = 0; i < fds_size; i++)
            fds[i].revents = 0; /* interrupted: as if it were time */
    }
}

bool batch__postgres_pause(struct batch__postgres_session *session, uint64_t time_ns,
                           const struct batch__postgres_limit *limit)
{
    uint64_t jitter_ns = time_ns / 2 > 0 ? batch__postgres_random(session) % (time_ns / 2) : 0;
    uint64_t until_ns = batch_now_ns() + time_ns / 2 + jitter_ns;
    for (uint64_t now_ns; (now_ns = batch_now_ns()) < until_ns;) {
        if (batch__postgres_is_over(limit))
            return false;
        uint64_t wait_ns = slice_ns(limit);
        if (until_ns - now_ns < wait_ns)
            wait_ns = until_ns - now_ns;
        nanosleep(&(struct timespec){0, (long)wait_ns}, NULL);
    }
    return !batch__postgres_is_over(limit);
}

/* ---- Randomness ----------------------------------------------------------------------------- */

/* SplitMix64: versions and pauses must differ between sessions, not be secret. */
uint64_t batch__postgres_random(struct batch__postgres_session *session)
{
    session->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t number = session->random;
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

/* ---- Errors --------------------------------------------------------------------------------- */

void batch__postgres_one_line(char *ret_text, size_t text_size, const char *text)
{
    size_t size = 0;
    for (; *text != '\0' && size + 1 < text_size; text++) {
        bool is_space = *text == '\n' || *text == '\t' || *text == ' ';
        if (is_space && (size == 0 || ret_text[size - 1] == ' '))
            continue;
        ret_text[size++] = is_space ? ' ' : *text;
    }
    while (size > 0 && ret_text[size - 1] == ' ')
        size--;
    ret_text[size] = '\0';
}

int batch__postgres_fail(batch_result *reterr, int status, int store_code, const char *text)
{
    *reterr = (batch_result){.status = status, .store_code = store_code};
    snprintf(reterr->message, sizeof reterr->message, "%s", text);
    return status;
}

void batch__postgres_set_late(batch_call *call, int store_code, const char *why)
{
    char text[BATCH_MESSAGE_SIZE];
    bool has_passed = batch_now_ns() >= batch_call_deadline_ns(call);
    snprintf(text, sizeof text, "%s%s%s",
             has_passed ? "the deadline of the batch has passed"
                        : "the processor stops, and its time for that has passed",
             why[0] != '\0' ? ": " : "", why);
    batch_call_set_error(call, store_code, text);
}

/* ---- The session ---------------------------------------------------------------------------- */

bool batch__postgres_reserve_items(struct batch__postgres_session *session, size_t items_size)
{
    if (items_size > session->items_capacity) {
        free(session->items);
        free(session->pointers);
        session->items = calloc(items_size, sizeof *session->items);
        session->pointers = calloc(items_size, 2 * sizeof *session->pointers);
        bool is_made = session->items != NULL && session->pointers != NULL;
        session->items_capacity = is_made ? items_size : 0;
    }
    return items_size <= session->items_capacity;
}

int batch__postgres_session_open(struct batch__postgres_store *store, bool is_first,
                                 struct batch__postgres_session **ret_session, batch_result *reterr)
{
    struct batch__postgres_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return batch__postgres_fail(reterr, BATCH_NO_MEMORY, 0, "no memory for a session");
    session->store = store;
    session->may_create = is_first;
    if (getrandom(&session->random, sizeof session->random, 0) != (ssize_t)sizeof session->random)
        session->random = batch_now_ns() ^ (uint64_t)(uintptr_t)session;

    uint64_t wait_ns = store->conninfo.connect_ns * store->conninfo.hosts_size;
    struct batch__postgres_limit limit = {batch_now_ns() + wait_ns, NULL};
    if (!batch__postgres_connect(session, &limit, false)) {
        batch__postgres_fail(reterr, BATCH_STORE_FAILED, session->error_code, session->error_text);
        batch__postgres_session_close(session);
        return BATCH_STORE_FAILED;
    }
    session->may_create = false;
    *ret_session = session;
    return BATCH_OK;
}

void batch__postgres_session_close(struct batch__postgres_session *session)
{
    batch__postgres_drop(session);
    free(session->items);
    free(session->pointers);
    free(session->buffer.bytes);
    free(session);
}
