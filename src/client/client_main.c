/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <string.h>
#include <sysexits.h>

#include "base/fd.h"
#include "client/client.h"

int main(int argc, char *argv[])
{
    const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;

    if (fd_settle_standard() < 0)
        return EX_OSERR;
    signal(SIGPIPE, SIG_IGN);
    name = name ? name + 1 : argc > 0 ? argv[0] : "";
    /* virt-viewer starts whatever is called ssh in its PATH. */
    return strcmp(name, "virtgate-ssh") == 0 || strcmp(name, "ssh") == 0 ? client_ssh(argc, argv) : client_run(argc, argv);
}
