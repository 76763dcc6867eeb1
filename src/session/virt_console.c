/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/virt_console.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "base/fd.h"
#include "session/virt_handle.h"

struct buffer {
    size_t at, end, size;
    char *data;
};

struct virt_console {
    virConnectPtr connection;
    virStreamPtr stream;
    int user, control;
    int user_watch, control_watch;
    bool over;
    bool user_ended;   /* no more input will come; what is held still goes to the guest */
    bool guest_ended;  /* no more output will come; what is held still goes to the user */
    struct buffer to_user, to_guest;
    uint64_t n_to_user, n_from_user;
    char to_user_data[64 * 1024], to_guest_data[4 * 1024];
};

static bool is_full(const struct buffer *buffer)
{
    return buffer->end == buffer->size;
}

static bool is_empty(const struct buffer *buffer)
{
    return buffer->at == buffer->end;
}

static void take(struct buffer *buffer, size_t n)
{
    buffer->at += n;
    if (is_empty(buffer))
        buffer->at = buffer->end = 0;
}

int virt_console_open(struct virt *virt, const struct virt_domain *domain, const char *device, bool takeover,
                      struct virt_console **ret)
{
    struct virt_console *console = calloc(1, sizeof *console);
    int r = -EIO;

    if (!console)
        return -ENOMEM;
    console->to_user = (struct buffer){ .size = sizeof console->to_user_data, .data = console->to_user_data };
    console->to_guest = (struct buffer){ .size = sizeof console->to_guest_data, .data = console->to_guest_data };
    console->connection = virt->connection;
    console->stream = virStreamNew(virt->connection, VIR_STREAM_NONBLOCK);
    if (!console->stream)
        goto out;
    /* SAFE: only if the driver keeps the console to one user at a time. */
    if (virDomainOpenConsole(domain->handle, device, console->stream,
                             VIR_DOMAIN_CONSOLE_SAFE | (takeover ? VIR_DOMAIN_CONSOLE_FORCE : 0)) < 0) {
        int code = virGetLastErrorCode();
        if (code == VIR_ERR_OPERATION_FAILED)
            r = -EBUSY;
        else if (code == VIR_ERR_INTERNAL_ERROR || code == VIR_ERR_INVALID_ARG)
            r = -ENOENT;
        goto out;
    }
    if (!virt_is_same(virt, domain)) {
        r = -ESTALE;
        goto out;
    }
    *ret = console;
    return 0;
out:
    virt_console_close(console);
    return r;
}

void virt_console_close(struct virt_console *console)
{
    if (!console)
        return;
    if (console->stream) {
        virStreamAbort(console->stream);
        virStreamFree(console->stream);
    }
    free(console);
}

/* libvirtd closes a connection that it cannot write a stream's data to, and 11.3 does it under a lock that the closing
 * takes once more (daemonStreamEvent() and remoteClientFreePrivateCallbacks(); in 9.0 the latter takes none): a connection
 * that breaks off while the guest talks can stop libvirtd for everybody and for good. */
void virt_console_end(struct virt_console *console, struct virt *virt, const struct virt_domain *domain)
{
    virStreamAbort(console->stream);
    /* Nothing is asked of libvirtd where it has ended the stream itself, with more than one event to come; the answer
     * to a call comes after them. */
    virt_is_same(virt, domain);
}

static void read_guest(struct virt_console *console)
{
    struct buffer *to = &console->to_user;

    while (!is_full(to)) {
        int n = virStreamRecv(console->stream, to->data + to->end, to->size - to->end);
        if (n == -2) /* nothing there now */
            return;
        if (n <= 0) {
            console->guest_ended = true;
            return;
        }
        to->end += (size_t)n;
    }
}

static void write_guest(struct virt_console *console)
{
    struct buffer *from = &console->to_guest;

    while (!is_empty(from)) {
        int n = virStreamSend(console->stream, from->data + from->at, from->end - from->at);
        if (n == -2)
            return;
        if (n < 0) {
            console->guest_ended = true;
            take(from, from->end - from->at);
            return;
        }
        console->n_from_user += (uint64_t)n;
        take(from, (size_t)n);
    }
}

static void read_user(struct virt_console *console)
{
    struct buffer *to = &console->to_guest;
    ssize_t n;

    if (is_full(to) || console->user_ended)
        return;
    n = recv(console->user, to->data + to->end, to->size - to->end, MSG_DONTWAIT);
    if (n > 0)
        to->end += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        console->user_ended = true;
}

static void write_user(struct virt_console *console)
{
    struct buffer *from = &console->to_user;
    ssize_t n;

    if (is_empty(from))
        return;
    n = send(console->user, from->data + from->at, from->end - from->at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
        console->n_to_user += (uint64_t)n;
        take(from, (size_t)n);
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        console->over = true; /* nobody reads any more */
    }
}

/* Moves what can be moved now, whatever woke us. */
static void carry(struct virt_console *console)
{
    read_user(console);
    write_guest(console);
    if (!console->guest_ended)
        read_guest(console);
    write_user(console);
    if (console->guest_ended && is_empty(&console->to_user))
        console->over = true;
    if (console->user_ended && is_empty(&console->to_guest))
        console->over = true;
}

static void on_stream(virStreamPtr stream, int events, void *context)
{
    struct virt_console *console = context;

    (void)stream;
    if (events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP)) {
        read_guest(console); /* what came before the end */
        console->guest_ended = true;
    }
}

/* libvirtd has gone: its streams say nothing of that. */
static void on_disconnect(virConnectPtr connection, int reason, void *context)
{
    struct virt_console *console = context;

    (void)connection;
    (void)reason;
    console->guest_ended = true;
}

static void on_user(int watch, int fd, int events, void *context)
{
    struct virt_console *console = context;

    (void)watch;
    (void)fd;
    if (events & (VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP))
        read_user(console);
}

/* The broker says nothing on it while a session runs: anything, its end included, means stop. */
static void on_control(int watch, int fd, int events, void *context)
{
    struct virt_console *console = context;

    (void)watch;
    (void)fd;
    (void)events;
    console->over = true;
}

/* Both sides of what each event may still do: no event is asked for that carry() would not use, so nothing spins. */
static void ask_for_events(struct virt_console *console)
{
    int stream = VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP;
    int user = 0;

    if (!is_full(&console->to_user))
        stream |= VIR_STREAM_EVENT_READABLE;
    if (!is_empty(&console->to_guest))
        stream |= VIR_STREAM_EVENT_WRITABLE;
    if (!console->user_ended && !is_full(&console->to_guest))
        user |= VIR_EVENT_HANDLE_READABLE;
    if (!is_empty(&console->to_user))
        user |= VIR_EVENT_HANDLE_WRITABLE;
    if (!console->guest_ended)
        virStreamEventUpdateCallback(console->stream, stream);
    virEventUpdateHandle(console->user_watch, user);
}

/* The user's side is full: libvirt's event loop must not run, because it reads its connection and keeps, without bound,
 * what nobody takes. Then libvirtd's socket fills and the guest's output waits there. */
static void wait_for_user(struct virt_console *console)
{
    short from_user = console->user_ended || is_full(&console->to_guest) ? 0 : POLLIN;
    struct pollfd wait[] = {
        { .fd = console->user, .events = (short)(POLLOUT | from_user) },
        { .fd = console->control, .events = POLLIN },
    };

    if (poll(wait, 2, -1) < 0)
        return;
    if (wait[0].revents & (POLLHUP | POLLERR) || wait[1].revents)
        console->over = true;
}

void virt_console_run(struct virt_console *console, int user, int control, uint64_t *ret_to_user,
                      uint64_t *ret_from_user)
{
    console->user = user;
    console->control = control;
    console->user_watch = virEventAddHandle(user, 0, on_user, console, NULL);
    console->control_watch = virEventAddHandle(control, VIR_EVENT_HANDLE_READABLE, on_control, console, NULL);
    if (console->user_watch < 0 || console->control_watch < 0 ||
        virStreamEventAddCallback(console->stream, VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_HANGUP, on_stream,
                                  console, NULL) < 0 ||
        virConnectRegisterCloseCallback(console->connection, on_disconnect, console, NULL) < 0)
        console->over = true;
    while (!console->over) {
        carry(console);
        if (console->over)
            break;
        ask_for_events(console);
        if (is_full(&console->to_user))
            wait_for_user(console);
        else if (virEventRunDefaultImpl() < 0)
            break;
    }
    virConnectUnregisterCloseCallback(console->connection, on_disconnect);
    virStreamEventRemoveCallback(console->stream);
    virEventRemoveHandle(console->user_watch);
    virEventRemoveHandle(console->control_watch);
    *ret_to_user = console->n_to_user;
    *ret_from_user = console->n_from_user;
}
