/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/session.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "confine/confine.h"
#include "session/session_answer.h"
#include "session/virt_open.h"
#include "wire/job.h"

/* The longest that finding and opening may take; a serial stream that runs is not meant. Longer than the broker waits, which
 * tells the user why and then ends this process. */
#define OPEN_SECONDS 40

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

    /* Loading libvirt is what costs, and then connecting: both are done before there is a user who waits. */
    if (confine_self() < 0 || virt_prepare() < 0)
        return EX_OSERR;
    virt_connect(uri, &session.virt);
    if (virt_wait_for(control) < 0)
        return EX_OSERR;
    int r = job_receive(control, &session.job, &session.client, &session.view);
    if (r == -ECONNRESET)
        return EX_OK; /* the broker has gone, or needs this process no more */
    if (r < 0)
        return EX_PROTOCOL;
    alarm(OPEN_SECONDS);
    connect_for_job(&session, uri);
    session_answer(&session);
    virt_close(session.virt);
    policy_free(session.view);
    fd_close(&session.client);
    return EX_OK;
}
