/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/rpc_run.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "confine/confine.h"
#include "rpc/rpc_loop.h"
#include "rpc/rpc_upstream.h"
#include "rpc/rpc_xml.h"
#include "wire/fdpass.h"
#include "wire/job.h"
#include "wire/outcome.h"
#include "wire/reply.h"

#define LAST_WORD_MS 2000

struct rpc {
    int control;            /* to the broker */
    int client;             /* to virtgate-shell, until it has its stream */
    int stream;             /* this end of that */
    int upstream;
    uint32_t serial;
    bool readonly;
    struct job job;
    struct policy *view;
};

/* --- saying ------------------------------------------------------------------------------------------------------ */

static int tell_broker(const struct rpc *rpc, const struct outcome *outcome, int fd)
{
    return fdpass_send(rpc->control, outcome, sizeof *outcome, &fd, fd >= 0);
}

static int reply_to_client(const struct rpc *rpc, enum reply_kind kind, uint8_t status, const char *line, int fd)
{
    struct reply reply = { .kind = kind, .status = status };
    unsigned char wire[REPLY_WIRE_SIZE];

    text_copy(reply.line, sizeof reply.line, line);
    broker_encode_reply(&reply, wire);
    return fdpass_send(rpc->client, wire, sizeof wire, &fd, fd >= 0);
}

static void refuse(const struct rpc *rpc, uint8_t status, const char *reason, const char *line)
{
    struct outcome outcome = { .kind = OUTCOME_REFUSED, .status = status };

    text_escape(outcome.reason, sizeof outcome.reason, reason, strlen(reason));
    tell_broker(rpc, &outcome, -1);
    reply_to_client(rpc, REPLY_REFUSED, status, line, -1);
}

/* A call that was refused, or that a right was used for, to the log. When the broker is behind, it goes without: the
 * client's calls do not wait for the log, and a flood of refusals is cut short there anyway. */
static void on_note(void *context, const struct rpc_note *note)
{
    const struct rpc *rpc = context;
    struct outcome outcome = { .kind = note->kind == RPC_DONE ? OUTCOME_CALLED : OUTCOME_REFUSED, .right = note->right };
    char text[VERDICT_TEXT_SIZE];

    if (note->kind == RPC_REFUSED)
        outcome.status = EX_NOPERM;
    if (note->vm[0] && text_copy(outcome.vm, sizeof outcome.vm, note->vm) == 0) {
        outcome.uuid = *note->uuid;
        outcome.has_uuid = 1;
    }
    snprintf(text, sizeof text, "%s%s%.150s", note->procedure, note->reason[0] ? ": " : "", note->reason);
    text_escape(outcome.reason, sizeof outcome.reason, text, strlen(text));
    tell_broker(rpc, &outcome, -1);
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static bool may(const struct rpc *rpc, enum right right)
{
    struct subject subject = { .uid = rpc->job.uid, .user = rpc->job.user };

    return policy_may_allow(rpc->view, &subject, NULL, right);
}

/* Calls that write need one of these rights; who has none of them, and who asked for no more, gets libvirtd's read-only
 * socket: a second lock. */
static bool is_readonly(const struct rpc *rpc)
{
    return rpc->job.command.readonly || !(may(rpc, RIGHT_DISPLAY) || may(rpc, RIGHT_SERIAL) || may(rpc, RIGHT_POWER));
}

static int open_upstream(struct rpc *rpc)
{
    const struct command *command = &rpc->job.command;
    char why[RPC_WHY_SIZE], line[REPLY_LINE_SIZE];

    if (command->kind != COMMAND_RPC) {
        refuse(rpc, EX_SOFTWARE, "not for the filter", "something went wrong on this host; its log says more");
        return -EPROTO;
    }
    if (!rpc_upstream_is_offered(rpc->job.uri, command->uri, command->path)) {
        snprintf(line, sizeof line, "this gate offers %.200s and no other", rpc->job.uri);
        refuse(rpc, EX_NOPERM, "another URI than the configured one", line);
        return -EACCES;
    }
    rpc->readonly = is_readonly(rpc);
    int r = rpc_upstream_open(rpc->job.uri, rpc->readonly, &rpc->upstream, &rpc->serial, why);
    if (r == -EACCES)
        refuse(rpc, EX_UNAVAILABLE, why, "libvirtd on this host does not let the gate in; tell its administrator");
    else if (r < 0)
        refuse(rpc, EX_UNAVAILABLE, why, "libvirtd on this host does not answer; try again later");
    return r;
}

/* The broker has its copy before the user has theirs: no connection lives that cannot be cut. */
static int hand_over(struct rpc *rpc)
{
    struct outcome outcome = { .kind = OUTCOME_OPENED };
    int pair[2], r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    rpc->stream = pair[0];
    text_copy(outcome.reason, sizeof outcome.reason, rpc->readonly ? "read-only" : "");
    r = fd_set_nonblock(rpc->stream, 1);
    if (r == 0)
        r = tell_broker(rpc, &outcome, pair[1]);
    if (r == 0)
        r = reply_to_client(rpc, REPLY_STREAM, EX_OK, "", pair[1]);
    fd_close(&pair[1]);
    fd_close(&rpc->client);
    return r;
}

/* --- carrying ---------------------------------------------------------------------------------------------------- */

/* The broker tells the user before the stream ends, and then ends this process. */
static void tell_the_end(const struct rpc *rpc, const struct outcome *outcome)
{
    struct pollfd broker = { .fd = rpc->control, .events = POLLOUT };

    if (poll(&broker, 1, LAST_WORD_MS) <= 0 || tell_broker(rpc, outcome, -1) < 0)
        return;
    broker.events = POLLIN;
    poll(&broker, 1, LAST_WORD_MS);
}

static void carry(struct rpc *rpc)
{
    static const struct {
        uint32_t status;
        const char *reason;
    } ends[] = {
        [RPC_CLIENT_ENDED] = { EX_OK, "client ended" },
        [RPC_SERVER_ENDED] = { EX_UNAVAILABLE, "libvirtd ended the connection" },
        [RPC_BROKER_ENDED] = { EX_OK, "" },
        [RPC_CLIENT_BROKE] = { EX_PROTOCOL, "protocol broken by the client" },
        [RPC_SERVER_BROKE] = { EX_SOFTWARE, "protocol broken by libvirtd" },
        [RPC_NO_MEMORY] = { EX_OSERR, "out of memory" },
    };
    struct rpc_filter_options options = {
        .view = rpc->view, .uid = rpc->job.uid, .user = rpc->job.user, .uri = rpc->job.uri, .readonly = rpc->readonly,
        .serial = rpc->serial, .note = on_note, .context = rpc,
    };
    struct outcome outcome = { .kind = OUTCOME_ENDED };
    struct rpc_totals totals = { 0, 0 };
    struct rpc_filter *filter = NULL;
    enum rpc_end end = RPC_NO_MEMORY;
    int confined = 0;

    if (getrandom(options.seed, sizeof options.seed, 0) != (ssize_t)sizeof options.seed)
        return;
    int r = rpc_filter_new(&options, &filter);
    if (r == 0)
        r = confined = confine_rpc(rpc->stream, rpc->upstream, rpc->control);
    if (r == 0)
        end = rpc_loop(filter, rpc->stream, rpc->upstream, rpc->control, &totals);
    rpc_filter_free(filter);
    outcome.to_user = totals.to_client;
    outcome.from_user = totals.from_client;
    outcome.status = ends[end].status;
    /* Also when only Landlock is missing: what was asked for is there, or nothing is. */
    text_copy(outcome.reason, sizeof outcome.reason,
              confined < 0 ? "this kernel cannot confine the filter" : ends[end].reason);
    tell_the_end(rpc, &outcome);
}

int rpc_run(int control)
{
    struct rpc rpc = { .control = control, .client = -1, .stream = -1, .upstream = -1 };

    if (confine_self() < 0)
        return EX_OSERR;
    rpc_xml_prepare();
    int r = job_receive(control, &rpc.job, &rpc.client, &rpc.view);
    if (r == -ECONNRESET)
        return EX_OK; /* the broker has gone, or needs this process no more */
    if (r < 0)
        return EX_PROTOCOL;
    r = open_upstream(&rpc);
    if (r == 0)
        r = hand_over(&rpc);
    if (r == 0)
        carry(&rpc);
    fd_close(&rpc.stream);
    fd_close(&rpc.upstream);
    fd_close(&rpc.client);
    policy_free(rpc.view);
    return EX_OK;
}
