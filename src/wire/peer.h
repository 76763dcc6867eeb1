/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is at the other end of a local connection: the kernel's word, taken once (unix(7), SO_PEERCRED, SO_PEERPIDFD). */
#ifndef VG_WIRE_PEER_H
#define VG_WIRE_PEER_H

#include <stdbool.h>
#include <sys/types.h>

struct peer {
    uid_t uid;  /* the effective uid that called connect(), or for a client: listen() */
    gid_t gid;
    pid_t pid;  /* a number is no identity, it is reused: see login_of.h for its one use beside the log */
    int pidfd;  /* readable when that process has ended; -1 when the kernel has none to give. Owned. */
    bool gone;  /* it has ended, and the kernel (6.5 to 6.14) gives no pidfd for that reason */
};

/* 0 or -errno. */
int peer_of(int sock, struct peer *ret);

#endif
