/* fuzz.h: what a fuzz target is: bytes in, and a stop with a sentence if something is wrong.
 *
 * A target is one file with LLVMFuzzerTestOneInput. Under clang with AddressSanitizer it is linked
 * with libFuzzer, which makes up the bytes, and changes those that reach new code. Everywhere else
 * corpus_replay.c is its main program, and runs what is stored in corpus/<target>/: small files,
 * each of which reaches something that no other does. corpus_replay.c also asks fuzz_is_complete,
 * so that a corpus that has come to miss what it is there for is noticed.
 *
 * fuzz_expect is how a target says what must hold. A sanitizer says the rest.
 */
#ifndef BATCH_TESTS_FUZZ_H
#define BATCH_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_size);

/* Have the inputs so far shown all that this target is there to show? Says what is missing. */
bool fuzz_is_complete(void);

#define fuzz_expect(condition) ((condition) ? (void)0 : fuzz_wrong(__FILE__, __LINE__, #condition))

__attribute__((noreturn)) static inline void fuzz_wrong(const char *file, int line,
                                                        const char *what)
{
    fprintf(stderr, "fuzz: %s:%d: not so: %s\n", file, line, what);
    abort();
}

/* The input, read from its beginning. Where it ends, zeroes follow. */
struct fuzz_bytes {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t fuzz_byte(struct fuzz_bytes *bytes)
{
    if (bytes->left == 0)
        return 0;
    bytes->left--;
    return *bytes->at++;
}

/* The next bytes, as many as the first of them says and there are: in memory of their own size, so
 * that AddressSanitizer sees a step behind the end. With a NUL behind them if `is_string`; then
 * nothing behind the first NUL counts. To be freed. */
static inline char *fuzz_take(struct fuzz_bytes *bytes, size_t size, bool is_string,
                              size_t *ret_size)
{
    if (size > bytes->left)
        size = bytes->left;
    const void *end = is_string && size > 0 ? memchr(bytes->at, '\0', size) : NULL;
    size_t taken = size;
    if (end != NULL) {
        size = (size_t)((const uint8_t *)end - bytes->at);
        taken = size + 1;
    }
    char *copy = malloc(size + is_string);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, bytes->at, size);
    if (is_string)
        copy[size] = '\0';
    bytes->at += taken;
    bytes->left -= taken;
    *ret_size = size;
    return copy;
}

/* Is it UTF-8? Decided in another way than by the code that is tested: by writing each character
 * again and comparing. */
bool fuzz_is_utf8(const char *text, size_t size);

#endif
