#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* getaddrinfo */
#endif
/* addresses_test.c: the addresses of a name, in what order they are tried. */
#include "stores/postgres/addresses.h"
#include "test.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

/* What the resolver finds; 0: an error. */
static const char *found[4];
static size_t found_size;
static size_t lookups;

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list);
void __wrap_freeaddrinfo(struct addrinfo *list);

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list)
{
    static struct sockaddr_in addresses[4];
    static struct addrinfo infos[4];
    assert_string_equal(name, "db");
    assert_null(service);
    lookups++;
    if (found_size == 0)
        return EAI_NONAME;
    for (size_t i = 0; i < found_size; i++) {
        addresses[i] = (struct sockaddr_in){.sin_family = AF_INET};
        inet_pton(AF_INET, found[i], &addresses[i].sin_addr);
        infos[i] = *hints;
        infos[i].ai_addr = (struct sockaddr *)&addresses[i];
        infos[i].ai_addrlen = sizeof addresses[i];
        infos[i].ai_next = i + 1 < found_size ? &infos[i + 1] : NULL;
    }
    *ret_list = infos;
    return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

static void set_found(size_t size, const char *first, const char *second, const char *third)
{
    found_size = size;
    found[0] = first;
    found[1] = second;
    found[2] = third;
}

static bool find(struct batch__postgres_addresses *addresses, const char *name,
                 struct batch__postgres_error *reterr)
{
    char host_name[16];
    snprintf(host_name, sizeof host_name, "%s", name);
    struct batch__postgres_host host = {.host = host_name};
    return batch__postgres_addresses_find(addresses, &host, reterr);
}

TEST(test_each_address_has_its_turn)
{
    struct batch__postgres_addresses addresses = {.size = 0};
    struct batch__postgres_error error;
    set_found(3, "10.0.0.1", "10.0.0.2", "10.0.0.1"); /* one of them twice */
    assert_true(find(&addresses, "db", &error));
    assert_int_equal(addresses.size, 2);
    assert_string_equal(batch__postgres_addresses_current(&addresses), "10.0.0.1");
    assert_true(batch__postgres_addresses_next(&addresses));
    assert_string_equal(batch__postgres_addresses_current(&addresses), "10.0.0.2");
    assert_false(batch__postgres_addresses_next(&addresses));
    assert_int_equal(addresses.size, 0); /* to be looked up again */
}

TEST(test_the_address_that_was_good_comes_first)
{
    struct batch__postgres_addresses addresses = {.size = 0};
    struct batch__postgres_error error;
    set_found(3, "10.0.0.1", "10.0.0.2", "10.0.0.3");
    assert_true(find(&addresses, "db", &error));
    assert_true(batch__postgres_addresses_next(&addresses));
    assert_true(batch__postgres_addresses_next(&addresses));
    batch__postgres_addresses_succeeded(&addresses);
    assert_true(find(&addresses, "db", &error));
    assert_string_equal(addresses.list[0], "10.0.0.3");
    assert_string_equal(addresses.list[1], "10.0.0.1");
    assert_string_equal(addresses.list[2], "10.0.0.2");
    /* It is gone: the name leads elsewhere now. */
    set_found(2, "10.0.0.4", "10.0.0.5", NULL);
    assert_true(find(&addresses, "db", &error));
    assert_int_equal(addresses.size, 2);
    assert_string_equal(addresses.list[0], "10.0.0.4");
}

TEST(test_a_name_that_is_not_known)
{
    struct batch__postgres_addresses addresses = {.size = 0};
    struct batch__postgres_error error;
    set_found(0, NULL, NULL, NULL);
    assert_false(find(&addresses, "db", &error));
    assert_non_null(strstr(error.text, "no address of host db is known"));
    assert_false(batch__postgres_addresses_next(&addresses));
}

/* libpq finds its way by itself. */
TEST(test_what_is_no_name_is_not_looked_up)
{
    struct batch__postgres_addresses addresses = {.size = 0};
    struct batch__postgres_error error;
    struct batch__postgres_host none = {.host = NULL};
    size_t before = lookups;
    assert_true(batch__postgres_addresses_find(&addresses, &none, &error));
    assert_true(find(&addresses, "/run/folder", &error));
    assert_true(find(&addresses, "@abstract", &error));
    assert_null(batch__postgres_addresses_current(&addresses));
    assert_int_equal(lookups, before);
}
