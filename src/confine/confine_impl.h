/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stages of confine_rpc() and confine_login(), one by one for the tests. */
#ifndef VG_CONFINE_IMPL_H
#define VG_CONFINE_IMPL_H

#include <stddef.h>

/* The sanitizers map terabytes, open files, start threads and attach to themselves: none of it works confined. */
#if defined(__SANITIZE_ADDRESS__)
#define CONFINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFINE_SANITIZED 1
#endif
#endif
#ifndef CONFINE_SANITIZED
#define CONFINE_SANITIZED 0
#endif

#define CONFINE_SOCKETS_MAX 3
#define CONFINE_MEMORY_MAX (512UL << 20)

/* Closes all descriptors but those of the list (in any order); 0, 1 and 2 become /dev/null where they are not in it. */
int confine_descriptors(const int *keep, size_t n);

int confine_limits(void);

/* Everything that Landlock can deny, without exception. 0; -ENOSYS where there is no Landlock; -errno. Needs
 * no_new_privs, and a descriptor for a moment. */
int confine_landlock(void);

/* The system calls of the filter's loop, on these sockets; anything else kills the process. 0 or -errno. */
int confine_seccomp(const int *sockets, size_t n);

/* Root's, in a new mount namespace: /run is empty but for the gate's folder and the log's socket, libvirt's folders and /sys
 * are empty, and /proc shows the account's own processes. 0 or -errno. */
int confine_mounts_login(void);

/* Root's: a network namespace in which there is nothing. What is open stays open. 0 or -errno. */
int confine_network(void);

/* Only these programs can be run (NULL or not there: left out), and only what a login needs can be read, or written; no TCP,
 * no abstract socket, no signal to others, where Landlock has it. libraries: the folder with libc in it. 0; -ENOSYS,
 * -EOPNOTSUPP, -errno. */
int confine_landlock_login(const char *const programs[], size_t n, const char *libraries);

/* 0 or -errno. */
int confine_seccomp_login(void);

#endif
