/* session.c: a session thread: takes groups of calls from the I/O queue and gives them to the
 * store. */
#include "../base/atomics.h"
#include "processor.h"

void batch__session_perform(struct batch__session *session, enum batch__stage stage, size_t count)
{
    batch_processor *processor = session->processor;
    batch_store *store = processor->store;
    if (stage == BATCH__STAGE_LOAD) {
        batch__group_counters_load(&processor->group_counters, count);
        store->load(store, session->session, session->calls, count);
    } else {
        batch__group_counters_save(&processor->group_counters, count);
        store->save(store, session->session, session->calls, count);
    }
}

/* With BATCH_WINDOW_NONE: batches are waiting for this. */
static void on_hungry(void *arg)
{
    batch_processor *processor = arg;
    for (uint32_t i = 0; i < processor->options.shards; i++)
        batch__inbox_signal_mp(&processor->shards[i]->inbox, BATCH__SIGNAL_STORE_FREE);
}

void batch__session_main(void *arg)
{
    struct batch__session *session = arg;
    batch_processor *processor = session->processor;
    bool is_natural = processor->options.window_ns == BATCH_WINDOW_NONE;
    enum batch__io_kind kind = BATCH__IO_NONE;
    for (;;) {
        size_t count = batch__io_queue_take(&processor->io_queue, &kind, session->calls,
                                            processor->options.group_max,
                                            is_natural ? on_hungry : NULL, processor);
        if (count == 0)
            break;
        batch__session_perform(session, (enum batch__stage)session->calls[0]->stage, count);
    }
    batch__processor_session_ended(processor);
}
