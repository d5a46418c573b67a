/* metrics_text.c: the metrics of several processors as text. Any thread. */
#include <batch/metrics.h>

#include "../metrics/text.h"

static void histogram_of(void *arg, size_t index, int kind, batch_histogram *ret_histogram)
{
    batch_processor *const *processors = arg;
    (void)batch_processor_histogram(processors[index], kind, ret_histogram);
}

size_t batch_metrics_text(batch_processor *const *processors, const char *const *names,
                          size_t processors_size, int form, char *buffer, size_t buffer_size)
{
    bool has_form = form == BATCH_TEXT_OPENMETRICS || form == BATCH_TEXT_PROMETHEUS;
    if (processors == NULL || processors_size == 0 || processors_size > BATCH_TEXT_PROCESSORS_MAX ||
        (names == NULL && processors_size > 1) || (buffer == NULL && buffer_size > 0) || !has_form)
        return 0;
    batch_stats stats[BATCH_TEXT_PROCESSORS_MAX];
    for (size_t i = 0; i < processors_size; i++) {
        stats[i].size = sizeof stats[i];
        if (batch_processor_stats(processors[i], &stats[i]) != BATCH_OK ||
            (names != NULL && names[i] == NULL))
            return 0;
    }
    const struct batch__text_source source = {
        .names = names,
        .processors_size = processors_size,
        .stats = stats,
        .histogram = histogram_of,
        .arg = (void *)(uintptr_t)processors,
        .status_name = batch_status_name,
        .version = batch_version(),
    };
    return batch__text_write(&source, form, buffer, buffer_size);
}
