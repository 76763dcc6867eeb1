/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The structures of virtgate_remote.x to and from bytes. A payload has one form: what is decoded here would be encoded to
 * the same bytes again, so nothing hides in padding, behind a NUL within a string, or behind the end. */
#ifndef VG_RPC_CODEC_H
#define VG_RPC_CODEC_H

#include <stddef.h>

#include "base/uuid.h"
#include "rpc/virtgate_remote.h"

/* The functions that rpcgen makes have a type of their own each; libtirpc calls them by this one. */
#define RPC_CODEC(type) ((xdrproc_t)xdr_##type)

/* Decodes a whole payload. 0 and *out (of size bytes), to be given to rpc_release(); -EPROTO, with nothing to release. */
int rpc_decode(xdrproc_t codec, const void *data, size_t len, void *out, size_t size);

/* Encodes. 0, an allocated *ret and its length; -ENOMEM, also for what is over a bound of virtgate_remote.x. */
int rpc_encode(xdrproc_t codec, const void *in, void **ret, size_t *ret_len);

/* Frees what a structure holds, and leaves zeros of size bytes. */
void rpc_release(xdrproc_t codec, void *in, size_t size);

/* Walks through a payload whose parts are looked at one by one: a list may be long, and is not wanted in memory twice. */
struct rpc_walk {
    XDR xdr;
    const unsigned char *data;
    size_t len;
};
void rpc_walk_begin(struct rpc_walk *walk, const void *data, size_t len);
/* The next part. As rpc_decode(), but for the end. */
int rpc_walk_next(struct rpc_walk *walk, xdrproc_t codec, void *out, size_t size);
int rpc_walk_number(struct rpc_walk *walk, uint32_t *ret);
/* How far it has come. */
size_t rpc_walk_at(struct rpc_walk *walk);
/* Nothing is left? 0 or -EPROTO. */
int rpc_walk_end(struct rpc_walk *walk);

struct uuid rpc_uuid(const vgr_uuid uuid);

#endif
