#include "waiter.h"

#include "../base/check.h"

bool batch__waiter_init(struct batch__waiter *waiter, batch_result *result)
{
    *waiter = (struct batch__waiter){.result = result};
    return batch__lock_init(&waiter->lock);
}

void batch__waiter_destroy(struct batch__waiter *waiter)
{
    batch__lock_destroy(&waiter->lock);
}

void batch__waiter_complete(struct batch__waiter *waiter, const batch_result *result)
{
    batch__lock_take(&waiter->lock);
    batch__check(!waiter->is_complete);
    waiter->status = result->status;
    if (waiter->result != NULL)
        *waiter->result = *result;
    waiter->is_complete = true;
    batch__lock_wake_one(&waiter->lock);
    batch__lock_give(&waiter->lock);
}

bool batch__waiter_is_complete(struct batch__waiter *waiter)
{
    batch__lock_take(&waiter->lock);
    bool is_complete = waiter->is_complete;
    batch__lock_give(&waiter->lock);
    return is_complete;
}

int batch__waiter_wait(struct batch__waiter *waiter)
{
    batch__lock_take(&waiter->lock);
    while (!waiter->is_complete)
        batch__lock_wait(&waiter->lock, UINT64_MAX);
    int status = waiter->status;
    batch__lock_give(&waiter->lock);
    return status;
}
