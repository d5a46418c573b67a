#include "unit.h"

#include "../base/check.h"

static struct batch__batch *first_of(struct batch__batch *batch)
{
    return batch->unit != NULL ? batch->unit : batch;
}

static uint64_t size_of(const struct batch__batch *first)
{
    return first->unit != NULL ? first->unit_size : 1;
}

int batch__unit_closes(struct batch__batch *batch, int reason)
{
    struct batch__batch *first = batch->unit;
    if (reason >= 0 && !first->is_closing) {
        first->is_closing = true;
        first->close_reason = (unsigned)reason & 0xFU;
    }
    return first->is_closing && first->unit_count == 0 ? first->close_reason : -1;
}

/* ---- Together ------------------------------------------------------------------------------- */

struct batch__batch *batch__unit_too_large(const struct batch__core *core,
                                           const batch_transaction *transaction)
{
    struct batch__batch *largest = NULL;
    uint64_t keys = 0;
    bool is_small = false;
    for (size_t i = 0; i < transaction->parts_size; i++) {
        struct batch__batch *first = first_of(transaction->parts[i].private_batch);
        size_t at = 0;
        while (first_of(transaction->parts[at].private_batch) != first)
            at++;
        if (at < i)
            continue; /* it was counted with that one */
        keys += size_of(first);
        is_small = is_small || first->is_isolated || first->is_small;
        if (largest == NULL || size_of(first) > size_of(largest))
            largest = first;
    }
    if (keys <= transaction->parts_size || (keys <= core->unit_max && !is_small))
        return NULL;
    return largest;
}

static void tie(struct batch__batch *a, struct batch__batch *b)
{
    struct batch__batch *first = first_of(a);
    struct batch__batch *other = first_of(b);
    if (first == other)
        return;
    if (size_of(first) < size_of(other)) {
        struct batch__batch *smaller = first;
        first = other;
        other = smaller;
    }
    struct batch__batch *each = other;
    do {
        each->unit = first;
        each = batch__unit_next(each);
    } while (each != other);
    first->unit_size = (uint16_t)(first->unit_size + other->unit_size);
    first->unit_count = (uint16_t)(first->unit_count + other->unit_count);
    first->is_small = first->is_small | other->is_small;
    if (other->is_closing) {
        first->is_closing = true;
        first->close_reason = other->close_reason;
    }
    struct batch__batch *next = first->unit_next; /* two rings become one */
    first->unit_next = other->unit_next;
    other->unit_next = next;
}

static void make_unit(struct batch__batch *batch)
{
    if (batch->unit != NULL)
        return;
    batch->unit = batch->unit_next = batch;
    batch->unit_size = 1;
    batch->unit_count = batch__is_joining(batch);
    batch->is_small = batch->is_isolated;
    batch->is_closing = false;
}

void batch__unit_tie(batch_transaction *transaction)
{
    batch__check(transaction->parts_size > 1);
    for (size_t i = 0; i < transaction->parts_size; i++) {
        make_unit(transaction->parts[i].private_batch);
        tie(transaction->parts[0].private_batch, transaction->parts[i].private_batch);
    }
}

/* ---- The save ------------------------------------------------------------------------------- */

void batch__unit_begin_save(struct batch__batch *batch, uint64_t now_ns)
{
    struct batch__batch *each = batch;
    do {
        batch__check(each->phase == BATCH__CLOSED);
        batch__check(each->is_loaded);
        each->phase = BATCH__SAVING;
        each->save_ns = now_ns;
        each = batch__unit_next(each);
    } while (each != batch);
    if (batch->unit != NULL)
        batch->unit->unit_count = batch->unit->unit_size;
}

int batch__unit_end_save(struct batch__batch *batch, int status)
{
    struct batch__batch *first = batch->unit;
    if (first == NULL)
        return status;
    batch__check(first->unit_count > 0);
    if (first->unit_count == first->unit_size)
        first->status = (int8_t)status;
    else if (first->status != status)
        first->status = BATCH_UNKNOWN; /* the store has a bug */
    first->unit_count--;
    return first->unit_count == 0 ? first->status : 1;
}

void batch__unit_limit(struct batch__core *core, const struct batch__batch *batch, int status)
{
    const struct batch__batch *first = batch->unit;
    if (first == NULL)
        return;
    uint64_t size = first->unit_size;
    if (status == BATCH_OK) {
        core->unit_max *= 2;
        if (core->unit_max > core->config.unit_max)
            core->unit_max = core->config.unit_max;
    } else if (status == BATCH_CONFLICT) {
        core->unit_max = (size < core->unit_max ? size : core->unit_max) / 2;
        core->unit_max += core->unit_max == 0;
        core->units_conflicted++;
    }
}

struct batch__batch *batch__unit_untie(struct batch__batch *batch)
{
    struct batch__batch *first = batch->unit;
    struct batch__batch *next = batch->unit_next;
    if (first == NULL)
        return NULL;
    batch->unit_size = first->unit_size;
    batch->unit_count = batch == first;
    batch->unit = batch->unit_next = NULL;
    return next;
}
