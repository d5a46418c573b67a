/* group.c: what loads and saves have in common: a group is sent in parts until each key is decided.
 *
 * Usually the first part is the whole group, and that is all. A part is smaller if the bytes are
 * too many for one statement, or after the server refused one: then half of it is sent, and half of
 * that, until the row is found that it refuses; and larger parts again after one went well. So one
 * bad row costs twice the logarithm of the group, and the others do not notice.
 *
 * What was nobody's fault, a deadlock, a connection lost before anything was sent, is tried again
 * after a short pause, until the deadline. Each key has its own: those that are too late are told
 * so before every part. A statement under way is canceled when the last of its keys is too late.
 */
#include "internal.h"

#include <stdio.h>

#define PAUSE_MIN_NS (1 * BATCH__POSTGRES_MS)
#define PAUSE_MAX_NS (50 * BATCH__POSTGRES_MS)

bool batch__postgres_group_init(struct batch__postgres_group *group,
                                struct batch__postgres_session *session, bool is_load,
                                batch_call *const *calls, size_t calls_size)
{
    if (!batch__postgres_reserve_items(session, calls_size)) {
        for (size_t i = 0; i < calls_size; i++) {
            batch_call_set_error(calls[i], 0, "no memory for a group of this size");
            batch_call_finish(calls[i], is_load ? BATCH_LOAD_FAILED : BATCH_SAVE_FAILED);
        }
        return false;
    }
    *group = (struct batch__postgres_group){
        .session = session,
        .items = session->items,
        .items_size = calls_size,
        .order = session->pointers,
        .part = session->pointers + calls_size,
        .part_max = calls_size,
        .is_load = is_load,
    };
    for (size_t i = 0; i < calls_size; i++) {
        group->items[i] = (struct batch__postgres_item){.call = calls[i]};
        group->order[i] = &group->items[i];
    }
    return true;
}

void batch__postgres_group_destroy(struct batch__postgres_group *group)
{
    for (size_t i = 0; i < group->items_size; i++)
        batch__postgres_item_free_key(&group->items[i]);
}

/* ---- Deciding ------------------------------------------------------------------------------- */

void batch__postgres_decide(struct batch__postgres_item *item, int status, int store_code,
                            const char *text)
{
    if (text != NULL)
        batch_call_set_error(item->call, store_code, text);
    item->status = status;
    item->is_decided = true;
}

static int failure_of(const struct batch__postgres_group *group)
{
    return group->is_load ? BATCH_LOAD_FAILED : BATCH_SAVE_FAILED;
}

static void decide_late(struct batch__postgres_group *group, struct batch__postgres_item *item)
{
    struct batch__postgres_session *session = group->session;
    char text[BATCH__POSTGRES_TEXT_SIZE] = "";
    int code = group->trouble.code;
    if (item->was_locked) {
        code = batch__postgres_code("55P03");
        snprintf(text, sizeof text, "the row is locked by another transaction");
    } else if (session->stage != BATCH__POSTGRES_READY && session->error_text[0] != '\0') {
        code = session->error_code;
        snprintf(text, sizeof text, "no connection: %.180s", session->error_text);
    } else if (group->trouble.text[0] != '\0') {
        snprintf(text, sizeof text, "%s", group->trouble.text);
    } else if (session->stage != BATCH__POSTGRES_READY) {
        snprintf(text, sizeof text, "no connection: still connecting");
    }
    batch__postgres_set_late(item->call, code, text);
    batch__postgres_decide(item, failure_of(group), 0, NULL);
}

bool batch__postgres_group_settle(struct batch__postgres_group *group)
{
    bool is_left = false;
    for (size_t i = 0; i < group->items_size; i++) {
        struct batch__postgres_item *item = &group->items[i];
        if (item->is_finished)
            continue;
        if (!item->is_decided && batch_call_is_canceled(item->call))
            decide_late(group, item);
        if (!item->is_decided) {
            is_left = true;
            continue;
        }
        if (item->status == BATCH_OK && !group->is_load)
            batch_call_set_version(item->call, batch__postgres_version(item->row_new));
        item->is_finished = true;
        batch_call_finish(item->call, item->status);
    }
    return is_left;
}

/* ---- Parts ---------------------------------------------------------------------------------- */

/* The limit of the one among the undecided that may wait least, or longest. */
static struct batch__postgres_limit limit_of(struct batch__postgres_item *const *items,
                                             size_t items_size, bool is_longest)
{
    struct batch__postgres_limit limit = {is_longest ? 0 : UINT64_MAX, NULL};
    for (size_t i = 0; i < items_size; i++) {
        if (items[i]->is_decided)
            continue;
        uint64_t deadline_ns = batch_call_deadline_ns(items[i]->call);
        if (limit.call == NULL || (deadline_ns > limit.until_ns) == is_longest)
            limit = (struct batch__postgres_limit){deadline_ns, items[i]->call};
    }
    return limit;
}

static void choose_part(struct batch__postgres_group *group)
{
    size_t bytes = 0;
    group->part_size = 0;
    for (size_t i = 0; i < group->items_size && group->part_size < group->part_max; i++) {
        struct batch__postgres_item *item = group->order[i];
        if (item->is_decided || item->is_locked)
            continue;
        bytes += batch__postgres_item_size(item);
        if (bytes > BATCH__POSTGRES_BYTES_MAX && group->part_size > 0)
            break;
        group->part[group->part_size++] = item;
    }
}

/* A pause, twice as long each time. */
static void pause_a_little(struct batch__postgres_group *group,
                           const struct batch__postgres_limit *limit)
{
    batch__postgres_pause(group->session, group->pause_ns, limit);
    group->pause_ns *= 2;
    if (group->pause_ns > PAUSE_MAX_NS)
        group->pause_ns = PAUSE_MAX_NS;
}

bool batch__postgres_group_next(struct batch__postgres_group *group,
                                struct batch__postgres_limit *ret_limit)
{
    struct batch__postgres_limit shortest = limit_of(group->order, group->items_size, false);
    if (group->pause_ns > 0 && group->trouble.text[0] != '\0')
        pause_a_little(group, &shortest);
    if (!batch__postgres_connect(group->session, &shortest, true))
        return false;
    choose_part(group);
    *ret_limit = group->part_size > 0 ? limit_of(group->part, group->part_size, true) : shortest;
    return true;
}

void batch__postgres_group_went_well(struct batch__postgres_group *group)
{
    group->pause_ns = 0;
    group->trouble = (struct batch__postgres_trouble){0};
    group->part_max *= 2;
    if (group->part_max > group->items_size)
        group->part_max = group->items_size;
}

static void decide_all(struct batch__postgres_group *group,
                       const struct batch__postgres_trouble *trouble)
{
    for (size_t i = 0; i < group->items_size; i++) {
        if (!group->items[i].is_decided)
            batch__postgres_decide(&group->items[i], failure_of(group), trouble->code,
                                   trouble->text);
    }
}

static void again(struct batch__postgres_group *group,
                  const struct batch__postgres_trouble *trouble)
{
    group->trouble = *trouble;
    if (group->pause_ns == 0)
        group->pause_ns = PAUSE_MIN_NS;
}

static void refused(struct batch__postgres_group *group,
                    const struct batch__postgres_trouble *trouble)
{
    if (group->part_size > 1)
        group->part_max = group->part_size / 2;
    else
        batch__postgres_decide(group->part[0], failure_of(group), trouble->code, trouble->text);
}

void batch__postgres_group_failed(struct batch__postgres_group *group,
                                  const struct batch__postgres_answer *answer)
{
    const struct batch__postgres_trouble *trouble = &answer->trouble;
    if (answer->reply != BATCH__POSTGRES_ERROR) {
        again(group, trouble);
        return;
    }
    switch (batch__postgres_judge(trouble)) {
    case BATCH__POSTGRES_REFUSED:
        refused(group, trouble);
        break;
    case BATCH__POSTGRES_AGAIN:
    case BATCH__POSTGRES_LOCKED_ROW:
    case BATCH__POSTGRES_LOCKED_TABLE:
        again(group, trouble);
        break;
    case BATCH__POSTGRES_STALE:
        again(group, trouble);
        batch__postgres_drop(group->session);
        break;
    case BATCH__POSTGRES_BROKEN:
        decide_all(group, trouble);
        batch__postgres_drop(group->session); /* so that the table is looked at again */
        break;
    }
}
