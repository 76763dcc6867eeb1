/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/far.h"

#include <sys/socket.h>
#include <sysexits.h>

#include "base/fd.h"
#include "client/thread.h"

static void *run(void *context)
{
    struct far *far = context;

    far->status = remote_run(far->remote, far->command, far->other, far->other, &far->said);
    fd_close(&far->other);
    return NULL;
}

int far_start(struct far *far, struct remote *remote, const char *command)
{
    int pair[2];

    far->remote = remote;
    far->command = command;
    far->status = EX_OSERR;
    far->said.len = 0;
    far->near = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return say_error(EX_OSERR, "this computer is short of descriptors; try again");
    far->near = pair[0];
    far->other = pair[1];
    if (thread_start(&far->thread, run, far) == 0)
        return EX_OK;
    fd_close(&far->near);
    fd_close(&far->other);
    return say_error(EX_OSERR, "this computer is short of threads; try again");
}

void far_end(struct far *far)
{
    fd_close(&far->near);
    pthread_join(far->thread, NULL);
}
