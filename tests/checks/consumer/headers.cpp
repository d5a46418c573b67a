// headers.cpp: the public headers, as a C++17 user has them. It is enough that this compiles.
#include <batch/batch.h>
#include <batch/metrics.h>
#include <batch/postgres.h>
#include <batch/sqlite.h>
#include <batch/store.h>

#include <type_traits>

static_assert(sizeof(void *) != 8 || sizeof(batch_op) == 80, "frozen, as in C");
static_assert(std::is_trivial<batch_op>::value && std::is_standard_layout<batch_op>::value,
              "can be embedded and copied as in C");

namespace
{

struct request {
    batch_op op = BATCH_OP_INIT;
    int answer = 0;
};

batch_verdict run(void *resource, void *arg)
{
    static_cast<request *>(arg)->answer = *static_cast<int *>(resource);
    return BATCH_UNCHANGED;
}

} // namespace

int use(batch_store *store);

int use(batch_store *store)
{
    batch_options options = BATCH_OPTIONS_INIT;
    batch_store own = BATCH_STORE_INIT;
    batch_sqlite_options sqlite = BATCH_SQLITE_OPTIONS_INIT;
    batch_postgres_options postgres = BATCH_POSTGRES_OPTIONS_INIT;
    batch_subscription_options subscription = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    batch_stats stats = BATCH_STATS_INIT;
    options.store = store != nullptr ? store : &own;
    options.resource_size = sizeof(int);
    batch_processor *processor = nullptr;
    batch_result result;
    if (batch_processor_start(&processor, &options, &result) != BATCH_OK)
        return result.status;
    request request;
    request.op.run = run;
    request.op.arg = &request;
    int status = batch_run(processor, &request.op, &result);
    batch_processor_stop(processor, BATCH_FOREVER);
    batch_processor_free(processor);
    return status + static_cast<int>(sqlite.size + postgres.size + subscription.size + stats.size);
}
