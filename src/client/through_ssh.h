/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --ssh: a command on a host by the system's ssh, for what this program does not know of the user's configuration. */
#ifndef VG_CLIENT_THROUGH_SSH_H
#define VG_CLIENT_THROUGH_SSH_H

#include "client/remote.h"

/* ssh: a program and its arguments, blanks between them. Waits for its end; its status, or -errno. No shell is used. */
int through_ssh(const char *ssh, const struct host_spec *spec, const char *command, int in, int out, struct remote_said *said);

#endif
