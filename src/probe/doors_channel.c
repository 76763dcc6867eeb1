/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The protocol itself: a second session, second requests in a session, channels and requests that nobody knows. */
#include <stdlib.h>
#include <string.h>

#include <libssh/server.h>

#include "base/io.h"
#include "probe/probe.h"
#include "probe/probe_raw.h"

/* --- more of what there is already --------------------------------------------------------------------------------- */

static void judge_second(struct probe *probe, int r, struct finding *finding)
{
    uint32_t reason;
    const char *text, *message = ssh_get_error(probe->session);

    if (r == SSH_OK)
        finding_set(finding, VERDICT_OPEN, "sshd granted it");
    else if (r == SSH_AGAIN)
        finding_set(finding, VERDICT_UNKNOWN, "no answer in time");
    else if (!ssh_is_connected(probe->session))
        finding_set(finding, VERDICT_CLOSED, SEEN_LOST);
    else if (judge_libssh_refusal(message, &reason, &text))
        judge_refused_channel(ASKED_OTHER, reason, text, finding);
    else if (ssh_get_error_code(probe->session) == SSH_REQUEST_DENIED)
        finding_set(finding, VERDICT_CLOSED, "sshd refused the request");
    else
        finding_set(finding, VERDICT_UNKNOWN, "%s", message);
}

/* The gate's prompt waits for a line: it lives as long as the terminal does. */
static ssh_channel prompt(struct probe *probe, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    ssh_channel channel = probe_channel(probe, &answer);

    if (channel && probe_granted(probe, ssh_channel_request_pty(channel), &answer)
        && probe_granted(probe, ssh_channel_request_shell(channel), &answer))
        return channel;
    if (channel) {
        finding_set(finding, VERDICT_UNKNOWN, "no session was started to ask in");
        ssh_channel_free(channel);
        probe_drop_session(probe);
    } else {
        judge_answer(&answer, NULL, finding);
    }
    return NULL;
}

/* How many sessions share a login is sshd's to say (MaxSessions) and no door: what the second one is must be the gate. */
static void ask_in_second(struct probe *probe, const char *command, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    ssh_channel second = ssh_channel_new(probe->session);
    int r = second ? ssh_channel_open_session(second) : SSH_ERROR;

    if (second && r != SSH_OK) {
        judge_second(probe, r, finding);
        ssh_channel_free(second);
    } else if (second) {
        answer.opened = true;
        if (probe_granted(probe, ssh_channel_request_exec(second, command), &answer)) {
            ssh_channel_send_eof(second);
            probe_read(probe, second, NULL, &answer);
        } else {
            ssh_channel_free(second);
        }
        judge_answer(&answer, NULL, finding);
    }
}

static void try_second_session(struct probe *probe, const struct door *door, struct finding *finding)
{
    ssh_channel first = prompt(probe, finding);

    if (!first)
        return;
    ask_in_second(probe, door->text, finding);
    /* Of a connection that is dropped the channels are too. */
    if (probe->session)
        ssh_channel_free(first);
    probe_drop_session(probe);
}

enum again { EXEC_AGAIN, SHELL_AGAIN, PTY_AGAIN, ENV_AGAIN, SUBSYSTEM_AGAIN, X11_AGAIN };

static int ask_again(ssh_channel channel, enum again what)
{
    switch (what) {
    case EXEC_AGAIN: return ssh_channel_request_exec(channel, "id");
    case SHELL_AGAIN: return ssh_channel_request_shell(channel);
    case PTY_AGAIN: return ssh_channel_request_pty(channel);
    case ENV_AGAIN: return ssh_channel_request_env(channel, "LANG", "C");
    case SUBSYSTEM_AGAIN: return ssh_channel_request_subsystem(channel, "sftp");
    case X11_AGAIN: return ssh_channel_request_x11(channel, 0, NULL, NULL, 0);
    }
    return SSH_ERROR;
}

static void try_second_request(struct probe *probe, const struct door *door, struct finding *finding)
{
    ssh_channel channel = prompt(probe, finding);

    if (!channel)
        return;
    judge_second(probe, ask_again(channel, (enum again)door->number), finding);
    ssh_channel_free(channel);
    probe_drop_session(probe);
}

/* A connection through sshd while a session runs on it. */
static void try_beside(struct probe *probe, const struct door *door, struct finding *finding)
{
    ssh_channel first = prompt(probe, finding), beside = first ? ssh_channel_new(probe->session) : NULL;

    if (beside) {
        judge_second(probe, ssh_channel_open_forward(beside, door->text, (int)door->number, "127.0.0.1", 0), finding);
        ssh_channel_free(beside);
    }
    if (first)
        ssh_channel_free(first);
    probe_drop_session(probe);
}

/* --- ssh(1)'s ------------------------------------------------------------------------------------------------------ */

static void judge_raw(enum raw_reply reply, const char *text, struct finding *finding)
{
    if (reply == RAW_YES)
        finding_set(finding, VERDICT_OPEN, "sshd granted it");
    else if (reply == RAW_NO)
        finding_set(finding, VERDICT_CLOSED, "refused%s%s", text[0] ? ": " : "", text);
    else
        raw_judge_silence(reply, finding);
}

/* A type of channel that only the host may open, or that nobody knows; door->number: of a name that long. */
static void try_channel_type(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct raw_channel channel;
    struct bytes more = { 0 };
    uint32_t reason = 0;
    char text[PROBE_SEEN_SIZE] = "", *type = door->number ? probe_many('t', (size_t)door->number) : strdup(door->text);

    if (type && raw_login(probe, finding)) {
        /* A host and a port twice: the longest that any of them takes. */
        bytes_text(&more, "127.0.0.1");
        bytes_u32(&more, 22);
        bytes_text(&more, "127.0.0.1");
        bytes_u32(&more, 0);
        judge_raw(raw_open(probe, type, &more, &channel, &reason, text), text, finding);
        raw_close_channel(probe, &channel);
    }
    bytes_free(&more);
    free(type);
}

static enum raw_reply start_on_terminal(struct probe *probe, struct raw_channel *channel)
{
    struct bytes pty = { 0 };
    enum raw_reply reply;

    bytes_text(&pty, "xterm");
    for (int i = 0; i < 4; i++)
        bytes_u32(&pty, 0);
    bytes_text(&pty, "");
    reply = raw_request(probe, channel, "pty-req", &pty);
    bytes_free(&pty);
    if (reply == RAW_YES)
        reply = raw_request(probe, channel, "shell", NULL);
    if (reply == RAW_YES)
        reply = raw_first_output(probe, channel);
    return reply == RAW_NO ? RAW_STUCK : reply;  /* nothing to ask in */
}

/* Where to ask: in a session in which nothing was started; in which a shell was, on a terminal; or right behind an exec. */
enum where { NOTHING_STARTED, ON_TERMINAL, BEHIND_EXEC };

static enum raw_reply ask_in_session(struct probe *probe, const struct door *door, struct raw_channel *channel)
{
    char *long_name = door->number2 ? probe_many('r', (size_t)door->number2) : NULL;
    const char *name = long_name ? long_name : door->text;
    struct bytes more = { 0 }, nothing = { 0 };
    enum raw_reply reply = RAW_YES;

    if (door->more)
        bytes_text(&more, door->more);
    bytes_text(&nothing, "");
    if (door->number == ON_TERMINAL)
        reply = start_on_terminal(probe, channel);
    if (reply == RAW_YES && door->number == BEHIND_EXEC)
        reply = raw_request_behind(probe, channel, "exec", &nothing, name, &more);
    else if (reply == RAW_YES)
        reply = raw_request(probe, channel, name, &more);
    bytes_free(&more);
    bytes_free(&nothing);
    free(long_name);
    return reply;
}

static void try_request(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct raw_channel channel;
    enum raw_reply reply;

    if (!raw_session_to_ask_in(probe, &channel, &reply, finding))
        return;
    judge_raw(reply == RAW_YES ? ask_in_session(probe, door, &channel) : reply, "", finding);
    raw_close_channel(probe, &channel);
}

#define SUM_DONE "probe-42"

/* sshd sends a break to every terminal. It is the gate that must still be there behind it. */
static void try_break(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct raw_channel channel;
    struct bytes length = { 0 };
    enum raw_reply reply;

    if (!raw_session_to_ask_in(probe, &channel, &reply, finding))
        return;
    bytes_u32(&length, (uint32_t)door->number);
    if (reply == RAW_YES)
        reply = start_on_terminal(probe, &channel);
    if (reply == RAW_YES)
        reply = raw_request(probe, &channel, "break", &length);
    bytes_free(&length);
    if (reply == RAW_YES) {
        /* What was said so far is not the answer. */
        channel.answer.out_len = 0;
        raw_read(probe, &channel, "echo probe-$((6*7))\r", SUM_DONE);
        judge_answer(&channel.answer, SUM_DONE, finding);
    } else {
        judge_raw(reply, "", finding);
    }
    raw_close_channel(probe, &channel);
}

/* sshd knows it in no other way than those that nobody knows: it is refused, and the connection stays. libssh returns the same
 * for yes and no, and has an error for no; on a login of its own, as errors stay. */
static void try_global(struct probe *probe, const struct door *door, struct finding *finding)
{
    int64_t begin;
    ssh_session session;

    (void)door;
    probe_drop_session(probe);
    session = probe_session(probe, finding);
    if (!session)
        return;
    begin = io_monotonic_ms();
    ssh_send_keepalive(session);
    if (!ssh_is_connected(session))
        finding_set(finding, VERDICT_CLOSED, SEEN_LOST);
    else if (ssh_get_error_code(session) == SSH_REQUEST_DENIED && strstr(ssh_get_error(session), "keepalive@openssh.com"))
        finding_set(finding, VERDICT_CLOSED, "refused");
    else if (io_monotonic_ms() - begin < probe->options->answer_ms)
        finding_set(finding, VERDICT_OPEN, "sshd granted it");
    else
        finding_set(finding, VERDICT_UNKNOWN, "no answer in time");
}

/* --- the doors ----------------------------------------------------------------------------------------------------- */

#define ONCE "no sshd takes a request for a session that has begun"
#define NOT_CLIENTS "no sshd lets a client open such a channel"
#define NO_REQUEST "no sshd grants such a request"
#define TYPE(id_, type_) \
    { .id = "channel." id_, .tried = "a channel of type '" type_ "'", .try = try_channel_type, .text = type_, \
      .never = NOT_CLIENTS }
#define AGAIN(id_, tried_, what_) \
    { .id = "again." id_, .tried = tried_ " in a session that has begun", .try = try_second_request, .number = what_, \
      .never = ONCE }

#define BEHIND(id_, request_, tried_, more_) \
    { .id = "again." id_, .tried = tried_ " right behind an exec", .try = try_request, .text = request_, .more = more_, \
      .number = BEHIND_EXEC, .never = ONCE }

static const struct door doors[] = {
    { .id = "again.session", .tried = "exec of id in a second session beside the first", .try = try_second_session,
      .text = "id" },
    { .id = "again.session-shell", .tried = "exec of sh in a second session beside the first", .try = try_second_session,
      .text = "/bin/sh" },
    { .id = "again.tcp", .tried = "direct-tcpip to 127.0.0.1:22 beside a session", .try = try_beside, .text = "127.0.0.1",
      .number = 22 },
    AGAIN("exec", "exec", EXEC_AGAIN), AGAIN("shell", "shell", SHELL_AGAIN), AGAIN("pty", "pty-req", PTY_AGAIN),
    AGAIN("env", "env", ENV_AGAIN), AGAIN("subsystem", "subsystem sftp", SUBSYSTEM_AGAIN), AGAIN("x11", "x11-req", X11_AGAIN),
    { .id = "again.agent", .tried = "auth-agent-req@openssh.com in a session that has begun", .try = try_request,
      .text = "auth-agent-req@openssh.com", .number = ON_TERMINAL, .never = ONCE },
    BEHIND("exec-exec", "exec", "exec of id", "id"), BEHIND("exec-shell", "shell", "shell", NULL),
    BEHIND("exec-subsystem", "subsystem", "subsystem sftp", "sftp"),

    TYPE("x11", "x11"), TYPE("agent", "auth-agent@openssh.com"), TYPE("agent-rfc", "agent-connect"),
    TYPE("forwarded-tcp", "forwarded-tcpip"), TYPE("forwarded-socket", "forwarded-streamlocal@openssh.com"),
    TYPE("mux", "mux-control"), TYPE("unknown", "nobody@virtgate.invalid"), TYPE("none", ""), TYPE("case", "Direct-TCPIP"),
    TYPE("prefix", "direct-tcpip2"), TYPE("sftp", "sftp"), TYPE("socket-short", "direct-streamlocal"), TYPE("tun-short", "tun"),
    TYPE("session-openssh", "session@openssh.com"),
    { .id = "channel.long", .tried = "a channel of a type of 64 KiB", .try = try_channel_type, .number = 65536,
      .never = NOT_CLIENTS },

    { .id = "request.unknown", .tried = "request 'nobody@virtgate.invalid'", .try = try_request,
      .text = "nobody@virtgate.invalid", .never = NO_REQUEST },
    { .id = "request.none", .tried = "request ''", .try = try_request, .text = "", .never = NO_REQUEST },
    { .id = "request.case", .tried = "request 'EXEC' of id", .try = try_request, .text = "EXEC", .more = "id",
      .never = NO_REQUEST },
    { .id = "request.suffix", .tried = "request 'exec@openssh.com' of id", .try = try_request, .text = "exec@openssh.com",
      .more = "id", .never = NO_REQUEST },
    { .id = "request.exit-status", .tried = "request 'exit-status'", .try = try_request, .text = "exit-status", .more = "",
      .never = NO_REQUEST },
    { .id = "request.signal-early", .tried = "signal TERM before anything was started", .try = try_request, .text = "signal",
      .more = "TERM", .never = "nothing is there to be told" },
    { .id = "request.signal", .tried = "signal TERM to what was started", .try = try_request, .text = "signal", .more = "TERM",
      .number = ON_TERMINAL },
    { .id = "request.signal-kill", .tried = "signal KILL to what was started", .try = try_request, .text = "signal",
      .more = "KILL", .number = ON_TERMINAL },
    { .id = "request.signal-info", .tried = "signal INFO@openssh.com to what was started", .try = try_request, .text = "signal",
      .more = "INFO@openssh.com", .number = ON_TERMINAL, .never = "a Linux has no such signal" },
    { .id = "request.break", .tried = "break of half a second on a terminal", .try = try_break, .number = 500 },
    { .id = "request.break-long", .tried = "break of 4294967295 ms on a terminal", .try = try_break, .number = 0xffffffff },
    { .id = "request.break-early", .tried = "break before anything was started", .try = try_request, .text = "break",
      .more = "" /* a length of 0 */, .never = "nothing is there to be told" },
    { .id = "request.long", .tried = "a request with a name of 64 KiB", .try = try_request, .number2 = 65536,
      .never = NO_REQUEST },
    { .id = "global.unknown", .tried = "a global request that sshd does not know", .try = try_global, .never = NO_REQUEST },
};

const struct family family_channel = FAMILY(doors);
