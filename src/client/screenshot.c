/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <sysexits.h>

#include "client/far.h"
#include "client/png_write.h"
#include "client/view.h"

#define DEADLINE_MS 60000

int screenshot_take(struct remote *remote, const char *command, const char *file)
{
    struct rfb_picture picture = { .rgb = NULL };
    struct far far;
    char why[WHY_SIZE];

    if (far_start(&far, remote, command))
        return EX_OSERR;
    int status = rfb_take_picture(far.near, DEADLINE_MS, &picture, why);
    far_end(&far);
    /* What the gate said is why the stream ended. */
    if (status && far.status && far.said.len > 0)
        return client_said(far.status, &far.said);
    if (status == 0)
        status = png_write_picture(file, &picture, why);
    free(picture.rgb);
    return status ? say_error(status, "%s: %s", remote_name(remote), why) : EX_OK;
}
