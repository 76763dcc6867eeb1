/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the broker gives a session process: whom to serve, with what view, on which connection. */
#ifndef VG_WIRE_JOB_H
#define VG_WIRE_JOB_H

#include <sys/types.h>

#include "command/command.h"
#include "policy/policy.h"

#define JOB_USER_SIZE 256

/* The descriptors that come with it, in this order. */
enum { JOB_FD_CLIENT, JOB_FD_VIEW, JOB_FDS };

struct job {
    uid_t uid;
    char user[JOB_USER_SIZE];
    char uri[POLICY_URI_SIZE];
    struct command command;
};

/* The layout is that of the structure: both sides are installed together and run on one machine. */
int session_check_job(const struct job *job); /* 0 or -EPROTO */

/* Waits for the job: it, the connection and the view are the caller's. 0; -ECONNRESET: there is none any more; -EPROTO; -errno. */
int job_receive(int control, struct job *ret, int *ret_client, struct policy **ret_view);

#endif
