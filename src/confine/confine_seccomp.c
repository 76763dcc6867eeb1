/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system calls that are left to the filter of libvirt's protocol, and why each. What is not here kills the
 * process: no good day leads there, so there is nothing to go on with.
 *
 * On the sockets alone: reading, writing, the end of a stream (shutdown, close), and the non-blocking flag. By
 * number, because there are no others. sendmsg could pass the socket to libvirtd on to the client; who could do that
 * already speaks to libvirtd through us, and virtgated's shutdown(2) reaches each copy. recvmsg could bring a
 * descriptor, for which confine_limits() left no number.
 *
 * Memory: anonymous, and never executable. brk, mmap, munmap, mremap, mprotect and madvise are what malloc() and
 * realloc() use.
 *
 * Without arguments that matter: time, random numbers, the way back from a signal handler and from SIGSTOP, the end.
 *
 * Not here, although programs like this often have it: futex (there is one thread), open and fstat in any form (error
 * paths of libraries want locale files: they get an end), ioctl, getsockopt (the peer was asked before), epoll_create,
 * rt_sigaction (handlers are installed before), tgkill (abort() ends in SIGSYS instead of SIGABRT). */
#include "confine/confine_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>

enum argument {
    ANY,
    SOCKET,       /* the first is one of the sockets */
    SOCKET_PEER,  /* and no address is named */
    SOCKET_FLAGS, /* and it is about the file's flags, of which O_NONBLOCK is one */
    ANONYMOUS,    /* memory, not executable, of no file */
    NOT_EXEC,     /* memory, not executable */
};

static const struct allowed {
    int call;
    enum argument argument;
} allowed[] = {
    { SCMP_SYS(read), SOCKET },
    { SCMP_SYS(write), SOCKET },
    { SCMP_SYS(readv), SOCKET },
    { SCMP_SYS(writev), SOCKET },
    { SCMP_SYS(recvfrom), SOCKET },           /* recv() */
    { SCMP_SYS(sendto), SOCKET_PEER },        /* send() */
    { SCMP_SYS(recvmsg), SOCKET },
    { SCMP_SYS(sendmsg), SOCKET },
    { SCMP_SYS(shutdown), SOCKET },
    { SCMP_SYS(close), SOCKET },
    { SCMP_SYS(fcntl), SOCKET_FLAGS },
    { SCMP_SYS(fcntl64), SOCKET_FLAGS },      /* 32-bit machines; here as below, a call that a machine does not have is no rule */
    { SCMP_SYS(poll), ANY },
    { SCMP_SYS(ppoll), ANY },                 /* poll(), where the machine has no other */
    { SCMP_SYS(ppoll_time64), ANY },
    { SCMP_SYS(restart_syscall), ANY },       /* poll goes on after SIGSTOP and SIGCONT */
    { SCMP_SYS(rt_sigreturn), ANY },
    { SCMP_SYS(sigreturn), ANY },
    { SCMP_SYS(clock_gettime), ANY },         /* without a vdso, as in some virtual machines */
    { SCMP_SYS(clock_gettime64), ANY },
    { SCMP_SYS(gettimeofday), ANY },
    { SCMP_SYS(time), ANY },
    { SCMP_SYS(getrandom), ANY },             /* libxml2's and malloc's hash keys */
    { SCMP_SYS(brk), ANY },
    { SCMP_SYS(mmap), ANONYMOUS },
    { SCMP_SYS(mmap2), ANONYMOUS },
    { SCMP_SYS(mremap), ANY },                /* keeps the protection */
    { SCMP_SYS(mprotect), NOT_EXEC },
    { SCMP_SYS(munmap), ANY },
    { SCMP_SYS(madvise), ANY },               /* free() gives memory back */
    { SCMP_SYS(exit_group), ANY },
};

/* The kernel looks at the lower half of an int argument, and so do we. */
static struct scmp_arg_cmp is_int(unsigned argument, int value)
{
    return (struct scmp_arg_cmp){ .arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = UINT32_MAX, .datum_b = (uint32_t)value };
}

static int allow_on(scmp_filter_ctx filter, const struct allowed *rule, int socket)
{
    struct scmp_arg_cmp compare[2] = { is_int(0, socket) };
    int r;

    switch (rule->argument) {
    case SOCKET_PEER:
        compare[1] = (struct scmp_arg_cmp){ .arg = 4, .op = SCMP_CMP_EQ, .datum_a = 0 };
        return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, 2, compare);
    case SOCKET_FLAGS:
        compare[1] = is_int(1, F_GETFL);
        r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, 2, compare);
        if (r < 0)
            return r;
        compare[1] = is_int(1, F_SETFL);
        return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, 2, compare);
    case SOCKET:
        return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, 1, compare);
    case ANY:
    case ANONYMOUS:
    case NOT_EXEC:
        break;
    }
    return -EINVAL;
}

static int allow(scmp_filter_ctx filter, const struct allowed *rule, const int *sockets, size_t n)
{
    int r = 0;

    switch (rule->argument) {
    case ANY:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 0);
    case ANONYMOUS:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 2, SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                                SCMP_A3_64(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    case NOT_EXEC:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 1, SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    case SOCKET:
    case SOCKET_PEER:
    case SOCKET_FLAGS:
        for (size_t i = 0; r == 0 && i < n; i++)
            r = allow_on(filter, rule, sockets[i]);
        return r;
    }
    return -EINVAL;
}

static int fill(scmp_filter_ctx filter, const int *sockets, size_t n)
{
    /* Another machine's system calls (i386 and x32 on x86-64) have other numbers: killed as well. */
    int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* search the calls as a tree */
    for (size_t i = 0; r == 0 && i < sizeof allowed / sizeof allowed[0]; i++)
        r = allow(filter, &allowed[i], sockets, n);
    return r;
}

int confine_seccomp(const int *sockets, size_t n)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int r;

    if (!filter)
        return -ENOMEM;
    r = fill(filter, sockets, n);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r;
}
