/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What comes without a call: events, and the data of streams that a call has opened. */
#include "rpc/rpc_filter_impl.h"

#include <errno.h>
#include <stdlib.h>

#include "rpc/rpc_codec.h"
#include "rpc/rpc_error.h"
#include "rpc/rpc_known.h"

#define EVENT_LIFECYCLE 318U

/* --- events ------------------------------------------------------------------------------------------------------ */

static bool wants_event(const struct rpc_filter *f, int callback)
{
    return (f->shared && callback == f->own_callback) || rpc_find_callback(f, callback) < f->n_callbacks;
}

int rpc_take_event(struct rpc_filter *f, const struct rpc_message *m)
{
    const struct rpc_event *event = rpc_allow_event(m->header.procedure);
    struct rpc_walk walk;
    uint32_t callback, skipped;
    vgr_domain dom;
    int r;

    if (!event)
        return 0;
    if (!event->domain)
        return m->len == 4 ? rpc_pass_to_client(f, m, 0) : -EPROTO;
    rpc_walk_begin(&walk, m->payload, m->len);
    r = rpc_walk_number(&walk, &callback);
    for (unsigned i = 0; r == 0 && i < event->skip; i++)
        r = rpc_walk_number(&walk, &skipped);
    if (r == 0)
        r = rpc_walk_next(&walk, RPC_CODEC(vgr_domain), &dom, sizeof dom);
    if (r < 0)
        return r;
    /* Defined, undefined, renamed, or anything else that may give this uuid another name. */
    if (m->header.procedure == EVENT_LIFECYCLE) {
        f->changes++;
        rpc_known_forget(&f->known, dom.uuid);
    }
    if (wants_event(f, (int)callback) && rpc_rights_on(f, &dom))
        r = rpc_pass_to_client(f, m, 0);
    rpc_release(RPC_CODEC(vgr_domain), &dom, sizeof dom);
    return r;
}

/* --- streams ----------------------------------------------------------------------------------------------------- */

void rpc_stream_close(struct rpc_filter *f, struct stream *stream)
{
    *stream = f->stream[--f->n_streams];
}

struct stream *rpc_stream_of_client(struct rpc_filter *f, uint32_t serial)
{
    for (size_t i = 0; i < f->n_streams; i++)
        if (f->stream[i].client_serial == serial)
            return &f->stream[i];
    return NULL;
}

struct stream *rpc_stream_of_server(struct rpc_filter *f, uint32_t serial)
{
    for (size_t i = 0; i < f->n_streams; i++)
        if (f->stream[i].serial == serial)
            return &f->stream[i];
    return NULL;
}

int rpc_stream_from_client(struct rpc_filter *f, const struct rpc_message *m)
{
    struct stream *stream = rpc_stream_of_client(f, m->header.serial);
    struct rpc_header header = m->header;

    /* What was on its way when libvirtd ended the stream; libvirtd drops such packets too. */
    if (!stream || !stream->opened || stream->finished)
        return 0;
    if (m->header.procedure != stream->procedure || m->header.status > RPC_CONTINUE)
        return -EPROTO;
    header.serial = stream->serial;
    if (m->header.status != RPC_CONTINUE) {
        stream->finished = true; /* by OK or by ERROR; libvirtd confirms it */
        return rpc_frame_put(&f->to_server, &header, NULL, 0);
    }
    return stream->sends ? rpc_frame_put(&f->to_server, &header, m->payload, m->len) : 0;
}

int rpc_filter_give_up_streams(struct rpc_filter *f)
{
    bool due = false;

    for (size_t i = 0; i < f->n_streams; i++) {
        struct stream *stream = &f->stream[i];
        const struct rpc_header header = { RPC_PROGRAM_REMOTE, RPC_VERSION, stream->procedure, RPC_STREAM, stream->serial, RPC_ERROR };
        if (!stream->opened)
            continue;
        due = true;
        if (stream->finished)
            continue;
        stream->finished = true;
        int r = rpc_frame_put(&f->to_server, &header, NULL, 0);
        if (r < 0)
            return r;
    }
    return due;
}

/* An end of a stream: by a packet, or by a reply, which confirms that the client has given it up. */
int rpc_stream_end_from_server(struct rpc_filter *f, struct stream *stream, const struct rpc_message *m)
{
    struct rpc_header header = m->header;
    struct vgr_error error;
    void *data = NULL;
    size_t len = 0;
    int r = 0;

    header.serial = stream->client_serial;
    rpc_stream_close(f, stream);
    if (m->header.status == RPC_ERROR) {
        r = rpc_decode(RPC_CODEC(vgr_error), m->payload, m->len, &error, sizeof error);
        if (r < 0)
            return r;
        rpc_error_strip(&error);
        r = rpc_encode(RPC_CODEC(vgr_error), &error, &data, &len);
        rpc_release(RPC_CODEC(vgr_error), &error, sizeof error);
    }
    if (r == 0)
        r = rpc_frame_put(&f->to_client, &header, data, len);
    free(data);
    return r;
}

int rpc_stream_from_server(struct rpc_filter *f, const struct rpc_message *m)
{
    struct stream *stream = rpc_stream_of_server(f, m->header.serial);

    if (!stream)
        return 0;
    if (m->header.procedure != stream->procedure || m->header.status > RPC_CONTINUE)
        return -EPROTO;
    return m->header.status == RPC_CONTINUE ? rpc_pass_to_client(f, m, stream->client_serial) :
                                              rpc_stream_end_from_server(f, stream, m);
}
