/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host as a person types it: [user@]host[:port], with an IPv6 address in brackets when a port follows. Pure. */
#ifndef VG_CLIENT_HOST_SPEC_H
#define VG_CLIENT_HOST_SPEC_H

#include <stdint.h>

#define HOST_SPEC_WHY_SIZE 200

struct host_spec {
    char user[128];  /* "": as ~/.ssh/config says, else the local name */
    char host[256];  /* a name, an address, or a Host of ~/.ssh/config */
    uint16_t port;   /* 0: as ~/.ssh/config says, else 22 */
};

/* 0; or -EINVAL and one sentence in why. A user is made of letters, digits and "._+-@", a host of letters, digits and
 * ".-_:%", and neither begins with '-': both end in command lines of a shell when the user's ProxyCommand names them. */
int host_spec_parse(const char *text, struct host_spec *ret, char why[static HOST_SPEC_WHY_SIZE]);

#endif
