/* train_codec.h: a train as JSON, {"Seats":["","ann",...]}, an empty string for a free seat.
 *
 * Members other than Seats are ignored when read, and gone after the next save. */
#ifndef TRAIN_CODEC_H
#define TRAIN_CODEC_H

#include "booking/train.h"

/* Make `train` from stored JSON, with as many seats as it was stored with; or, `json` being NULL, a
 * new train of `seats_new` free seats. NULL when done; else what is wrong, static, and `train` is
 * all zero. */
const char *train_decode(struct train *train, const void *json, size_t json_size,
                         uint32_t seats_new);

/* The train as JSON, of malloc, with a NUL behind its bytes. NULL: no memory. */
char *train_encode(const struct train *train, size_t *ret_json_size);

#endif
