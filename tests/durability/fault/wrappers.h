/* wrappers.h: between wrappers.c, with the functions, and fault_hooks.c, which puts them in place.
 * */
#ifndef BATCH_TEST_FAULT_WRAPPERS_H
#define BATCH_TEST_FAULT_WRAPPERS_H

/* Of a function of the system: what the linker calls the real one, and the one in its place. */
#define WRAPPED(type, name, parameters)                                                            \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;

struct wrapper {
    const char *name; /* as a client library calls it; NULL: the end */
    void (*function)(void);
};

extern const struct wrapper wrappers[];

#endif
