/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgate-rpc: started by virtgated, with its socket as descriptor 3 and but LANG=C in the environment. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "confine/confine.h"
#include "rpc/rpc_run.h"

int main(void)
{
    int type = 0;
    socklen_t size = sizeof type;

    if (getsockopt(3, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET) {
        fprintf(stderr, "virtgate-rpc is started by virtgated alone\n");
        return EX_USAGE;
    }
    /* No connection outlives its broker. */
    if (confine_to_parent() < 0)
        return EX_OSERR;
    fcntl(3, F_SETFD, FD_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
    return rpc_run(3);
}
