/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter of libvirt's protocol, from the moment at which its sockets are open. Whoever takes the process over by
 * what a client or a domain's XML says can then speak to libvirtd as the filter could, and do nothing else with the
 * machine.
 *
 * 1. Descriptors. Should: leave the three sockets. 0, 1 and 2 become /dev/null, so that their numbers are taken.
 *    Mustn't: leave anything that whoever started us had open (the ACL, the log, another user's stream).
 * 2. no_new_privs, no core file (it would hold a user's screen text), not dumpable: no ptrace by others of the account.
 * 3. Landlock. Should: deny every file, TCP port, abstract socket and signal to others.
 *    Mustn't: be all there is: it does not cover pathname sockets before ABI 9 (libvirtd's!), stat, chmod or namespaces
 *    (attacks E9). That is the last stage's.
 * 4. Limits. Should: leave enough memory for a document of 4 MiB (it takes 200 MiB when it is made for that), and poll
 *    of three descriptors.
 *    Mustn't: leave room for a new descriptor, a file, a process, or the machine's memory.
 * 5. System calls. Should: leave what moves bytes between the sockets, memory, time, and the end.
 *    Mustn't: leave a way to get a new descriptor, a new socket, another process, code that was not there.
 *
 * A socket that is itself 0, 1 or 2 leaves its number free once it is closed; better are higher ones.
 *
 * The order: Landlock needs no_new_privs and a descriptor; the limits forbid the descriptor, the system calls all of
 * these. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "confine/confine.h"
#include "confine/confine_impl.h"

static bool among(int fd, const int *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == fd)
            return true;
    return false;
}

/* The lowest of the list that is at least from; -1: none. */
static int next_kept(int from, const int *keep, size_t n)
{
    int next = -1;

    for (size_t i = 0; i < n; i++)
        if (keep[i] >= from && (next < 0 || keep[i] < next))
            next = keep[i];
    return next;
}

static int close_others(const int *keep, size_t n)
{
    unsigned from = STDERR_FILENO + 1;

    for (int at; (at = next_kept((int)from, keep, n)) >= 0; from = (unsigned)at + 1)
        if ((unsigned)at > from && close_range(from, (unsigned)at - 1, 0) < 0)
            return -errno;
    return close_range(from, ~0U, 0) < 0 ? -errno : 0;
}

int confine_descriptors(const int *keep, size_t n)
{
    int null, r = 0;

    for (size_t i = 0; i < n; i++)
        if (fcntl(keep[i], F_GETFD) < 0)
            return -errno;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    for (int fd = STDIN_FILENO; r == 0 && fd <= (CONFINE_SANITIZED ? STDOUT_FILENO : STDERR_FILENO); fd++)
        if (fd != null && !among(fd, keep, n) && dup2(null, fd) < 0)
            r = -errno;
    if (null > STDERR_FILENO)
        close(null);
    return r == 0 ? close_others(keep, n) : r;
}

int confine_limits(void)
{
    static const struct {
        int resource;
        rlim_t value;
    } limits[] = {
        { RLIMIT_NOFILE, CONFINE_SOCKETS_MAX }, /* poll() takes this many; and 0 to 2 are taken, so no descriptor that a
                                                 * message brings can come in */
        { RLIMIT_FSIZE, 0 },                    /* should there be a file after all, it cannot be written */
        { RLIMIT_NPROC, 0 },                    /* no fork (root is exempt) */
        { RLIMIT_MEMLOCK, 0 },
        { RLIMIT_MSGQUEUE, 0 },
        { RLIMIT_AS, CONFINE_MEMORY_MAX },      /* an allocation fails, and the filter ends one session, not the host's others */
    };

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const struct rlimit limit = { limits[i].value, limits[i].value };
        if (setrlimit((__rlimit_resource_t)limits[i].resource, &limit) < 0)
            return -errno;
    }
    return 0;
}

/* As confine_self(), but the sanitizers need a process that can be traced. */
static int confine_sanitized(void)
{
    static const struct rlimit none = { 0, 0 };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ? -errno : 0;
}

static int confine_stages(const int *sockets, size_t n)
{
    int without_landlock, r;

    r = confine_self();
    if (r < 0)
        return r;
    without_landlock = confine_landlock();
    if (without_landlock < 0 && without_landlock != -ENOSYS)
        return without_landlock;
    r = confine_limits();
    if (r < 0)
        return r;
    r = confine_seccomp(sockets, n);
    return r < 0 ? r : without_landlock;
}

int confine_rpc(int client, int upstream, int control)
{
    const int sockets[CONFINE_SOCKETS_MAX] = { client, upstream, control };
    size_t n = control < 0 ? 2 : 3;
    int r;

    r = confine_descriptors(sockets, n);
    if (r < 0)
        return r;
    return CONFINE_SANITIZED ? confine_sanitized() : confine_stages(sockets, n);
}
