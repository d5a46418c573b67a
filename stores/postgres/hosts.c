#include "hosts.h"

#include "../check.h"
#include "wait.h"

#define PAUSE_MIN_NS (50 * BATCH__POSTGRES_MS)
#define PAUSE_MAX_NS (2000 * BATCH__POSTGRES_MS)

void batch__postgres_hosts_init(struct batch__postgres_hosts *hosts, size_t size)
{
    batch__check(size > 0);
    *hosts = (struct batch__postgres_hosts){
        .size = size,
        .random = batch__postgres_random_seed(hosts),
    };
}

void batch__postgres_hosts_succeeded(struct batch__postgres_hosts *hosts)
{
    batch__check(hosts->current < hosts->size);
    hosts->failures = 0;
    hosts->pause_ns = 0;
    hosts->not_before_ns = 0;
}

void batch__postgres_hosts_failed(struct batch__postgres_hosts *hosts, uint64_t now_ns)
{
    batch__check(hosts->current < hosts->size);
    hosts->current = (hosts->current + 1) % hosts->size;
    hosts->failures++;
    if (hosts->failures % hosts->size != 0)
        return;
    if (hosts->pause_ns < PAUSE_MIN_NS)
        hosts->pause_ns = PAUSE_MIN_NS;
    uint64_t half_ns = hosts->pause_ns / 2;
    hosts->not_before_ns = now_ns + half_ns + batch__postgres_random(&hosts->random) % half_ns;
    hosts->pause_ns *= 2;
    if (hosts->pause_ns > PAUSE_MAX_NS)
        hosts->pause_ns = PAUSE_MAX_NS;
    batch__check(hosts->not_before_ns >= now_ns);
}

bool batch__postgres_hosts_all_failed(const struct batch__postgres_hosts *hosts)
{
    return hosts->failures >= hosts->size;
}
