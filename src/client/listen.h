/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A place on this computer where a viewer of the same user's connects, and nobody else. */
#ifndef VG_CLIENT_LISTEN_H
#define VG_CLIENT_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "client/say.h"

struct listening {
    int fd;
    char folder[100];      /* of a socket in the file system, mode 0700; "" for TCP */
    char path[120];        /* the socket in it; "" for TCP */
    uint16_t port;         /* on 127.0.0.1; 0 for a path */
};

/* A socket in a folder of its own, under XDG_RUNTIME_DIR or /tmp. 0; or EX_OSERR and why. */
int listen_private(struct listening *ret, char why[static WHY_SIZE]);

/* address: 127.0.0.1:PORT, PORT 0 for any free one. 0; or EX_USAGE, EX_UNAVAILABLE and why: no other address is taken, as
 * another computer has no user that could be checked. */
int listen_loopback(const char *address, struct listening *ret, char why[static WHY_SIZE]);

/* The next connection, if it is this user's (or root's own when this user is root). A descriptor; -EPERM for another's, and
 * -ECONNABORTED for one that is not there any more, which are closed; -errno. */
int listen_accept(const struct listening *listening);

/* Takes the socket and its folder away. */
void listen_close(struct listening *listening);

#endif
