#include "suite_parts.h"
#include "test.h"

#include <time.h>

int store_suite_set_up(void **state)
{
    struct store_fixture *fixture = *state;
    fixture->open(fixture);
    return 0;
}

int store_suite_tear_down(void **state)
{
    struct store_fixture *fixture = *state;
    int status = batch_store_close(fixture->store);
    fixture->store = NULL;
    fixture->close(fixture);
    return status;
}

uint64_t stored_version(struct store_fixture *fixture, const char *key)
{
    uint64_t version = 0;
    fixture->read(fixture, key, strlen(key), NULL, 0, NULL, &version);
    return version;
}

int64_t stored_number(struct store_fixture *fixture, const char *key)
{
    int64_t number = -1;
    size_t size = 0;
    bool is_there = fixture->read(fixture, key, strlen(key), &number, sizeof number, &size, NULL);
    return is_there && size == sizeof number ? number : -1;
}

void store_suite_await_deadline(const batch_call *call)
{
    const struct timespec pause = {0, 1000000};
    while (!batch_call_is_canceled(call))
        nanosleep(&pause, NULL);
}
