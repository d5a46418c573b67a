/* functions.h: the load and save functions of batch_options, as a store. */
#ifndef BATCH_RUNTIME_FUNCTIONS_H
#define BATCH_RUNTIME_FUNCTIONS_H

#include <batch/store.h>

struct batch__function_store {
    batch_store store; /* first */
    batch_load_fn load;
    batch_save_fn save;
    void *arg;
};

void batch__function_store_init(struct batch__function_store *functions,
                                const batch_options *options);

#endif
