/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket that virtgate-shell connects to. */
#ifndef VG_LISTENER_H
#define VG_LISTENER_H

#include <stddef.h>

#define LISTENER_WHY_SIZE 256

/* The socket that systemd handed over (sd_listen_fds(3)). 0 and a descriptor of the caller's; -ENOENT: none was handed
 * over; -EINVAL with why: not one listening AF_UNIX SOCK_SEQPACKET socket. */
int listener_from_systemd(int *ret_fd, char why[static LISTENER_WHY_SIZE]);

/* Makes folder (root's, 0755) and in it broker.sock, root's and group's, 0660. As root only: clients trust the socket
 * because root called listen(2). What lies at the path already is taken away only when it is a dead socket of root's.
 * 0 or -errno with why. */
int listener_make(const char *folder, const char *group, int *ret_fd, char why[static LISTENER_WHY_SIZE]);

#endif
