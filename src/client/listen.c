/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"

#define BACKLOG 16

/* --- where ------------------------------------------------------------------------------------------------------------ */

static int make_folder(struct listening *listening)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat st;

    /* Only where nobody else could put something in its place; a long path would not fit into a socket's address. */
    if (!runtime || runtime[0] != '/' || strlen(runtime) > 60 || stat(runtime, &st) < 0 || st.st_uid != geteuid() ||
        st.st_mode & 022)
        runtime = "/tmp";
    snprintf(listening->folder, sizeof listening->folder, "%s/virtgate-XXXXXX", runtime);
    if (!mkdtemp(listening->folder)) { /* 0700 */
        listening->folder[0] = '\0';
        return -errno;
    }
    snprintf(listening->path, sizeof listening->path, "%s/display", listening->folder);
    return 0;
}

static int bind_path(struct listening *listening)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", listening->path);
    listening->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listening->fd < 0 || bind(listening->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(listening->path, 0600) < 0 || listen(listening->fd, BACKLOG) < 0)
        return -errno;
    return 0;
}

int listen_private(struct listening *ret, char why[static WHY_SIZE])
{
    struct listening listening = { .fd = -1 };
    int r = make_folder(&listening);

    if (r == 0)
        r = bind_path(&listening);
    if (r < 0) {
        listen_close(&listening);
        return why_say(why, EX_OSERR, "no socket could be made for the viewer: %s", strerror(-r));
    }
    *ret = listening;
    return 0;
}

static int bind_loopback(struct listening *listening, uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int on = 1;

    listening->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listening->fd < 0 || setsockopt(listening->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(listening->fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(listening->fd, BACKLOG) < 0 ||
        getsockname(listening->fd, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    listening->port = ntohs(address.sin_port);
    return 0;
}

int listen_loopback(const char *text, struct listening *ret, char why[static WHY_SIZE])
{
    static const char loopback[] = "127.0.0.1:";
    struct listening listening = { .fd = -1 };
    uint64_t port;

    if (strncmp(text, loopback, strlen(loopback)) != 0 ||
        io_parse_number(text + strlen(loopback), strlen(text + strlen(loopback)), 0, UINT16_MAX, &port) < 0)
        return why_say(why, EX_USAGE, "--listen takes 127.0.0.1:PORT; whoever connects from elsewhere could not be checked");
    int r = bind_loopback(&listening, (uint16_t)port);
    if (r < 0) {
        listen_close(&listening);
        return why_say(why, EX_UNAVAILABLE, "nothing can listen on port %u: %s; take another one", (unsigned)port, strerror(-r));
    }
    *ret = listening;
    return 0;
}

/* --- who -------------------------------------------------------------------------------------------------------------- */

static int check_unix(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid() ? 0 : -EPERM;
}

/* The kernel's table has both ends of the connection; the peer's is the one whose own address is the peer's. An end that has
 * been closed meanwhile belongs to nobody (uid 0) and is in another state. */
static bool find_owner(const struct sockaddr_in *peer, const struct sockaddr_in *here, uid_t *ret)
{
    FILE *table = fopen("/proc/net/tcp", "re");
    char line[512];
    bool found = false;

    if (!table)
        return false;
    while (!found && fgets(line, sizeof line, table)) {
        unsigned local, local_port, remote, remote_port, state, uid;
        if (sscanf(line, " %*u: %x:%x %x:%x %x %*x:%*x %*x:%*x %*x %u", &local, &local_port, &remote, &remote_port,
                   &state, &uid) != 6)
            continue;
        found = local == peer->sin_addr.s_addr && local_port == ntohs(peer->sin_port) && remote == here->sin_addr.s_addr &&
                remote_port == ntohs(here->sin_port) &&
                (state == TCP_ESTABLISHED || state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2);
        if (found)
            *ret = uid;
    }
    fclose(table);
    return found;
}

static int check_tcp(int fd)
{
    struct sockaddr_in peer, here;
    socklen_t peer_size = sizeof peer, here_size = sizeof here;
    uid_t owner;

    if (getpeername(fd, (struct sockaddr *)&peer, &peer_size) < 0 || getsockname(fd, (struct sockaddr *)&here, &here_size) < 0 ||
        peer_size != sizeof peer || here_size != sizeof here || !find_owner(&peer, &here, &owner))
        return -ECONNABORTED;
    return owner == geteuid() ? 0 : -EPERM;
}

int listen_accept(const struct listening *listening)
{
    int fd = accept4(listening->fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return -errno;
    int r = listening->port ? check_tcp(fd) : check_unix(fd);
    if (r == 0)
        return fd;
    fd_close(&fd);
    return r;
}

void listen_close(struct listening *listening)
{
    fd_close(&listening->fd);
    if (listening->path[0])
        unlink(listening->path);
    if (listening->folder[0])
        rmdir(listening->folder);
    listening->path[0] = listening->folder[0] = '\0';
}
