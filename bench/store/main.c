/* main.c: measure what a store does for many operations on few keys, with and without libbatch.
 *
 * Every operation adds 1 to the counter of a key. At the end the counters are added up and must
 * give the number of operations that completed with BATCH_OK.
 *
 * The tally is read at both ends of the measured time, while operations go on; what is in flight
 * when it ends is completed and verified, but not measured.
 */
#include "direct.h"
#include "grouped.h"
#include "report.h"
#include "common/say.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The counters agree with the completions: every operation that completed with BATCH_OK was
 * applied, and none that completed otherwise, but for BATCH_UNKNOWN. */
static bool verify(struct target *target, const struct tally *completed)
{
    uint64_t sum;
    if (!target->sum(target, &sum))
        return false;
    uint64_t ok = completed->xcompleted[-BATCH_OK];
    uint64_t unknown = completed->xcompleted[-BATCH_UNKNOWN];
    if (sum >= ok && sum <= ok + unknown)
        return true;
    say("%" PRIu64 " operations are in the store, but %" PRIu64
        " completed with BATCH_OK and %" PRIu64 " with BATCH_UNKNOWN",
        sum, ok, unknown);
    return false;
}

static uint64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* Until the operations of the start have completed, latencies only show how long this program has
 * been running: leave them out. */
static void drop_start_latencies(struct tally *counted, const struct tally *begin,
                                 uint32_t outstanding)
{
    uint64_t completed = 0;
    for (int i = 0; i < BATCH_STATUS_COUNT; i++)
        completed += begin->xcompleted[i];
    if (completed < outstanding)
        memset(counted->xlatency, 0, sizeof counted->xlatency);
}

static struct runner *runner_start(const struct settings *settings, struct target *target)
{
    return settings->mode == MODE_DIRECT ? direct_start(settings, target)
                                         : grouped_start(settings, target);
}

static bool measure(const struct settings *settings, struct target *target)
{
    struct runner *runner = runner_start(settings, target);
    if (runner == NULL)
        return false;
    struct tally begin, end, all;
    report_wait(runner, "warming up", settings->warm_up_ns);
    uint64_t begin_ns = batch_now_ns();
    runner->read(runner, &begin);
    begin.cpu_ns = cpu_ns();
    report_wait(runner, mode_names[settings->mode], settings->time_ns);
    uint64_t time_ns = batch_now_ns() - begin_ns;
    runner->read(runner, &end);
    end.cpu_ns = cpu_ns();
    tally_subtract(&end, &begin);
    drop_start_latencies(&end, &begin, settings->outstanding);

    runner->stop(runner);
    runner->read(runner, &all);
    runner->free(runner);
    bool is_verified = verify(target, &all);
    report_print(settings, target, &end, time_ns, is_verified);
    return is_verified;
}

int main(int argc, char **argv)
{
    struct settings settings = options_read(argc, argv);
    struct target *target = target_open(&settings);
    if (target == NULL)
        return 2;
    if (settings.sessions == 0)
        settings.sessions = target->sessions[settings.mode];
    bool is_right = false;
    if (settings.mode == MODE_DIRECT && target->direct_refusal != NULL)
        say("--mode direct: %s", target->direct_refusal);
    else
        is_right = target->prepare(target) && measure(&settings, target);
    target->close(target);
    return is_right ? 0 : 1;
}
