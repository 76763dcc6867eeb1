/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Giving up powers, in stages; each holds for good and for every process started later.
 *
 * Should, after all of them: run as an account without capabilities, in its own groups; gain nothing by exec; leave no
 * core file and be closed to ptrace and /proc by others of its account.
 * Mustn't: keep any way back to root. */
#ifndef VG_CONFINE_H
#define VG_CONFINE_H

#include <stdbool.h>

/* From root to the account and its groups, with an empty bounding set, and proves that there is no way back.
 * 0; -ENOENT without such an account; -EPERM when not started as root; -errno. */
int confine_become(const char *account);

/* no_new_privs, no core file, not dumpable. 0 or -errno. */
int confine_self(void);

/* This process is killed when the thread that started it ends. One that has ended before this call is not noticed here,
 * but by the end of whatever connects the two. 0 or -errno. */
int confine_to_parent(void);

/* For the filter of libvirt's protocol: nothing but bytes from one of these sockets to another, for good.
 * confine_rpc.c has the stages. Called by the only thread, once the sockets are open and everything is set up that
 * needs a file, a signal handler or another descriptor; client and upstream are UNIX sockets, so is control, or -1.
 *
 * 0: confined. -ENOSYS: confined, but the kernel has no Landlock, or it is switched off; whoever runs this says
 * whether that is enough. Any other -errno: not confined, and some things are closed already: the process must end.
 *
 * In a build with sanitizers, which is not for use, only descriptors, core files and no_new_privs are dealt with. */
int confine_rpc(int client, int upstream, int control);

/* What became of each stage: 0 or -errno. files: -ENOSYS: the kernel has no Landlock; -EOPNOTSUPP: it is switched off. */
struct confine_report {
    int mounts, network, privileges, files, calls;
};

/* For the ssh login of a gate user, in the process that will be the user's, still root: confine_login.c has the stages. shell
 * is the login shell. True: all of them; else ret says what is missing, and the rest is in force. */
bool confine_login(const char *shell, struct confine_report *ret);

/* This process and those it starts find nothing in the folder any more; the host's other mounts come and go as before.
 * 0, also where there is no such folder; -errno. */
int confine_hide(const char *folder);

#endif
