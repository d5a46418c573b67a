/* both_servers.h: tests that run twice: on train-server and on direct-server. */
#ifndef BOTH_SERVERS_H
#define BOTH_SERVERS_H

#include "storage.h"
#include "test.h"

struct fixture {
    struct folder folder;
    struct server server;
    struct response response;
};

/* A server on an empty store, with these options, ended by NULL; *state is a fixture. However badly
 * it is treated, it must end in order. */
int fixture_start(void **state, const char *program, const char *const *options);
int fixture_stop(void **state);

/* A test with start_batched before it, and again with start_direct; a file has both. Its parameter
 * is the struct fixture *fixture. */
#define TEST_ON_BOTH(name)                                                                         \
    static void name##_on(struct fixture *fixture);                                                \
    static void name(void **state)                                                                 \
    {                                                                                              \
        name##_on(*state);                                                                         \
    }                                                                                              \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        test_register((struct CMUnitTest){#name " (train-server)", name, start_batched,            \
                                          fixture_stop, NULL});                                    \
        test_register((struct CMUnitTest){#name " (direct-server)", name, start_direct,            \
                                          fixture_stop, NULL});                                    \
    }                                                                                              \
    static void name##_on(struct fixture *fixture)

#endif
