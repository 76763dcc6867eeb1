/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A login shell for tests: tries what a login must not be able to do, and says what came of each, "name 0" or "name ERRNO".
 *
 *   attempts -c "NAME=ARGUMENT ..."     ARGUMENT: a port, a path, a pid; "" where none is needed */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int result(long r)
{
    return r < 0 ? errno : 0;
}

/* --- the network ------------------------------------------------------------------------------------------------- */

/* How: 0 connect, 1 fast open, 2 a datagram. */
static int reach(int family, int type, int protocol, const char *port, int how)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = v4.sin_port, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const struct sockaddr *to = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t len = family == AF_INET ? sizeof v4 : sizeof v6;
    int fd = socket(family, type, protocol);

    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        return errno;
    if (how == 0)
        return result(connect(fd, to, len));
    return result(sendto(fd, "x", 1, how == 1 ? MSG_FASTOPEN : 0, to, len));
}

static int tcp(const char *port) { return reach(AF_INET, SOCK_STREAM, 0, port, 0); }
static int tcp6(const char *port) { return reach(AF_INET6, SOCK_STREAM, 0, port, 0); }
static int mptcp(const char *port) { return reach(AF_INET, SOCK_STREAM, IPPROTO_MPTCP, port, 0); }
static int fastopen(const char *port) { return reach(AF_INET, SOCK_STREAM, 0, port, 1); }
static int mptcp_fastopen(const char *port) { return reach(AF_INET, SOCK_STREAM, IPPROTO_MPTCP, port, 1); }
static int udp(const char *port) { return reach(AF_INET, SOCK_DGRAM, 0, port, 2); }
static int udp6(const char *port) { return reach(AF_INET6, SOCK_DGRAM, 0, port, 2); }

static int listens(const char *port)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd < 0 ? errno : result(bind(fd, (struct sockaddr *)&any, sizeof any) < 0 ? -1 : listen(fd, 1));
}

static int vsock(const char *unused) { (void)unused; return result(socket(AF_VSOCK, SOCK_STREAM, 0)); }
static int netlink(const char *unused) { (void)unused; return result(socket(AF_NETLINK, SOCK_RAW, 0)); }
static int pair(const char *family) { int two[2]; return result(socketpair(atoi(family), SOCK_STREAM, 0, two)); }
static int tcp_odd(const char *unused) { (void)unused; return result(syscall(SYS_socket, 0x100000002L, SOCK_STREAM, 0)); }
static int stream_odd(const char *unused) { (void)unused; return result(syscall(SYS_socket, AF_UNIX, 0x100000000L | SOCK_STREAM | SOCK_CLOEXEC, 0)); }

/* --- local sockets ------------------------------------------------------------------------------------------------- */

static int local(int type, const char *path, int abstract)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, type, 0);

    snprintf(to.sun_path + abstract, sizeof to.sun_path - 1, "%s", path);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)abstract + strlen(path) + !abstract);
    return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&to, len));
}

static int stream(const char *path) { return local(SOCK_STREAM, path, 0); }
static int seqpacket(const char *path) { return local(SOCK_SEQPACKET, path, 0); }
static int datagram(const char *path) { return local(SOCK_DGRAM, path, 0); }
static int abstract_stream(const char *name) { return local(SOCK_STREAM, name, 1); }
static int abstract_seqpacket(const char *name) { return local(SOCK_SEQPACKET, name, 1); }

static int makes_socket(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    return fd < 0 ? errno : result(bind(fd, (struct sockaddr *)&at, sizeof at));
}

/* --- files and programs -------------------------------------------------------------------------------------------- */

static int reads(const char *path) { return result(open(path, O_RDONLY | O_NONBLOCK)); }
static int lists(const char *path) { return result(open(path, O_RDONLY | O_DIRECTORY)); }
static int writes(const char *path) { return result(open(path, O_WRONLY)); }
static int creates(const char *path) { return result(open(path, O_WRONLY | O_CREAT, 0600)); }
static int folder(const char *path) { return result(mkdir(path, 0700)); }
static int chmods(const char *path) { return result(chmod(path, 0644)); }
static int chmods_at(const char *path) { return result(fchmodat(AT_FDCWD, path, 0644, 0)); }
static int chmods_new(const char *path) { return result(syscall(452, AT_FDCWD, path, 0644, 0)); }
static int chowns(const char *path) { return result(chown(path, getuid(), getgid())); }
static int touches(const char *path) { return result(utimensat(AT_FDCWD, path, NULL, 0)); }
static int marks(const char *path) { return result(setxattr(path, "user.vg", "x", 1, 0)); }
static int cuts(const char *path) { return result(truncate(path, 3)); }
static int links(const char *path) { return result(symlink("/", path)); }
static int looks(const char *path) { struct stat st; return result(stat(path, &st)); }

/* 0: the word libvirt is in it. */
static int names_libvirt(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[4096];
    int r = ENOENT;

    while (file && fgets(line, sizeof line, file))
        if (strstr(line, "libvirt"))
            r = 0;
    return file ? r : errno;
}

static int enters(const char *path) { return result(chdir(path)); }
static int unmounts(const char *path) { return result(umount2(path, MNT_DETACH)); }

/* How many are open beside the first three. */
static int descriptors(const char *unused)
{
    int n = 0;

    (void)unused;
    for (int fd = 3; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* In a child; what exec said, or 0 when the program ended with status 0. */
static int run(const char *program, char *const argv[])
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execv(program, argv);
        _exit(errno > 125 ? 125 : errno);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

static int runs(const char *path) { return run(path, (char *[]){ (char *)(uintptr_t)path, (char *)(uintptr_t)"--version", NULL }); }

static int by_loader(const char *path)
{
    const char *loader = "/lib64/ld-linux-x86-64.so.2";

    return run(loader, (char *[]){ (char *)(uintptr_t)loader, (char *)(uintptr_t)path, (char *)(uintptr_t)"--version", NULL });
}

static int from_memory(const char *path)
{
    int from = open(path, O_RDONLY), fd = (int)syscall(SYS_memfd_create, "x", 0);
    char block[4096];
    ssize_t n;

    if (fd < 0)
        return errno;
    while (from >= 0 && (n = read(from, block, sizeof block)) > 0)
        if (write(fd, block, (size_t)n) != n)
            return EIO;
    snprintf(block, sizeof block, "/proc/self/fd/%d", fd);
    return runs(block);
}

/* --- the kernel ---------------------------------------------------------------------------------------------------- */

static int io_uring(const char *unused) { (void)unused; char p[256] = ""; return result(syscall(SYS_io_uring_setup, 4, p)); }
static int user_namespace(const char *unused) { (void)unused; return result(unshare(CLONE_NEWUSER | CLONE_NEWNS)); }
static int joins(const char *path) { int fd = open(path, O_RDONLY); return fd < 0 ? errno : result(setns(fd, 0)); }
static int keys(const char *unused) { (void)unused; return result(syscall(SYS_keyctl, 0, -3, 1)); }
static int traces(const char *pid) { return result(ptrace(PTRACE_SEIZE, atoi(pid), NULL, NULL)); }
static int signals(const char *pid) { return result(kill(atoi(pid), 0)); }

static int peeks(const char *pid)
{
    char byte;
    struct iovec here = { &byte, 1 }, there = { (void *)(uintptr_t)environ, 1 };
    int r = result(process_vm_readv(atoi(pid), &here, 1, &there, 1, 0));

    return r == EFAULT ? 0 : r; /* it may look, and that is nowhere */
}

static int child(int (*body)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(body());
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

static int clone_user(void) { return result(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL)); }
static int clone_namespace(const char *unused) { (void)unused; return child(clone_user); }

static int clone3_user(void)
{
    uint64_t args[11] = { CLONE_NEWUSER };

    return result(syscall(SYS_clone3, args, sizeof args));
}
static int clone3_namespace(const char *unused) { (void)unused; return child(clone3_user); }

#ifdef __x86_64__
static int i386_body(void) /* getpid by the i386 way; no stack or memory is passed */
{
    long r = 20;

    __asm__ volatile("int $0x80" : "+a"(r) : : "r8", "r9", "r10", "r11", "memory");
    return r > 0 ? 0 : ENOSYS;
}
static int x32_body(void) { return result(syscall(0x40000000L | SYS_getpid)); }
#else
static int i386_body(void) { return ENOSYS; }
static int x32_body(void) { return ENOSYS; }
#endif
static int i386(const char *unused) { (void)unused; return child(i386_body); }
static int x32(const char *unused) { (void)unused; return child(x32_body); }

static const struct {
    const char *name;
    int (*attempt)(const char *argument);
} attempts[] = {
#define A(name) { #name, name }
    A(tcp), A(tcp6), A(mptcp), A(fastopen), A(mptcp_fastopen), A(udp), A(udp6), A(listens), A(vsock), A(netlink), A(pair), A(tcp_odd),
    A(stream_odd), A(stream), A(seqpacket), A(datagram), A(abstract_stream), A(abstract_seqpacket), A(makes_socket), A(reads),
    A(lists), A(writes), A(creates), A(folder), A(chmods), A(chmods_at), A(chmods_new), A(chowns), A(touches), A(marks), A(cuts), A(links), A(looks), A(names_libvirt), A(enters), A(unmounts), A(descriptors), A(runs), A(by_loader),
    A(from_memory), A(io_uring), A(user_namespace), A(joins), A(keys), A(traces), A(signals), A(peeks), A(clone_namespace),
    A(clone3_namespace), A(i386), A(x32),
};

static void attempt(const char *name, const char *argument)
{
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
        if (strcmp(attempts[i].name, name) == 0) {
            /* Each in a process of its own: one that succeeds changes nothing for the next. */
            pid_t pid = fork();
            int status = 0;
            if (pid == 0) {
                alarm(10);
                _exit(attempts[i].attempt(argument));
            }
            waitpid(pid, &status, 0);
            printf("%s=%s %d\n", name, argument, WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status));
            fflush(stdout);
            return;
        }
    printf("%s=%s unknown\n", name, argument);
}

int main(int argc, char *argv[])
{
    if (argc == 3 && strcmp(argv[1], "-c") == 0)
        for (char *word = strtok(argv[2], " "); word; word = strtok(NULL, " ")) {
            char *argument = strchr(word, '=');
            if (argument)
                *argument++ = '\0';
            attempt(word, argument ? argument : "");
        }
    return 0;
}
