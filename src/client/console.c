/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The serial console: the terminal is raw here, and its escapes are those of virtgate-shell (terminal/terminal.h), which on
 * the other side gets no terminal and so passes every byte. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "client/ask.h"
#include "client/client.h"
#include "client/far.h"
#include "relay/relay.h"
#include "terminal/terminal.h"

#define PAUSE_MAX_MS 30000

struct console {
    struct remote *remote;
    char command[CLIENT_COMMAND_SIZE];
    struct far far;
    struct terminal_escape escape;
    bool raw, may_ask, through_ssh;
};

/* Carries until one side ends. Returns how. */
static enum relay_end carry(struct console *console)
{
    struct relay_totals totals;

    if (far_start(&console->far, console->remote, console->command))
        return RELAY_FAILED;
    struct relay relay = {
        .in = STDIN_FILENO, .out = STDOUT_FILENO, .stream = console->far.near, .control = -1, .context = &console->escape,
        .filter = console->raw ? terminal_filter : NULL, .stop = console->raw ? terminal_stop() : NULL,
    };
    enum relay_end end = relay_run(&relay, &totals);
    far_end(&console->far);
    return end;
}

/* Is it Ctrl-C? While there is no machine that wants it. */
static bool has_ctrl_c(const char *data, size_t len)
{
    return memchr(data, 0x03, len);
}

/* True when the person leaves meanwhile. What is typed now goes nowhere. */
static bool pause_for(struct console *console, int ms)
{
    struct pollfd wait = { .fd = STDIN_FILENO, .events = POLLIN };
    int64_t end_ms = io_monotonic_ms() + ms, left;
    char data[257];

    /* Whoever types meanwhile does not put it off. */
    while ((left = end_ms - io_monotonic_ms()) > 0 && poll(&wait, 1, (int)left) > 0) {
        ssize_t n = read(STDIN_FILENO, data, sizeof data - 1);
        size_t len = n > 0 ? (size_t)n : 0;
        if (n <= 0 || *terminal_stop() || has_ctrl_c(data, len) || terminal_filter(&console->escape, data, &len))
            return true;
    }
    return *terminal_stop();
}

/* What another try may mend: the host or the machine is away, or somebody else has the console. */
static bool may_come_back(enum relay_end end, int status)
{
    return end == RELAY_STREAM_ENDED && (status == EX_OK || status == EX_UNAVAILABLE || status == EX_TEMPFAIL ||
                                         status == EX_NOHOST);
}

/* The terminal is raw: a line needs its own return. */
static void say_raw(const struct console *console, const char *text)
{
    if (console->raw)
        dprintf(STDERR_FILENO, "\r\nvirtgate: %s\r\n", text);
}

static int make_raw(struct console *console)
{
    if (terminal_raw() < 0)
        return say_error(EX_OSERR, "the terminal cannot be made raw");
    ask_init(false); /* what is typed is the machine's */
    console->raw = true;
    return EX_OK;
}

static void make_usual(struct console *console)
{
    console->raw = false;
    terminal_restore();
    ask_init(console->may_ask);
}

/* A new connection may ask for a password, and whoever does not want to wait for it presses Ctrl-C: it has the terminal as it
 * usually is. */
static int connect_again(struct console *console)
{
    struct remote_said *said = &console->far.said;

    if (remote_is_connected(console->remote))
        return EX_OK;
    make_usual(console);
    console->far.status = remote_connect(console->remote, said);
    return make_raw(console);
}

static int run(struct console *console, bool reconnect)
{
    int pause_ms = 1000;

    for (;;) {
        enum relay_end end = RELAY_STREAM_ENDED;
        console->far.status = EX_OK;
        if (reconnect && connect_again(console))
            return EX_OSERR;
        if (console->far.status == EX_OK)
            end = carry(console);
        if (end == RELAY_FAILED)
            return EX_OSERR;
        if (!reconnect || !may_come_back(end, console->far.status))
            return end == RELAY_STREAM_ENDED ? console->far.status : EX_OK;
        say_raw(console, "the console is gone; it is tried again until it is back, or you leave with Ctrl-C");
        if (pause_for(console, pause_ms))
            return EX_OK;
        /* A session that worked was worth a quick try; a host that stays away is not asked every second. */
        pause_ms = console->far.status == EX_OK ? 1000 : pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    }
}

static int run_in_terminal(struct console *console, bool reconnect)
{
    int status;

    if (isatty(STDIN_FILENO)) {
        say_error(0, "leave with Ctrl-] or, at the beginning of a line, ~.");
        status = make_raw(console);
        if (status)
            return status;
    }
    bool raw = console->raw;
    status = run(console, reconnect && raw);
    if (raw) {
        make_usual(console);
        dprintf(STDERR_FILENO, "\r\n");
    }
    client_said(status, &console->far.said);
    if (raw && console->through_ssh && memmem(console->far.said.text, console->far.said.len, "Permission denied", 17))
        say_error(0, "a console's ssh cannot ask for a password; ssh-agent answers for you, or ControlMaster of ssh_config(5)");
    return status;
}

int client_console(const struct options *options, size_t n, const char *const *argv)
{
    struct console console = { .may_ask = ask_allowed(), .through_ssh = options->remote.ssh };
    int status = client_command(console.command, "console", options->takeover ? "--takeover" : NULL, n - 1, argv + 1);

    if (status)
        return status;
    if (options->reconnect && !isatty(STDIN_FILENO))
        return say_error(EX_USAGE, "--reconnect is for a person at a terminal");
    console.remote = client_reach(options, argv[0], &status);
    if (!console.remote)
        return status;
    say_progress("%s: waiting for '%s'", argv[0], argv[1]);
    status = run_in_terminal(&console, options->reconnect);
    remote_free(console.remote);
    return status;
}
