/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user of the gate may call of libvirt's protocol. rpc_allow.c says why, in prose, and as the table that decides. */
#ifndef VG_RPC_ALLOW_H
#define VG_RPC_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

/* What the arguments are (virtgate_remote.x). */
enum rpc_shape {
    ARGS_NONE,
    ARGS_OPEN,
    ARGS_NUMBER,
    ARGS_LIST,
    ARGS_NAME,
    ARGS_UUID,
    ARGS_CAP,
    ARGS_CAP_LIST,
    ARGS_CAPABILITIES,
    ARGS_OTHER_EVENTS,
    ARGS_DOMAIN,                   /* from here on they begin with a domain */
    ARGS_DOMAIN_FLAGS,
    ARGS_DOMAIN_NUMBER_FLAGS,
    ARGS_DOMAIN_NUMBERS,
    ARGS_DOMAIN_NAME,
    ARGS_DOMAIN_NAME_FLAGS,
    ARGS_DOMAIN_NAME_NUMBER_FLAGS,
    ARGS_METADATA,
    ARGS_CPU_STATS,
    ARGS_KEYS,
    ARGS_CONSOLE,
    ARGS_EVENTS,                   /* a domain, or none */
    ARGS_STATS,                    /* several, or none */
};

/* What becomes of a call. In all of them the domains of the arguments are the user's, or there is NO_DOMAIN. */
enum rpc_fate {
    FATE_FORWARD,     /* to libvirtd, and its reply back */
    FATE_ZEROS,       /* answered here: row->zeros bytes of zeros, which is an empty list, the number 0, or nothing */
    FATE_NO_AUTH,     /* answered here: authentication is none */
    FATE_CALLBACK,    /* answered here: a number for events that will never come */
    FATE_OPEN,        /* the name must be the one that is offered */
    FATE_FEATURE,     /* "no" but for the features listed */
    FATE_CAPABILITIES, /* forwarded without the path of a program */
    FATE_LOOKUP,      /* its reply is a domain */
    FATE_LIST,        /* its reply is a list of domains */
    FATE_OLD_LIST,    /* the same in numbers and names: made here from a list of libvirtd's */
    FATE_STATS,       /* its reply is a list of records of domains */
    FATE_EVENTS,      /* its reply is the number of a callback */
    FATE_NO_EVENTS,   /* takes such a number back */
    FATE_XML,         /* its reply is rewritten */
    FATE_METADATA,    /* title or description, nothing else */
    FATE_CONSOLE,     /* the device must be a serial or console device */
};

struct rpc_row {
    uint32_t procedure;
    const char *name;         /* libvirt's, without REMOTE_PROC_ */
    enum rpc_shape shape;
    enum rpc_fate fate;
    enum right right;         /* 0: any right makes the domain visible, and that is enough */
    bool writes;              /* not over a read-only connection */
    bool stream;              /* its reply opens a stream */
    unsigned zeros;
    uint32_t flags;           /* those a client may set; any other is refused */
    uint32_t cleared;         /* of these, those that are taken away before it is forwarded */
};

/* NULL: refused. */
const struct rpc_row *rpc_allow(uint32_t procedure);
/* All of them, in the order of their numbers. */
const struct rpc_row *rpc_allow_all(size_t *ret_n);

/* Of VIR_DRV_FEATURE_*: those that the client may use, if libvirtd has them. */
bool rpc_allow_feature(int32_t feature);

/* An event that libvirtd may send on to the client. Its payload begins with a callback's number, then skip words, then the
 * domain, but for the one that has none. */
struct rpc_event {
    uint32_t procedure;
    const char *name;
    bool domain;
    unsigned skip;
};
const struct rpc_event *rpc_allow_event(uint32_t procedure);

/* Highest id of a domain's event that may be asked for (VIR_DOMAIN_EVENT_ID_*): one of rpc_allow_event() each. */
#define RPC_EVENT_ID_MAX 26

#endif
