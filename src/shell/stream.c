/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/stream.h"

#include <poll.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "relay/relay.h"
#include "terminal/terminal.h"

#define ENDED_MS 1000

struct carrying {
    int connection;
    int status;
    bool heard; /* the broker has said that it is over */
    struct terminal_escape escape;
};

static bool on_control(void *context, bool *drop)
{
    struct carrying *carrying = context;

    carrying->status = gate_read_end(carrying->connection);
    carrying->heard = true;
    *drop = true; /* a session that simply is over: what still lies in the stream is handed on */
    return carrying->status != EX_OK;
}

static bool on_typed(void *context, char *data, size_t *len)
{
    struct carrying *carrying = context;

    return terminal_filter(&carrying->escape, data, len);
}

static void on_report(void *context, uint64_t to_user, uint64_t from_user)
{
    const struct carrying *carrying = context;

    gate_report(carrying->connection, to_user, from_user);
}

static void say(const char *text)
{
    io_write_all(STDERR_FILENO, text, strlen(text));
}

int stream_carry(struct gate_answer *answer, bool as_console)
{
    struct carrying carrying = { .connection = answer->connection };
    struct relay relay = {
        .in = STDIN_FILENO, .out = STDOUT_FILENO, .stream = answer->fd, .control = answer->connection,
        .watch = on_control, .report = on_report, .context = &carrying,
    };
    struct relay_totals totals;
    bool raw = as_console && isatty(STDIN_FILENO);

    if (raw) {
        say("virtgate: connected; leave with Ctrl-] or, at the beginning of a line, ~.\n");
        if (terminal_raw() < 0)
            return gate_complain(EX_OSERR, "the terminal cannot be made raw");
        relay.filter = on_typed;
        relay.stop = terminal_stop();
    }
    enum relay_end end = relay_run(&relay, &totals);
    gate_report(answer->connection, totals.to_user, totals.from_user);
    if (raw) {
        terminal_restore();
        say("\r\n");
    }
    struct pollfd ended = { .fd = answer->connection, .events = POLLIN };
    /* Who cuts a session says so before the stream ends; the end of a guest or of a session process the broker hears of
     * when we do. */
    if (end == RELAY_STREAM_ENDED && !carrying.heard && poll(&ended, 1, ENDED_MS) > 0)
        carrying.status = gate_read_end(answer->connection);
    if (end == RELAY_FAILED)
        return gate_complain(EX_OSERR, "this host is short of memory or descriptors; try again");
    return carrying.status;
}
