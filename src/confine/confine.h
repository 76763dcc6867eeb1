/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Giving up powers, in stages; each holds for good and for every process started later.
 *
 * Should, after all of them: run as an account without capabilities, in its own groups; gain nothing by exec; leave no
 * core file and be closed to ptrace and /proc by others of its account.
 * Mustn't: keep any way back to root. */
#ifndef VG_CONFINE_H
#define VG_CONFINE_H

/* From root to the account and its groups, with an empty bounding set, and proves that there is no way back.
 * 0; -ENOENT without such an account; -EPERM when not started as root; -errno. */
int confine_become(const char *account);

/* no_new_privs, no core file, not dumpable. 0 or -errno. */
int confine_self(void);

/* This process is killed when the thread that started it ends. One that has ended before this call is not noticed here,
 * but by the end of whatever connects the two. 0 or -errno. */
int confine_to_parent(void);

#endif
