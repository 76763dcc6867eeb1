/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/job.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/io.h"
#include "wire/fdpass.h"
#include "wire/field.h"
#include "wire/request.h"

#define VIEW_MAX (64U << 20)

int session_check_job(const struct job *job)
{
    if (!FIELD_OK(string, job->user) || !FIELD_OK(word, job->uri) || !job->user[0] || !job->uri[0])
        return -EPROTO;
    return command_is_sound(&job->command) ? 0 : -EPROTO;
}

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

int job_receive(int control, struct job *ret, int *ret_client, struct policy **ret_view)
{
    int fds[JOB_FDS];
    size_t n_fds;
    int r = fdpass_recv(control, ret, sizeof *ret, fds, JOB_FDS, &n_fds);

    if (r < 0)
        return r;
    if (n_fds != JOB_FDS || session_check_job(ret) < 0)
        r = -EPROTO;
    if (r == 0)
        r = read_view(fds[JOB_FD_VIEW], ret_view);
    for (size_t i = 0; i < JOB_FDS; i++)
        if (r < 0 || i != JOB_FD_CLIENT)
            fd_close(&fds[i]);
    if (r == 0)
        *ret_client = fds[JOB_FD_CLIENT];
    return r;
}
