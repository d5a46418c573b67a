#include "blame.h"

#include "../check.h"

enum { GROWTH = 4 };

static bool is_valid(const struct batch__postgres_blame *blame)
{
    return blame->part_max > 0 && blame->part_max <= blame->items_size &&
           blame->run <= blame->items_size;
}

void batch__postgres_blame_init(struct batch__postgres_blame *blame, size_t items_size)
{
    batch__check(items_size > 0);
    *blame = (struct batch__postgres_blame){.items_size = items_size, .part_max = items_size};
    batch__check(is_valid(blame));
}

/* A number below `size`; one after the other, they are spread over all of it. */
static size_t spread(size_t number, size_t size)
{
    uint32_t turn = (uint32_t)number * UINT32_C(0x9e3779b9); /* the golden ratio */
    return (size_t)((uint64_t)turn * size >> 32);
}

struct batch__postgres_part batch__postgres_blame_next(struct batch__postgres_blame *blame,
                                                       size_t pending)
{
    batch__check(pending > 0);
    batch__check(is_valid(blame));
    if (blame->wants_probe)
        return (struct batch__postgres_part){.is_probe = true};
    if (blame->is_sampling)
        return (struct batch__postgres_part){.first = spread(blame->samples++, pending), .size = 1};
    if (blame->suspects > pending)
        blame->suspects = pending;
    size_t size = blame->suspects > 1    ? blame->suspects / 2
                  : blame->suspects == 1 ? 1
                                         : blame->part_max;
    return (struct batch__postgres_part){.size = size};
}

/* ---- Success -------------------------------------------------------------------------------- */

void batch__postgres_blame_succeeded(struct batch__postgres_blame *blame, size_t size)
{
    batch__check(size <= blame->items_size);
    if (size == 0) {
        blame->wants_probe = false;
        blame->is_probed = true;
        return;
    }
    blame->has_succeeded = true;
    blame->failures = 0;
    blame->singles = 0;
    blame->is_probed = false;
    if (blame->returns <= BATCH__POSTGRES_RETURNS_MAX)
        blame->returns = 0;
    blame->run = size < blame->items_size - blame->run ? blame->run + size : blame->items_size;
    if (blame->is_sampling) { /* the others are as they were: somebody of them is to blame */
        blame->is_sampling = false;
        blame->suspects = blame->items_size;
    } else if (blame->suspects > size) {
        blame->suspects -= size;
    } else {
        blame->suspects = 0;
        blame->part_max = size < blame->items_size / GROWTH ? size * GROWTH : blame->items_size;
    }
    batch__check(is_valid(blame));
}

/* ---- Failure -------------------------------------------------------------------------------- */

static enum batch__postgres_error_class class_of(const struct batch__postgres_error *error)
{
    return error != NULL ? batch__postgres_classify(error) : BATCH__POSTGRES_ERROR_TRANSIENT;
}

static bool may_pass(enum batch__postgres_error_class class)
{
    return class == BATCH__POSTGRES_ERROR_TRANSIENT || class == BATCH__POSTGRES_ERROR_ROW_LOCKED;
}

/* Everybody meets it. What may pass is begun anew, later. */
static enum batch__postgres_blamed all(struct batch__postgres_blame *blame,
                                       enum batch__postgres_error_class class)
{
    size_t samples = blame->samples; /* others, the next time */
    batch__postgres_blame_init(blame, blame->items_size);
    blame->samples = samples;
    return may_pass(class) ? BATCH__POSTGRES_BLAME_ALL_LATER : BATCH__POSTGRES_BLAME_ALL;
}

/* Is it worth to send the same again? */
static bool returns(struct batch__postgres_blame *blame, enum batch__postgres_error_class class)
{
    unsigned max = class == BATCH__POSTGRES_ERROR_TRANSIENT ? BATCH__POSTGRES_RETURNS_MAX
                   : class == BATCH__POSTGRES_ERROR_STALE   ? 1
                                                            : 0;
    if (blame->returns >= max) {
        if (max > 0)
            blame->returns = BATCH__POSTGRES_RETURNS_MAX + 1; /* no more, in this group */
        return false;
    }
    blame->returns++;
    return true;
}

static enum batch__postgres_blamed single_failed(struct batch__postgres_blame *blame,
                                                 enum batch__postgres_error_class class,
                                                 bool has_context)
{
    size_t singles_max = class == BATCH__POSTGRES_ERROR_ROW ? BATCH__POSTGRES_SINGLES_ROW
                         : has_context                      ? BATCH__POSTGRES_SINGLES_IN_CONTEXT
                                                            : BATCH__POSTGRES_SINGLES_PLAIN;
    blame->singles++;
    if (blame->singles == BATCH__POSTGRES_SINGLES_ROW_BEFORE && !blame->has_succeeded)
        blame->is_sampling = true;
    if (blame->singles >= singles_max && !blame->has_succeeded)
        return all(blame, class);
    blame->suspects = 0;
    blame->part_max = blame->run > 0 ? blame->run : 1;
    blame->run = 0;
    return may_pass(class) ? BATCH__POSTGRES_BLAME_ASIDE : BATCH__POSTGRES_BLAME_ONE;
}

/* It is another error than the last one, if there was any. */
static void forget(struct batch__postgres_blame *blame, int code, uint32_t origin)
{
    blame->code = code;
    blame->origin = origin;
    blame->singles = 0;
    blame->failures = 0;
    blame->is_probed = false;
}

enum batch__postgres_blamed batch__postgres_blame_failed(struct batch__postgres_blame *blame,
                                                         size_t size, size_t left,
                                                         const struct batch__postgres_error *error)
{
    enum batch__postgres_error_class class = class_of(error);
    bool has_context = error != NULL && error->has_context;
    bool is_row = class == BATCH__POSTGRES_ERROR_ROW;
    int code = error != NULL ? error->code : 0;
    uint32_t origin = error != NULL ? error->origin : 0;
    batch__check(left <= size);
    if (code != blame->code || (is_row && origin != blame->origin))
        forget(blame, code, origin);
    if (size > left)
        blame->has_succeeded = true;
    if (returns(blame, class))
        return class == BATCH__POSTGRES_ERROR_STALE ? BATCH__POSTGRES_BLAME_STALE
                                                    : BATCH__POSTGRES_BLAME_LATER;
    if (size == 0)
        return all(blame, class);
    blame->failures++;
    if (!blame->is_probed)
        blame->wants_probe = has_context ? blame->failures >= 2 : !is_row;
    if (size == 1 && left == 1)
        return single_failed(blame, class, has_context);
    blame->suspects = left;
    blame->is_sampling = !is_row && !blame->has_succeeded;
    batch__check(is_valid(blame));
    return BATCH__POSTGRES_BLAME_PART;
}
