/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands between a client and libvirtd: a message of the one goes in, what is due to either comes out. No input or output of
 * its own, no clock; memory is bounded by the messages that are let in.
 *
 * Identity. A domain in a call is a claim. The decision is made on its uuid with the name that libvirtd gives for it: a
 * lookup of the filter's own, remembered until libvirtd tells of a change of that domain. What is forwarded carries that name.
 * For a domain that is not the user's, and for one that there is none of, libvirtd is asked for one that nobody can have
 * (a random uuid, name or id); its error, with what the client said put in, is the answer: same code, same text, same
 * number of questions.
 *
 * Serials. Those of the client are its own; towards libvirtd the filter counts by itself.
 *
 * What is forwarded is made anew from what was understood; bytes of a client reach libvirtd only in streams. */
#ifndef VG_RPC_FILTER_H
#define VG_RPC_FILTER_H

#include "policy/policy.h"
#include "rpc/rpc_frame.h"

#define RPC_CALLS_MAX 64   /* that wait for libvirtd; more stay unread */
#define RPC_STREAMS_MAX 16
#define RPC_CALLBACKS_MAX 256

struct rpc_filter;

enum rpc_note_kind { RPC_REFUSED, RPC_DONE };

/* Something for the log: a call that was refused, or one that needed a right and succeeded. */
struct rpc_note {
    enum rpc_note_kind kind;
    const char *procedure;   /* libvirt's name, or "procedure 103" */
    enum right right;        /* that it needs; 0: none */
    const char *vm;          /* as libvirtd calls it; "" when none was found */
    const struct uuid *uuid; /* with vm */
    const char *reason;      /* of a refusal */
};

struct rpc_filter_options {
    const struct policy *view; /* kept, not copied; as is user */
    uid_t uid;
    const char *user;
    const char *uri;           /* the one that is offered; kept */
    bool readonly;             /* libvirtd's end is its read-only socket */
    uint32_t serial;           /* the first one not used yet towards libvirtd */
    unsigned char seed[24];    /* random: what nobody can have is made of it */
    void (*note)(void *context, const struct rpc_note *note); /* may be NULL */
    void *context;
};

/* 0 or -ENOMEM. */
int rpc_filter_new(const struct rpc_filter_options *options, struct rpc_filter **ret);
void rpc_filter_free(struct rpc_filter *filter);

/* Takes one message. 0; -EPROTO: the connection must end, its sender broke the protocol; -ENOMEM. */
int rpc_filter_from_client(struct rpc_filter *filter, const struct rpc_message *message);
int rpc_filter_from_server(struct rpc_filter *filter, const struct rpc_message *message);

/* Of a message of libvirtd's whose payload is still on its way: 1 when the client gets it as it is, and its head is put into
 * what is due to the client: the caller puts the payload there as it comes, and nothing of rpc_filter_from_client() or
 * _from_server() in between. 0: rpc_filter_from_server() has to see the whole; -errno as there. */
int rpc_filter_pass_from_server(struct rpc_filter *filter, const struct rpc_header *header, size_t len);

/* What is due; the caller takes from the front (rpc_buffer_drop). */
struct rpc_buffer *rpc_filter_to_client(struct rpc_filter *filter);
struct rpc_buffer *rpc_filter_to_server(struct rpc_filter *filter);

/* The client has gone: gives up for it the streams that are open. 1: libvirtd's confirmation of some is still due, which is
 * taken as any message; 0: nothing is; -errno. Once more is no harm. */
int rpc_filter_give_up_streams(struct rpc_filter *filter);

/* The client has said goodbye, and libvirtd has heard it: that libvirtd ends the connection then is as it should be. */
bool rpc_filter_closed(const struct rpc_filter *filter);

/* False while too many calls, or too long ones, wait for libvirtd: the client's next message has to wait. */
bool rpc_filter_ready(const struct rpc_filter *filter);

#endif
