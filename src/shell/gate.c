/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/gate.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/text.h"
#include "wire/fdpass.h"
#include "wire/listing.h"
#include "wire/peer.h"

#define ANSWER_MS 60000 /* the broker gives up earlier, and says why */
#define REFUSAL_MS 1000

int gate_complain(int status, const char *format, ...)
{
    char line[REPLY_LINE_SIZE], text[REPLY_LINE_SIZE + 16];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    int len = snprintf(text, sizeof text, "virtgate: %s\n", line);
    io_write_all(2, text, (size_t)len);
    return status;
}

static int explain_connect(int error)
{
    switch (error) {
    case EACCES:
        return gate_complain(EX_NOPERM, "this account is not in group " VG_GATE_GROUP
                             ", whose members may ask the gate");
    case ENOENT:
    case ECONNREFUSED:
        return gate_complain(EX_UNAVAILABLE, "the gate on this host is not running; tell its administrator");
    case EAGAIN:
        return gate_complain(EX_TEMPFAIL, "this host is busy; try again");
    default:
        return gate_complain(EX_OSERR, "the gate on this host cannot be reached: %s", strerror(error));
    }
}

/* 0 and who listens, or -errno. */
static int connect_to_gate(int *ret_fd, uid_t *ret_listener)
{
    static const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = VG_RUNDIR "/broker.sock" };
    /* Does not wait: with a full backlog it would, for as long as somebody keeps it full. */
    FD_AUTO fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct peer peer;

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    int r = peer_of(fd, &peer);
    if (r < 0)
        return r;
    fd_close(&peer.pidfd);
    *ret_listener = peer.uid;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* 0, or a status after a complaint. */
static int open_connection(int *ret_fd)
{
    uid_t listener;
    int r = connect_to_gate(ret_fd, &listener);

    if (r < 0)
        return explain_connect(-r);
    /* Who listens must have been root: anybody else's socket at this place is a trap. */
    if (listener != 0) {
        fd_close(ret_fd);
        return gate_complain(EX_PROTOCOL, "what answers on this host is not the gate (uid %lu); tell its administrator",
                             (unsigned long)listener);
    }
    return EX_OK;
}

static int send_request(int fd, const struct request *request)
{
    unsigned char wire[REQUEST_WIRE_SIZE];

    gate_encode_request(request, wire);
    return fdpass_send(fd, wire, sizeof wire, NULL, 0);
}

static int wait_for(int fd, int ms)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    int n;

    do
        n = poll(&wait, 1, ms);
    while (n < 0 && errno == EINTR);
    return n > 0 ? 0 : -ETIMEDOUT;
}

static int receive_reply(int connection, struct reply *ret, int *ret_fd)
{
    unsigned char wire[REPLY_WIRE_SIZE];
    size_t n_fds = 0;
    int r = fdpass_recv(connection, wire, sizeof wire, ret_fd, 1, &n_fds);

    if (r == 0) {
        r = gate_decode_reply(wire, (unsigned)n_fds, ret);
        if (r < 0)
            fd_close(ret_fd);
    }
    return r;
}

int gate_take_listing(const struct gate_answer *answer, char **ret, size_t *ret_len)
{
    return lseek(answer->fd, 0, SEEK_SET) < 0 ? -errno : io_read_all(answer->fd, LISTING_MAX, ret, ret_len);
}

int gate_ask(const struct request *request, struct gate_answer *ret)
{
    struct gate_answer answer = { .connection = -1, .fd = -1 };
    int status = open_connection(&answer.connection);

    if (status)
        return status;
    int r = send_request(answer.connection, request);
    if (r == 0)
        r = wait_for(answer.connection, ANSWER_MS);
    if (r == 0)
        r = receive_reply(answer.connection, &answer.reply, &answer.fd);
    else if (r == -EPIPE) /* refused before it read the request: the answer lies there */
        r = receive_reply(answer.connection, &answer.reply, &answer.fd);
    if (r < 0) {
        gate_answer_close(&answer);
        if (r == -ETIMEDOUT)
            return gate_complain(EX_UNAVAILABLE, "the gate on this host does not answer; try again later");
        return gate_complain(EX_UNAVAILABLE, "the gate on this host went away; try again");
    }
    if (answer.reply.kind == REPLY_REFUSED || answer.reply.kind == REPLY_END) {
        gate_answer_close(&answer);
        /* The broker noticed the end of the guest's side before the session process had handed the stream over. */
        if (answer.reply.kind == REPLY_END && answer.reply.status == EX_OK)
            return gate_complain(EX_UNAVAILABLE, "it ended while it was being opened; try again");
        if (answer.reply.line[0])
            gate_complain(0, "%s", answer.reply.line);
        return answer.reply.status ? answer.reply.status : EX_PROTOCOL;
    }
    *ret = answer;
    return EX_OK;
}

void gate_tell_refusal(const struct request *request)
{
    FD_AUTO fd = -1;
    uid_t listener;

    /* What a user typed is for the gate's log, not for whoever else may listen there. */
    if (connect_to_gate(&fd, &listener) < 0 || listener != 0 || send_request(fd, request) < 0)
        return;
    wait_for(fd, REFUSAL_MS); /* closed at once, the request might find nobody to tell the account of */
}

void gate_answer_close(struct gate_answer *answer)
{
    fd_close(&answer->connection);
    fd_close(&answer->fd);
}

void gate_report(int connection, uint64_t to_user, uint64_t from_user)
{
    struct report report = { to_user, from_user };
    unsigned char wire[REPORT_WIRE_SIZE];

    gate_encode_report(&report, wire);
    fdpass_send(connection, wire, sizeof wire, NULL, 0);
}

int gate_read_end(int connection)
{
    struct reply reply;
    int fd = -1;
    int r = receive_reply(connection, &reply, &fd);

    fd_close(&fd);
    if (r < 0 || reply.kind != REPLY_END)
        return gate_complain(EX_UNAVAILABLE, "the gate on this host went away; the session is over");
    if (reply.status)
        gate_complain(0, "%s", reply.line);
    return reply.status;
}
