/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ssh login of a gate user: sshd's process that will become the user, while it is still root. It carries the user's
 * forwarding and starts the user's programs, so whatever sshd's configuration, a start-up file or LD_PRELOAD would open, it
 * opens here.
 *
 * 1. Mounts. Should: leave the gate's folder of /run, and the log's socket. The sockets of libvirt, D-Bus, systemd and the
 *    user's own systemd (/run/user) are not there any more, nor are other accounts' processes in /proc, nor libvirt's folders.
 *    Mustn't: show outside (the host's mounts go in, none come out), or be needed: the last stage closes these sockets too.
 * 2. A network namespace. Should: /proc/net has nothing of the host's: it names every local socket, and so every machine by its
 *    QEMU's, and what listens. Abstract sockets are out of reach on every kernel.
 *    Mustn't: touch the client's connection, which stays where it is.
 * 3. no_new_privs, no core file (it would hold a user's screen text).
 * 4. Landlock. Should: run the gate, the login shell and the loader that both need. Read what a program needs to start and to
 *    speak the user's language. Write to terminals and /dev/null, and to what proc(5) has of the user's own processes.
 *    No other device is opened: a tun of the user's own needs no capability (ssh -w).
 *    Mustn't: read or write a file of the user's. Who may run the loader runs what it can read (it maps a program, which no
 *    rule about execution sees), and so does LD_PRELOAD: the home folder, /tmp and /usr/bin are closed, and of programs only
 *    what lies among the libraries is left. A socket in the file system cannot be made either (ssh -R).
 * 5. System calls. Should: refuse, with an error, what the stages above do not cover (attacks E9): every socket but a local
 *    one that keeps messages apart, which are the gate's and the log's. libvirt, D-Bus, systemd, QEMU's displays and ssh's
 *    forwarding of sockets speak streams.
 *    Mustn't: leave a way past the filter: another machine's system calls, io_uring, a namespace of one's own, the memory
 *    of another process.
 *
 * sshd lives through all of it: pairs of sockets (socketpair) for its programs, terminals (its monitor opens them), chroot,
 * the change of accounts.
 *
 * The order: Landlock forbids mounts and needs no_new_privs; the system calls go last. Each is tried whatever became of
 * those before. */
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "confine/confine.h"
#include "confine/confine_impl.h"

/* The program that the kernel starts this one with: what its file says, as it is in memory. */
static int find_loader(struct dl_phdr_info *info, size_t size, void *ret)
{
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_INTERP)
            *(const char **)ret = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return 1; /* the main program comes first; no others */
}

static int confine_login_files(const char *shell)
{
    const char *programs[] = { VG_SHELL_PATH, shell, NULL };
    char libraries[PATH_MAX];

    dl_iterate_phdr(find_loader, &programs[2]);
    if (!programs[2])
        return -ENOEXEC;
    if (!realpath(programs[2], libraries))
        return -errno;
    *strrchr(libraries, '/') = '\0';
    return confine_landlock_login(programs, sizeof programs / sizeof programs[0], libraries);
}

bool confine_login(const char *shell, struct confine_report *ret)
{
    ret->mounts = confine_mounts_login();
    ret->network = confine_network();
    ret->privileges = confine_self();
    ret->files = confine_login_files(shell);
    ret->calls = confine_seccomp_login();
    return ret->mounts == 0 && ret->network == 0 && ret->privileges == 0 && ret->files == 0 && ret->calls == 0;
}
