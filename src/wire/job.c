/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/job.h"

#include <errno.h>

#include "wire/field.h"
#include "wire/request.h"

int session_check_job(const struct job *job)
{
    if (!FIELD_OK(string, job->user) || !FIELD_OK(word, job->uri) || !job->user[0] || !job->uri[0])
        return -EPROTO;
    return command_is_sound(&job->command) ? 0 : -EPROTO;
}
