/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>

#include "base/io.h"
#include "base/text.h"
#include "broker/serve.h"
#include "wire/fdpass.h"
#include "wire/reply.h"

unsigned connections_of(const struct broker *broker, uid_t uid)
{
    unsigned n = 0;

    for (const struct connection *c = broker->connections; c; c = c->next)
        n += c->peer.uid == uid;
    return n;
}

static bool is_session(const struct connection *connection)
{
    if (connection->state == WANT_OUTCOME)
        return connection->request.command.kind == COMMAND_DISPLAY ||
               connection->request.command.kind == COMMAND_CONSOLE || connection->request.command.kind == COMMAND_RPC;
    return connection->state == LIVE || connection->state == ENDING;
}

unsigned sessions_of(const struct broker *broker, uid_t uid)
{
    unsigned n = 0;

    for (const struct connection *c = broker->connections; c; c = c->next)
        n += c->peer.uid == uid && is_session(c);
    return n;
}

int subject_of(const struct connection *connection, struct subject *ret)
{
    const struct account *account = &connection->identity->account;
    struct subject subject = {
        .uid = connection->peer.uid,
        .user = account->name,
        .groups = (const char *const *)account->group,
        .n_groups = account->n_groups,
        .address.family = AF_UNSPEC,
    };
    int r = moment_at(time(NULL), &subject.now);

    if (connection->has_login)
        subject.address = connection->login.address;
    if (r == 0)
        *ret = subject;
    return r;
}

bool is_confined_enough(const struct connection *connection)
{
    return !policy_settings(connection->broker->policy)->confined || (connection->has_login && connection->login.confined);
}

void session_cut(struct connection *connection, uint8_t status, const char *reason, const char *line)
{
    struct reply end = { .kind = REPLY_END, .status = status };
    unsigned char wire[REPLY_WIRE_SIZE];

    text_copy(end.line, sizeof end.line, line);
    broker_encode_reply(&end, wire);
    fdpass_send(connection->fd, wire, sizeof wire, NULL, 0); /* a user who does not read learns it from the stream */
    connection_end(connection, reason);
}

/* A filter decides by the view that it was given. When the rules, or what the hour makes of them, come to another view for
 * this user, the connection has to be made anew. */
static bool view_is_the_same(const struct connection *connection, const struct subject *subject)
{
    void *view;
    size_t len;

    if (policy_view_encode(connection->broker->policy, subject, &view, &len) < 0)
        return false;
    bool same = len == connection->view_len && memcmp(view, connection->view, len) == 0;
    free(view);
    return same;
}

/* NULL: it may go on. Otherwise the reason for the log, with the line for the user. */
static const char *why_over(const struct connection *connection, int64_t now_ms, const char **ret_line)
{
    const struct settings *settings = policy_settings(connection->broker->policy);
    struct vm vm = { .name = connection->opened.vm, .uuid = &connection->opened.uuid };
    struct subject subject;
    struct verdict verdict;

    if (settings->max_time && now_ms - connection->opened_ms >= settings->max_time * 1000) {
        *ret_line = "the session has reached its time limit";
        return "max-time";
    }
    if (settings->idle && now_ms - connection->active_ms >= settings->idle * 1000) {
        *ret_line = "the session was idle for too long";
        return "idle";
    }
    if (!is_confined_enough(connection)) {
        *ret_line = "this host now serves only logins that its PAM module has confined";
        return "the login is not confined";
    }
    *ret_line = connection->request.command.kind == COMMAND_RPC ? "what you may use here has changed; connect again"
                                                                : "your access to this console has ended";
    if (subject_of(connection, &subject) < 0)
        return "the time is not known";
    if (connection->request.command.kind == COMMAND_RPC)
        return view_is_the_same(connection, &subject) ? NULL : "grants changed";
    if (policy_decide(connection->broker->policy, &subject, &vm, (enum right)connection->opened.right, &verdict))
        return NULL;
    switch (verdict.reason) {
    case VERDICT_HOURS:
        return "outside hours";
    case VERDICT_EXPIRED:
        return "grant expired";
    case VERDICT_DENIED:
        return "denied";
    case VERDICT_GRANTED:
    case VERDICT_NO_RULE:
    case VERDICT_ADDRESS_UNKNOWN:
    case VERDICT_ADDRESS:
    default:
        return "revoked";
    }
}

void sessions_look(struct broker *broker)
{
    int64_t now_ms = io_monotonic_ms();
    const char *line;

    for (struct connection *c = broker->connections, *next; c; c = next) {
        next = c->next; /* cutting takes c out of the list */
        if (c->state != LIVE)
            continue;
        const char *reason = why_over(c, now_ms, &line);
        if (reason)
            session_cut(c, EX_NOPERM, reason, line);
    }
}

static int on_tick(sd_event_source *source, uint64_t usec, void *context)
{
    struct broker *broker = context;

    (void)source;
    (void)usec;
    broker->tick = sd_event_source_disable_unref(broker->tick);
    sessions_look(broker);
    sessions_set_tick(broker);
    return 0;
}

void sessions_set_tick(struct broker *broker)
{
    bool any = false;

    for (const struct connection *c = broker->connections; c && !any; c = c->next)
        any = c->state == LIVE;
    if (!any)
        broker->tick = sd_event_source_disable_unref(broker->tick);
    else if (!broker->tick)
        sd_event_add_time_relative(broker->event, &broker->tick, CLOCK_MONOTONIC, BROKER_TICK_USEC,
                                   BROKER_TICK_USEC / 4, on_tick, broker);
}
