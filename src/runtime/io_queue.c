#include "io_queue.h"

#include "../platform/atomics.h"

bool batch__io_queue_init(struct batch__io_queue *queue)
{
    *queue = (struct batch__io_queue){.is_closed = false};
    return batch__lock_init(&queue->lock);
}

void batch__io_queue_destroy(struct batch__io_queue *queue)
{
    batch__lock_destroy(&queue->lock);
}

static bool has_calls(const struct batch__io_queue *queue)
{
    return queue->saves.first != NULL || queue->loads.first != NULL;
}

void batch__io_queue_push(struct batch__io_queue *queue, struct batch__calls *loads,
                          struct batch__calls *saves)
{
    batch__lock_take(&queue->lock);
    batch__store_relaxed(&queue->xis_hungry, 0);
    batch__calls_append(&queue->loads, loads);
    batch__calls_append(&queue->saves, saves);
    if (queue->idle > 0)
        batch__lock_wake_one(&queue->lock);
    batch__lock_give(&queue->lock);
}

/* Say it once whenever a session comes to wait with nothing to do. Gives up the lock meanwhile. */
static void note_hunger(struct batch__io_queue *queue, void (*on_hungry)(void *arg), void *arg)
{
    bool was_hungry = batch__load_relaxed(&queue->xis_hungry) != 0;
    bool is_hungry = queue->idle > 0 && !has_calls(queue);
    batch__store_relaxed(&queue->xis_hungry, is_hungry);
    if (!is_hungry || was_hungry || on_hungry == NULL)
        return;
    batch__lock_give(&queue->lock);
    on_hungry(arg);
    batch__lock_take(&queue->lock);
}

size_t batch__io_queue_take(struct batch__io_queue *queue, batch_call **calls, size_t calls_max,
                            enum batch__stage *ret_stage, void (*on_hungry)(void *arg), void *arg)
{
    batch__lock_take(&queue->lock);
    while (!has_calls(queue) && !queue->is_closed) {
        queue->idle++;
        note_hunger(queue, on_hungry, arg);
        if (!has_calls(queue) && !queue->is_closed)
            batch__lock_wait(&queue->lock, UINT64_MAX);
        queue->idle--;
    }
    bool is_save = queue->saves.first != NULL;
    size_t count = batch__calls_take(is_save ? &queue->saves : &queue->loads, calls, calls_max);
    *ret_stage = is_save ? BATCH__STAGE_SAVE : BATCH__STAGE_LOAD;
    if (has_calls(queue) && queue->idle > 0)
        batch__lock_wake_one(&queue->lock);
    note_hunger(queue, on_hungry, arg);
    batch__lock_give(&queue->lock);
    return count;
}

void batch__io_queue_close(struct batch__io_queue *queue)
{
    batch__lock_take(&queue->lock);
    queue->is_closed = true;
    batch__lock_wake_all(&queue->lock);
    batch__lock_give(&queue->lock);
}

bool batch__io_queue_is_hungry(const struct batch__io_queue *queue)
{
    return batch__load_relaxed(&queue->xis_hungry) != 0;
}
