/* image.c: see image.h. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

enum { WORD_SECTORS = 64, CAPACITY_MIN = WORD_SECTORS * SECTOR_SIZE };

static void *need(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void image_reserve(struct image *image, size_t size)
{
    if (size <= image->capacity)
        return;
    size_t capacity = image->capacity == 0 ? CAPACITY_MIN : image->capacity;
    while (capacity < size)
        capacity *= 2;
    size_t words = capacity / SECTOR_SIZE / WORD_SECTORS;
    size_t words_before = image->capacity / SECTOR_SIZE / WORD_SECTORS;
    image->now = need(realloc(image->now, capacity));
    image->synced = need(realloc(image->synced, capacity));
    image->dirty = need(realloc(image->dirty, words * sizeof *image->dirty));
    memset(image->now + image->capacity, 0, capacity - image->capacity);
    memset(image->synced + image->capacity, 0, capacity - image->capacity);
    memset(image->dirty + words_before, 0, (words - words_before) * sizeof *image->dirty);
    image->capacity = capacity;
}

void image_free(struct image *image)
{
    free(image->now);
    free(image->synced);
    free(image->dirty);
    *image = (struct image){NULL, NULL, NULL, 0, 0, 0};
}

/* A sector is about to be written; a disk may have written what it held before. */
static void image_touch(struct image *image, size_t sector, struct random *random)
{
    uint64_t bit = UINT64_C(1) << sector % WORD_SECTORS;
    uint64_t *word = &image->dirty[sector / WORD_SECTORS];
    size_t at = sector * SECTOR_SIZE;
    if ((*word & bit) != 0 && at + SECTOR_SIZE <= image->size_kept && random_below(random, 4) == 0)
        memcpy(image->synced + at, image->now + at, SECTOR_SIZE);
    *word |= bit;
}

void image_write(struct image *image, const void *bytes, size_t size, size_t at,
                 struct random *random)
{
    if (size == 0)
        return;
    image_reserve(image, at + size);
    for (size_t sector = at / SECTOR_SIZE; sector <= (at + size - 1) / SECTOR_SIZE; sector++)
        image_touch(image, sector, random);
    memcpy(image->now + at, bytes, size);
    if (at + size > image->size_now)
        image->size_now = at + size;
}

void image_truncate(struct image *image, size_t size)
{
    image_reserve(image, size);
    size_t from = size < image->size_now ? size : image->size_now;
    size_t to = size < image->size_now ? image->size_now : size;
    memset(image->now + from, 0, to - from);
    for (size_t at = from; at < to; at = (at / SECTOR_SIZE + 1) * SECTOR_SIZE)
        image->dirty[at / SECTOR_SIZE / WORD_SECTORS] |= UINT64_C(1)
                                                         << at / SECTOR_SIZE % WORD_SECTORS;
    image->size_now = size;
}

/* ---- Walking the dirty sectors -------------------------------------------------------------- */

/* The first dirty sector from `sector` on, made clean; SIZE_MAX if there is none. */
static size_t take_dirty(struct image *image, size_t sector)
{
    size_t words = image->capacity / SECTOR_SIZE / WORD_SECTORS;
    for (size_t word = sector / WORD_SECTORS; word < words; word++) {
        uint64_t bits = image->dirty[word];
        if (bits == 0)
            continue;
        image->dirty[word] = bits & (bits - 1);
        return word * WORD_SECTORS + (size_t)__builtin_ctzll(bits);
    }
    return SIZE_MAX;
}

void image_sync(struct image *image)
{
    size_t sector = 0;
    while ((sector = take_dirty(image, sector)) != SIZE_MAX)
        memcpy(image->synced + sector * SECTOR_SIZE, image->now + sector * SECTOR_SIZE,
               SECTOR_SIZE);
    image->size_kept = image->size_now;
}

/* ---- Cut ------------------------------------------------------------------------------------ */

/* What a sector holds that the file has grown by, and that was never written. */
static void fill_unwritten(unsigned char *sector, struct random *random)
{
    if (random_below(random, 2) == 0) {
        memset(sector, 0, SECTOR_SIZE);
        return;
    }
    for (size_t i = 0; i < SECTOR_SIZE; i += sizeof(uint64_t)) {
        uint64_t rubbish = random_next(random);
        memcpy(sector + i, &rubbish, sizeof rubbish);
    }
}

static size_t size_after_cut(const struct image *image, struct random *random)
{
    size_t smaller = image->size_now < image->size_kept ? image->size_now : image->size_kept;
    size_t larger = image->size_now < image->size_kept ? image->size_kept : image->size_now;
    switch (random_below(random, 4)) {
    case 0:
        return image->size_kept;
    case 1: /* between, at the end of a sector */
        smaller += random_below(random, (larger - smaller) / SECTOR_SIZE + 1) * SECTOR_SIZE;
        smaller = (smaller + SECTOR_SIZE - 1) / SECTOR_SIZE * SECTOR_SIZE;
        return smaller < larger ? smaller : larger;
    default:
        return image->size_now;
    }
}

void image_cut(struct image *image, struct random *random)
{
    if (image->capacity == 0)
        return;
    static const unsigned chances[] = {0, 1, 8, 15, 16}; /* of 16, that a sector was written */
    unsigned chance = chances[random_below(random, sizeof chances / sizeof chances[0])];
    size_t size = size_after_cut(image, random);
    size_t sector = 0;
    while ((sector = take_dirty(image, sector)) != SIZE_MAX) {
        unsigned char *now = image->now + sector * SECTOR_SIZE;
        unsigned char *synced = image->synced + sector * SECTOR_SIZE;
        if (random_below(random, 16) < chance)
            memcpy(synced, now, SECTOR_SIZE);
        else if (sector * SECTOR_SIZE >= image->size_kept)
            fill_unwritten(synced, random);
        memcpy(now, synced, SECTOR_SIZE);
    }
    size_t end = size > image->size_now ? size : image->size_now;
    if (size > image->size_now) /* was cut short, and is not */
        memcpy(image->now + image->size_now, image->synced + image->size_now,
               size - image->size_now);
    end = (end + SECTOR_SIZE - 1) / SECTOR_SIZE * SECTOR_SIZE;
    memset(image->now + size, 0, end - size);
    image->size_now = image->size_kept = size;
}
