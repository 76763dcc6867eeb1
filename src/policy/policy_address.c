/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"

static const uint8_t *address_bytes(const struct address *address)
{
    return address->family == AF_INET ? (const uint8_t *)&address->v4 : address->v6.s6_addr;
}

static unsigned address_bits(const struct address *address)
{
    return address->family == AF_INET ? 32 : 128;
}

static int parse_as_written(const char *text, struct address *ret)
{
    struct address address = { .family = AF_INET };

    if (inet_pton(AF_INET, text, &address.v4) != 1) {
        address.family = AF_INET6;
        if (inet_pton(AF_INET6, text, &address.v6) != 1)
            return -EINVAL;
    }
    *ret = address;
    return 0;
}

int address_parse(const char *text, struct address *ret)
{
    struct address address;

    if (parse_as_written(text, &address) < 0)
        return -EINVAL;
    if (address.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address.v6)) {
        *ret = (struct address){ .family = AF_INET };
        memcpy(&ret->v4, address.v6.s6_addr + 12, sizeof ret->v4);
        return 0;
    }
    *ret = address;
    return 0;
}

/* Clears what lies beyond the prefix; true when there was something. */
static bool clear_host_bits(struct address *address, unsigned prefix)
{
    uint8_t *byte = address->family == AF_INET ? (uint8_t *)&address->v4 : address->v6.s6_addr;
    bool found = false;

    for (unsigned i = 0; i < address_bits(address) / 8; i++) {
        unsigned keep = prefix >= 8 * i + 8 ? 8 : prefix <= 8 * i ? 0 : prefix - 8 * i;
        uint8_t cleared = (uint8_t)(byte[i] & 0xff00U >> keep);
        found |= cleared != byte[i];
        byte[i] = cleared;
    }
    return found;
}

void address_format(const struct address *address, char out[static ADDRESS_TEXT_SIZE])
{
    out[0] = '\0';
    if (address->family != AF_UNSPEC)
        inet_ntop(address->family, address_bytes(address), out, ADDRESS_TEXT_SIZE);
}

int net_parse(const char *text, size_t len, struct net *ret, char why[static WHY_SIZE])
{
    char address[ADDRESS_TEXT_SIZE];
    const char *slash = memchr(text, '/', len);
    size_t address_len = slash ? (size_t)(slash - text) : len;
    struct net net;
    uint64_t prefix;

    if (address_len >= sizeof address)
        goto unknown;
    memcpy(address, text, address_len);
    address[address_len] = '\0';
    if (parse_as_written(address, &net.address) < 0)
        goto unknown;
    /* Callers come as IPv4 (address_parse()): a mapped network would hold nobody. */
    if (net.address.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&net.address.v6)) {
        snprintf(why, WHY_SIZE, "'%.*s' is an IPv4 address in IPv6's form: write it as IPv4", (int)len, text);
        return -EINVAL;
    }
    prefix = address_bits(&net.address);
    if (slash && io_parse_number(slash + 1, len - address_len - 1, 0, prefix, &prefix) < 0) {
        snprintf(why, WHY_SIZE, "expected a prefix length from 0 to %u in '%.*s'", address_bits(&net.address), (int)len, text);
        return -EINVAL;
    }
    net.prefix = (unsigned)prefix;
    if (clear_host_bits(&net.address, net.prefix)) {
        address_format(&net.address, address);
        snprintf(why, WHY_SIZE, "'%.*s' has bits set beyond its prefix: the network is %s/%u", (int)len, text, address,
                 net.prefix);
        return -EINVAL;
    }
    *ret = net;
    return 0;
unknown:
    snprintf(why, WHY_SIZE, "expected an address or a network such as 192.0.2.0/24 or 2001:db8::/32, not '%.*s'", (int)len,
             text);
    return -EINVAL;
}

bool net_holds(const struct net *net, const struct address *address)
{
    struct address base = *address;

    if (address->family != net->address.family)
        return false;
    clear_host_bits(&base, net->prefix);
    return memcmp(address_bytes(&base), address_bytes(&net->address), address_bits(&base) / 8) == 0;
}
