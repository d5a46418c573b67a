/* unit.h: items that are saved all together or not at all, because transactions have tied their
 * keys together (batch_call_unit). They follow each other in the group, the lead first; an item
 * that is alone is a unit of one. Whatever happens to one of a unit happens to all of it: they are
 * resolved, set aside and sent together.
 *
 * Threads: those of one session.
 */
#ifndef BATCH_POSTGRES_UNIT_H
#define BATCH_POSTGRES_UNIT_H

#include "item.h"

/* Find the units of a group of saves. False: every item is alone. */
bool batch__postgres_units_find(struct batch__postgres_item *items, size_t items_size);

/* Every item is alone. */
void batch__postgres_units_none(struct batch__postgres_item *items, size_t items_size);

/* Resolve those of a unit that are not resolved yet, as items are. */
void batch__postgres_unit_resolve(struct batch__postgres_item *lead, int status, int store_code,
                                  const char *text);

/* The same, if one of it is to blame; NULL: nobody in particular. */
void batch__postgres_unit_blame(struct batch__postgres_item *lead,
                                struct batch__postgres_item *culprit, int status, int store_code,
                                const char *text);

/* If one of a unit has failed, so does the rest. */
void batch__postgres_unit_fail_with(struct batch__postgres_item *lead);

/* How many bytes it needs in a statement, at most. */
size_t batch__postgres_unit_bytes(const struct batch__postgres_item *lead);

#endif
