#include "unit.h"

#include "../check.h"
#include "values.h"

bool batch__postgres_units_find(struct batch__postgres_item *items, size_t items_size)
{
    bool has_units = false;
    struct batch__postgres_item *lead = NULL;
    uint32_t unit = 0;
    for (size_t i = 0; i < items_size; i++) {
        struct batch__postgres_item *item = &items[i];
        uint32_t number = batch_call_unit(item->call);
        if (lead == NULL || number == 0 || number != unit) {
            lead = item;
            lead->unit_size = 0;
        }
        unit = number;
        item->lead = lead;
        lead->unit_size++;
        if (number == 0)
            continue;
        has_units = true;
        item->is_check = batch_call_is_check(item->call);
        lead->has_absent_check |= item->is_check && batch_call_version(item->call) == 0;
    }
    return has_units;
}

void batch__postgres_units_none(struct batch__postgres_item *items, size_t items_size)
{
    for (size_t i = 0; i < items_size; i++) {
        items[i].lead = &items[i];
        items[i].unit_size = 1;
    }
}

void batch__postgres_unit_resolve(struct batch__postgres_item *lead, int status, int store_code,
                                  const char *text)
{
    batch__check(lead->lead == lead);
    for (uint32_t i = 0; i < lead->unit_size; i++) {
        if (!lead[i].is_resolved)
            batch__postgres_item_resolve(&lead[i], status, store_code, text);
    }
}

void batch__postgres_unit_fail_with(struct batch__postgres_item *lead)
{
    const struct batch__postgres_item *failed = NULL;
    for (uint32_t i = 0; i < lead->unit_size && failed == NULL; i++)
        failed = lead[i].is_resolved ? &lead[i] : NULL;
    for (uint32_t i = 0; i < lead->unit_size && failed != NULL; i++) {
        if (lead[i].is_resolved)
            continue;
        batch_call_set_error_of(lead[i].call, failed->call);
        batch__postgres_item_resolve(&lead[i], failed->status, 0, NULL);
    }
}

void batch__postgres_unit_blame(struct batch__postgres_item *lead,
                                struct batch__postgres_item *culprit, int status, int store_code,
                                const char *text)
{
    batch__check(status != BATCH_OK);
    batch__check(!lead->is_resolved);
    if (culprit == NULL) {
        batch__postgres_unit_resolve(lead, status, store_code, text);
        return;
    }
    batch__check(culprit->lead == lead);
    batch__postgres_item_resolve(culprit, status, store_code, text);
    batch__postgres_unit_fail_with(lead);
}

size_t batch__postgres_unit_bytes(const struct batch__postgres_item *lead)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < lead->unit_size; i++)
        bytes += batch__postgres_size_of(&lead[i]);
    return bytes;
}
