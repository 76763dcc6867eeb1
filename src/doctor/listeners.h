/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening sockets as the kernel lists them, and QEMU's command line. Pure. */
#ifndef VG_DOCTOR_LISTENERS_H
#define VG_DOCTOR_LISTENERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct listener {
    ino_t inode;
    char address[INET6_ADDRSTRLEN]; /* numeric; empty for a socket in the file system */
    uint16_t port;
    char path[108];
    int type;                       /* of the socket: SOCK_STREAM ... */
};

/* Reads one line of /proc/net/tcp or tcp6 (not /proc/net/tcp's heading). True for a listener. */
bool listener_of_tcp(const char *line, bool v6, struct listener *ret);

/* One of /proc/net/unix. True for a listener with a path in the file system, or with an abstract name ("@NAME"). */
bool listener_of_unix(const char *line, struct listener *ret);

/* 127.0.0.0/8, ::1 and what maps to them. */
bool listener_is_loopback(const struct listener *listener);

/* The address by which this host reaches it: an "any" address becomes the loopback's. */
const char *listener_reach(const struct listener *listener);

/* A machine's QEMU, by the words of its command line: n strings one behind the other, as /proc/PID/cmdline has them. */
struct qemu {
    char name[128];
    bool has_tcp_monitor;   /* HMP or QMP on TCP or telnet */
    char monitor[128];      /* how the command line says it */
    uint16_t gdb_port;      /* 0: none. Connecting there stops the machine */
};

void qemu_of_cmdline(const char *words, size_t len, struct qemu *ret);

#endif
