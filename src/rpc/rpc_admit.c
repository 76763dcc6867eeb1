/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of a call whose domains are the user's. */
#include "rpc/rpc_filter_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc_codec.h"

#define GET_XML_DESC 14U
#define LIST_DOMAINS 37U
#define NUM_OF_DOMAINS 51U
#define LIST_ALL_DOMAINS 273U
#define EVENT_ID_LIFECYCLE 0
#define LIST_ACTIVE 1U
#define LIST_INACTIVE 2U
#define OPEN_READ_ONLY 1U
#define CONSOLE_FORCE 1U
#define METADATA_DESCRIPTION 0
#define METADATA_TITLE 1
#define CALLBACK_OF_OURS 0x76670000 /* for events that never come: any number does, libvirtd's are not used beside it */

static int answer_zeros(struct rpc_filter *f, struct call *call)
{
    static const unsigned char zeros[8];

    return rpc_finish(f, call, RPC_OK, zeros, call->row->zeros);
}

static int answer_number(struct rpc_filter *f, struct call *call, int number)
{
    uint32_t word = htonl((uint32_t)number);

    return rpc_finish(f, call, RPC_OK, &word, sizeof word);
}

static int answer_no_auth(struct rpc_filter *f, struct call *call)
{
    const uint32_t one_none[2] = { htonl(1), 0 };

    return rpc_finish(f, call, RPC_OK, one_none, sizeof one_none);
}

static int open_connection(struct rpc_filter *f, struct call *call)
{
    vgr_maybe_name *name = &call->args.open.name;

    if (*name && ***name && strcmp(**name, f->options.uri) != 0) {
        char why[200];
        snprintf(why, sizeof why, "this gate offers %.150s and no other", f->options.uri);
        return rpc_refuse_call(f, call, why);
    }
    rpc_release(RPC_CODEC(vgr_maybe_name), name, sizeof *name);
    *name = calloc(1, sizeof **name);
    if (!*name || !(**name = strdup(f->options.uri)))
        return -ENOMEM;
    if (call->args.open.flags & OPEN_READ_ONLY)
        f->options.readonly = true;
    return rpc_forward(f, call, WAIT_REPLY);
}

static int ask_capabilities(struct rpc_filter *f, struct call *call)
{
    vgr_maybe_name *emulator = &call->args.capabilities.emulator;

    rpc_release(RPC_CODEC(vgr_maybe_name), emulator, sizeof *emulator);
    return rpc_forward(f, call, WAIT_REPLY);
}

static int ask_old_list(struct rpc_filter *f, struct call *call)
{
    bool active = call->row->procedure == LIST_DOMAINS || call->row->procedure == NUM_OF_DOMAINS;
    struct vgr_args_list args = { 1, active ? LIST_ACTIVE : LIST_INACTIVE };

    return rpc_ask(f, call, WAIT_REPLY, LIST_ALL_DOMAINS, RPC_CODEC(vgr_args_list), &args);
}

static int ask_list(struct rpc_filter *f, struct call *call)
{
    struct vgr_args_list args = { 1, call->args.list.flags };

    return rpc_ask(f, call, WAIT_REPLY, LIST_ALL_DOMAINS, RPC_CODEC(vgr_args_list), &args);
}

static int ask_events(struct rpc_filter *f, struct call *call)
{
    size_t asked = 0;

    for (const struct call *c = f->calls; c; c = c->next)
        asked += c->row->fate == FATE_EVENTS;
    if (call->args.events.event < 0 || call->args.events.event > RPC_EVENT_ID_MAX)
        return rpc_refuse_call(f, call, "no such event of a domain is offered");
    if (f->n_callbacks + asked > RPC_CALLBACKS_MAX)
        return rpc_refuse_call(f, call, "too many callbacks");
    /* libvirtd takes one callback for each kind of event and domain; this one the filter has already. */
    if (f->watching && call->args.events.event == EVENT_ID_LIFECYCLE && !call->args.events.dom) {
        if (f->shared)
            return rpc_refuse_call(f, call, "event callback already tracked");
        f->shared = true;
        return answer_number(f, call, f->own_callback);
    }
    return rpc_forward(f, call, WAIT_REPLY);
}

size_t rpc_find_callback(const struct rpc_filter *f, int number)
{
    size_t i = 0;

    while (i < f->n_callbacks && f->callback[i] != number)
        i++;
    return i;
}

static int ask_no_events(struct rpc_filter *f, struct call *call)
{
    if (f->shared && call->args.number.number == f->own_callback) {
        f->shared = false;
        return rpc_finish(f, call, RPC_OK, NULL, 0);
    }
    if (rpc_find_callback(f, call->args.number.number) == f->n_callbacks)
        return rpc_refuse_call(f, call, "not a callback of this client");
    return rpc_forward(f, call, WAIT_REPLY);
}

static int ask_devices(struct rpc_filter *f, struct call *call)
{
    struct vgr_args_domain_flags args = { call->args.console.dom, 0 };

    if (call->args.console.flags & CONSOLE_FORCE && !(call->rights & RIGHT_TAKEOVER))
        return rpc_refuse_call(f, call, "FORCE needs the right takeover");
    return rpc_ask(f, call, WAIT_DEVICES, GET_XML_DESC, RPC_CODEC(vgr_args_domain_flags), &args);
}

static int ask_metadata(struct rpc_filter *f, struct call *call)
{
    if (call->args.metadata.type != METADATA_DESCRIPTION && call->args.metadata.type != METADATA_TITLE)
        return rpc_refuse_call(f, call, "only the title and the description are offered");
    return rpc_forward(f, call, WAIT_REPLY);
}

static size_t streams_wanted(struct rpc_filter *f)
{
    size_t n = f->n_streams;

    for (const struct call *call = f->calls; call; call = call->next)
        n += call->row->stream && !rpc_stream_of_client(f, call->client_serial);
    return n;
}

int rpc_admit(struct rpc_filter *f, struct call *call)
{
    const struct rpc_row *row = call->row;

    if (row->right && !(call->rights & row->right)) {
        char why[64];
        snprintf(why, sizeof why, "needs the right %s", right_name(row->right));
        return rpc_refuse_call(f, call, why);
    }
    if (row->stream && streams_wanted(f) > RPC_STREAMS_MAX)
        return rpc_refuse_call(f, call, "too many streams");
    switch (row->fate) {
    case FATE_ZEROS:
        return answer_zeros(f, call);
    case FATE_NO_AUTH:
        return answer_no_auth(f, call);
    case FATE_CALLBACK:
        return answer_number(f, call, CALLBACK_OF_OURS + (f->other_callbacks++ & 0xffff));
    case FATE_OPEN:
        return open_connection(f, call);
    case FATE_FEATURE:
        return rpc_allow_feature(call->args.number.number) ? rpc_forward(f, call, WAIT_REPLY) : answer_number(f, call, 0);
    case FATE_CAPABILITIES:
        return ask_capabilities(f, call);
    case FATE_LOOKUP:
        return rpc_forward(f, call, WAIT_LOOKUP);
    case FATE_LIST:
        return ask_list(f, call);
    case FATE_OLD_LIST:
        return ask_old_list(f, call);
    case FATE_EVENTS:
        return ask_events(f, call);
    case FATE_NO_EVENTS:
        return ask_no_events(f, call);
    case FATE_CONSOLE:
        return ask_devices(f, call);
    case FATE_METADATA:
        return ask_metadata(f, call);
    case FATE_FORWARD:
    case FATE_STATS:
    case FATE_XML:
        return rpc_forward(f, call, WAIT_REPLY);
    }
    return -EPROTO;
}
