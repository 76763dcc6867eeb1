/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answer to each kind of request, in the session process. */
#ifndef VG_SESSION_ANSWER_H
#define VG_SESSION_ANSWER_H

#include "policy/policy.h"
#include "wire/job.h"

struct virt;

struct session {
    struct job job;
    struct policy *view; /* of job.user */
    struct virt *virt;   /* NULL: libvirtd does not answer */
    int control;         /* to the broker */
    int client;          /* to virtgate-shell */
};

/* Serves the job: the user gets one reply, the broker at least one outcome. Returns when the session is over, or for a
 * display, when it is opened. */
void session_answer(const struct session *session);

#endif
