/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/rpc_codec.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* xdrmem_create() takes what it only reads without const. */
static void open_memory(XDR *xdr, const void *data, size_t len, enum xdr_op op)
{
    xdrmem_create(xdr, (char *)(uintptr_t)data, (u_int)len, op);
}

void rpc_release(xdrproc_t codec, void *in, size_t size)
{
    xdr_free(codec, in);
    memset(in, 0, size);
}

int rpc_encode(xdrproc_t codec, const void *in, void **ret, size_t *ret_len)
{
    u_long len = xdr_sizeof(codec, (void *)(uintptr_t)in);
    XDR xdr;

    /* The size of a structure over its bounds is told as 0, and so is that of an empty one, of which there is none. */
    if (len == 0 || len > INT_MAX)
        return -ENOMEM;
    void *data = malloc(len);
    if (!data)
        return -ENOMEM;
    open_memory(&xdr, data, len, XDR_ENCODE);
    if (!codec(&xdr, (void *)(uintptr_t)in) || xdr_getpos(&xdr) != len) {
        free(data);
        return -ENOMEM;
    }
    *ret = data;
    *ret_len = len;
    return 0;
}

/* Would it become these bytes again? */
static int check_form(xdrproc_t codec, const void *in, const void *data, size_t len)
{
    void *again;
    size_t again_len;
    int r = rpc_encode(codec, in, &again, &again_len);

    if (r < 0)
        return -EPROTO;
    r = again_len == len && memcmp(again, data, len) == 0 ? 0 : -EPROTO;
    free(again);
    return r;
}

int rpc_decode(xdrproc_t codec, const void *data, size_t len, void *out, size_t size)
{
    struct rpc_walk walk;

    rpc_walk_begin(&walk, data, len);
    int r = rpc_walk_next(&walk, codec, out, size);
    if (r == 0 && rpc_walk_end(&walk) < 0) {
        rpc_release(codec, out, size);
        r = -EPROTO;
    }
    return r;
}

void rpc_walk_begin(struct rpc_walk *walk, const void *data, size_t len)
{
    walk->data = data;
    walk->len = len > INT_MAX ? 0 : len;
    open_memory(&walk->xdr, data, walk->len, XDR_DECODE);
}

int rpc_walk_next(struct rpc_walk *walk, xdrproc_t codec, void *out, size_t size)
{
    size_t start = rpc_walk_at(walk);

    memset(out, 0, size);
    if (!codec(&walk->xdr, out) ||
        check_form(codec, out, walk->data + start, rpc_walk_at(walk) - start) < 0) {
        rpc_release(codec, out, size);
        return -EPROTO;
    }
    return 0;
}

int rpc_walk_number(struct rpc_walk *walk, uint32_t *ret)
{
    u_int number;

    if (!xdr_u_int(&walk->xdr, &number))
        return -EPROTO;
    *ret = number;
    return 0;
}

size_t rpc_walk_at(struct rpc_walk *walk)
{
    return xdr_getpos(&walk->xdr);
}

int rpc_walk_end(struct rpc_walk *walk)
{
    return rpc_walk_at(walk) == walk->len ? 0 : -EPROTO;
}

struct uuid rpc_uuid(const vgr_uuid uuid)
{
    struct uuid out;

    memcpy(out.byte, uuid, sizeof out.byte);
    return out;
}
