/* figures.h: what the server has done, in numbers: as JSON for the page, as metrics for Prometheus.
 */
#ifndef FIGURES_H
#define FIGURES_H

#include "http/http.h"
#include "http/response.h"

/* Totals since the start, and the time: who asks twice knows the rates. */
struct response figures_make(struct request *request, struct http_totals http,
                             const struct office_totals *office);

/* The responses, and the metrics of the office; in the form of OpenMetrics, or the older one. The
 * text is kept where the JSON of a train would be, and freed with it. */
struct response figures_metrics(struct request *request, struct http_totals http,
                                struct office *office, bool is_open);

#endif
