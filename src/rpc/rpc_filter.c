/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/rpc_filter_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc_error.h"
#include "rpc/rpc_known.h"

#define KEEPALIVE_PING 1U
#define KEEPALIVE_PONG 2U

/* --- keepalive --------------------------------------------------------------------------------------------------- */

static bool is_keepalive(const struct rpc_message *m)
{
    const struct rpc_header *h = &m->header;

    return h->version == RPC_VERSION && (h->procedure == KEEPALIVE_PING || h->procedure == KEEPALIVE_PONG) &&
           h->type == RPC_EVENT && h->serial == 0 && h->status == RPC_OK && m->len == 0;
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

static bool serial_in_use(struct rpc_filter *f, uint32_t serial)
{
    for (const struct call *call = f->calls; call; call = call->next)
        if (call->client_serial == serial)
            return true;
    return rpc_stream_of_client(f, serial) != NULL;
}

static int call_from_client(struct rpc_filter *f, const struct rpc_message *m)
{
    const struct rpc_row *row = rpc_allow(m->header.procedure);

    if (m->header.status != RPC_OK || serial_in_use(f, m->header.serial))
        return -EPROTO;
    if (!row)
        return rpc_refuse(f, &m->header, NULL, "is not offered");
    if (row->writes && f->options.readonly)
        return rpc_refuse(f, &m->header, row, "this connection is read-only");
    struct call *call = rpc_call_new(f, row, m->header.serial);
    if (!call)
        return -ENOMEM;
    call->held = m->len;
    f->held += m->len;
    if (rpc_call_decode(call, m) < 0) {
        rpc_call_free(f, call);
        return rpc_send_error(f, &m->header, RPC_ERR_RPC, "Unable to decode message payload");
    }
    if (row->shape == ARGS_OTHER_EVENTS && call->args.other_events.object != 0) {
        rpc_call_free(f, call);
        return rpc_refuse(f, &m->header, row, "there is no such object");
    }
    uint32_t *flags = rpc_call_flags(call);
    if (flags && *flags & ~row->flags) {
        rpc_call_free(f, call);
        return rpc_refuse(f, &m->header, row, "with these flags is not offered");
    }
    if (flags)
        *flags &= ~row->cleared;
    return rpc_check_claims(f, call);
}

int rpc_filter_from_client(struct rpc_filter *f, const struct rpc_message *m)
{
    if (m->header.program == RPC_PROGRAM_KEEPALIVE)
        return is_keepalive(m) ? rpc_frame_put(&f->to_server, &m->header, NULL, 0) : -EPROTO;
    if (m->header.program != RPC_PROGRAM_REMOTE || m->header.version != RPC_VERSION) {
        if (m->header.type != RPC_CALL && m->header.type != RPC_CALL_WITH_FDS)
            return -EPROTO;
        return rpc_refuse(f, &m->header, NULL, "of this program is not offered");
    }
    switch (m->header.type) {
    case RPC_CALL:
        return call_from_client(f, m);
    case RPC_STREAM:
        return rpc_stream_from_client(f, m);
    case RPC_CALL_WITH_FDS:
        return rpc_refuse(f, &m->header, NULL, "with file descriptors is not offered");
    default:
        return -EPROTO;
    }
}

static int reply_from_server(struct rpc_filter *f, const struct rpc_message *m)
{
    struct call *call = rpc_call_of_server(f, m->header.serial);
    struct stream *stream;

    if (call)
        return rpc_take_reply(f, call, m);
    stream = rpc_stream_of_server(f, m->header.serial);
    if (!stream)
        return 0;
    if (m->header.procedure != stream->procedure || m->header.status > RPC_ERROR)
        return -EPROTO;
    return rpc_stream_end_from_server(f, stream, m);
}

int rpc_filter_pass_from_server(struct rpc_filter *f, const struct rpc_header *header, size_t len)
{
    struct rpc_header head = *header;
    const struct stream *stream;
    struct call *call;

    if (header->program != RPC_PROGRAM_REMOTE || header->version != RPC_VERSION)
        return 0;
    if (header->type == RPC_STREAM && header->status == RPC_CONTINUE) {
        stream = rpc_stream_of_server(f, header->serial);
        if (!stream || stream->procedure != header->procedure)
            return 0;
        head.serial = stream->client_serial;
    } else if (header->type == RPC_REPLY && header->status == RPC_OK) {
        call = rpc_call_of_server(f, header->serial);
        if (!call || call->wait != WAIT_REPLY || call->procedure != header->procedure || call->row->fate != FATE_FORWARD)
            return 0;
        head.serial = call->client_serial;
        rpc_succeeded(f, call);
        rpc_call_free(f, call);
    } else {
        return 0;
    }
    int r = rpc_frame_put_head(&f->to_client, &head, len);
    return r < 0 ? r : 1;
}

int rpc_filter_from_server(struct rpc_filter *f, const struct rpc_message *m)
{
    if (m->header.program == RPC_PROGRAM_KEEPALIVE)
        return is_keepalive(m) ? rpc_frame_put(&f->to_client, &m->header, NULL, 0) : -EPROTO;
    if (m->header.program != RPC_PROGRAM_REMOTE || m->header.version != RPC_VERSION)
        return -EPROTO;
    switch (m->header.type) {
    case RPC_REPLY:
        return reply_from_server(f, m);
    case RPC_EVENT:
        return rpc_take_event(f, m);
    case RPC_STREAM:
        return rpc_stream_from_server(f, m);
    default: /* nothing was asked for that comes with descriptors or with holes */
        return -EPROTO;
    }
}

/* --- the filter -------------------------------------------------------------------------------------------------- */

int rpc_filter_new(const struct rpc_filter_options *options, struct rpc_filter **ret)
{
    struct rpc_filter *f = calloc(1, sizeof *f);
    uint32_t id;
    size_t len;

    if (!f)
        return -ENOMEM;
    f->options = *options;
    f->subject = (struct subject){ .uid = options->uid, .user = options->user };
    f->serial = options->serial;
    memcpy(f->nobody_uuid.byte, options->seed, sizeof f->nobody_uuid.byte);
    memcpy(&id, options->seed + 16, sizeof id);
    f->nobody_id = (int)(id % 0x3fffffffU + 0x40000000U);
    len = (size_t)snprintf(f->nobody_name, sizeof f->nobody_name, "nobody-");
    for (size_t i = 8; i < 24; i++)
        len += (size_t)snprintf(f->nobody_name + len, sizeof f->nobody_name - len, "%02x", options->seed[i]);
    *ret = f;
    return 0;
}

void rpc_filter_free(struct rpc_filter *f)
{
    if (!f)
        return;
    while (f->calls)
        rpc_call_free(f, f->calls);
    rpc_known_free(&f->known);
    rpc_buffer_free(&f->to_client);
    rpc_buffer_free(&f->to_server);
    free(f);
}

struct rpc_buffer *rpc_filter_to_client(struct rpc_filter *f)
{
    return &f->to_client;
}

struct rpc_buffer *rpc_filter_to_server(struct rpc_filter *f)
{
    return &f->to_server;
}

bool rpc_filter_closed(const struct rpc_filter *f)
{
    return f->closed;
}

bool rpc_filter_ready(const struct rpc_filter *f)
{
    return f->n_calls < RPC_CALLS_MAX && f->held < RPC_FROM_CLIENT_MAX;
}
