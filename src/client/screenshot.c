/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "base/fd.h"
#include "client/png_write.h"
#include "client/thread.h"
#include "client/view.h"

#define DEADLINE_MS 60000

struct stream {
    struct remote *remote;
    const char *command;
    int far, status;
    struct remote_said said;
};

static void *run_far(void *context)
{
    struct stream *stream = context;

    stream->status = remote_run(stream->remote, stream->command, stream->far, stream->far, &stream->said);
    fd_close(&stream->far);
    return NULL;
}

int screenshot_take(struct remote *remote, const char *command, const char *file)
{
    struct stream stream = { .remote = remote, .command = command };
    struct rfb_picture picture = { .rgb = NULL };
    char why[WHY_SIZE];
    pthread_t thread;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return say_error(EX_OSERR, "this computer is short of descriptors; try again");
    stream.far = pair[1];
    if (thread_start(&thread, run_far, &stream) != 0) {
        fd_close(&pair[0]);
        fd_close(&pair[1]);
        return say_error(EX_OSERR, "this computer is short of threads; try again");
    }
    int status = rfb_take_picture(pair[0], DEADLINE_MS, &picture, why);
    fd_close(&pair[0]);
    pthread_join(thread, NULL);
    /* What the gate said is why the stream ended. */
    if (status && stream.status && stream.said.len > 0)
        return client_said(stream.status, &stream.said);
    if (status == 0)
        status = png_write_picture(file, &picture, why);
    free(picture.rgb);
    return status ? say_error(status, "%s: %s", remote_name(remote), why) : EX_OK;
}
