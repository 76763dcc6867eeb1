/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "relay/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

/* What a terminal that is ready takes without making us wait. */
#define ROOM 512

static int use_buffer(struct pump *pump)
{
    fd_close(&pump->pipe[0]);
    fd_close(&pump->pipe[1]);
    if (!pump->data)
        pump->data = malloc(PUMP_SIZE + 1);
    return pump->data ? 0 : -ENOMEM;
}

int pump_open(struct pump *pump, int from, int to)
{
    pump->from = from;
    pump->to = to;
    pump->pipe[0] = pump->pipe[1] = -1;
    if (pump->filter || pipe2(pump->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return use_buffer(pump);
    return 0;
}

void pump_close(struct pump *pump)
{
    fd_close(&pump->pipe[0]);
    fd_close(&pump->pipe[1]);
    free(pump->data);
    pump->data = NULL;
}

/* > 0: bytes; 0: no more will come; -EAGAIN: none now. */
static ssize_t take_in(struct pump *pump)
{
    ssize_t n;

    do
        n = pump->data ? read(pump->from, pump->data, PUMP_SIZE)
                       : splice(pump->from, NULL, pump->pipe[1], NULL, PUMP_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno == EAGAIN)
        return -EAGAIN;
    /* EINVAL: this kind of descriptor cannot be spliced (a terminal, an old kernel's socket). Nothing was taken yet. */
    if (errno == EINVAL && !pump->data && use_buffer(pump) == 0)
        return take_in(pump);
    return 0; /* ECONNRESET, EIO of a terminal that hung up: the end of this side */
}

static ssize_t put_out(struct pump *pump)
{
    ssize_t n;

    do
        n = pump->data ? write(pump->to, pump->data + pump->at, pump->to_waits && pump->held > ROOM ? ROOM : pump->held)
                       : splice(pump->pipe[0], NULL, pump->to, NULL, pump->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* The other end cannot be spliced to: what lies in the pipe goes into the buffer once, and splice is given up. */
static int change_to_buffer(struct pump *pump)
{
    size_t len = 0;

    pump->data = malloc(PUMP_SIZE + 1);
    if (!pump->data)
        return -ENOMEM;
    while (len < pump->held) {
        ssize_t n = read(pump->pipe[0], pump->data + len, pump->held - len);
        if (n <= 0)
            return -EIO;
        len += (size_t)n;
    }
    pump->at = 0;
    return use_buffer(pump);
}

static int drain(struct pump *pump, bool writable)
{
    for (bool first = true; pump->held > 0; first = false) {
        if (pump->to_waits && !(first && writable))
            return -EAGAIN;
        ssize_t n = put_out(pump);
        if (n == -EINVAL && !pump->data) {
            int r = change_to_buffer(pump);
            if (r < 0)
                return r;
            continue;
        }
        if (n < 0)
            return (int)n;
        pump->at += (size_t)n;
        pump->held -= (size_t)n;
        pump->total += (uint64_t)n;
    }
    pump->at = 0;
    return 0;
}

int pump_move(struct pump *pump, bool readable, bool writable)
{
    /* Bounded, so that a side that never pauses does not keep the other direction and the control socket waiting. */
    for (int round = 0; round < 16; round++) {
        int r = drain(pump, writable && round == 0);
        if (r < 0)
            return r == -EAGAIN ? 0 : r;
        if (pump->ended || pump->stopped || (pump->from_waits && !(readable && round == 0)))
            return 0;
        ssize_t n = take_in(pump);
        if (n == -EAGAIN)
            return 0;
        if (n == 0) {
            pump->ended = true;
            return 0;
        }
        pump->held = (size_t)n;
        if (pump->filter && pump->filter(pump->context, pump->data, &pump->held))
            pump->stopped = true;
    }
    return 0;
}

bool pump_wants_input(const struct pump *pump)
{
    return pump->held == 0 && !pump->ended && !pump->stopped;
}

bool pump_wants_output(const struct pump *pump)
{
    return pump->held > 0;
}

bool pump_done(const struct pump *pump)
{
    return pump->held == 0 && (pump->ended || pump->stopped);
}
