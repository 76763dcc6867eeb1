/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void fd_close(int *fd)
{
    int keep = errno;

    if (*fd >= 0)
        close(*fd); /* EINTR: Linux has let go of the descriptor all the same */
    *fd = -1;
    errno = keep;
}

int fd_settle_standard(void)
{
    int fd;

    do { /* open() gives the lowest free number: once it gives more than 2, the standard ones are all taken */
        fd = open("/dev/null", O_RDWR | O_NOCTTY);
        if (fd < 0)
            return -errno;
    } while (fd <= 2);
    return close_range(3, ~0U, 0) < 0 ? -errno : 0;
}

int fd_set_nonblock(int fd, int on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}
