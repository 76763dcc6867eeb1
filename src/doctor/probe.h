/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How doctor tries things: programs, and what an account can do, each in a process of its own and never for long. */
#ifndef VG_DOCTOR_PROBE_H
#define VG_DOCTOR_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROBE_SECONDS 10
#define PROBE_MAX_GROUPS 256

/* Who tries. NULL where a pointer to it is taken: root, as doctor itself. */
struct probe_as {
    uid_t uid;
    gid_t gid;
    gid_t groups[PROBE_MAX_GROUPS];
    size_t n_groups;
};

/* uid 65534, in no group: what every account of the host can do at least. */
extern const struct probe_as probe_nobody;

/* Runs a program by its path; env is its whole environment (NULL for none). Both its outputs are in *ret_out (at most
 * 1 MiB, NUL after it), the caller's. Its exit status, 128+n when a signal ended it (SIGKILL when it took too long), or
 * -errno. */
int probe_run(const char *const argv[], const char *const env[], const struct probe_as *as, char **ret_out);

/* The same with another time limit than PROBE_SECONDS. */
int probe_run_within(unsigned seconds, const char *const argv[], const char *const env[], const struct probe_as *as,
                     char **ret_out);

/* what(arg) in a process of the account; it returns 0 to 254, which is returned, or -ETIMEDOUT or another -errno. */
int probe_do(const struct probe_as *as, int (*what)(const void *arg), const void *arg);

enum probe_answer { PROBE_REACHED, PROBE_REFUSED, PROBE_UNCLEAR };

/* A connection to a TCP port (host is a numeric address), or to a socket in the file system ("@NAME": an abstract one). */
enum probe_answer probe_tcp(const struct probe_as *as, const char *host, uint16_t port);
enum probe_answer probe_unix(const struct probe_as *as, const char *path, int type);

/* A file's text, at most 1 MiB, the caller's; NULL when it cannot be read. */
char *probe_read(const char *path);

#endif
