/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/peer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* asm-generic/socket.h since Linux 6.5; Debian 12's headers are older */
#endif

int peer_of(int sock, struct peer *ret)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    int pidfd = -1;
    bool gone = false;

    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return -errno;
    size = sizeof pidfd;
    if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0) {
        gone = errno != ENOPROTOOPT;
        /* Before Linux 6.5. The process could be another by now: good enough to end a session with its process, which
         * is all that this descriptor is used for, and for no decision. */
        pidfd = !gone && credentials.pid > 0 ? (int)syscall(SYS_pidfd_open, credentials.pid, 0) : -1;
    }
    *ret = (struct peer){ credentials.uid, credentials.gid, credentials.pid, pidfd, gone };
    return 0;
}
