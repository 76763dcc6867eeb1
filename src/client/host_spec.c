/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/host_spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static int refuse(char why[static HOST_SPEC_WHY_SIZE], const char *text, const char *what)
{
    char shown[80];

    text_escape(shown, sizeof shown, text, strlen(text));
    snprintf(why, HOST_SPEC_WHY_SIZE, "expected [user@]host[:port], not '%s': %s", shown, what);
    return -EINVAL;
}

/* Copies len bytes that are all among bytes. */
static int take(char *out, size_t size, const char *from, size_t len, const char *bytes)
{
    if (len == 0 || len >= size || from[0] == '-')
        return -EINVAL;
    for (size_t i = 0; i < len; i++)
        if (!strchr(bytes, from[i]))
            return -EINVAL;
    memcpy(out, from, len);
    out[len] = '\0';
    return 0;
}

/* Where the host ends in "host", "host:port", "[host]" and "[host]:port"; *ret_port: after the colon, NULL for none. An
 * address with two colons or more and no bracket has no port. */
static const char *cut_port(const char **host, const char **ret_port)
{
    const char *end, *colon;

    *ret_port = NULL;
    if ((*host)[0] == '[') {
        end = strchr(++*host, ']');
        if (!end || (end[1] && end[1] != ':'))
            return NULL;
        *ret_port = end[1] ? end + 2 : NULL;
        return end;
    }
    end = *host + strlen(*host);
    colon = strchr(*host, ':');
    if (!colon || strchr(colon + 1, ':'))
        return end;
    *ret_port = colon + 1;
    return colon;
}

int host_spec_parse(const char *text, struct host_spec *ret, char why[static HOST_SPEC_WHY_SIZE])
{
    struct host_spec spec = { .user = "" };
    const char *at = strrchr(text, '@'), *host = at ? at + 1 : text, *port;
    uint64_t number = 0;

    if (at && take(spec.user, sizeof spec.user, text, (size_t)(at - text), ALNUM "._+-@") < 0)
        return refuse(why, text, "a user is made of letters, digits and . _ + - @");
    const char *end = cut_port(&host, &port);
    if (!end || take(spec.host, sizeof spec.host, host, (size_t)(end - host), ALNUM ".-_:%") < 0)
        return refuse(why, text, "a host is made of letters, digits and . - _, or is an address");
    if (port && io_parse_number(port, strlen(port), 1, UINT16_MAX, &number) < 0)
        return refuse(why, text, "a port is a number from 1 to 65535");
    spec.port = (uint16_t)number;
    *ret = spec;
    return 0;
}
