/* options.h: the options of a processor, checked, and with defaults in place of what is 0. */
#ifndef BATCH_RUNTIME_OPTIONS_H
#define BATCH_RUNTIME_OPTIONS_H

#include <batch/batch.h>

enum { BATCH__SESSIONS_MAX = 1024, BATCH__SHARDS_MAX = 256 };

/* Check, and fill in defaults; there is always an allocator then. BATCH_OK, or BATCH_INVALID with
 * reterr (may be NULL). */
int batch__options_take(batch_options *ret_options, const batch_options *options,
                        batch_result *reterr);

#endif
