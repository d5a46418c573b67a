/* must.h: for threads of the library, where cmocka's assertions cannot be used: says what is not
 * so, and aborts. */
#ifndef BATCH_TEST_SUPPORT_MUST_H
#define BATCH_TEST_SUPPORT_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition)                                                                            \
    ((condition)                                                                                   \
         ? (void)0                                                                                 \
         : (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), abort()))

#endif
