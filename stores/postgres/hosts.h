/* hosts.h: which host a session tries next, and when.
 *
 * Hosts are tried in turn, beginning with the last one that was good. After a round without success
 * there is a pause of 25 to 50 ms, then of twice as long each time, up to 1 to 2 s, at random, so
 * that sessions that have lost a server do not all come back at once.
 *
 * Threads: those of one session.
 */
#ifndef BATCH_POSTGRES_HOSTS_H
#define BATCH_POSTGRES_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch__postgres_hosts {
    size_t size;            /* at least 1 */
    size_t current;         /* below size: the one in use, or to be tried next */
    size_t failures;        /* in a row, of any host */
    uint64_t not_before_ns; /* the next attempt */
    uint64_t pause_ns;      /* the next pause between rounds, at most; 0: none yet */
    uint64_t random;
};

void batch__postgres_hosts_init(struct batch__postgres_hosts *hosts, size_t size);

/* The current host is good. */
void batch__postgres_hosts_succeeded(struct batch__postgres_hosts *hosts);

/* The current host failed: the next one is tried, after a pause if that ends a round. */
void batch__postgres_hosts_failed(struct batch__postgres_hosts *hosts, uint64_t now_ns);

/* Has every host failed since one was good? */
bool batch__postgres_hosts_all_failed(const struct batch__postgres_hosts *hosts);

#endif
