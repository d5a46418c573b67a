/* main.c: measure transactions on several keys, with libbatch and without.
 *
 * The tally is read at both ends of the measured time, while transactions go on; what is in flight
 * when it ends is completed and verified, but not measured. */
#include "batched.h"
#include "direct.h"

#include "common/say.h"
#include "common/sleep.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of all that was ever done to the rows. */
struct outcomes {
    uint64_t ok, unknown;
};

struct measured {
    struct tally counted;
    double seconds;
    const char *way;
    uint32_t sessions;
};

/* False: it could not be started. */
static bool run(const struct settings *settings, struct target *target, uint64_t warm_up_ns,
                uint64_t time_ns, struct measured *ret_measured, struct outcomes *outcomes)
{
    struct runner *runner = settings->mode == MODE_DIRECT ? direct_start(settings, target)
                                                          : batched_start(settings, target);
    if (runner == NULL)
        return false;
    struct tally begin, all;
    sleep_ns(warm_up_ns);
    uint64_t begin_ns = batch_now_ns();
    runner->read(runner, &begin);
    sleep_ns(time_ns);
    ret_measured->seconds = (double)(batch_now_ns() - begin_ns) / 1e9;
    runner->read(runner, &ret_measured->counted);
    tally_subtract(&ret_measured->counted, &begin);
    ret_measured->way = runner->way;
    ret_measured->sessions = runner->sessions;
    runner->stop(runner);
    runner->read(runner, &all);
    outcomes->ok += all.xcompleted[-BATCH_OK];
    outcomes->unknown += all.xcompleted[-BATCH_UNKNOWN];
    runner->free(runner);
    return true;
}

/* Of direct: which way, and with how many connections, in short runs. False: a run failed. */
static bool choose(struct settings *settings, struct target *target, struct outcomes *outcomes)
{
    static const uint32_t connections[] = {1, 8, 32};
    struct settings best = *settings;
    uint64_t most = 0;
    for (int by = BY_LOCK; by <= BY_VERSION; by++) {
        for (size_t i = 0; i < sizeof connections / sizeof connections[0]; i++) {
            struct settings tried = *settings;
            struct measured measured;
            tried.direct_by =
                settings->direct_by != BY_BEST ? settings->direct_by : (enum direct_by)by;
            tried.sessions = settings->sessions > 0 ? settings->sessions : connections[i];
            if (!run(&tried, target, settings->warm_up_ns / 4, settings->time_ns / 8, &measured,
                     outcomes))
                return false;
            uint64_t reached = measured.counted.xcompleted[-BATCH_OK];
            if (reached >= most) {
                most = reached;
                best = tried;
            }
        }
    }
    *settings = best;
    return true;
}

static void print_report(const struct settings *settings, const struct target *target,
                         const struct measured *measured, bool is_verified)
{
    const struct tally *counted = &measured->counted;
    bool is_tpcb = settings->workload == WORKLOAD_TPCB;
    printf(
        "{\"bench\":\"tpcb\",\"store\":\"%s\",\"mode\":\"%s\",\"workload\":\"%s\",\"%s\":%" PRIu32
        ",",
        target->name, settings->mode == MODE_DIRECT ? "direct" : "batched",
        is_tpcb ? "tpcb" : "pairs", is_tpcb ? "branches" : "keys",
        is_tpcb ? settings->branches : settings->keys);
    if (measured->way != NULL)
        printf("\"direct\":\"%s\",", measured->way);
    else
        printf("\"outstanding\":%" PRIu32 ",", settings->outstanding);
    printf("\"sessions\":%" PRIu32 ",\"seconds\":%.3f,\"transactions_per_second\":%.0f,"
           "\"commits_per_second\":%.1f,\"latency_p50_ms\":%.3f,\"latency_p99_ms\":%.3f,"
           "\"retries\":%" PRIu64 ",\"errors\":",
           measured->sessions, measured->seconds,
           (double)counted->xcompleted[-BATCH_OK] / measured->seconds,
           (double)counted->commits / measured->seconds,
           (double)tally_quantile_ns(counted, 0.5) / 1e6,
           (double)tally_quantile_ns(counted, 0.99) / 1e6, counted->xretries);
    tally_print_errors(stdout, counted);
    printf(",\"verified\":%s}\n", is_verified ? "true" : "false");
}

static bool measure(struct settings *settings, struct target *target)
{
    struct outcomes outcomes = {0, 0};
    struct totals totals = {0, 0, 0, 0};
    struct measured measured;
    if (settings->mode == MODE_DIRECT && settings->sessions == 0 && !target->has_locks)
        settings->sessions = 1; /* others would only wait */
    bool is_chosen = settings->mode != MODE_DIRECT || !target->has_locks ||
                     (settings->sessions > 0 && settings->direct_by != BY_BEST);
    if (!target->prepare(target) || (!is_chosen && !choose(settings, target, &outcomes)) ||
        !run(settings, target, settings->warm_up_ns, settings->time_ns, &measured, &outcomes) ||
        !target->sum(target, &totals))
        return false;
    if (outcomes.ok == 0)
        say("no transaction was completed");
    bool is_verified =
        outcomes.ok > 0 && totals_agree(&totals, settings, outcomes.ok, outcomes.unknown);
    print_report(settings, target, &measured, is_verified);
    return is_verified;
}

int main(int argc, char **argv)
{
    struct settings settings = options_read(argc, argv);
    struct target *target = target_open(&settings);
    if (target == NULL)
        return 2;
    bool is_right = measure(&settings, target);
    target->close(target);
    return is_right ? 0 : 1;
}
