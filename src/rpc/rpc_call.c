/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A call: its arguments, the domains that they claim, and what becomes of it. */
#include "rpc/rpc_filter_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc_codec.h"
#include "rpc/rpc_error.h"

#define NO_FLAGS SIZE_MAX
#define SHAPE(type) { RPC_CODEC(type), NO_FLAGS }
#define SHAPE_FLAGS(type) { RPC_CODEC(type), offsetof(struct type, flags) }

static const struct {
    xdrproc_t codec; /* NULL: no arguments */
    size_t flags;    /* where they are in it */
} shapes[] = {
    [ARGS_NONE] = { NULL, NO_FLAGS },
    [ARGS_OPEN] = SHAPE_FLAGS(vgr_args_open),
    [ARGS_NUMBER] = SHAPE(vgr_args_number),
    [ARGS_LIST] = SHAPE_FLAGS(vgr_args_list),
    [ARGS_NAME] = SHAPE(vgr_args_name),
    [ARGS_UUID] = SHAPE(vgr_args_uuid),
    [ARGS_CAP] = SHAPE_FLAGS(vgr_args_cap),
    [ARGS_CAP_LIST] = SHAPE_FLAGS(vgr_args_cap_list),
    [ARGS_CAPABILITIES] = SHAPE_FLAGS(vgr_args_capabilities),
    [ARGS_OTHER_EVENTS] = SHAPE(vgr_args_other_events),
    [ARGS_DOMAIN] = SHAPE(vgr_args_domain),
    [ARGS_DOMAIN_FLAGS] = SHAPE_FLAGS(vgr_args_domain_flags),
    [ARGS_DOMAIN_NUMBER_FLAGS] = SHAPE_FLAGS(vgr_args_domain_number_flags),
    [ARGS_DOMAIN_NUMBERS] = SHAPE(vgr_args_domain_numbers),
    [ARGS_DOMAIN_NAME] = SHAPE(vgr_args_domain_name),
    [ARGS_DOMAIN_NAME_FLAGS] = SHAPE_FLAGS(vgr_args_domain_name_flags),
    [ARGS_DOMAIN_NAME_NUMBER_FLAGS] = SHAPE_FLAGS(vgr_args_domain_name_number_flags),
    [ARGS_METADATA] = SHAPE_FLAGS(vgr_args_metadata),
    [ARGS_CPU_STATS] = SHAPE_FLAGS(vgr_args_cpu_stats),
    [ARGS_KEYS] = SHAPE_FLAGS(vgr_args_keys),
    [ARGS_CONSOLE] = SHAPE_FLAGS(vgr_args_console),
    [ARGS_EVENTS] = SHAPE(vgr_args_events),
    [ARGS_STATS] = SHAPE_FLAGS(vgr_args_stats),
};

/* --- calls ------------------------------------------------------------------------------------------------------- */

struct call *rpc_call_new(struct rpc_filter *f, const struct rpc_row *row, uint32_t client_serial)
{
    struct call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    call->row = row;
    call->client_serial = client_serial;
    call->next = f->calls;
    f->calls = call;
    f->n_calls++;
    return call;
}

void rpc_call_free(struct rpc_filter *f, struct call *call)
{
    struct call **at = &f->calls;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    f->n_calls--;
    f->held -= call->held;
    if (shapes[call->row->shape].codec)
        rpc_release(shapes[call->row->shape].codec, &call->args, sizeof call->args);
    rpc_release(RPC_CODEC(vgr_error), &call->error, sizeof call->error);
    free(call);
}

/* The domains that a call claims: they lie in its arguments. */
vgr_domain *rpc_call_claims(struct call *call, size_t *ret_n)
{
    *ret_n = 0;
    if (call->row->shape < ARGS_DOMAIN)
        return NULL;
    if (call->row->shape == ARGS_EVENTS) {
        *ret_n = call->args.events.dom != NULL;
        return call->args.events.dom;
    }
    if (call->row->shape == ARGS_STATS) {
        *ret_n = call->args.stats.doms.doms_len;
        return call->args.stats.doms.doms_val;
    }
    *ret_n = 1;
    return &call->args.domain.dom;
}

/* The claim whose turn it is. */
vgr_domain *rpc_call_claim(struct call *call)
{
    size_t n;
    vgr_domain *dom = rpc_call_claims(call, &n);

    return call->at < n ? dom + call->at : NULL;
}

int rpc_call_decode(struct call *call, const struct rpc_message *m)
{
    enum rpc_shape shape = call->row->shape;

    if (!shapes[shape].codec)
        return m->len == 0 ? 0 : -EPROTO;
    return rpc_decode(shapes[shape].codec, m->payload, m->len, &call->args, sizeof call->args);
}

uint32_t *rpc_call_flags(struct call *call)
{
    size_t at = shapes[call->row->shape].flags;

    return at == NO_FLAGS ? NULL : (uint32_t *)(void *)((char *)&call->args + at);
}

struct call *rpc_call_of_server(struct rpc_filter *f, uint32_t serial)
{
    struct call *call = f->calls;

    while (call && call->serial != serial)
        call = call->next;
    return call;
}

/* --- saying ------------------------------------------------------------------------------------------------------ */

static int reply(struct rpc_filter *f, uint32_t procedure, uint32_t serial, enum rpc_status status, const void *payload,
                 size_t len)
{
    const struct rpc_header header = { RPC_PROGRAM_REMOTE, RPC_VERSION, procedure, RPC_REPLY, serial, status };

    return rpc_frame_put(&f->to_client, &header, payload, len);
}

/* The call is over with this reply. */
int rpc_finish(struct rpc_filter *f, struct call *call, enum rpc_status status, const void *payload, size_t len)
{
    int r = reply(f, call->row->procedure, call->client_serial, status, payload, len);

    rpc_call_free(f, call);
    return r;
}

int rpc_finish_with_error(struct rpc_filter *f, struct call *call, const struct vgr_error *error)
{
    void *data;
    size_t len;
    int r = rpc_encode(RPC_CODEC(vgr_error), error, &data, &len);

    if (r < 0)
        return r;
    r = rpc_finish(f, call, RPC_ERROR, data, len);
    free(data);
    return r;
}

int rpc_send_error(struct rpc_filter *f, const struct rpc_header *to, int code, const char *text)
{
    void *data;
    size_t len;
    int r = rpc_error_encode(code, text, &data, &len);

    if (r < 0)
        return r;
    struct rpc_header header = *to;
    header.type = RPC_REPLY;
    header.status = RPC_ERROR;
    r = rpc_frame_put(&f->to_client, &header, data, len);
    free(data);
    return r;
}

void rpc_say_note(const struct rpc_filter *f, enum rpc_note_kind kind, const struct rpc_row *row, uint32_t procedure,
                 const vgr_domain *dom, const char *reason)
{
    char number[32];
    struct uuid uuid;
    struct rpc_note what = { .kind = kind, .procedure = number, .vm = "", .uuid = &uuid, .reason = reason };

    if (!f->options.note)
        return;
    snprintf(number, sizeof number, "procedure %" PRIu32, procedure);
    if (row) {
        what.procedure = row->name;
        what.right = row->right;
    }
    if (dom) {
        what.vm = dom->name;
        uuid = rpc_uuid(dom->uuid);
    } else {
        memset(&uuid, 0, sizeof uuid);
    }
    f->options.note(f->options.context, &what);
}

int rpc_refuse(struct rpc_filter *f, const struct rpc_header *header, const struct rpc_row *row, const char *why)
{
    char text[256];

    if (row)
        snprintf(text, sizeof text, "access denied: %s: %s", row->name, why);
    else
        snprintf(text, sizeof text, "access denied: procedure %" PRIu32 " %s", header->procedure, why);
    rpc_say_note(f, RPC_REFUSED, row, header->procedure, NULL, why);
    return rpc_send_error(f, header, RPC_ERR_OPERATION_DENIED, text);
}

/* The same for a call whose domain is known to be the user's, so that it may be named. */
int rpc_refuse_call(struct rpc_filter *f, struct call *call, const char *why)
{
    const struct rpc_header header = { RPC_PROGRAM_REMOTE, RPC_VERSION, call->row->procedure, RPC_REPLY,
                                       call->client_serial, RPC_ERROR };
    char text[256];
    size_t n;
    const vgr_domain *dom = rpc_call_claims(call, &n);

    snprintf(text, sizeof text, "access denied: %s: %s", call->row->name, why);
    rpc_say_note(f, RPC_REFUSED, call->row, call->row->procedure, n == 1 ? dom : NULL, why);
    int r = rpc_send_error(f, &header, RPC_ERR_OPERATION_DENIED, text);
    rpc_call_free(f, call);
    return r;
}

/* Asks libvirtd, on behalf of the call. codec NULL: no arguments. */
int rpc_ask(struct rpc_filter *f, struct call *call, enum wait wait, uint32_t procedure, xdrproc_t codec,
               const void *args)
{
    struct rpc_header header = { RPC_PROGRAM_REMOTE, RPC_VERSION, procedure, RPC_CALL, f->serial, RPC_OK };
    void *data = NULL;
    size_t len = 0;
    int r = codec ? rpc_encode(codec, args, &data, &len) : 0;

    if (r == 0 && f->serial == UINT32_MAX)
        r = -EPROTO; /* no serial is used twice */
    if (r == 0 && len > RPC_FROM_CLIENT_MAX)
        r = -EPROTO;
    if (r == 0)
        r = rpc_frame_put(&f->to_server, &header, data, len);
    free(data);
    call->wait = wait;
    call->procedure = procedure;
    call->serial = f->serial++;
    call->changes = f->changes;
    return r;
}

/* A stream is there from here on: libvirtd may send its data before the reply that opens it. */
int rpc_forward(struct rpc_filter *f, struct call *call, enum wait wait)
{
    int r = rpc_ask(f, call, wait, call->row->procedure, shapes[call->row->shape].codec, &call->args);

    if (r < 0 || !call->row->stream)
        return r;
    if (f->n_streams == RPC_STREAMS_MAX)
        return -EPROTO;
    f->stream[f->n_streams++] = (struct stream){
        call->client_serial, call->serial, call->row->procedure, .sends = call->row->fate == FATE_CONSOLE,
    };
    return 0;
}

int rpc_pass_to_client(struct rpc_filter *f, const struct rpc_message *m, uint32_t serial)
{
    struct rpc_header header = m->header;

    header.serial = serial;
    return rpc_frame_put(&f->to_client, &header, m->payload, m->len);
}
