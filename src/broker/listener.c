/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/fd.h"
#include "base/path.h"

#define SOCKET_NAME "broker.sock"
#define BACKLOG 512

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* asm-generic/socket.h since Linux 6.16 */
#endif

/* Clients have no descriptors to send. One that the broker is the last to hold is closed by the broker, even unread, and
 * that can take as long as a user likes: a TCP socket with SO_LINGER. Older kernels take them all the same. */
static void refuse_descriptors(int listener)
{
    const int no = 0;

    setsockopt(listener, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof no); /* accepted sockets inherit it */
}

int listener_from_systemd(int *ret_fd, char why[static LISTENER_WHY_SIZE])
{
    int n = sd_listen_fds(1);

    if (n == 0)
        return -ENOENT;
    if (n != 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0) <= 0) {
        snprintf(why, LISTENER_WHY_SIZE, "expected one listening socket of ListenSequentialPacket= from systemd");
        return -EINVAL;
    }
    int r = fd_set_nonblock(SD_LISTEN_FDS_START, 1);
    if (r == 0) {
        refuse_descriptors(SD_LISTEN_FDS_START);
        *ret_fd = SD_LISTEN_FDS_START;
    }
    return r;
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Only a socket of root's that nobody listens on is taken away; a link, a file or somebody's living socket is not. */
static int clear_place(int dir, const struct sockaddr_un *address, char why[static LISTENER_WHY_SIZE])
{
    struct stat st;

    if (fstatat(dir, SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode) || st.st_uid != 0) {
        snprintf(why, LISTENER_WHY_SIZE, "%s is there already and is not a socket of root's", address->sun_path);
        return -EEXIST;
    }
    FD_AUTO fd = new_socket();
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno != ECONNREFUSED) {
        snprintf(why, LISTENER_WHY_SIZE, "%s is in use: virtgated seems to run already", address->sun_path);
        return -EADDRINUSE;
    }
    return unlinkat(dir, SOCKET_NAME, 0) < 0 ? -errno : 0;
}

static int open_folder(const char *folder, int *ret_dir, char why[static LISTENER_WHY_SIZE])
{
    char sentence[PATH_WHY_SIZE];
    mode_t mask = umask(022); /* the users must be able to pass */
    int r = mkdir(folder, 0755) < 0 && errno != EEXIST ? -errno : 0;

    umask(mask);
    if (r < 0) {
        snprintf(why, LISTENER_WHY_SIZE, "%s cannot be made: %s", folder, strerror(-r));
        return r;
    }
    r = path_open_trusted(folder, true, 0, ret_dir, sentence);
    if (r < 0)
        snprintf(why, LISTENER_WHY_SIZE, "%s %s", folder, sentence);
    return r;
}

int listener_make(const char *folder, const char *group, int *ret_fd, char why[static LISTENER_WHY_SIZE])
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    FD_AUTO dir = -1;
    FD_AUTO fd = -1;
    const struct group *entry;
    int r;

    why[0] = '\0';
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder, SOCKET_NAME) >=
        (int)sizeof address.sun_path)
        return -ENAMETOOLONG;
    entry = getgrnam(group);
    if (!entry) {
        snprintf(why, LISTENER_WHY_SIZE, "there is no group %s: its members are those who may ask", group);
        return -ENOENT;
    }
    gid_t gid = entry->gr_gid;
    r = open_folder(folder, &dir, why);
    if (r == 0)
        r = clear_place(dir, &address, why);
    if (r < 0)
        return r;
    fd = new_socket();
    if (fd < 0)
        return -errno;
    refuse_descriptors(fd);
    /* Nobody can connect before listen(2), so nobody meets the mode that bind() gives. */
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        fchownat(dir, SOCKET_NAME, 0, gid, AT_SYMLINK_NOFOLLOW) < 0 || fchmodat(dir, SOCKET_NAME, 0660, 0) < 0 ||
        listen(fd, BACKLOG) < 0)
        return -errno;
    *ret_fd = fd;
    fd = -1;
    return 0;
}
