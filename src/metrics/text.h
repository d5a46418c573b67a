/* text.h: metrics as text, in the form of OpenMetrics or the older one of Prometheus.
 *
 * The two differ in how a family of counters is named in its head, in the unit, and in the end. The
 * text is written as far as there is room, and counted all the same. Threads: any.
 */
#ifndef BATCH_METRICS_TEXT_H
#define BATCH_METRICS_TEXT_H

#include <batch/metrics.h>

/* Where the numbers come from: of processor `index`. */
struct batch__text_source {
    const char *const *names; /* or NULL: one processor, without a label */
    size_t processors_size;
    const batch_stats *stats; /* of each */
    void (*histogram)(void *arg, size_t index, int kind, batch_histogram *ret_histogram);
    void *arg;
    const char *(*status_name)(int status);
    const char *version;
};

/* As batch_metrics_text. */
size_t batch__text_write(const struct batch__text_source *source, int form, char *buffer,
                         size_t buffer_size);

#endif
