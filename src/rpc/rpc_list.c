/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of libvirtd's, of which the user gets their own domains: a count, the elements, and but for statistics the count
 * again. */
#include "rpc/rpc_filter_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc_codec.h"

#define LIST_DEFINED_DOMAINS 21U
#define NUM_OF_DEFINED_DOMAINS 25U
#define LIST_DOMAINS 37U
#define NUM_OF_DOMAINS 51U

static void put_word(unsigned char *at, uint32_t number)
{
    uint32_t word = htonl(number);

    memcpy(at, &word, sizeof word);
}

static int append_word(struct rpc_buffer *buffer, uint32_t number)
{
    uint32_t word = htonl(number);

    return rpc_buffer_put(buffer, &word, sizeof word);
}

/* One element of a list that is kept: its bytes, and the domain in it. */
typedef int keep_element(struct call *call, struct rpc_buffer *out, const vgr_domain *dom, const unsigned char *data,
                         size_t len, uint32_t kept);

static int keep_bytes(struct call *call, struct rpc_buffer *out, const vgr_domain *dom, const unsigned char *data,
                      size_t len, uint32_t kept)
{
    (void)dom;
    (void)kept;
    return call->row->fate == FATE_LIST && !call->args.list.need_results ? 0 : rpc_buffer_put(out, data, len);
}

static bool has_room(const struct call *call, uint32_t kept)
{
    return call->args.number.number > 0 && kept < (uint32_t)call->args.number.number;
}

static int keep_id(struct call *call, struct rpc_buffer *out, const vgr_domain *dom, const unsigned char *data,
                   size_t len, uint32_t kept)
{
    (void)data;
    (void)len;
    return has_room(call, kept) ? append_word(out, (uint32_t)dom->id) : 0;
}

static int keep_name(struct call *call, struct rpc_buffer *out, const vgr_domain *dom, const unsigned char *data,
                     size_t len, uint32_t kept)
{
    void *name;
    int r;

    (void)data;
    if (!has_room(call, kept))
        return 0;
    r = rpc_encode(RPC_CODEC(vgr_name), &dom->name, &name, &len);
    if (r == 0) {
        r = rpc_buffer_put(out, name, len);
        free(name);
    }
    return r;
}

static int keep_none(struct call *call, struct rpc_buffer *out, const vgr_domain *dom, const unsigned char *data,
                     size_t len, uint32_t kept)
{
    (void)call;
    (void)out;
    (void)dom;
    (void)data;
    (void)len;
    (void)kept;
    return 0;
}

static int skip_params(struct rpc_walk *walk)
{
    struct vgr_param param;
    uint32_t n;
    int r = rpc_walk_number(walk, &n);

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = rpc_walk_next(walk, RPC_CODEC(vgr_param), &param, sizeof param);
        if (r == 0)
            rpc_release(RPC_CODEC(vgr_param), &param, sizeof param);
    }
    return r;
}

/* A count, and elements that begin with a domain; with params, a list of parameters follows each. Those of the user's domains
 * go into out. */
static int keep_own(struct rpc_filter *f, struct call *call, struct rpc_walk *walk, bool params, keep_element *keep,
                    struct rpc_buffer *out, uint32_t *ret_kept)
{
    uint32_t n, kept = 0;
    int r = rpc_walk_number(walk, &n);

    if (r == 0 && n > VGR_DOMAINS_MAX)
        r = -EPROTO;
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        vgr_domain dom;
        size_t start = rpc_walk_at(walk);
        r = rpc_walk_next(walk, RPC_CODEC(vgr_domain), &dom, sizeof dom);
        if (r < 0)
            break;
        if (params)
            r = skip_params(walk);
        if (r == 0 && rpc_rights_on(f, &dom))
            r = keep(call, out, &dom, walk->data + start, rpc_walk_at(walk) - start, kept++);
        rpc_release(RPC_CODEC(vgr_domain), &dom, sizeof dom);
    }
    *ret_kept = kept;
    return r;
}

static keep_element *keeper_of(const struct call *call)
{
    switch (call->row->procedure) {
    case LIST_DOMAINS:
        return keep_id;
    case LIST_DEFINED_DOMAINS:
        return keep_name;
    case NUM_OF_DOMAINS:
    case NUM_OF_DEFINED_DOMAINS:
        return keep_none;
    default:
        return keep_bytes;
    }
}

/* How many there are in the reply. */
static uint32_t count_of(const struct call *call, uint32_t kept)
{
    bool some = call->row->procedure == LIST_DOMAINS || call->row->procedure == LIST_DEFINED_DOMAINS;

    if (call->row->fate == FATE_LIST && !call->args.list.need_results)
        return 0;
    if (some && !has_room(call, kept))
        return call->args.number.number > 0 ? (uint32_t)call->args.number.number : 0;
    return kept;
}

int rpc_take_list(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    bool stats = call->row->fate == FATE_STATS;
    struct rpc_buffer out = { 0 };
    struct rpc_walk walk;
    uint32_t kept = 0, total;
    int r = append_word(&out, 0);

    rpc_walk_begin(&walk, m->payload, m->len);
    if (r == 0)
        r = keep_own(f, call, &walk, stats, keeper_of(call), &out, &kept);
    if (r == 0 && !stats)
        r = rpc_walk_number(&walk, &total);
    if (r == 0)
        r = rpc_walk_end(&walk);
    if (r == 0 && call->row->fate == FATE_LIST)
        r = append_word(&out, kept);
    if (r == 0) {
        put_word(out.data + out.start, count_of(call, kept));
        r = rpc_finish(f, call, RPC_OK, out.data + out.start, rpc_buffer_len(&out));
    }
    rpc_buffer_free(&out);
    return r;
}
