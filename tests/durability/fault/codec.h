/* codec.h: a codec that fails on demand (faults_callback_fails). Its resource begins with
 * the number, and has memory of its own, so that one that is not released is missed. */
#ifndef BATCH_TEST_FAULT_CODEC_H
#define BATCH_TEST_FAULT_CODEC_H

#include <batch/store.h>

#define CODEC_RESOURCE_SIZE 16

extern const batch_codec codec;

/* Resources that were decoded and not released. */
int64_t codec_live(void);

#endif
