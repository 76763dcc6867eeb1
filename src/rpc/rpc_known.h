/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of domains by their uuids, as libvirtd gave them. Bounded: when it is full it starts anew. */
#ifndef VG_RPC_KNOWN_H
#define VG_RPC_KNOWN_H

#include <stddef.h>

#define RPC_KNOWN_MAX 256

struct rpc_known {
    struct rpc_known_domain {
        unsigned char uuid[16];
        char *name;
    } *list;
    size_t n;
};

void rpc_known_free(struct rpc_known *known);
/* NULL: not known. */
const char *rpc_known_name(const struct rpc_known *known, const void *uuid);
/* 0 or -ENOMEM. */
int rpc_known_add(struct rpc_known *known, const void *uuid, const char *name);
void rpc_known_forget(struct rpc_known *known, const void *uuid);

#endif
