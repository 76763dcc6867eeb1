/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/rpc_upstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "rpc/rpc_codec.h"
#include "rpc/rpc_error.h"
#include "rpc/rpc_frame.h"

#define AUTH_LIST 66U
#define AUTH_POLKIT 70U
#define AUTH_TYPE_NONE 0
#define AUTH_TYPE_POLKIT 2
#define STEP_SECONDS 8 /* connecting, and each answer; virtgated ends whoever takes 30 in all */

/* --- what is offered --------------------------------------------------------------------------------------------- */

static bool is_qemu(const char *uri)
{
    return strncmp(uri, "qemu:", strlen("qemu:")) == 0;
}

bool rpc_upstream_is_offered(const char *offered, const char *uri, const char *path)
{
    const char *slash = strrchr(path, '/');

    /* A query says how to get there, not what is there. */
    if (uri[0])
        return strlen(offered) == strcspn(uri, "?") && strncmp(offered, uri, strcspn(uri, "?")) == 0;
    if (!slash)
        return false;
    /* The name of the socket; what driver and which of its URIs is said by the first call. */
    return strncmp(slash, "/libvirt-sock", strlen("/libvirt-sock")) == 0 ||
           (is_qemu(offered) && strncmp(slash, "/virtqemud-sock", strlen("/virtqemud-sock")) == 0);
}

/* --- connecting -------------------------------------------------------------------------------------------------- */

/* One that hangs (stopped, or its workers are all busy) is told apart from one that refuses, and the user hears of it. */
static int bound_waiting(int fd)
{
    const struct timeval step = { STEP_SECONDS, 0 };

    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof step) < 0 ||
           setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &step, sizeof step) < 0 ? -errno : 0;
}

static int connect_to(const char *name, bool readonly, int *ret_fd)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    FD_AUTO fd = -1;

    if (snprintf(address.sun_path, sizeof address.sun_path, "%s/%s%s", VG_LIBVIRT_RUNDIR, name, readonly ? "-ro" : "") >=
        (int)sizeof address.sun_path)
        return -ENAMETOOLONG;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = bound_waiting(fd);
    if (r < 0)
        return r;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* The daemon of the driver where there is one, else the one of all drivers. */
static int connect_to_daemon(const char *uri, bool readonly, int *ret_fd)
{
    int r = is_qemu(uri) ? connect_to("virtqemud-sock", readonly, ret_fd) : -ENOENT;

    return r == -ENOENT || r == -ECONNREFUSED ? connect_to("libvirt-sock", readonly, ret_fd) : r;
}

/* --- authentication ---------------------------------------------------------------------------------------------- */

static int read_message(int fd, struct rpc_buffer *buffer, struct rpc_message *ret)
{
    int r;

    while ((r = rpc_frame_peek(buffer, RPC_FROM_SERVER_MAX, ret)) == 0) {
        unsigned char *room = rpc_buffer_room(buffer, 4096);
        if (!room)
            return -ENOMEM;
        ssize_t n = read(fd, room, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0)
            return -ECONNRESET;
        rpc_buffer_added(buffer, (size_t)n);
    }
    return r < 0 ? r : 0;
}

/* A call without arguments; its reply is decoded. */
static int call(int fd, uint32_t procedure, uint32_t serial, xdrproc_t codec, void *ret, size_t size)
{
    const struct rpc_header header = { RPC_PROGRAM_REMOTE, RPC_VERSION, procedure, RPC_CALL, serial, RPC_OK };
    struct rpc_buffer out = { 0 }, in = { 0 };
    struct rpc_message message;
    int r = rpc_frame_put(&out, &header, NULL, 0);

    if (r == 0)
        r = io_write_all(fd, out.data + out.start, rpc_buffer_len(&out));
    if (r == 0)
        r = read_message(fd, &in, &message);
    if (r == 0 && (message.header.program != RPC_PROGRAM_REMOTE || message.header.version != RPC_VERSION ||
                   message.header.procedure != procedure || message.header.serial != serial ||
                   message.header.type != RPC_REPLY || rpc_buffer_len(&in) != RPC_HEAD_SIZE + message.len))
        r = -EPROTO;
    if (r == 0 && message.header.status != RPC_OK)
        r = -EACCES;
    if (r == 0)
        r = rpc_decode(codec, message.payload, message.len, ret, size);
    rpc_buffer_free(&in);
    rpc_buffer_free(&out);
    return r;
}

static int authenticate(int fd, uint32_t *serial, char why[static RPC_WHY_SIZE])
{
    struct vgr_ret_auth_list list;
    struct vgr_ret_number complete;
    bool none = false, polkit = false;
    int r = call(fd, AUTH_LIST, (*serial)++, RPC_CODEC(vgr_ret_auth_list), &list, sizeof list);

    if (r < 0) {
        snprintf(why, RPC_WHY_SIZE, "libvirtd did not say how to authenticate: %s", strerror(-r));
        return r;
    }
    for (u_int i = 0; i < list.types.types_len; i++) {
        none |= list.types.types_val[i] == AUTH_TYPE_NONE;
        polkit |= list.types.types_val[i] == AUTH_TYPE_POLKIT;
    }
    rpc_release(RPC_CODEC(vgr_ret_auth_list), &list, sizeof list);
    if (none)
        return 0;
    if (!polkit) {
        snprintf(why, RPC_WHY_SIZE, "libvirtd wants an authentication that the gate does not have");
        return -EACCES;
    }
    r = call(fd, AUTH_POLKIT, (*serial)++, RPC_CODEC(vgr_ret_number), &complete, sizeof complete);
    if (r < 0)
        snprintf(why, RPC_WHY_SIZE, "polkit did not let the gate in: %s", strerror(-r));
    return r;
}

int rpc_upstream_open(const char *uri, bool readonly, int *ret_fd, uint32_t *ret_serial, char why[static RPC_WHY_SIZE])
{
    FD_AUTO fd = -1;
    uint32_t serial = 0;
    int r = connect_to_daemon(uri, readonly, &fd);

    if (r < 0)
        snprintf(why, RPC_WHY_SIZE, "libvirtd cannot be reached: %s", strerror(-r));
    else
        r = authenticate(fd, &serial, why);
    if (r == 0)
        r = fd_set_nonblock(fd, 1);
    if (r < 0)
        return r;
    *ret_fd = fd;
    fd = -1;
    *ret_serial = serial;
    return 0;
}
