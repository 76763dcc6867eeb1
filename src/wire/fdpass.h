/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One message with its descriptors over an AF_UNIX SOCK_SEQPACKET socket (unix(7), SCM_RIGHTS). */
#ifndef VG_WIRE_FDPASS_H
#define VG_WIRE_FDPASS_H

#include <stddef.h>

#define FDPASS_MAX 2

/* Sends without waiting and without SIGPIPE. The descriptors have travelled when this returns 0; the caller's copies stay
 * the caller's to close, in every case. 0 or -errno: -EAGAIN when the socket's buffer is full, -EPIPE when the other
 * side is gone. n_fds <= FDPASS_MAX. */
int fdpass_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds);

/* Receives one message of exactly size bytes with at most max_fds descriptors, born close-on-exec and owned by the
 * caller; fds[] is filled from the front, the rest is -1, *ret_n (may be NULL when max_fds is 0) says how many came.
 * 0; -ECONNRESET at the end of the connection; -EPROTO for another size or for more descriptors (all of them are closed
 * then); -errno of recvmsg(2), so -EAGAIN on a socket that does not wait. max_fds <= FDPASS_MAX. */
int fdpass_recv(int sock, void *data, size_t size, int *fds, size_t max_fds, size_t *ret_n);

#endif
