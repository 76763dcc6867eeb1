/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The protocol itself: a second session, second requests in a session, channels and requests that nobody knows. */
#include <string.h>

#include <libssh/server.h>

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

static void try_second_session(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    ssh_channel first = probe_channel(probe, &answer), second;

    (void)door;
    if (!first) {
        judge_answer(&answer, NULL, finding);
        return;
    }
    second = ssh_channel_new(probe->session);
    if (second) {
        judge_second(probe, ssh_channel_open_session(second), finding);
        ssh_channel_free(second);
    }
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

/* While the gate's prompt waits for a line: it lives as long as the terminal does. */
static void try_second_request(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    ssh_channel channel = probe_channel(probe, &answer);

    if (channel && (!probe_granted(probe, ssh_channel_request_pty(channel), &answer)
                    || !probe_granted(probe, ssh_channel_request_shell(channel), &answer))) {
        finding_set(finding, VERDICT_UNKNOWN, "no session was started to ask in");
    } else if (channel) {
        judge_second(probe, ask_again(channel, (enum again)door->number), finding);
    } else {
        judge_answer(&answer, NULL, finding);
    }
    if (channel)
        ssh_channel_free(channel);
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

/* A type of channel that only the host may open, or that nobody knows. */
static void try_channel_type(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct raw_channel channel;
    struct bytes more = { 0 };
    uint32_t reason = 0;
    char text[PROBE_SEEN_SIZE] = "";

    if (!raw_login(probe, finding))
        return;
    /* A host and a port twice: the longest that any of them takes. */
    bytes_text(&more, "127.0.0.1");
    bytes_u32(&more, 22);
    bytes_text(&more, "127.0.0.1");
    bytes_u32(&more, 0);
    judge_raw(raw_open(probe, door->text, &more, &channel, &reason, text), text, finding);
    raw_close_channel(probe, &channel);
    bytes_free(&more);
}

/* In a session in which nothing was started, or (door->number) a shell was, on a terminal. */
static enum raw_reply ask_in_session(struct probe *probe, const struct door *door, struct raw_channel *channel)
{
    struct bytes pty = { 0 }, more = { 0 };
    enum raw_reply reply = RAW_YES;

    bytes_text(&pty, "xterm");
    for (int i = 0; i < 4; i++)
        bytes_u32(&pty, 0);
    bytes_text(&pty, "");
    if (door->more)
        bytes_text(&more, door->more);
    if (door->number && (reply = raw_request(probe, channel, "pty-req", &pty)) == RAW_YES)
        reply = raw_request(probe, channel, "shell", NULL);
    if (reply == RAW_NO)
        reply = RAW_STUCK;  /* nothing to ask in */
    if (reply == RAW_YES && door->number)
        reply = raw_first_output(probe, channel);
    if (reply == RAW_YES)
        reply = raw_request(probe, channel, door->text, &more);
    bytes_free(&pty);
    bytes_free(&more);
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

/* sshd knows it in no other way than those that nobody knows: it is refused, and the connection stays. */
static void try_global(struct probe *probe, const struct door *door, struct finding *finding)
{
    ssh_session session = probe_session(probe, finding);

    (void)door;
    if (!session)
        return;
    ssh_send_keepalive(session);
    if (!ssh_is_connected(session))
        finding_set(finding, VERDICT_CLOSED, SEEN_LOST);
    else if (ssh_get_error_code(session) == SSH_REQUEST_DENIED && strstr(ssh_get_error(session), "keepalive@openssh.com"))
        finding_set(finding, VERDICT_CLOSED, "refused");
    else
        finding_set(finding, VERDICT_UNKNOWN, "libssh does not tell what came of it");
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

static const struct door doors[] = {
    { .id = "again.session", .tried = "a second session beside the first", .try = try_second_session },
    AGAIN("exec", "exec", EXEC_AGAIN), AGAIN("shell", "shell", SHELL_AGAIN), AGAIN("pty", "pty-req", PTY_AGAIN),
    AGAIN("env", "env", ENV_AGAIN), AGAIN("subsystem", "subsystem sftp", SUBSYSTEM_AGAIN), AGAIN("x11", "x11-req", X11_AGAIN),
    { .id = "again.agent", .tried = "auth-agent-req@openssh.com in a session that has begun", .try = try_request,
      .text = "auth-agent-req@openssh.com", .number = 1, .never = ONCE },

    TYPE("x11", "x11"), TYPE("agent", "auth-agent@openssh.com"), TYPE("agent-rfc", "agent-connect"),
    TYPE("forwarded-tcp", "forwarded-tcpip"), TYPE("forwarded-socket", "forwarded-streamlocal@openssh.com"),
    TYPE("mux", "mux-control"), TYPE("unknown", "nobody@virtgate.invalid"), TYPE("none", ""), TYPE("case", "Direct-TCPIP"),
    TYPE("prefix", "direct-tcpip2"),

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
      .number = 1 },
    { .id = "request.signal-kill", .tried = "signal KILL to what was started", .try = try_request, .text = "signal",
      .more = "KILL", .number = 1 },
    { .id = "global.unknown", .tried = "a global request that sshd does not know", .try = try_global, .never = NO_REQUEST },
};

const struct family family_channel = FAMILY(doors);
