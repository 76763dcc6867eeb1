/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgate-shell: what sshd starts for a user of the gate. It is trusted with nothing: it runs as the user, and whoever
 * replaces it gets no more from the broker than it does. */
#ifndef VG_SHELL_H
#define VG_SHELL_H

#include <stddef.h>

/* argv as main() got it; original: SSH_ORIGINAL_COMMAND or NULL. Returns the exit status.
 *
 *   argv[0] alone, or with -c VG_SHELL_PATH (forced command through the login shell, which is this program):
 *       the command is original; without one, or with an empty one (a shell request, as sshd/05-virtgate.conf sets it):
 *       the prompt on a terminal, else a refusal
 *   -c TEXT (login shell, no forced command): the command is TEXT
 *   [-4|-6] [-q N] -U PATH, HOST PORT: a stand-in for nc (libvirt's ?netcat=) */
int shell_run(int argc, const char *const *argv, const char *original);

#endif
