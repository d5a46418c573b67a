/* image.h: one file of the disk: what a program sees of it, and what would be left of it.
 *
 * `now` is what was written, `synced` what was synced. They differ in the sectors that are dirty,
 * and in size. Bytes behind `size_now` are zero in `now`.
 */
#ifndef BATCH_TEST_POWER_IMAGE_H
#define BATCH_TEST_POWER_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

enum { SECTOR_SIZE = 512 };

struct image {
    unsigned char *now;
    unsigned char *synced;
    uint64_t *dirty; /* a bit for each sector */
    size_t capacity; /* of now and synced; a multiple of 64 sectors */
    size_t size_now;
    size_t size_kept;
};

void image_free(struct image *image);
void image_write(struct image *image, const void *bytes, size_t size, size_t at,
                 struct random *random);
void image_truncate(struct image *image, size_t size);
void image_sync(struct image *image);
void image_cut(struct image *image, struct random *random);

#endif
