/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "confine/confine.h"
#include "session/session_answer.h"
#include "session/virt_open.h"
#include "wire/fdpass.h"
#include "wire/job.h"

/* The longest that finding and opening may take; a serial stream that runs is not meant. Longer than the broker waits, which
 * tells the user why and then ends this process. */
#define OPEN_SECONDS 40
#define VIEW_MAX (64U << 20)

static int read_view(int fd, struct policy **ret)
{
    char *data;
    size_t len;
    int r = io_read_all(fd, VIEW_MAX, &data, &len);

    if (r < 0)
        return r;
    r = policy_view_decode(data, len, ret);
    free(data);
    return r;
}

/* The connection made ahead, when it is alive and of the job's URI; else a new one. */
static void connect_for_job(struct session *session, const char *uri)
{
    if (session->virt && (strcmp(uri, session->job.uri) != 0 || !virt_is_alive(session->virt))) {
        virt_close(session->virt);
        session->virt = NULL;
    }
    if (!session->virt)
        virt_connect(session->job.uri, &session->virt);
}

int session_run(int control, const char *uri)
{
    struct session session = { .control = control, .client = -1 };
    int fds[JOB_FDS];
    size_t n_fds;

    /* Loading libvirt is what costs, and then connecting: both are done before there is a user who waits. */
    if (confine_self() < 0 || virt_prepare() < 0)
        return EX_OSERR;
    virt_connect(uri, &session.virt);
    if (virt_wait_for(control) < 0)
        return EX_OSERR;
    int r = fdpass_recv(control, &session.job, sizeof session.job, fds, JOB_FDS, &n_fds);
    if (r == -ECONNRESET)
        return EX_OK; /* the broker has gone, or needs this process no more */
    if (r < 0 || n_fds != JOB_FDS || session_check_job(&session.job) < 0)
        return EX_PROTOCOL;
    alarm(OPEN_SECONDS);
    session.client = fds[JOB_FD_CLIENT];
    r = read_view(fds[JOB_FD_VIEW], &session.view);
    fd_close(&fds[JOB_FD_VIEW]);
    if (r < 0)
        return EX_PROTOCOL;
    connect_for_job(&session, uri);
    session_answer(&session);
    virt_close(session.virt);
    policy_free(session.view);
    fd_close(&session.client);
    return EX_OK;
}
