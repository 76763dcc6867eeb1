/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgate-session: started by virtgated, with the URI of libvirtd as its argument, its socket as descriptor 3 and
 * nothing in the environment. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "confine/confine.h"
#include "session/session.h"

int main(int argc, char *argv[])
{
    int type = 0;
    socklen_t size = sizeof type;
    char byte;

    if (argc != 2 || getsockopt(3, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET) {
        fprintf(stderr, "virtgate-session is started by virtgated alone\n");
        return EX_USAGE;
    }
    /* No session outlives its broker, whatever it waits for; nor one that ended before this took effect. */
    if (confine_to_parent() < 0 || recv(3, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        return EX_OSERR;
    fcntl(3, F_SETFD, FD_CLOEXEC); /* libvirt's library starts programs for some URIs */
    signal(SIGPIPE, SIG_IGN);
    return session_run(3, argv[1]);
}
