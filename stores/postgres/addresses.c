#define _POSIX_C_SOURCE 200809L /* getaddrinfo */
#include "addresses.h"

#include "../check.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* A name in the network, and not a folder with a socket. */
static bool is_name(const struct batch__postgres_host *host)
{
    return host->host != NULL && host->hostaddr == NULL && host->host[0] != '/' &&
           host->host[0] != '@';
}

static bool has(const struct batch__postgres_addresses *addresses, const char *address)
{
    for (size_t i = 0; i < addresses->size; i++) {
        if (strcmp(addresses->list[i], address) == 0)
            return true;
    }
    return false;
}

static void add(struct batch__postgres_addresses *addresses, const struct addrinfo *info)
{
    char address[BATCH__POSTGRES_ADDRESS_SIZE];
    if (addresses->size == BATCH__POSTGRES_ADDRESSES_MAX ||
        getnameinfo(info->ai_addr, info->ai_addrlen, address, sizeof address, NULL, 0,
                    NI_NUMERICHOST) != 0 ||
        has(addresses, address))
        return;
    snprintf(addresses->list[addresses->size++], BATCH__POSTGRES_ADDRESS_SIZE, "%s", address);
}

static void put_first(struct batch__postgres_addresses *addresses, const char *address)
{
    for (size_t i = addresses->size; i-- > 1;) {
        if (strcmp(addresses->list[i], address) != 0)
            continue;
        memmove(addresses->list[1], addresses->list[0], i * sizeof addresses->list[0]);
        snprintf(addresses->list[0], sizeof addresses->list[0], "%s", address);
        return;
    }
}

bool batch__postgres_addresses_find(struct batch__postgres_addresses *addresses,
                                    const struct batch__postgres_host *host,
                                    struct batch__postgres_error *reterr)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    addresses->size = addresses->current = 0;
    if (!is_name(host))
        return true;
    int error = getaddrinfo(host->host, NULL, &hints, &found);
    for (const struct addrinfo *info = found; error == 0 && info != NULL; info = info->ai_next)
        add(addresses, info);
    if (error == 0)
        freeaddrinfo(found);
    put_first(addresses, addresses->good);
    if (addresses->size > 0)
        return true;
    *reterr = (struct batch__postgres_error){.code = 0};
    snprintf(reterr->text, sizeof reterr->text, "no address of host %.80s is known: %.80s",
             host->host, error != 0 ? gai_strerror(error) : "none has a form that is known");
    return false;
}

const char *batch__postgres_addresses_current(const struct batch__postgres_addresses *addresses)
{
    batch__check(addresses->current == 0 || addresses->current < addresses->size);
    return addresses->size > 0 ? addresses->list[addresses->current] : NULL;
}

void batch__postgres_addresses_succeeded(struct batch__postgres_addresses *addresses)
{
    if (addresses->size > 0)
        snprintf(addresses->good, sizeof addresses->good, "%s",
                 addresses->list[addresses->current]);
    addresses->size = addresses->current = 0;
}

bool batch__postgres_addresses_next(struct batch__postgres_addresses *addresses)
{
    bool has_next = addresses->current + 1 < addresses->size;
    addresses->current = has_next ? addresses->current + 1 : 0;
    if (!has_next)
        addresses->size = 0;
    return has_next;
}
