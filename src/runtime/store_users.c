#include "store_users.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "../platform/platform.h"

void batch__store_use(batch_store *store)
{
    batch__add_relaxed(&store->private_users, 1u);
}

void batch__store_leave(batch_store *store)
{
    uint32_t users = batch__sub_release(&store->private_users, 1u);
    batch__check(users > 0);
}

int batch_store_close(batch_store *store)
{
    if (store == NULL)
        return BATCH_OK;
    if (batch__load_acquire(&store->private_users) != 0)
        return BATCH_BUSY;
    int before = batch__cancel_disable();
    store->close(store);
    batch__cancel_restore(before);
    return BATCH_OK;
}
