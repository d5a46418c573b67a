/* options.h: the options of a processor, checked, and with defaults in place of what is 0. */
#ifndef BATCH_RUNTIME_OPTIONS_H
#define BATCH_RUNTIME_OPTIONS_H

#include <batch/store.h>

enum { BATCH__SESSIONS_MAX = 1024, BATCH__SHARDS_MAX = 256 };

/* What was asked for, with all members that this version has. */
struct batch__asked {
    batch_options options; /* with defaults in place of what is 0, and always an allocator */
    batch_codec codec;     /* of the options; no function: none */
    batch_store store;     /* likewise, as a copy: it may have fewer members than this */
};

/* Check, and fill in. BATCH_OK, or BATCH_INVALID with reterr (may be NULL). */
int batch__options_take(struct batch__asked *ret_asked, const batch_options *options,
                        batch_result *reterr);

#endif
