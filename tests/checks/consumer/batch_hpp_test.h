// batch_hpp_test.h: what the tests of batch.hpp have in common.
#ifndef BATCH_HPP_TEST_H
#define BATCH_HPP_TEST_H

#include <batch/batch.hpp>
#include <batch/metrics.h>
#include <batch/sqlite.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                   \
            std::_Exit(1);                                                                         \
        }                                                                                          \
    } while (0)

struct counter {
    long long clicks;
};

inline long long click(counter &c)
{
    return ++c.clicks;
}

struct refusal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline batch::options fast()
{
    batch::options options;
    options.window_ns = BATCH_WINDOW_NONE;
    return options;
}

// The error that f throws; fails if it throws none.
template <class F> batch::error error_of(F f)
{
    try {
        f();
    } catch (const batch::error &e) {
        return e;
    }
    std::fputs("no error was thrown\n", stderr);
    std::_Exit(1);
}

// A store that loses its connection while it saves.
struct lost_store {
    batch_store store = BATCH_STORE_INIT;
    lost_store()
    {
        store.name = "lost";
        store.session_open = [](batch_store *self, void **ret_session, batch_result *) -> int {
            *ret_session = self;
            return BATCH_OK;
        };
        store.load = [](batch_store *, void *, batch_call *const *calls, size_t size) {
            for (size_t i = 0; i < size; i++)
                batch_call_finish(calls[i], batch_call_decode(calls[i], nullptr, 0));
        };
        store.save = [](batch_store *, void *, batch_call *const *calls, size_t size) {
            for (size_t i = 0; i < size; i++)
                batch_call_finish(calls[i], BATCH_UNKNOWN);
        };
        store.session_close = [](batch_store *, void *) {};
        store.close = [](batch_store *) {};
    }
};

// What ends in std::terminate, in a process of its own.
template <class F> void expect_terminate(F f)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        std::set_terminate([] { std::_Exit(7); });
        f();
        std::_Exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

#endif
