/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libvirtd replies to a call, and what the client gets of it. */
#include "rpc/rpc_filter_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc_codec.h"
#include "rpc/rpc_error.h"
#include "rpc/rpc_known.h"
#include "rpc/rpc_xml.h"
#include "session/domain_xml.h"

#define CONNECT_CLOSE 2U
#define LIST_ALL_DOMAINS 273U
#define EVENTS_REGISTER 316U
#define EVENT_ID_LIFECYCLE 0

static int take_xml(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_ret_text text, rewritten = { NULL };
    struct uuid uuid = rpc_uuid(call->args.domain.dom.uuid);
    void *data;
    size_t len;
    int r = rpc_decode(RPC_CODEC(vgr_ret_text), m->payload, m->len, &text, sizeof text);

    if (r < 0)
        return r;
    r = rpc_xml_rewrite(text.text, strlen(text.text), &uuid, call->args.domain.dom.name, call->rights, &rewritten.text,
                        &len);
    rpc_release(RPC_CODEC(vgr_ret_text), &text, sizeof text);
    if (r == -ESTALE) {
        /* Renamed since the lookup: whose it is now is decided anew. */
        rpc_known_forget(&f->known, call->args.domain.dom.uuid);
        call->at = 0;
        return rpc_check_claims(f, call);
    }
    if (r == -EINVAL)
        return rpc_refuse_call(f, call, "the gate does not understand this domain's XML");
    if (r == 0)
        r = rpc_encode(RPC_CODEC(vgr_ret_text), &rewritten, &data, &len);
    free(rewritten.text);
    if (r < 0)
        return r;
    r = rpc_finish(f, call, RPC_OK, data, len);
    free(data);
    return r;
}

static int take_callback(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_ret_number ret;
    int r = rpc_decode(RPC_CODEC(vgr_ret_number), m->payload, m->len, &ret, sizeof ret);

    if (r < 0)
        return r;
    if (f->n_callbacks < RPC_CALLBACKS_MAX && rpc_find_callback(f, ret.number) == f->n_callbacks)
        f->callback[f->n_callbacks++] = ret.number;
    return rpc_finish(f, call, RPC_OK, m->payload, m->len);
}

static int take_no_callback(struct rpc_filter *f, struct call *call)
{
    size_t i = rpc_find_callback(f, call->args.number.number);

    if (i < f->n_callbacks)
        f->callback[i] = f->callback[--f->n_callbacks];
    return rpc_finish(f, call, RPC_OK, NULL, 0);
}

/* A connection is open: from here on libvirtd tells the filter of every domain that changes. The client hears that it is open
 * when that is arranged, so that what it asks for next does not come in between. */
static int watch(struct rpc_filter *f, struct call *call)
{
    struct vgr_args_events args = { EVENT_ID_LIFECYCLE, NULL };

    if (f->opened)
        return rpc_finish(f, call, RPC_OK, NULL, 0);
    f->opened = true;
    return rpc_ask(f, call, WAIT_WATCH, EVENTS_REGISTER, RPC_CODEC(vgr_args_events), &args);
}

static int take_watch(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_ret_number ret;

    /* Refused it is no harm: then nothing is remembered. */
    if (m->header.status == RPC_OK) {
        int r = rpc_decode(RPC_CODEC(vgr_ret_number), m->payload, m->len, &ret, sizeof ret);
        if (r < 0)
            return r;
        f->own_callback = ret.number;
        f->watching = true;
    }
    return rpc_finish(f, call, RPC_OK, NULL, 0);
}

/* What a call that succeeded leaves behind in the filter. */
void rpc_succeeded(struct rpc_filter *f, struct call *call)
{
    const struct rpc_row *row = call->row;
    struct stream *stream;
    size_t n;
    const vgr_domain *dom = rpc_call_claims(call, &n);

    if (row->right)
        rpc_say_note(f, RPC_DONE, row, row->procedure, n == 1 ? dom : NULL, "");
    if (row->procedure == CONNECT_CLOSE)
        f->closed = true;
    stream = row->stream ? rpc_stream_of_server(f, call->serial) : NULL;
    if (stream)
        stream->opened = true; /* or it has ended already */
}

static int take_result(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    rpc_succeeded(f, call);
    switch (call->row->fate) {
    case FATE_LIST:
    case FATE_OLD_LIST:
    case FATE_STATS:
        return rpc_take_list(f, call, m);
    case FATE_XML:
        return take_xml(f, call, m);
    case FATE_EVENTS:
        return take_callback(f, call, m);
    case FATE_NO_EVENTS:
        return take_no_callback(f, call);
    case FATE_OPEN:
        return m->len == 0 ? watch(f, call) : -EPROTO;
    case FATE_FORWARD:
    case FATE_FEATURE:
    case FATE_CAPABILITIES:
    case FATE_CONSOLE:
    case FATE_METADATA:
        return rpc_finish(f, call, RPC_OK, m->payload, m->len);
    case FATE_ZEROS:
    case FATE_NO_AUTH:
    case FATE_CALLBACK:
    case FATE_LOOKUP:
    default:
        return -EPROTO;
    }
}

/* An error of libvirtd's may name what is not the user's ("in use by domain ..."). It is held until all names are known. */
static int take_error(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_args_list all = { 1, 0 };
    struct stream *stream = rpc_stream_of_server(f, call->serial);
    int r = rpc_decode(RPC_CODEC(vgr_error), m->payload, m->len, &call->error, sizeof call->error);

    if (r < 0)
        return r;
    if (stream)
        rpc_stream_close(f, stream);
    rpc_error_strip(&call->error);
    if (!f->opened)
        return rpc_finish_with_error(f, call, &call->error);
    return rpc_ask(f, call, WAIT_NAMES, LIST_ALL_DOMAINS, RPC_CODEC(vgr_args_list), &all);
}

static int take_names(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    bool names_others = m->header.status != RPC_OK;
    struct rpc_walk walk;
    uint32_t n = 0;
    int r = 0;

    if (!names_others) {
        rpc_walk_begin(&walk, m->payload, m->len);
        r = rpc_walk_number(&walk, &n);
    }
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        vgr_domain dom;
        r = rpc_walk_next(&walk, RPC_CODEC(vgr_domain), &dom, sizeof dom);
        if (r < 0)
            break;
        if (!rpc_rights_on(f, &dom))
            names_others |= rpc_error_names(&call->error, &dom);
        rpc_release(RPC_CODEC(vgr_domain), &dom, sizeof dom);
    }
    if (r == 0 && names_others)
        r = rpc_error_blank(&call->error);
    return r < 0 ? r : rpc_finish_with_error(f, call, &call->error);
}

static int take_devices(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    vgr_maybe_name *device = &call->args.console.device;
    struct vgr_ret_text text;
    struct domain_facts facts;
    const char *found = NULL;
    int r;

    if (m->header.status != RPC_OK)
        return take_error(f, call, m);
    r = rpc_decode(RPC_CODEC(vgr_ret_text), m->payload, m->len, &text, sizeof text);
    if (r < 0)
        return r;
    r = domain_xml_read(text.text, &facts);
    rpc_release(RPC_CODEC(vgr_ret_text), &text, sizeof text);
    if (r < 0)
        return r == -ENOMEM ? r : rpc_refuse_call(f, call, "the gate does not understand this domain's XML");
    for (size_t i = 0; !found && i < facts.n_consoles; i++)
        if (!*device || strcmp(**device, facts.console[i]) == 0)
            found = facts.console[i];
    /* One that does not run has no aliases yet. libvirtd says so; were it to run by then, no other device has this one. */
    if (facts.n_consoles == 0)
        found = "serial0";
    if (!found)
        return rpc_refuse_call(f, call, "not a serial or console device of this domain");
    char *copy = strdup(found);
    if (!copy)
        return -ENOMEM;
    rpc_release(RPC_CODEC(vgr_maybe_name), device, sizeof *device);
    *device = calloc(1, sizeof **device);
    if (!*device) {
        free(copy);
        return -ENOMEM;
    }
    **device = copy;
    return rpc_forward(f, call, WAIT_REPLY);
}

int rpc_take_reply(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    if (m->header.procedure != call->procedure || m->header.status > RPC_ERROR)
        return -EPROTO;
    switch (call->wait) {
    case WAIT_LOOKUP:
        return rpc_take_lookup(f, call, m);
    case WAIT_NOBODY:
        return rpc_take_nobody(f, call, m);
    case WAIT_DEVICES:
        return take_devices(f, call, m);
    case WAIT_REPLY:
        return m->header.status == RPC_OK ? take_result(f, call, m) : take_error(f, call, m);
    case WAIT_WATCH:
        return take_watch(f, call, m);
    case WAIT_NAMES:
        return take_names(f, call, m);
    }
    return -EPROTO;
}
