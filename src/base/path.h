/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files and folders that only an administrator may have written. */
#ifndef VG_BASE_PATH_H
#define VG_BASE_PATH_H

#include <stdbool.h>
#include <sys/types.h>

#define PATH_WHY_SIZE 160

/* Opens path for reading, without following a link in its last component, and checks on the open descriptor that it is
 * a regular file (or, with directory, a directory) of uid 0 or of owner, which group and others cannot write.
 * 0 and a CLOEXEC descriptor of the caller's, or -errno with one sentence in why: -EPERM for owner, mode or kind. */
int path_open_trusted(const char *path, bool directory, uid_t owner, int *ret_fd, char why[static PATH_WHY_SIZE]);

/* The same for the entry name of the open directory dir; name goes into why as it is. */
int path_open_trusted_at(int dir, const char *name, bool directory, uid_t owner, int *ret_fd,
                         char why[static PATH_WHY_SIZE]);

#endif
