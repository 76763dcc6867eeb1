/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the filter share: its state, and what each does for the others. All functions return 0, or an error that
 * ends the connection, unless said otherwise. */
#ifndef VG_RPC_FILTER_IMPL_H
#define VG_RPC_FILTER_IMPL_H

#include "rpc/rpc_allow.h"
#include "rpc/rpc_codec.h"
#include "rpc/rpc_filter.h"
#include "rpc/rpc_known.h"

union rpc_args {
    struct vgr_args_open open;
    struct vgr_args_number number;
    struct vgr_args_list list;
    struct vgr_args_name name;
    struct vgr_args_uuid uuid;
    struct vgr_args_cap cap;
    struct vgr_args_cap_list cap_list;
    struct vgr_args_capabilities capabilities;
    struct vgr_args_other_events other_events;
    struct vgr_args_domain domain;
    struct vgr_args_domain_flags domain_flags;
    struct vgr_args_domain_number_flags domain_number_flags;
    struct vgr_args_domain_numbers domain_numbers;
    struct vgr_args_domain_name domain_name;
    struct vgr_args_domain_name_flags domain_name_flags;
    struct vgr_args_domain_name_number_flags domain_name_number_flags;
    struct vgr_args_metadata metadata;
    struct vgr_args_cpu_stats cpu_stats;
    struct vgr_args_keys keys;
    struct vgr_args_console console;
    struct vgr_args_events events;
    struct vgr_args_stats stats;
};

/* What a call waits for. */
enum wait {
    WAIT_LOOKUP,  /* who is the domain that is claimed? */
    WAIT_NOBODY,  /* the error for one that nobody has */
    WAIT_DEVICES, /* the XML that names the consoles */
    WAIT_REPLY,   /* the call itself */
    WAIT_WATCH,   /* the filter's own events, before the first call after CONNECT_OPEN */
    WAIT_NAMES,   /* all names: does the error name another's domain? */
};

struct call {
    struct call *next;
    const struct rpc_row *row;
    uint32_t client_serial;
    uint32_t serial, procedure; /* of what libvirtd was asked last for it */
    uint64_t changes;           /* that the filter had heard of by then */
    enum wait wait;
    union rpc_args args;
    size_t at;                  /* the claims before this one are checked */
    rights rights;              /* on the domain that was checked last */
    struct vgr_error error;     /* WAIT_NAMES */
    size_t held;                /* how long its arguments were on the wire */
};

struct stream {
    uint32_t client_serial, serial, procedure;
    bool opened;                /* libvirtd has said so; its data may come before that */
    bool sends;                 /* the client may send data */
    bool finished;              /* it has said that it will not any more */
};

struct rpc_filter {
    struct rpc_filter_options options;
    struct subject subject;
    struct rpc_buffer to_client, to_server;
    struct call *calls;
    size_t n_calls, n_streams, n_callbacks;
    size_t held;                /* of all calls */
    struct stream stream[RPC_STREAMS_MAX];
    int callback[RPC_CALLBACKS_MAX]; /* the client's, as libvirtd numbers them */
    int own_callback;           /* for every domain's life, with watching; shared with the client, as libvirtd has one for each kind */
    int other_callbacks;
    bool shared;                /* the client wants these events too */
    uint32_t serial;
    bool opened, closed;
    bool watching;              /* libvirtd tells of changes, so that what is known can be remembered */
    uint64_t changes;           /* that it has told of */
    struct rpc_known known;
    struct uuid nobody_uuid;
    char nobody_name[40];
    int nobody_id;
};

/* rpc_call.c: a call from its arguments to its answer. */
struct call *rpc_call_new(struct rpc_filter *f, const struct rpc_row *row, uint32_t client_serial); /* NULL: no memory */
void rpc_call_free(struct rpc_filter *f, struct call *call);
int rpc_call_decode(struct call *call, const struct rpc_message *m); /* -EPROTO: they are not what the row says */
uint32_t *rpc_call_flags(struct call *call);                         /* in its arguments; NULL: it has none */
struct call *rpc_call_of_server(struct rpc_filter *f, uint32_t serial);
/* The domains that it claims, which lie in its arguments; and the one whose turn it is, or NULL. */
vgr_domain *rpc_call_claims(struct call *call, size_t *ret_n);
vgr_domain *rpc_call_claim(struct call *call);
/* Asks libvirtd on behalf of the call: something else (codec NULL: without arguments), or what the client asked. */
int rpc_ask(struct rpc_filter *f, struct call *call, enum wait wait, uint32_t procedure, xdrproc_t codec, const void *args);
int rpc_forward(struct rpc_filter *f, struct call *call, enum wait wait);
/* The call is over with this reply. */
int rpc_finish(struct rpc_filter *f, struct call *call, enum rpc_status status, const void *payload, size_t len);
int rpc_finish_with_error(struct rpc_filter *f, struct call *call, const struct vgr_error *error);
/* Access denied; of a call whose domains are known to be the user's, so that one may be named in the log. */
int rpc_refuse(struct rpc_filter *f, const struct rpc_header *header, const struct rpc_row *row, const char *why);
int rpc_refuse_call(struct rpc_filter *f, struct call *call, const char *why);
int rpc_send_error(struct rpc_filter *f, const struct rpc_header *to, int code, const char *text);
int rpc_pass_to_client(struct rpc_filter *f, const struct rpc_message *m, uint32_t serial);
void rpc_say_note(const struct rpc_filter *f, enum rpc_note_kind kind, const struct rpc_row *row, uint32_t procedure,
                  const vgr_domain *dom, const char *reason);

/* rpc_identity.c */
rights rpc_rights_on(const struct rpc_filter *f, const vgr_domain *dom);
int rpc_check_claims(struct rpc_filter *f, struct call *call);
int rpc_take_lookup(struct rpc_filter *f, struct call *call, const struct rpc_message *m);
int rpc_take_nobody(struct rpc_filter *f, struct call *call, const struct rpc_message *m);

/* rpc_admit.c: once the call's domains are the user's. */
int rpc_admit(struct rpc_filter *f, struct call *call);
size_t rpc_find_callback(const struct rpc_filter *f, int number); /* f->n_callbacks: it is none of the client's */

/* rpc_list.c: replies with several domains. */
int rpc_take_list(struct rpc_filter *f, struct call *call, const struct rpc_message *m);

/* rpc_reply.c */
int rpc_take_reply(struct rpc_filter *f, struct call *call, const struct rpc_message *m);
void rpc_succeeded(struct rpc_filter *f, struct call *call); /* what a call that did leaves behind */

/* rpc_flow.c */
int rpc_take_event(struct rpc_filter *f, const struct rpc_message *m);
struct stream *rpc_stream_of_client(struct rpc_filter *f, uint32_t serial); /* NULL: none; and below */
struct stream *rpc_stream_of_server(struct rpc_filter *f, uint32_t serial);
void rpc_stream_close(struct rpc_filter *f, struct stream *stream);
int rpc_stream_from_client(struct rpc_filter *f, const struct rpc_message *m);
int rpc_stream_from_server(struct rpc_filter *f, const struct rpc_message *m);
int rpc_stream_end_from_server(struct rpc_filter *f, struct stream *stream, const struct rpc_message *m);

#endif
