/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Carries messages between a client and libvirtd through the filter. Whoever does not take what is due to it stops what is
 * read from the other: neither side can make this process hold more than a message of each and a little. */
#ifndef VG_RPC_LOOP_H
#define VG_RPC_LOOP_H

#include <stdint.h>

#include "rpc/rpc_filter.h"

enum rpc_end {
    RPC_CLIENT_ENDED,
    RPC_SERVER_ENDED,
    RPC_BROKER_ENDED,
    RPC_CLIENT_BROKE, /* the protocol */
    RPC_SERVER_BROKE,
    RPC_NO_MEMORY,
};

struct rpc_totals {
    uint64_t to_client, from_client;
};

/* The descriptors do not wait and stay the caller's. control: the broker's; its end is the end. */
enum rpc_end rpc_loop(struct rpc_filter *filter, int client, int upstream, int control, struct rpc_totals *ret);

#endif
