/* store_users.h: a store cannot be closed while a processor uses it. */
#ifndef BATCH_RUNTIME_STORE_USERS_H
#define BATCH_RUNTIME_STORE_USERS_H

#include <batch/store.h>

void batch__store_use(batch_store *store);
void batch__store_leave(batch_store *store);

#endif
