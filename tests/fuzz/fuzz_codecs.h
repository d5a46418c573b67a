/* fuzz_codecs.h: the parts of the target "codecs": each is given the bytes behind the first, which
 * has chosen it. */
#ifndef BATCH_TESTS_FUZZ_CODECS_H
#define BATCH_TESTS_FUZZ_CODECS_H

#include "fuzz.h"

/* codecs.c */
void try_stored_train(struct fuzz_bytes *bytes);
void try_train(struct fuzz_bytes *bytes);
void try_key_in_message(struct fuzz_bytes *bytes);

/* postgres.c */
void try_array(struct fuzz_bytes *bytes);
void try_array_written(struct fuzz_bytes *bytes);
void try_text(struct fuzz_bytes *bytes);
void try_versions(struct fuzz_bytes *bytes);
void try_sqlstate(struct fuzz_bytes *bytes);
void try_conninfo(struct fuzz_bytes *bytes);
void try_refused_conninfo(struct fuzz_bytes *bytes);

extern uint64_t conninfos_refused, conninfos_hidden;

#endif
