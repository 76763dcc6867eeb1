/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors: one owner each, all born close-on-exec. */
#ifndef VG_BASE_FD_H
#define VG_BASE_FD_H

/* Closes *fd when it is open (>= 0) and makes it -1. Keeps errno. */
void fd_close(int *fd);

/* A descriptor that goes when its scope ends. */
#define FD_AUTO __attribute__((cleanup(fd_close))) int

/* Makes sure that descriptors 0, 1 and 2 are open (on /dev/null where they were not), so that nothing opened later can
 * be taken for them, and closes every one above. 0 or -errno. */
int fd_settle_standard(void);

/* Sets or clears O_NONBLOCK. 0 or -errno. */
int fd_set_nonblock(int fd, int on);

#endif
