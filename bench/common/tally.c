/* tally.c: see tally.h. */
#include "common/tally.h"

#include <inttypes.h>

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 16)
        return (unsigned)ns;
    unsigned power = 63u - (unsigned)__builtin_clzll(ns); /* at least 4 */
    return (power - 3) * 16 + (unsigned)((ns >> (power - 4)) & 15);
}

/* The highest latency that falls into the bucket. */
static uint64_t bucket_ns(unsigned bucket)
{
    if (bucket < 16)
        return bucket;
    unsigned power = bucket / 16 + 3;
    return ((uint64_t)(16 + bucket % 16) << (power - 4)) + (((uint64_t)1 << (power - 4)) - 1);
}

void tally_latency(struct tally *tally, uint64_t latency_ns)
{
    tally_add(&tally->xlatency[bucket_of(latency_ns)], 1);
}

static void sum_up(uint64_t *sum, const uint64_t *xcounts, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum[i] += __atomic_load_n(&xcounts[i], __ATOMIC_RELAXED);
}

void tally_sum(struct tally *sum, const struct tally *tally)
{
    sum_up(sum->xcompleted, tally->xcompleted, BATCH_STATUS_COUNT);
    sum_up(sum->xlatency, tally->xlatency, LATENCY_BUCKETS);
    sum_up(&sum->xretries, &tally->xretries, 1);
}

void tally_subtract(struct tally *end, const struct tally *begin)
{
    for (size_t i = 0; i < BATCH_STATUS_COUNT; i++)
        end->xcompleted[i] -= begin->xcompleted[i];
    for (size_t i = 0; i < LATENCY_BUCKETS; i++)
        end->xlatency[i] -= begin->xlatency[i];
    end->xretries -= begin->xretries;
    end->commits -= begin->commits;
    end->rows -= begin->rows;
    end->cpu_ns -= begin->cpu_ns;
}

uint64_t tally_quantile_ns(const struct tally *tally, double share)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        count += tally->xlatency[i];
    uint64_t seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += tally->xlatency[i];
        if (seen > 0 && (double)seen >= share * (double)count)
            return bucket_ns(i);
    }
    return 0;
}

void tally_print_errors(FILE *out, const struct tally *tally)
{
    const char *separator = "";
    fputc('{', out);
    for (int i = 1; i < BATCH_STATUS_COUNT; i++) {
        if (tally->xcompleted[i] == 0)
            continue;
        fprintf(out, "%s\"%s\":%" PRIu64, separator, batch_status_name(-i), tally->xcompleted[i]);
        separator = ",";
    }
    fputc('}', out);
}
