/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libssh 0.10 tries only the first address of a name: a host with an IPv6 address that nobody routes would be out of reach. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "base/fd.h"
#include "client/login_impl.h"

#define GONE_MS 60000  /* unanswered that long, the other side is gone */
#define QUIET_S 30

/* A host that has gone without a word is noticed in about a minute. */
static void keep_alive(int fd)
{
    int on = 1, quiet = QUIET_S, gone = GONE_MS;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &quiet, sizeof quiet);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){ QUIET_S / 3 }, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone, sizeof gone);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* 0 or -errno. */
static int wait_connected(int fd, int timeout_ms)
{
    struct pollfd wait = { .fd = fd, .events = POLLOUT };
    int error = 0, n;
    socklen_t size = sizeof error;

    do
        n = poll(&wait, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return -ETIMEDOUT;
    if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

static int connect_to(const struct addrinfo *address, int timeout_ms, int *ret_fd)
{
    FD_AUTO fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);

    if (fd < 0)
        return -errno;
    int r = connect(fd, address->ai_addr, address->ai_addrlen) < 0 ? -errno : 0;
    if (r == -EINPROGRESS)
        r = wait_connected(fd, timeout_ms);
    if (r < 0)
        return r;
    keep_alive(fd);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int dial(const char *host, unsigned port, int timeout_ms, int *ret_fd, char why[static WHY_SIZE])
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *found;
    char service[16];
    int r;

    snprintf(service, sizeof service, "%u", port);
    r = getaddrinfo(host, service, &hints, &found);
    if (r == EAI_AGAIN)
        return why_say(why, EX_UNAVAILABLE, "no name server told where '%s' is; is this computer on the network?", host);
    if (r != 0)
        return why_say(why, EX_NOHOST, "there is no host '%s' (%s); check the name, or give its address", host,
                       gai_strerror(r));
    r = -EHOSTUNREACH;
    for (const struct addrinfo *at = found; at && *ret_fd < 0; at = at->ai_next)
        r = connect_to(at, timeout_ms, ret_fd);
    freeaddrinfo(found);
    if (r == -ECONNREFUSED)
        return why_say(why, EX_UNAVAILABLE, "port %u refuses connections; is sshd running there, on another port perhaps?", port);
    if (r < 0)
        return why_say(why, EX_UNAVAILABLE, "cannot be reached on port %u: %s; is it on, and reachable from here?", port,
                       strerror(-r));
    return 0;
}
