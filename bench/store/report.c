/* report.c: see report.h. Results are one line of JSON on standard output; all else is on standard
 * error. */
#include "report.h"

#include "common/sleep.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void report_wait(struct runner *runner, const char *what, uint64_t time_ns)
{
    static const uint64_t step_ns = 500000000;
    if (!isatty(STDERR_FILENO)) {
        sleep_ns(time_ns);
        return;
    }
    uint64_t start_ns = batch_now_ns();
    uint64_t seen = 0, seen_ns = 0;
    for (uint64_t now_ns; (now_ns = batch_now_ns()) - start_ns < time_ns;) {
        struct tally sum;
        runner->read(runner, &sum);
        uint64_t ok = sum.xcompleted[-BATCH_OK];
        if (seen_ns != 0)
            fprintf(stderr, "\r%-10s %5.1f s %14.0f operations/s ", what,
                    (double)(now_ns - start_ns) / 1e9,
                    (double)(ok - seen) * 1e9 / (double)(now_ns - seen_ns));
        seen = ok;
        seen_ns = now_ns;
        uint64_t left_ns = time_ns - (now_ns - start_ns);
        sleep_ns(left_ns < step_ns ? left_ns : step_ns);
    }
    fputs("\r\033[K", stderr); /* erase the line */
}

static void print_latency(const char *name, uint64_t latency_ns)
{
    if (latency_ns == 0)
        printf("\"%s\":null,", name);
    else
        printf("\"%s\":%.3f,", name, (double)latency_ns / 1e6);
}

void report_print(const struct settings *settings, const struct target *target,
                  const struct tally *counted, uint64_t time_ns, bool is_verified)
{
    double seconds = (double)time_ns / 1e9;
    double ok = (double)counted->xcompleted[-BATCH_OK];
    printf("{\"bench\":\"store\",\"store\":\"%s\",\"mode\":\"%s\",", target->name,
           mode_names[settings->mode]);
    if (settings->mode == MODE_DIRECT)
        printf("\"direct\":\"%s\",", target->direct_name);
    printf("\"keys\":%" PRIu32 ",\"outstanding\":%" PRIu32 ",\"sessions\":%" PRIu32
           ",\"size\":%" PRIu32 ",\"seconds\":%.3f,",
           settings->keys, settings->outstanding, settings->sessions, settings->size, seconds);
    if (settings->mode != MODE_DIRECT && settings->window_ns != BATCH_WINDOW_NONE)
        printf("\"window_ms\":%" PRIu64 ",", settings->window_ns / 1000000);
    printf("\"operations_per_second\":%.0f,\"commits_per_second\":%.1f,\"rows_per_second\":%.0f,",
           ok / seconds, (double)counted->commits / seconds, (double)counted->rows / seconds);
    printf("\"cpu_ns_per_operation\":%.0f,", ok > 0 ? (double)counted->cpu_ns / ok : 0.0);
    print_latency("latency_p50_ms", tally_quantile_ns(counted, 0.5));
    print_latency("latency_p99_ms", tally_quantile_ns(counted, 0.99));
    printf("\"retries\":%" PRIu64 ",", counted->xretries);
    fputs("\"errors\":", stdout);
    tally_print_errors(stdout, counted);
    printf(",\"verified\":%s}\n", is_verified ? "true" : "false");
}
