/* check.c: the library has found its own state to be inconsistent. Nothing that it holds can be
 * trusted any more, so no operation is completed: the process ends, with the broken condition in
 * the frame of this function. */
#include "check.h"

#include <stdlib.h>

void batch__panic(const char *file, int line, const char *broken)
{
    (void)file;
    (void)line;
    (void)broken;
    abort();
}
