/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/login_of.h"
#include "broker/record.h"
#include "broker/sessions.h"
#include "broker/who.h"
#include "wire/fdpass.h"
#include "wire/job.h"
#include "wire/listing.h"
#include "wire/reply.h"

#define ACCEPTS_AT_ONCE 16

/* --- saying ------------------------------------------------------------------------------------------------------ */

static void send_reply(const struct connection *c, enum reply_kind kind, uint8_t status, const char *line)
{
    struct reply reply = { .kind = kind, .status = status };
    unsigned char wire[REPLY_WIRE_SIZE];

    text_copy(reply.line, sizeof reply.line, line);
    broker_encode_reply(&reply, wire);
    fdpass_send(c->fd, wire, sizeof wire, NULL, 0);
}

/* --- the beginning of a session ---------------------------------------------------------------------------------- */

static bool is_filter(const struct connection *c)
{
    return c->request.command.kind == COMMAND_RPC;
}

/* The guest's side of a display has ended (EPOLLHUP: both halves; a client that closed its half is no end). */
static int on_held(sd_event_source *source, int fd, uint32_t events, void *context)
{
    (void)source;
    (void)fd;
    (void)events;
    session_cut(context, EX_OK, "stream ended", "");
    return 0;
}

static void go_live(struct connection *c, const struct outcome *outcome, int held)
{
    c->state = LIVE;
    c->opened = *outcome;
    c->held = held;
    c->opened_ms = c->active_ms = io_monotonic_ms();
    c->on_time = sd_event_source_disable_unref(c->on_time);
    sd_event_source_set_priority(c->on_control, SD_EVENT_PRIORITY_NORMAL);
    c->started = true;
    /* A filter says itself how it ended; if it does not, it died (take_end_of_worker). */
    if (held >= 0 && !is_filter(c))
        sd_event_add_io(c->broker->event, &c->on_held, held, 0, on_held, c);
    record_start(c);
    sessions_set_tick(c->broker);
}

/* --- the end of a connection ------------------------------------------------------------------------------------- */

/* A socket that is closed with something unread in it says ECONNRESET to the other side, before what was said to it: one who
 * is refused before the request was read, or whose last report crosses the end of the session, would not learn why. */
static void discard_input(const struct connection *c)
{
    char byte;

    shutdown(c->fd, SHUT_RD); /* nothing more can come in between */
    while (recv(c->fd, &byte, 1, MSG_DONTWAIT) > 0)
        ;
}

static void connection_free(struct connection *c)
{
    struct broker *broker = c->broker;

    if (c->next)
        c->next->previous = c->previous;
    if (c->previous)
        c->previous->next = c->next;
    else
        broker->connections = c->next;
    broker->n_connections--;
    sd_event_source_disable_unref(c->on_fd);
    sd_event_source_disable_unref(c->on_peer);
    sd_event_source_disable_unref(c->on_time);
    sd_event_source_disable_unref(c->on_control);
    sd_event_source_disable_unref(c->on_held);
    discard_input(c);
    fd_close(&c->fd);
    fd_close(&c->peer.pidfd);
    fd_close(&c->held);
    worker_dismiss(&c->worker);
    identity_free(c->identity);
    free(c->view);
    free(c);
    sessions_set_tick(broker);
}

/* Writes the end if a start was written. */
static void connection_finish(struct connection *c)
{
    if (c->started)
        record_end(c);
    connection_free(c);
}

static int on_ending_timeout(sd_event_source *source, uint64_t usec, void *context)
{
    (void)source;
    (void)usec;
    connection_finish(context);
    return 0;
}

void connection_end(struct connection *c, const char *reason)
{
    if (c->state == ENDING)
        return;
    if (!c->end_reason)
        c->end_reason = reason;
    if (!c->started) {
        /* What NSS is still asked about finds that nobody wants it (serve_identities). */
        connection_free(c);
        return;
    }
    c->state = ENDING;
    /* shutdown() reaches every copy of the stream, whoever holds one. */
    if (c->held >= 0)
        shutdown(c->held, SHUT_RDWR);
    else
        shutdown(c->worker.control, SHUT_WR);
    c->on_held = sd_event_source_disable_unref(c->on_held);
    c->on_time = sd_event_source_disable_unref(c->on_time);
    if (sd_event_add_time_relative(c->broker->event, &c->on_time, CLOCK_MONOTONIC, BROKER_ENDING_USEC, 0,
                                   on_ending_timeout, c) < 0)
        connection_finish(c);
}

/* What a session process may say, and when. A filter's connection has no right of its own; nothing else is without. */
static bool is_due(const struct connection *c, const struct outcome *outcome)
{
    bool filter = is_filter(c);

    switch (outcome->kind) {
    case OUTCOME_REFUSED:
        return c->state == WANT_OUTCOME || (filter && c->started);
    case OUTCOME_ANSWERED:
        return c->state == WANT_OUTCOME && !filter;
    case OUTCOME_OPENED:
        return c->state == WANT_OUTCOME && filter == !outcome->right;
    case OUTCOME_ENDED:
        return c->state != WANT_OUTCOME;
    case OUTCOME_CALLED:
        return filter && c->started;
    }
    return false;
}

/* The client is gone, or is given up, while its stream is being opened. It may have the stream already and have handed it
 * on, and what the session process has said of it lies unread: with the only other copy, by which it is cut. Whatever that
 * process says from here on reaches nobody. */
static void take_late_outcome(struct connection *c)
{
    struct outcome outcome;
    size_t n_fds = 0;
    int held;

    shutdown(c->fd, SHUT_RDWR);
    if (fdpass_recv(c->worker.control, &outcome, sizeof outcome, &held, 1, &n_fds) < 0)
        return;
    bool sound = broker_check_outcome(&outcome, (unsigned)n_fds) == 0;
    if (sound && outcome.kind == OUTCOME_OPENED && is_due(c, &outcome)) {
        go_live(c, &outcome, held);
        return;
    }
    fd_close(&held);
    if (sound && outcome.kind == OUTCOME_REFUSED) {
        record_refusal(c, &outcome);
        c->state = ENDING;
    }
}

/* The client has closed its connection, or its process is gone. */
static void take_end_of_client(struct connection *c)
{
    if (c->state == WANT_OUTCOME)
        take_late_outcome(c);
    c->on_fd = sd_event_source_disable_unref(c->on_fd);
    c->on_peer = sd_event_source_disable_unref(c->on_peer);
    if (!c->end_reason)
        c->end_reason = "client ended";
    if (c->started && (c->held < 0 || is_filter(c))) {
        connection_end(c, c->end_reason); /* the process of a stream of libvirt's has the last word: it takes its leave there */
        return;
    }
    /* libvirtd may keep a console for good whose client breaks off while it is being opened, and nobody else gets it then. So
     * it is opened first, and ended then (on_control); on_time still runs. */
    if (c->state == WANT_OUTCOME && c->request.command.kind == COMMAND_CONSOLE)
        return;
    if (c->held >= 0)
        shutdown(c->held, SHUT_RDWR);
    connection_finish(c);
}

void connections_drop(struct broker *broker)
{
    while (broker->connections) {
        struct connection *c = broker->connections;
        if (c->state == WANT_OUTCOME)
            take_late_outcome(c);
        if (c->started) {
            if (!c->end_reason)
                c->end_reason = "virtgated stops";
            send_reply(c, REPLY_END, EX_UNAVAILABLE, "the gate on this host is being stopped");
            if (c->held >= 0)
                shutdown(c->held, SHUT_RDWR);
        }
        connection_finish(c);
    }
}

/* --- refusing ---------------------------------------------------------------------------------------------------- */

/* Says no to the user, writes it to the log, and ends the connection. line NULL: the user has the answer already, or
 * knows it. */
static void refuse(struct connection *c, uint8_t status, const char *reason, const char *line)
{
    struct outcome outcome = { .kind = OUTCOME_REFUSED, .status = status };

    text_copy(outcome.reason, sizeof outcome.reason, reason);
    record_refusal(c, &outcome);
    if (line)
        send_reply(c, REPLY_REFUSED, status, line);
    connection_free(c);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *context)
{
    struct connection *c = context;

    (void)source;
    (void)usec;
    switch (c->state) {
    case WANT_REQUEST:
        refuse(c, EX_PROTOCOL, "no request in time", "no request came in time");
        break;
    case WANT_IDENTITY:
        refuse(c, EX_TEMPFAIL, "NSS did not answer in time", "this host cannot look up your account now; try again");
        break;
    case WANT_OUTCOME:
        send_reply(c, REPLY_REFUSED, EX_UNAVAILABLE, "libvirtd on this host does not answer; try again later");
        c->end_reason = "libvirtd did not answer in time";
        take_late_outcome(c);
        if (c->started)
            take_end_of_client(c);
        else if (c->state == ENDING)
            connection_free(c);
        else
            refuse(c, EX_UNAVAILABLE, c->end_reason, NULL);
        break;
    case LIVE:
    case ENDING:
        break;
    }
    return 0;
}

static int set_timeout(struct connection *c, uint64_t usec)
{
    c->on_time = sd_event_source_disable_unref(c->on_time);
    return sd_event_add_time_relative(c->broker->event, &c->on_time, CLOCK_MONOTONIC, usec, 0, on_timeout, c);
}

/* --- while it runs ----------------------------------------------------------------------------------------------- */

/* Byte counts are claims: good for the log and for idle, which a liar can only stretch for a session that is theirs. */
static void take_report(struct connection *c)
{
    unsigned char wire[REPORT_WIRE_SIZE];
    struct report report;
    int r = fdpass_recv(c->fd, wire, sizeof wire, NULL, 0, NULL);

    if (r == -EAGAIN)
        return;
    if (r == -ECONNRESET) {
        take_end_of_client(c);
        return;
    }
    if (r < 0 || broker_decode_report(wire, &report) < 0) {
        session_cut(c, EX_PROTOCOL, "protocol broken by the client", "the gate did not understand this client");
        return;
    }
    c->bytes = report;
    c->active_ms = io_monotonic_ms();
}

struct ended {
    uint8_t status;
    const char *reason, *line;
};

/* The reasons are constants of ours, chosen by the status: c->end_reason outlives the message. */
static const struct ended *how_it_ended(const struct connection *c, const struct outcome *outcome)
{
    static const struct ended over = { EX_OK, "stream ended", "" }, filter[] = {
        { EX_OK, "client ended", "" },
        { EX_UNAVAILABLE, "libvirtd ended the connection", "libvirtd on this host ended the connection; try again" },
        { EX_PROTOCOL, "protocol broken by the client", "the gate did not understand this client" },
        { EX_SOFTWARE, "protocol broken by libvirtd", "something went wrong on this host; its log says more" },
        { EX_OSERR, "the filter could not run", "something went wrong on this host; its log says more" },
    };

    if (is_filter(c))
        for (size_t i = 0; i < sizeof filter / sizeof filter[0]; i++)
            if (filter[i].status == outcome->status)
                return &filter[i];
    return &over;
}

static void take_ended(struct connection *c, const struct outcome *outcome)
{
    const struct ended *how = how_it_ended(c, outcome);

    if (c->state == LIVE)
        send_reply(c, REPLY_END, how->status, how->line);
    c->bytes = (struct report){ outcome->to_user, outcome->from_user };
    if (!c->end_reason)
        c->end_reason = how->reason;
    connection_finish(c);
}

/* The session process has closed its end. */
static void take_end_of_worker(struct connection *c)
{
    c->on_control = sd_event_source_disable_unref(c->on_control);
    if (c->state == WANT_OUTCOME)
        refuse(c, EX_SOFTWARE, "the session process ended without an answer",
               "something went wrong on this host; its log says more");
    else if (c->held >= 0 && !is_filter(c))
        worker_dismiss(&c->worker); /* a display needs it no more */
    else {
        if (!c->end_reason)
            c->end_reason = is_filter(c) ? "the filter died" : "the session process died";
        if (c->state == LIVE)
            send_reply(c, REPLY_END, EX_SOFTWARE, "something went wrong on this host; its log says more");
        connection_finish(c);
    }
}

static int on_control(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct connection *c = context;
    struct outcome outcome;
    size_t n_fds = 0;
    int held;
    int r = fdpass_recv(fd, &outcome, sizeof outcome, &held, 1, &n_fds);

    (void)source;
    (void)events;
    if (r == -EAGAIN)
        return 0;
    if (r < 0 || broker_check_outcome(&outcome, (unsigned)n_fds) < 0 || !is_due(c, &outcome)) {
        if (r == 0)
            fd_close(&held);
        take_end_of_worker(c);
        return 0;
    }
    switch (outcome.kind) {
    case OUTCOME_CALLED:
        record_call(c, &outcome);
        break;
    case OUTCOME_REFUSED:
        record_refusal(c, &outcome);
        if (c->started)
            break; /* one call of many */
        __attribute__((fallthrough));
    case OUTCOME_ANSWERED:
        /* It still has to answer the user: its end, not this, ends the connection. */
        c->state = ENDING;
        break;
    case OUTCOME_OPENED:
        go_live(c, &outcome, held);
        if (c->end_reason)
            connection_end(c, c->end_reason); /* the client has gone meanwhile */
        break;
    case OUTCOME_ENDED:
        take_ended(c, &outcome);
        break;
    }
    return 0;
}

/* --- from identity to a session process -------------------------------------------------------------------------- */

static int view_file(const struct connection *c, int *ret_fd)
{
    FD_AUTO fd = memfd_create("virtgate-view", MFD_CLOEXEC);
    int r = fd < 0 ? -errno : io_write_all(fd, c->view, c->view_len);

    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r < 0)
        return r;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int start_job(struct connection *c, const struct subject *subject)
{
    const struct settings *settings = policy_settings(c->broker->policy);
    struct job job = { .uid = c->peer.uid, .command = c->request.command };
    bool filter = is_filter(c);
    FD_AUTO view = -1;
    int r;

    text_copy(job.user, sizeof job.user, c->identity->account.name);
    text_copy(job.uri, sizeof job.uri, settings->uri);
    r = policy_view_encode(c->broker->policy, subject, &c->view, &c->view_len);
    if (r == 0)
        r = view_file(c, &view);
    if (r == 0)
        r = workers_take(filter ? c->broker->filters : c->broker->workers, &c->worker);
    if (r < 0)
        return r;
    int fds[JOB_FDS] = { [JOB_FD_CLIENT] = c->fd, [JOB_FD_VIEW] = view };
    r = fdpass_send(c->worker.control, &job, sizeof job, fds, JOB_FDS);
    if (r == 0)
        r = sd_event_add_io(c->broker->event, &c->on_control, c->worker.control, EPOLLIN, on_control, c);
    /* Of a stream it says that it is open before the client has it: what the client says of it must not come first. From then
     * on (go_live) it is one of many: a filter whose client floods it would keep the broker from all others. */
    if (r >= 0)
        r = sd_event_source_set_priority(c->on_control, SD_EVENT_PRIORITY_IMPORTANT);
    if (r >= 0)
        r = set_timeout(c, BROKER_ANSWER_USEC);
    if (!filter) {
        free(c->view);
        c->view = NULL;
    }
    return r < 0 ? r : 0;
}

/* False when no rule can allow what is asked for: then libvirtd is not troubled (attack D23). */
static bool may_be_allowed(const struct connection *c, const struct subject *subject)
{
    const struct command *command = &c->request.command;
    const struct policy *policy = c->broker->policy;
    const char *name = command->target == BY_NAME ? command->vm : NULL;

    switch (command->kind) {
    case COMMAND_DISPLAY:
        return policy_may_allow(policy, subject, name, RIGHT_DISPLAY);
    case COMMAND_CONSOLE:
        return policy_may_allow(policy, subject, name, RIGHT_SERIAL);
    case COMMAND_INFO:
    case COMMAND_LIST:
    case COMMAND_RPC:
        return policy_may_allow_any(policy, subject, name);
    case COMMAND_HELP:
    case COMMAND_VERSION:
        break;
    }
    return true;
}

/* r: what became of making fd, which is the caller's. */
static void answer_listing(struct connection *c, int r, int fd)
{
    struct reply reply = { .kind = REPLY_LISTING };
    unsigned char wire[REPLY_WIRE_SIZE];

    if (r < 0) {
        refuse(c, EX_OSERR, "the listing cannot be made", "the listing cannot be made");
        return;
    }
    broker_encode_reply(&reply, wire);
    fdpass_send(c->fd, wire, sizeof wire, &fd, 1);
    connection_free(c);
}

/* A list of nothing is an answer, not a refusal; it takes no session process to make one. */
static void answer_empty_list(struct connection *c)
{
    FD_AUTO fd = -1;
    int r = session_seal_listing("", 0, &fd);

    answer_listing(c, r, fd);
}

/* The verdict of a request that no rule can allow, for the log. */
static void refuse_unasked(struct connection *c, const struct subject *subject)
{
    const struct command *command = &c->request.command;
    enum right right = command->kind == COMMAND_CONSOLE ? RIGHT_SERIAL : RIGHT_DISPLAY;
    struct vm vm = { .name = command->target == BY_NAME ? command->vm : "", .uuid = NULL };
    struct outcome outcome = { .kind = OUTCOME_REFUSED, .status = EX_NOPERM, .right = right };
    char line[REPLY_LINE_SIZE], shown[COMMAND_TARGET_SIZE];
    struct verdict verdict;

    policy_decide(c->broker->policy, subject, &vm, right, &verdict);
    if (verdict.file)
        snprintf(outcome.rule, sizeof outcome.rule, "%s:%u", verdict.file, verdict.line);
    text_copy(outcome.reason, sizeof outcome.reason, vm.name[0] ? verdict.text : "no rule grants it on any VM");
    record_refusal(c, &outcome);

    command_show_target(command, shown);
    snprintf(line, sizeof line, "no console for you on '%s'", shown);
    send_reply(c, REPLY_REFUSED, EX_NOPERM, line);
    connection_free(c);
}

/* Whoever could connect was in the gate's group at login. An account that NSS does not find in it now has left it, or NSS
 * does not find groups: then a group's deny would not be found either. */
static bool check_gate_group(struct connection *c)
{
    if (identity_is_in(c->identity, VG_GATE_GROUP))
        return true;
    refuse(c, EX_NOPERM, "not in group " VG_GATE_GROUP " now",
           "this account is not in group " VG_GATE_GROUP ", whose members may ask the gate");
    return false;
}

/* Who was confined from the start could open nothing beside the gate. A line of PAM that is skipped, another sshd, cron: none
 * of them leaves a record that says so. */
static bool check_confined(struct connection *c)
{
    if (is_confined_enough(c))
        return true;
    refuse(c, EX_NOPERM, c->has_login ? "the login is not confined" : "not of a login that PAM has recorded",
           "this host serves only logins that its PAM module has confined, and this one is not");
    return false;
}

static void serve_command(struct connection *c)
{
    const struct command *command = &c->request.command;
    const struct settings *settings = policy_settings(c->broker->policy);
    bool session = command->kind == COMMAND_DISPLAY || command->kind == COMMAND_CONSOLE || command->kind == COMMAND_RPC;
    struct subject subject;
    char line[REPLY_LINE_SIZE];

    if (!check_gate_group(c) || !check_confined(c))
        return;
    if (subject_of(c, &subject) < 0) {
        refuse(c, EX_OSERR, "the time is not known", "something went wrong on this host; its log says more");
        return;
    }
    if (command->kind == COMMAND_RPC && !may_be_allowed(c, &subject)) {
        refuse(c, EX_NOPERM, "no rule grants anything", "there is no virtual machine for you on this host");
        return;
    }
    if (!may_be_allowed(c, &subject)) {
        if (command->kind == COMMAND_LIST)
            answer_empty_list(c);
        else
            refuse_unasked(c, &subject);
        return;
    }
    if (session && sessions_of(c->broker, c->peer.uid) >= settings->max_sessions) {
        snprintf(line, sizeof line, "you have %u sessions open, which is the limit; close one and try again",
                 settings->max_sessions);
        refuse(c, EX_TEMPFAIL, "max-sessions", line);
        return;
    }
    c->state = WANT_OUTCOME;
    int r = start_job(c, &subject);
    if (r < 0) {
        log_say(LOG_ERR, "no session process: %s", strerror(-r));
        refuse(c, EX_OSERR, "no session process", "something went wrong on this host; its log says more");
    }
}

static void serve_reload(struct connection *c)
{
    char why[VERDICT_TEXT_SIZE];

    if (c->peer.uid != 0) {
        refuse(c, EX_NOPERM, "reload asked for by another than root", "only root may reload the ACL");
        return;
    }
    if (broker_reload(c->broker, why) < 0)
        send_reply(c, REPLY_REFUSED, EX_CONFIG, why);
    else
        send_reply(c, REPLY_DONE, EX_OK, "");
    connection_free(c);
}

static void serve_who(struct connection *c)
{
    FD_AUTO fd = -1;

    if (c->peer.uid != 0) {
        refuse(c, EX_NOPERM, "who asked for by another than root", "only root may see all sessions");
        return;
    }
    int r = who_list(c->broker, &fd);
    answer_listing(c, r, fd);
}

static struct connection *live_session(const struct broker *broker, const char *id)
{
    struct connection *c = broker->connections;

    while (c && (c->state != LIVE || strcmp(c->id, id) != 0))
        c = c->next;
    return c;
}

static void serve_kick(struct connection *c)
{
    if (c->peer.uid != 0) {
        refuse(c, EX_NOPERM, "kick asked for by another than root", "only root may end sessions");
        return;
    }
    struct connection *found = live_session(c->broker, c->request.why);
    if (found)
        session_cut(found, EX_NOPERM, "kicked", "an administrator has ended this session");
    send_reply(c, found ? REPLY_DONE : REPLY_REFUSED, found ? EX_OK : EX_UNAVAILABLE, found ? "" : "no session of this id runs");
    connection_free(c);
}

static void serve_request(struct connection *c)
{
    switch (c->request.kind) {
    case REQUEST_COMMAND:
        serve_command(c);
        break;
    case REQUEST_REFUSED:
        refuse(c, EX_USAGE, c->request.why, "");
        break;
    case REQUEST_RELOAD:
        serve_reload(c);
        break;
    case REQUEST_WHO:
        serve_who(c);
        break;
    case REQUEST_KICK:
        serve_kick(c);
        break;
    }
}

int serve_identities(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct broker *broker = context;
    struct identity *identity;

    (void)source;
    (void)fd;
    (void)events;
    while ((identity = identity_next())) {
        struct connection *c = broker->connections;
        /* By the question's number, not by its address: the connection may have ended, and its place be another's. */
        while (c && (c->state != WANT_IDENTITY || c->identity_number != (uintptr_t)identity->context))
            c = c->next;
        if (!c) {
            identity_free(identity);
            continue;
        }
        c->identity = identity;
        if (identity->error < 0) {
            log_say(LOG_WARNING, "uid %lu cannot be looked up: %s", (unsigned long)identity->uid,
                    strerror(-identity->error));
            refuse(c, identity->error == -ENOENT ? EX_NOPERM : EX_TEMPFAIL, "the account cannot be looked up",
                   "this host cannot look up your account now; try again");
            continue;
        }
        serve_request(c);
    }
    return 0;
}

/* --- from accept to a request ------------------------------------------------------------------------------------ */

static void take_request(struct connection *c)
{
    unsigned char wire[REQUEST_WIRE_SIZE];
    int r = fdpass_recv(c->fd, wire, sizeof wire, NULL, 0, NULL);

    if (r == -EAGAIN)
        return;
    if (r == -ECONNRESET) {
        connection_end(c, "");
        return;
    }
    if (r < 0 || broker_decode_request(wire, &c->request) < 0) {
        refuse(c, EX_PROTOCOL, "not a request of virtgate-shell", "the gate did not understand this client");
        return;
    }
    c->has_login = login_of_peer(&c->peer, &c->login) == 0;
    c->state = WANT_IDENTITY;
    c->identity_number = ++c->broker->identity_numbers;
    r = identity_ask(c->peer.uid, (void *)c->identity_number);
    if (r == 0)
        r = set_timeout(c, BROKER_ANSWER_USEC);
    if (r < 0)
        refuse(c, EX_TEMPFAIL, "too many accounts are being looked up", "this host is busy; try again");
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct connection *c = context;
    char byte;

    (void)source;
    (void)events;
    switch (c->state) {
    case WANT_REQUEST:
        take_request(c);
        break;
    case LIVE:
    case ENDING:
        take_report(c);
        break;
    case WANT_IDENTITY:
    case WANT_OUTCOME:
        /* Nothing is due from the client now but its end. */
        if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
            break;
        take_end_of_client(c);
        break;
    }
    return 0;
}

/* The process that asked has ended: whoever it gave its connection or its stream to has no session here. */
static int on_peer(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct connection *c = context;

    (void)source;
    (void)fd;
    (void)events;
    if (c->started) {
        /* Its last words may be waiting. */
        unsigned char wire[REPORT_WIRE_SIZE];
        struct report report;
        while (fdpass_recv(c->fd, wire, sizeof wire, NULL, 0, NULL) == 0)
            if (broker_decode_report(wire, &report) == 0)
                c->bytes = report;
    }
    take_end_of_client(c);
    return 0;
}

static void make_id(char id[static 17])
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)io_monotonic_ms();
    snprintf(id, 17, "%016" PRIx64, random);
}

/* Takes ownership of fd. */
static void serve(struct broker *broker, int fd)
{
    struct connection *c = calloc(1, sizeof *c);
    const struct settings *settings = policy_settings(broker->policy);

    if (!c || peer_of(fd, &c->peer) < 0 || c->peer.gone) {
        free(c);
        fd_close(&fd);
        return;
    }
    c->broker = broker;
    c->fd = fd;
    c->held = -1;
    c->worker.control = -1;
    make_id(c->id);
    unsigned others = connections_of(broker, c->peer.uid);
    c->next = broker->connections;
    if (c->next)
        c->next->previous = c;
    broker->connections = c;
    broker->n_connections++;

    if (broker->n_connections > broker->connections_max) {
        refuse(c, EX_TEMPFAIL, "too many connections", "this host is busy; try again");
        return;
    }
    if (others >= settings->max_sessions + BROKER_CONNECTIONS_BESIDE) {
        refuse(c, EX_TEMPFAIL, "too many connections of one account", "you have too many connections open; try again");
        return;
    }
    if (sd_event_add_io(broker->event, &c->on_fd, fd, EPOLLIN, on_client, c) < 0 ||
        (c->peer.pidfd >= 0 &&
         sd_event_add_io(broker->event, &c->on_peer, c->peer.pidfd, EPOLLIN, on_peer, c) < 0) ||
        set_timeout(c, BROKER_REQUEST_USEC) < 0)
        refuse(c, EX_OSERR, "no event source", "something went wrong on this host; its log says more");
}

int serve_accept(sd_event_source *source, int listener, uint32_t events, void *context)
{
    (void)source;
    (void)events;
    /* Some at a time: who connects without end must not keep those waiting who are connected. */
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            break; /* EAGAIN: that was all. EMFILE and its like: those who wait will be taken when there is room. */
        serve(context, fd);
    }
    return 0;
}
