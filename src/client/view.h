/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two ways to see a display, once it is known that it is there. Statuses of sysexits.h, after a line. */
#ifndef VG_CLIENT_VIEW_H
#define VG_CLIENT_VIEW_H

#include "client/client.h"

/* command: the line that opens the display on the host. */
int screenshot_take(struct remote *remote, const char *command, const char *file);

/* In a viewer, until it ends; type is "vnc" or "spice". */
int view_run(struct remote *remote, const char *command, const char *type, const struct options *options);

#endif
