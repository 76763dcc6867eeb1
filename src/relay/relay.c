/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "relay/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "relay/pump.h"

#define REPORT_MS 1000

struct running {
    const struct relay *relay;
    struct pump up, down;       /* from the user, to the user */
    bool closed_up;             /* the stream's writing half is closed */
    bool with_control;
    int64_t reported_ms;
    uint64_t reported;
};

enum waiting { WAITS, WAITS_NOT, MADE_NOT_TO };

/* Not for a terminal: its flags are shared with whoever else has it open, such as the shell that started us. */
static enum waiting make_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    struct stat st;

    if (flags >= 0 && flags & O_NONBLOCK)
        return WAITS_NOT;
    if (flags < 0 || fstat(fd, &st) < 0 || !(S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode)))
        return WAITS;
    return fd_set_nonblock(fd, 1) == 0 ? MADE_NOT_TO : WAITS;
}

static void report(struct running *run)
{
    uint64_t moved = run->up.total + run->down.total;
    int64_t now = io_monotonic_ms();

    if (moved == run->reported || now - run->reported_ms < REPORT_MS)
        return;
    run->reported = moved;
    run->reported_ms = now;
    if (run->relay->report)
        run->relay->report(run->relay->context, run->down.total, run->up.total);
}

/* False when a signal asks to stop: between the look at *stop and the wait none may slip in unseen. */
static bool wait_unless_stopped(const struct relay *relay, int ms, struct pollfd wait[static 4])
{
    sigset_t block, before;

    if (!relay->stop) {
        poll(wait, 4, ms);
        return true;
    }
    sigfillset(&block);
    sigprocmask(SIG_SETMASK, &block, &before);
    bool stop = *relay->stop;
    if (!stop && ppoll(wait, 4, ms < 0 ? NULL : &(struct timespec){ ms / 1000, 0 }, &before) < 0)
        for (int i = 0; i < 4; i++)
            wait[i].revents = 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return !stop;
}

enum { AT_IN, AT_OUT, AT_STREAM, AT_CONTROL };

/* Waits for something to do. False when a signal asks to stop. */
static bool wait_for_work(struct running *run, struct pollfd wait[static 4])
{
    const struct relay *relay = run->relay;
    int stream = (pump_wants_input(&run->down) ? POLLIN : 0) | (pump_wants_output(&run->up) ? POLLOUT : 0);

    wait[AT_IN] = (struct pollfd){ .fd = pump_wants_input(&run->up) ? relay->in : -1, .events = POLLIN };
    wait[AT_OUT] = (struct pollfd){ .fd = relay->out, .events = pump_wants_output(&run->down) ? POLLOUT : 0 };
    wait[AT_STREAM] = (struct pollfd){ .fd = stream ? relay->stream : -1, .events = (short)stream };
    wait[AT_CONTROL] = (struct pollfd){ .fd = run->with_control ? relay->control : -1, .events = POLLIN };
    /* Who has nothing to report sleeps until there is something to carry. */
    if (!wait_unless_stopped(relay, run->up.total + run->down.total == run->reported ? -1 : REPORT_MS, wait))
        return false;
    report(run);
    return true;
}

/* Moves bytes both ways. -1: go on; else the end that was reached. */
static int carry(struct running *run, const struct pollfd wait[static 4])
{
    if (pump_move(&run->down, true, wait[AT_OUT].revents & POLLOUT) < 0)
        return RELAY_USER_ENDED;
    if (pump_done(&run->down))
        return RELAY_STREAM_ENDED;
    if (pump_move(&run->up, wait[AT_IN].revents, true) < 0 && !run->closed_up) {
        /* The stream takes no more; it may still have something to say. */
        run->up.ended = true;
        run->up.held = 0;
    }
    if (run->up.stopped && pump_done(&run->up))
        return RELAY_STOPPED;
    if (pump_done(&run->up) && !run->closed_up) {
        run->closed_up = true;
        shutdown(run->relay->stream, SHUT_WR);
    }
    return -1;
}

static enum relay_end loop(struct running *run)
{
    struct pollfd wait[4] = { 0 };
    bool drop = false;

    for (;;) {
        int end = carry(run, wait);
        if (end >= 0)
            return (enum relay_end)end;
        if (!wait_for_work(run, wait))
            return RELAY_SIGNAL;
        if (wait[AT_CONTROL].revents) {
            if (run->relay->watch(run->relay->context, &drop))
                return RELAY_CONTROL;
            run->with_control = !drop;
        }
        if (wait[AT_OUT].revents & (POLLERR | POLLHUP | POLLNVAL))
            return RELAY_USER_ENDED;
    }
}

enum relay_end relay_run(const struct relay *relay, struct relay_totals *ret_totals)
{
    struct running run = {
        .relay = relay, .with_control = relay->control >= 0, .reported_ms = io_monotonic_ms(),
        .up = { .filter = relay->filter, .context = relay->context },
    };
    enum waiting in = make_nonblock(relay->in), out = make_nonblock(relay->out);
    enum relay_end end = RELAY_FAILED;

    run.up.from_waits = in == WAITS;
    run.down.to_waits = out == WAITS;
    if (fd_set_nonblock(relay->stream, 1) == 0 && pump_open(&run.up, relay->in, relay->stream) == 0 &&
        pump_open(&run.down, relay->stream, relay->out) == 0)
        end = loop(&run);
    pump_close(&run.up);
    pump_close(&run.down);
    if (in == MADE_NOT_TO)
        fd_set_nonblock(relay->in, 0);
    if (out == MADE_NOT_TO)
        fd_set_nonblock(relay->out, 0);
    *ret_totals = (struct relay_totals){ run.down.total, run.up.total };
    return end;
}
