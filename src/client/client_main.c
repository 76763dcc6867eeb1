/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/fd.h"
#include "client/client.h"

/* libssh starts a ProxyCommand from a thread that takes no signals (thread.h), and waits for it to end after SIGTERM: as its
 * parent does, it would not take that one. */
static void in_child(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

int main(int argc, char *argv[])
{
    const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;

    if (fd_settle_standard() < 0 || pthread_atfork(NULL, NULL, in_child) != 0)
        return EX_OSERR;
    signal(SIGPIPE, SIG_IGN);
    /* libssh 0.11 would log in to a ProxyJump's hosts by itself, without what auth.c and hostkey.c do, and does not tell that
     * there is one. So it leaves them to ssh(1), as 0.10 did. */
    if (setenv("OPENSSH_PROXYJUMP", "1", 1) < 0)
        return EX_OSERR;
    name = name ? name + 1 : argc > 0 ? argv[0] : "";
    /* virt-viewer starts whatever is called ssh in its PATH. */
    return strcmp(name, "virtgate-ssh") == 0 || strcmp(name, "ssh") == 0 ? client_ssh(argc, argv) : client_run(argc, argv);
}
