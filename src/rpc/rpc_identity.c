/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a domain is that a call claims: libvirtd says it, the policy decides on that (rpc_filter.h, Identity). */
#include "rpc/rpc_filter_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc_codec.h"
#include "rpc/rpc_error.h"
#include "rpc/rpc_known.h"

#define GET_INFO 16U
#define LOOKUP_BY_ID 22U
#define LOOKUP_BY_NAME 23U
#define LOOKUP_BY_UUID 24U

rights rpc_rights_on(const struct rpc_filter *f, const vgr_domain *dom)
{
    struct uuid uuid = rpc_uuid(dom->uuid);
    struct vm vm = { .name = dom->name, .uuid = &uuid };

    return policy_rights(f->options.view, &f->subject, &vm);
}

static int set_name(vgr_domain *dom, const char *name)
{
    if (strcmp(dom->name, name) == 0)
        return 0;
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    free(dom->name);
    dom->name = copy;
    return 0;
}

/* libvirtd's error for what nobody has, of the kind that the call has claimed. */
static int ask_for_nobody(struct rpc_filter *f, struct call *call)
{
    struct vgr_args_domain info;
    struct vgr_args_number id = { f->nobody_id };
    struct vgr_args_name name = { f->nobody_name };
    struct vgr_args_uuid uuid;
    const vgr_domain *dom = rpc_call_claim(call);

    memcpy(uuid.uuid, f->nobody_uuid.byte, sizeof uuid.uuid);
    if (dom) {
        info.dom = *dom;
        memcpy(info.dom.uuid, uuid.uuid, sizeof uuid.uuid);
        return rpc_ask(f, call, WAIT_NOBODY, GET_INFO, RPC_CODEC(vgr_args_domain), &info);
    }
    if (call->row->shape == ARGS_NUMBER)
        return rpc_ask(f, call, WAIT_NOBODY, LOOKUP_BY_ID, RPC_CODEC(vgr_args_number), &id);
    if (call->row->shape == ARGS_NAME)
        return rpc_ask(f, call, WAIT_NOBODY, LOOKUP_BY_NAME, RPC_CODEC(vgr_args_name), &name);
    return rpc_ask(f, call, WAIT_NOBODY, LOOKUP_BY_UUID, RPC_CODEC(vgr_args_uuid), &uuid);
}

/* What stands in that error for what the call has claimed, and what it claimed. */
static int put_claim_in(const struct rpc_filter *f, struct call *call, struct vgr_error *error)
{
    char nobody[UUID_TEXT_SIZE], said[UUID_TEXT_SIZE], number[2][16];
    const vgr_domain *dom = rpc_call_claim(call);
    struct uuid uuid;

    if (!dom && call->row->shape == ARGS_NUMBER) {
        snprintf(number[0], sizeof number[0], "%d", f->nobody_id);
        snprintf(number[1], sizeof number[1], "%d", call->args.number.number);
        return rpc_error_replace(error, number[0], number[1]);
    }
    if (!dom && call->row->shape == ARGS_NAME)
        return rpc_error_replace(error, f->nobody_name, call->args.name.name);
    uuid = dom ? rpc_uuid(dom->uuid) : rpc_uuid(call->args.uuid.uuid);
    uuid_format(&f->nobody_uuid, nobody);
    uuid_format(&uuid, said);
    return rpc_error_replace(error, nobody, said);
}

int rpc_take_nobody(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_error error;
    int r;

    if (m->header.status != RPC_ERROR)
        return rpc_refuse_call(f, call, "no such domain"); /* somebody has what nobody can have */
    r = rpc_decode(RPC_CODEC(vgr_error), m->payload, m->len, &error, sizeof error);
    if (r < 0)
        return r;
    r = put_claim_in(f, call, &error);
    if (r == 0) {
        rpc_say_note(f, RPC_REFUSED, call->row, call->row->procedure, NULL, "not the user's domain, or none");
        r = rpc_finish_with_error(f, call, &error);
    }
    rpc_release(RPC_CODEC(vgr_error), &error, sizeof error);
    return r;
}

/* Goes through the claims as far as they are known, and asks for the first that is not. */
int rpc_check_claims(struct rpc_filter *f, struct call *call)
{
    vgr_domain *dom;

    for (; (dom = rpc_call_claim(call)); call->at++) {
        const char *name = rpc_known_name(&f->known, dom->uuid);
        if (!name) {
            struct vgr_args_uuid args;
            memcpy(args.uuid, dom->uuid, sizeof args.uuid);
            return rpc_ask(f, call, WAIT_LOOKUP, LOOKUP_BY_UUID, RPC_CODEC(vgr_args_uuid), &args);
        }
        int r = set_name(dom, name);
        if (r < 0)
            return r;
        call->rights = rpc_rights_on(f, dom);
        if (!call->rights)
            return ask_for_nobody(f, call);
    }
    return rpc_admit(f, call);
}

/* libvirtd has said who it is. */
int rpc_take_lookup(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_ret_domain found;
    vgr_domain *dom = rpc_call_claim(call);
    int r;

    if (m->header.status != RPC_OK)
        return ask_for_nobody(f, call);
    r = rpc_decode(RPC_CODEC(vgr_ret_domain), m->payload, m->len, &found, sizeof found);
    if (r < 0)
        return r;
    const unsigned char *asked = dom ? (unsigned char *)dom->uuid :
        call->row->shape == ARGS_UUID ? (unsigned char *)call->args.uuid.uuid : NULL;
    call->rights = rpc_rights_on(f, &found.dom);
    if (asked && memcmp(found.dom.uuid, asked, sizeof found.dom.uuid) != 0)
        r = -EPROTO;
    else if (!call->rights)
        r = ask_for_nobody(f, call);
    else {
        /* An event overtakes a reply that was made before it: what may be older than a change is not remembered. */
        if (f->watching && call->changes == f->changes)
            r = rpc_known_add(&f->known, found.dom.uuid, found.dom.name);
        if (r == 0 && dom) {
            r = set_name(dom, found.dom.name);
            call->at++;
            if (r == 0)
                r = rpc_check_claims(f, call);
        } else if (r == 0) {
            r = rpc_finish(f, call, RPC_OK, m->payload, m->len);
        }
    }
    rpc_release(RPC_CODEC(vgr_ret_domain), &found, sizeof found);
    return r;
}
