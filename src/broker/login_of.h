/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The login that a peer belongs to, as the PAM module recorded it. */
#ifndef VG_LOGIN_OF_H
#define VG_LOGIN_OF_H

#include "wire/login.h"
#include "wire/peer.h"

/* 0; -ENOENT: it belongs to none that is recorded; -errno. confined is true when the record says so and the kernel says that
 * the process runs with no_new_privs and a filter of system calls.
 *
 * No number is trusted over time. /proc/PID is opened, then the pidfd says that the peer still lives: so the folder is the
 * peer's, and shows nothing of a later process of that number. Before Linux 6.5 the kernel has no pidfd for a peer; then a
 * process of the same account could stand in for one that ended (peer.h), never one of another account. */
int login_of_peer(const struct peer *peer, struct login *ret);

#endif
