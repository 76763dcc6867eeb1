/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static int check_open(int fd, bool directory, uid_t owner, char why[static PATH_WHY_SIZE])
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        int error = errno;
        snprintf(why, PATH_WHY_SIZE, "cannot be examined: %s", strerror(error));
        return -error;
    }
    if (directory ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode)) {
        snprintf(why, PATH_WHY_SIZE, "expected a %s", directory ? "directory" : "regular file");
        return -EPERM;
    }
    if (st.st_uid != 0 && st.st_uid != owner) {
        snprintf(why, PATH_WHY_SIZE, "is owned by uid %lu, expected root (chown root)", (unsigned long)st.st_uid);
        return -EPERM;
    }
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        snprintf(why, PATH_WHY_SIZE, "has mode %04o, expected one that group and others cannot write (chmod go-w)",
                 (unsigned)(st.st_mode & 07777U));
        return -EPERM;
    }
    return 0;
}

int path_open_trusted_at(int dir, const char *name, bool directory, uid_t owner, int *ret_fd,
                         char why[static PATH_WHY_SIZE])
{
    /* O_NONBLOCK: opening a fifo must not wait for its writer. */
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (directory ? O_DIRECTORY : 0);
    int fd = openat(dir, name, flags);

    if (fd < 0) {
        int error = errno;
        if (error == ELOOP)
            snprintf(why, PATH_WHY_SIZE, "is a symbolic link, expected a %s", directory ? "directory" : "regular file");
        else
            snprintf(why, PATH_WHY_SIZE, "cannot be opened: %s", strerror(error));
        return -error;
    }
    int r = check_open(fd, directory, owner, why);
    if (r < 0) {
        fd_close(&fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int path_open_trusted(const char *path, bool directory, uid_t owner, int *ret_fd, char why[static PATH_WHY_SIZE])
{
    return path_open_trusted_at(AT_FDCWD, path, directory, owner, ret_fd, why);
}
