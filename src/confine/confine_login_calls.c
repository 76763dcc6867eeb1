/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* System calls that a gate user's login is refused, with an error: it goes on without them. confine_login.c says why.
 *
 * A socket of another family gets the error of a kernel that does not have it. libpam, which ends setcred with a record to
 * the kernel's audit (netlink), takes any other for a failure, and sshd then breaks off a login by keyboard-interactive. */
#include "confine/confine_impl.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __s390__
#define CLONE_FLAGS SCMP_A1_64
#else
#define CLONE_FLAGS SCMP_A0_64
#endif
#define SOCKET_TYPE 0xf /* of the second argument; the rest are flags */

/* Newer than the library that this is built with; the same on every machine. */
#define FCHMODAT2 452
#define SETXATTRAT 463
#define REMOVEXATTRAT 466

static const struct refused {
    int call, error;
} refused[] = {
    { SCMP_SYS(io_uring_setup), EPERM },    /* its operations pass no filter */
    { SCMP_SYS(io_uring_enter), EPERM },
    { SCMP_SYS(io_uring_register), EPERM },
    { SCMP_SYS(ptrace), EPERM },            /* other processes of the account may not be confined */
    { SCMP_SYS(process_vm_readv), EPERM },
    { SCMP_SYS(process_vm_writev), EPERM },
    { SCMP_SYS(pidfd_getfd), EPERM },
    { SCMP_SYS(kcmp), EPERM },
    { SCMP_SYS(unshare), EPERM },           /* with a user namespace come capabilities, and mounts */
    { SCMP_SYS(setns), EPERM },
    { SCMP_SYS(clone3), ENOSYS },           /* has its flags in memory; libraries then use clone */
    { SCMP_SYS(memfd_create), EPERM },      /* a file of no folder, which Landlock lets run */
    { SCMP_SYS(bpf), EPERM },               /* what a kernel has most holes in, and no login needs */
    { SCMP_SYS(perf_event_open), EPERM },
    { SCMP_SYS(userfaultfd), EPERM },
    { SCMP_SYS(keyctl), EPERM },
    { SCMP_SYS(add_key), EPERM },
    { SCMP_SYS(request_key), EPERM },
    { SCMP_SYS(chmod), EPERM },             /* files of the user's: Landlock does not see who may read them, or their times */
    { SCMP_SYS(fchmod), EPERM },
    { SCMP_SYS(fchmodat), EPERM },
    { FCHMODAT2, EPERM },
    { SCMP_SYS(chown), EPERM },
    { SCMP_SYS(chown32), EPERM },           /* 32-bit machines */
    { SCMP_SYS(lchown), EPERM },
    { SCMP_SYS(lchown32), EPERM },
    { SCMP_SYS(fchown), EPERM },
    { SCMP_SYS(fchown32), EPERM },
    { SCMP_SYS(fchownat), EPERM },
    { SCMP_SYS(setxattr), EPERM },
    { SCMP_SYS(lsetxattr), EPERM },
    { SCMP_SYS(fsetxattr), EPERM },
    { SETXATTRAT, EPERM },
    { SCMP_SYS(removexattr), EPERM },
    { SCMP_SYS(lremovexattr), EPERM },
    { SCMP_SYS(fremovexattr), EPERM },
    { REMOVEXATTRAT, EPERM },
    { SCMP_SYS(utime), EPERM },
    { SCMP_SYS(utimes), EPERM },
    { SCMP_SYS(futimesat), EPERM },
    { SCMP_SYS(utimensat), EPERM },
    { SCMP_SYS(utimensat_time64), EPERM },
    { SCMP_SYS(truncate), EPERM },          /* Landlock knows it since Linux 6.2 */
    { SCMP_SYS(truncate64), EPERM },
};

static int fill(scmp_filter_ctx filter)
{
    /* i386 and x32 on x86-64, and their like, have other numbers. */
    int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

    for (size_t i = 0; r == 0 && i < sizeof refused / sizeof refused[0]; i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)refused[i].error), refused[i].call, 0);
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                             CLONE_FLAGS(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0_64(SCMP_CMP_NE, AF_UNIX, 0));
    if (r == 0) /* a pair of TIPC's can send to other machines */
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socketpair), 1, SCMP_A0_64(SCMP_CMP_NE, AF_UNIX, 0));
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 2, SCMP_A0_64(SCMP_CMP_EQ, AF_UNIX, 0),
                             SCMP_A1_64(SCMP_CMP_MASKED_EQ, SOCKET_TYPE, SOCK_STREAM));
    return r;
}

int confine_seccomp_login(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int r;

    if (!filter)
        return -ENOMEM;
    r = fill(filter);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r;
}
