/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/fdpass.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fd.h"

/* Room for one descriptor more than anybody may send: the surplus is seen, and the kernel closes what is beyond. */
union control {
    struct cmsghdr align;
    char space[CMSG_SPACE((FDPASS_MAX + 1) * sizeof(int))];
};

int fdpass_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds)
{
    union control control;
    struct iovec part = { (void *)(uintptr_t)data, len };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t n;

    if (n_fds > FDPASS_MAX)
        return -EINVAL;
    if (n_fds > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(head), fds, n_fds * sizeof(int));
    }
    do
        n = sendmsg(sock, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == len ? 0 : -EPROTO; /* SEQPACKET sends whole messages */
}

/* Collects the descriptors of a received message; returns how many there were, the surplus closed. */
static size_t take_fds(struct msghdr *message, int *fds, size_t max_fds)
{
    size_t n = 0;

    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t came = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < came; i++, n++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
            if (n < max_fds)
                fds[n] = fd;
            else
                fd_close(&fd);
        }
    }
    return n;
}

int fdpass_recv(int sock, void *data, size_t size, int *fds, size_t max_fds, size_t *ret_n)
{
    union control control;
    struct iovec part = { data, size };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control,
    };
    ssize_t len;

    /* Where none is due, none is taken: the kernel drops what came and says so. To close one here could mean to wait for
     * the user's own file system (FUSE) to flush it. */
    if (max_fds == 0) {
        message.msg_control = NULL;
        message.msg_controllen = 0;
    }
    for (size_t i = 0; i < max_fds; i++)
        fds[i] = -1;
    do
        len = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return -errno;
    size_t n = take_fds(&message, fds, max_fds);
    bool whole = (size_t)len == size && n <= max_fds && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
    if (!whole) {
        for (size_t i = 0; i < max_fds; i++)
            fd_close(&fds[i]);
        /* SEQPACKET says the end of a connection with a message of no bytes, as it says an empty message. */
        return len == 0 && n == 0 && !(message.msg_flags & MSG_CTRUNC) ? -ECONNRESET : -EPROTO;
    }
    if (ret_n)
        *ret_n = n;
    return 0;
}
