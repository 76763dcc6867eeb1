/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/rpc_loop.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 65536U
#define TO_CLIENT_HIGH (1U << 20)   /* above it nothing is read from libvirtd */
#define TO_SERVER_HIGH (256U << 10) /* above it nothing is read from the client */
#define LAST_WORDS_MS 2000          /* for the client to take what libvirtd said before it went */
#define LEAVE_MS 500                /* for libvirtd to say something, when streams are given up */
#define LEAVE_READS 256             /* that it may need for it */

struct side {
    int fd;
    size_t max;               /* of a message from here */
    struct rpc_buffer in;
    struct rpc_buffer *out;
    size_t passing;           /* of a payload that goes on as it comes */
    uint64_t received, sent;
    bool ended;
};

struct loop {
    struct rpc_filter *filter;
    struct side client, server;
};

static bool would_wait(int error)
{
    return error == EAGAIN || error == EINTR;
}

/* 0; -ECONNRESET: it has ended; -ENOMEM. */
static int read_side(struct side *side)
{
    unsigned char *room = rpc_buffer_room(&side->in, READ_SIZE);

    if (!room)
        return -ENOMEM;
    ssize_t n = recv(side->fd, room, READ_SIZE, MSG_DONTWAIT);
    if (n < 0 && would_wait(errno))
        return 0;
    if (n <= 0)
        return -ECONNRESET;
    rpc_buffer_added(&side->in, (size_t)n);
    side->received += (uint64_t)n;
    return 0;
}

static int write_side(struct side *side)
{
    while (rpc_buffer_len(side->out) > 0) {
        ssize_t n = send(side->fd, side->out->data + side->out->start, rpc_buffer_len(side->out),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && would_wait(errno))
            return 0;
        if (n < 0)
            return -ECONNRESET;
        rpc_buffer_drop(side->out, (size_t)n);
        side->sent += (uint64_t)n;
    }
    return 0;
}

static bool has_message(const struct side *side)
{
    struct rpc_message message;

    if (side->passing > 0)
        return rpc_buffer_len(&side->in) > 0;
    return rpc_frame_peek(&side->in, side->max, &message) != 0;
}

static bool may_take_client(const struct loop *loop)
{
    /* What a call is answered with must not come in between a payload. */
    return loop->server.passing == 0 && rpc_filter_ready(loop->filter) &&
           rpc_buffer_len(loop->server.out) < TO_SERVER_HIGH && rpc_buffer_len(loop->client.out) < TO_CLIENT_HIGH;
}

static bool may_take_server(const struct loop *loop)
{
    return rpc_buffer_len(loop->client.out) < TO_CLIENT_HIGH;
}

/* What has come of a payload of libvirtd's goes on to the client. 1 or -errno. */
static int pass_on(struct loop *loop)
{
    struct side *server = &loop->server;
    size_t have = rpc_buffer_len(&server->in), len = have < server->passing ? have : server->passing;
    int r = rpc_buffer_put(loop->client.out, server->in.data + server->in.start, len);

    if (r < 0)
        return r;
    rpc_buffer_drop(&server->in, len);
    server->passing -= len;
    return 1;
}

/* 1: it goes to the client from here on, as it comes; 0: not that, or not yet; -errno. */
static int begin_to_pass(struct loop *loop)
{
    struct side *server = &loop->server;
    struct rpc_header header;
    size_t len;
    int r = rpc_frame_peek_head(&server->in, server->max, &header, &len);

    if (r > 0)
        r = rpc_filter_pass_from_server(loop->filter, &header, len);
    if (r <= 0)
        return r;
    rpc_buffer_drop(&server->in, RPC_HEAD_SIZE);
    server->passing = len;
    return 1;
}

/* 1: a message, or some of one that is passed on, was taken; 0: none is there; -errno. */
static int take_message(struct loop *loop, struct side *side)
{
    struct rpc_message message;
    int r;

    if (side->passing > 0)
        return rpc_buffer_len(&side->in) > 0 ? pass_on(loop) : 0;
    r = rpc_frame_peek(&side->in, side->max, &message);
    if (r == 0 && side == &loop->server)
        return begin_to_pass(loop);
    if (r <= 0)
        return r;
    size_t len = RPC_HEAD_SIZE + message.len;
    r = side == &loop->client ? rpc_filter_from_client(loop->filter, &message) :
                                rpc_filter_from_server(loop->filter, &message);
    if (r < 0)
        return r;
    rpc_buffer_drop(&side->in, len);
    return 1;
}

/* All that can be taken now. 0 or the end. */
static int take_messages(struct loop *loop, enum rpc_end *ret)
{
    int from_server, from_client;

    do {
        from_server = may_take_server(loop) ? take_message(loop, &loop->server) : 0;
        from_client = from_server >= 0 && may_take_client(loop) ? take_message(loop, &loop->client) : 0;
        if (from_server == -ENOMEM || from_client == -ENOMEM)
            *ret = RPC_NO_MEMORY;
        else if (from_server < 0)
            *ret = RPC_SERVER_BROKE;
        else if (from_client < 0)
            *ret = RPC_CLIENT_BROKE;
        if (from_server < 0 || from_client < 0)
            return -1;
    } while (from_server > 0 || from_client > 0);
    return 0;
}

static short wanted(const struct side *side, bool may_take)
{
    short in = may_take && !side->ended && !has_message(side) ? POLLIN : 0;

    return (short)(in | (rpc_buffer_len(side->out) > 0 ? POLLOUT : 0));
}

/* What libvirtd said last: that it refuses, or is going down. */
static void say_last_words(struct side *client)
{
    struct pollfd ready = { .fd = client->fd, .events = POLLOUT };

    while (rpc_buffer_len(client->out) > 0 && poll(&ready, 1, LAST_WORDS_MS) > 0 && !(ready.revents & (POLLERR | POLLHUP)))
        if (write_side(client) < 0)
            return;
}

/* libvirtd closes a connection that it cannot write a stream's data to, and 11.3 does it under a lock that the closing
 * takes once more (see virt_console_end()): it then serves nobody any more. So no connection breaks off while a stream of
 * it is open, as long as libvirtd answers. */
static void take_leave(struct loop *loop)
{
    struct side *server = &loop->server;

    for (int i = 0; i < LEAVE_READS && !server->ended && rpc_filter_give_up_streams(loop->filter) > 0; i++) {
        struct pollfd ready = { .fd = server->fd, .events = (short)(wanted(server, true) | POLLIN) };
        if (poll(&ready, 1, LEAVE_MS) <= 0 || write_side(server) < 0 ||
            (ready.revents & ~POLLOUT && read_side(server) < 0))
            return;
        int r;
        do {
            r = take_message(loop, server);
            /* Nobody is there to hear it. */
            rpc_buffer_drop(loop->client.out, rpc_buffer_len(loop->client.out));
        } while (r > 0);
        if (r < 0)
            return;
    }
}

static enum rpc_end run(struct loop *loop, int control)
{
    struct side *client = &loop->client, *server = &loop->server;
    enum rpc_end end;

    for (;;) {
        struct pollfd fds[] = {
            { .fd = client->fd, .events = (short)(wanted(client, may_take_client(loop)) | POLLRDHUP) },
            { .fd = server->fd, .events = wanted(server, may_take_server(loop)) },
            { .fd = control, .events = POLLIN },
        };
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return RPC_NO_MEMORY;
        if (fds[2].revents)
            return RPC_BROKER_ENDED;
        /* A client that is gone says so by POLLHUP even while nothing is wanted of it; one that says nothing more, by
         * POLLRDHUP: a libvirtd that hangs does not keep its session open. What it said last is read before that. */
        if ((fds[0].revents & POLLIN && read_side(client) < 0) || fds[0].revents & (POLLERR | POLLHUP) ||
            (fds[0].revents & POLLRDHUP && !(fds[0].events & POLLIN)))
            return RPC_CLIENT_ENDED;
        if (fds[1].revents & POLLIN && read_side(server) < 0)
            server->ended = true;
        else if (!(fds[1].revents & POLLIN) && fds[1].revents & (POLLERR | POLLHUP))
            server->ended = true;
        if (take_messages(loop, &end) < 0) {
            write_side(client);
            return end;
        }
        if (write_side(client) < 0)
            return RPC_CLIENT_ENDED;
        if (!server->ended && write_side(server) < 0)
            server->ended = true;
        if (server->ended) {
            say_last_words(client);
            return rpc_filter_closed(loop->filter) ? RPC_CLIENT_ENDED : RPC_SERVER_ENDED;
        }
    }
}

enum rpc_end rpc_loop(struct rpc_filter *filter, int client, int upstream, int control, struct rpc_totals *ret)
{
    struct loop loop = {
        .filter = filter,
        .client = { .fd = client, .max = RPC_FROM_CLIENT_MAX, .out = rpc_filter_to_client(filter) },
        .server = { .fd = upstream, .max = RPC_FROM_SERVER_MAX, .out = rpc_filter_to_server(filter) },
    };
    enum rpc_end end = run(&loop, control);

    take_leave(&loop);
    *ret = (struct rpc_totals){ loop.client.sent, loop.client.received };
    rpc_buffer_free(&loop.client.in);
    rpc_buffer_free(&loop.server.in);
    return end;
}
