/* addresses.h: the addresses of a host's name, each of which gets an attempt to connect of its own.
 *
 * libpq tries them by itself, one after the other, but without a time limit for each; and a name
 * may have an address that is unreachable: of a site that has failed, or of an IP version that does
 * not work here. So the name is looked up here, and libpq is given one address at a time.
 *
 * The lookup blocks for as long as the system's resolver takes, as libpq's does.
 *
 * Threads: those of one session.
 */
#ifndef BATCH_POSTGRES_ADDRESSES_H
#define BATCH_POSTGRES_ADDRESSES_H

#include "conninfo.h"
#include "error.h"

enum { BATCH__POSTGRES_ADDRESSES_MAX = 16, BATCH__POSTGRES_ADDRESS_SIZE = 64 };

struct batch__postgres_addresses {
    char list[BATCH__POSTGRES_ADDRESSES_MAX][BATCH__POSTGRES_ADDRESS_SIZE];
    size_t size;    /* 0: not looked up, or libpq is to find the way by itself */
    size_t current; /* below size, or 0 */
    char good[BATCH__POSTGRES_ADDRESS_SIZE]; /* the last one that was; or empty */
};

/* Look up a host that has a name; begin with the address that was good, if it is still there.
 * False: there is none; `reterr` has the reason. */
bool batch__postgres_addresses_find(struct batch__postgres_addresses *addresses,
                                    const struct batch__postgres_host *host,
                                    struct batch__postgres_error *reterr);

/* The current one; NULL: what libpq finds. */
const char *batch__postgres_addresses_current(const struct batch__postgres_addresses *addresses);

/* The current one is good; the next time the name is looked up again. */
void batch__postgres_addresses_succeeded(struct batch__postgres_addresses *addresses);

/* Go on to the next one. False: that was the last. */
bool batch__postgres_addresses_next(struct batch__postgres_addresses *addresses);

#endif
