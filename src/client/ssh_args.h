/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arguments with which libvirt and virt-viewer call ssh. Pure. */
#ifndef VG_CLIENT_SSH_ARGS_H
#define VG_CLIENT_SSH_ARGS_H

#include "client/remote.h"

#define SSH_ARGS_COMMAND_SIZE 16384

struct ssh_args {
    struct remote_options remote;
    char host[400];                        /* [user@]host[:port], for remote_new() */
    bool batch, version;
    char command[SSH_ARGS_COMMAND_SIZE];   /* the words behind the host, blanks between them, as ssh(1) sends them */
};

/* argv[0] is this program. 0; or EX_USAGE and why: an option that would open more than a command (a forwarding, a terminal)
 * is refused, and so is one that is not known. */
int ssh_args_parse(int argc, char *const *argv, struct ssh_args *ret, char why[static WHY_SIZE]);

#endif
