/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/rpc_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc_allow.h"
#include "rpc/rpc_codec.h"
#include "rpc/rpc_error.h"
#include "rpc/rpc_known.h"
#include "rpc/rpc_xml.h"
#include "session/domain_xml.h"

/* Calls of our own, and of others by number. */
#define CONNECT_CLOSE 2U
#define GET_XML_DESC 14U
#define GET_INFO 16U
#define LIST_DEFINED_DOMAINS 21U
#define LOOKUP_BY_ID 22U
#define LOOKUP_BY_NAME 23U
#define LOOKUP_BY_UUID 24U
#define NUM_OF_DEFINED_DOMAINS 25U
#define LIST_DOMAINS 37U
#define NUM_OF_DOMAINS 51U
#define LIST_ALL_DOMAINS 273U
#define EVENTS_REGISTER 316U
#define EVENT_LIFECYCLE 318U

#define EVENT_ID_LIFECYCLE 0
#define LIST_ACTIVE 1U
#define LIST_INACTIVE 2U
#define OPEN_READ_ONLY 1U
#define CONSOLE_FORCE 1U
#define METADATA_DESCRIPTION 0
#define METADATA_TITLE 1
#define KEEPALIVE_PING 1U
#define KEEPALIVE_PONG 2U
#define CALLBACK_OF_OURS 0x76670000 /* for events that never come: any number does, libvirtd's are not used beside it */

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

#define NO_FLAGS SIZE_MAX
#define SHAPE(type) { RPC_CODEC(type), sizeof(struct type), NO_FLAGS }
#define SHAPE_FLAGS(type) { RPC_CODEC(type), sizeof(struct type), offsetof(struct type, flags) }

static const struct {
    xdrproc_t codec; /* NULL: no arguments */
    size_t size, flags;
} shapes[] = {
    [ARGS_NONE] = { NULL, 0, NO_FLAGS },
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
    enum wait wait;
    union rpc_args args;
    size_t at;                  /* the claims before this one are checked */
    rights rights;              /* on the domain that was checked last */
    struct vgr_error error;     /* WAIT_NAMES */
    size_t held;                /* how long its arguments were on the wire */
};

struct stream {
    uint32_t client_serial, serial, procedure;
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
    struct rpc_known known;
    struct uuid nobody_uuid;
    char nobody_name[40];
    int nobody_id;
};

/* --- calls ------------------------------------------------------------------------------------------------------- */

static struct call *call_new(struct rpc_filter *f, const struct rpc_row *row, uint32_t client_serial)
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

static void call_free(struct rpc_filter *f, struct call *call)
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
static vgr_domain *claims(struct call *call, size_t *ret_n)
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
static vgr_domain *claim(struct call *call)
{
    size_t n;
    vgr_domain *dom = claims(call, &n);

    return call->at < n ? dom + call->at : NULL;
}

/* --- saying ------------------------------------------------------------------------------------------------------ */

static int reply(struct rpc_filter *f, uint32_t procedure, uint32_t serial, enum rpc_status status, const void *payload,
                 size_t len)
{
    const struct rpc_header header = { RPC_PROGRAM_REMOTE, RPC_VERSION, procedure, RPC_REPLY, serial, status };

    return rpc_frame_put(&f->to_client, &header, payload, len);
}

/* The call is over with this reply. */
static int finish(struct rpc_filter *f, struct call *call, enum rpc_status status, const void *payload, size_t len)
{
    int r = reply(f, call->row->procedure, call->client_serial, status, payload, len);

    call_free(f, call);
    return r;
}

static int finish_with_error(struct rpc_filter *f, struct call *call, const struct vgr_error *error)
{
    void *data;
    size_t len;
    int r = rpc_encode(RPC_CODEC(vgr_error), error, &data, &len);

    if (r < 0)
        return r;
    r = finish(f, call, RPC_ERROR, data, len);
    free(data);
    return r;
}

static int send_error(struct rpc_filter *f, const struct rpc_header *to, int code, const char *text)
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

static void note(const struct rpc_filter *f, enum rpc_note_kind kind, const struct rpc_row *row, uint32_t procedure,
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

static int refuse(struct rpc_filter *f, const struct rpc_header *header, const struct rpc_row *row, const char *why)
{
    char text[256];

    if (row)
        snprintf(text, sizeof text, "access denied: %s: %s", row->name, why);
    else
        snprintf(text, sizeof text, "access denied: procedure %" PRIu32 " %s", header->procedure, why);
    note(f, RPC_REFUSED, row, header->procedure, NULL, why);
    return send_error(f, header, RPC_ERR_OPERATION_DENIED, text);
}

/* The same for a call whose domain is known to be the user's, so that it may be named. */
static int refuse_call(struct rpc_filter *f, struct call *call, const char *why)
{
    const struct rpc_header header = { RPC_PROGRAM_REMOTE, RPC_VERSION, call->row->procedure, RPC_REPLY,
                                       call->client_serial, RPC_ERROR };
    char text[256];
    size_t n;
    const vgr_domain *dom = claims(call, &n);

    snprintf(text, sizeof text, "access denied: %s: %s", call->row->name, why);
    note(f, RPC_REFUSED, call->row, call->row->procedure, n == 1 ? dom : NULL, why);
    int r = send_error(f, &header, RPC_ERR_OPERATION_DENIED, text);
    call_free(f, call);
    return r;
}

/* Asks libvirtd, on behalf of the call. codec NULL: no arguments. */
static int ask(struct rpc_filter *f, struct call *call, enum wait wait, uint32_t procedure, xdrproc_t codec,
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
    return r;
}

static int forward(struct rpc_filter *f, struct call *call)
{
    return ask(f, call, WAIT_REPLY, call->row->procedure, shapes[call->row->shape].codec, &call->args);
}

/* --- identity ---------------------------------------------------------------------------------------------------- */

static rights rights_on(const struct rpc_filter *f, const vgr_domain *dom)
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
    const vgr_domain *dom = claim(call);

    memcpy(uuid.uuid, f->nobody_uuid.byte, sizeof uuid.uuid);
    if (dom) {
        info.dom = *dom;
        memcpy(info.dom.uuid, uuid.uuid, sizeof uuid.uuid);
        return ask(f, call, WAIT_NOBODY, GET_INFO, RPC_CODEC(vgr_args_domain), &info);
    }
    if (call->row->shape == ARGS_NUMBER)
        return ask(f, call, WAIT_NOBODY, LOOKUP_BY_ID, RPC_CODEC(vgr_args_number), &id);
    if (call->row->shape == ARGS_NAME)
        return ask(f, call, WAIT_NOBODY, LOOKUP_BY_NAME, RPC_CODEC(vgr_args_name), &name);
    return ask(f, call, WAIT_NOBODY, LOOKUP_BY_UUID, RPC_CODEC(vgr_args_uuid), &uuid);
}

/* What stands in that error for what the call has claimed, and what it claimed. */
static int put_claim_in(const struct rpc_filter *f, struct call *call, struct vgr_error *error)
{
    char nobody[UUID_TEXT_SIZE], said[UUID_TEXT_SIZE], number[2][16];
    const vgr_domain *dom = claim(call);
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

static int take_nobody(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_error error;
    int r;

    if (m->header.status != RPC_ERROR)
        return refuse_call(f, call, "no such domain"); /* somebody has what nobody can have */
    r = rpc_decode(RPC_CODEC(vgr_error), m->payload, m->len, &error, sizeof error);
    if (r < 0)
        return r;
    r = put_claim_in(f, call, &error);
    if (r == 0) {
        note(f, RPC_REFUSED, call->row, call->row->procedure, NULL, "not the user's domain, or none");
        r = finish_with_error(f, call, &error);
    }
    rpc_release(RPC_CODEC(vgr_error), &error, sizeof error);
    return r;
}

static int admit(struct rpc_filter *f, struct call *call);

/* Goes through the claims as far as they are known, and asks for the first that is not. */
static int check_claims(struct rpc_filter *f, struct call *call)
{
    vgr_domain *dom;

    for (; (dom = claim(call)); call->at++) {
        const char *name = rpc_known_name(&f->known, dom->uuid);
        if (!name) {
            struct vgr_args_uuid args;
            memcpy(args.uuid, dom->uuid, sizeof args.uuid);
            return ask(f, call, WAIT_LOOKUP, LOOKUP_BY_UUID, RPC_CODEC(vgr_args_uuid), &args);
        }
        int r = set_name(dom, name);
        if (r < 0)
            return r;
        call->rights = rights_on(f, dom);
        if (!call->rights)
            return ask_for_nobody(f, call);
    }
    return admit(f, call);
}

/* libvirtd has said who it is. */
static int take_lookup(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_ret_domain found;
    vgr_domain *dom = claim(call);
    int r;

    if (m->header.status != RPC_OK)
        return ask_for_nobody(f, call);
    r = rpc_decode(RPC_CODEC(vgr_ret_domain), m->payload, m->len, &found, sizeof found);
    if (r < 0)
        return r;
    const unsigned char *asked = dom ? (unsigned char *)dom->uuid :
        call->row->shape == ARGS_UUID ? (unsigned char *)call->args.uuid.uuid : NULL;
    call->rights = rights_on(f, &found.dom);
    if (asked && memcmp(found.dom.uuid, asked, sizeof found.dom.uuid) != 0)
        r = -EPROTO;
    else if (!call->rights)
        r = ask_for_nobody(f, call);
    else {
        if (f->watching)
            r = rpc_known_add(&f->known, found.dom.uuid, found.dom.name);
        if (r == 0 && dom) {
            r = set_name(dom, found.dom.name);
            call->at++;
            if (r == 0)
                r = check_claims(f, call);
        } else if (r == 0) {
            r = finish(f, call, RPC_OK, m->payload, m->len);
        }
    }
    rpc_release(RPC_CODEC(vgr_ret_domain), &found, sizeof found);
    return r;
}

/* --- admitted: the call's domains are the user's ------------------------------------------------------------------ */

static int answer_zeros(struct rpc_filter *f, struct call *call)
{
    static const unsigned char zeros[8];

    return finish(f, call, RPC_OK, zeros, call->row->zeros);
}

static int answer_number(struct rpc_filter *f, struct call *call, int number)
{
    uint32_t word = htonl((uint32_t)number);

    return finish(f, call, RPC_OK, &word, sizeof word);
}

static int answer_no_auth(struct rpc_filter *f, struct call *call)
{
    const uint32_t one_none[2] = { htonl(1), 0 };

    return finish(f, call, RPC_OK, one_none, sizeof one_none);
}

static int open_connection(struct rpc_filter *f, struct call *call)
{
    vgr_maybe_name *name = &call->args.open.name;

    if (*name && ***name && strcmp(**name, f->options.uri) != 0) {
        char why[200];
        snprintf(why, sizeof why, "this gate offers %.150s and no other", f->options.uri);
        return refuse_call(f, call, why);
    }
    rpc_release(RPC_CODEC(vgr_maybe_name), name, sizeof *name);
    *name = calloc(1, sizeof **name);
    if (!*name || !(**name = strdup(f->options.uri)))
        return -ENOMEM;
    if (call->args.open.flags & OPEN_READ_ONLY)
        f->options.readonly = true;
    return forward(f, call);
}

static int ask_capabilities(struct rpc_filter *f, struct call *call)
{
    vgr_maybe_name *emulator = &call->args.capabilities.emulator;

    rpc_release(RPC_CODEC(vgr_maybe_name), emulator, sizeof *emulator);
    return forward(f, call);
}

static int ask_old_list(struct rpc_filter *f, struct call *call)
{
    bool active = call->row->procedure == LIST_DOMAINS || call->row->procedure == NUM_OF_DOMAINS;
    struct vgr_args_list args = { 1, active ? LIST_ACTIVE : LIST_INACTIVE };

    return ask(f, call, WAIT_REPLY, LIST_ALL_DOMAINS, RPC_CODEC(vgr_args_list), &args);
}

static int ask_list(struct rpc_filter *f, struct call *call)
{
    struct vgr_args_list args = { 1, call->args.list.flags };

    return ask(f, call, WAIT_REPLY, LIST_ALL_DOMAINS, RPC_CODEC(vgr_args_list), &args);
}

static int ask_events(struct rpc_filter *f, struct call *call)
{
    size_t asked = 0;

    for (const struct call *c = f->calls; c; c = c->next)
        asked += c->row->fate == FATE_EVENTS;
    if (call->args.events.event < 0 || call->args.events.event > RPC_EVENT_ID_MAX)
        return refuse_call(f, call, "no such event of a domain is offered");
    if (f->n_callbacks + asked > RPC_CALLBACKS_MAX)
        return refuse_call(f, call, "too many callbacks");
    /* libvirtd takes one callback for each kind of event and domain; this one the filter has already. */
    if (f->watching && call->args.events.event == EVENT_ID_LIFECYCLE && !call->args.events.dom) {
        if (f->shared)
            return refuse_call(f, call, "event callback already tracked");
        f->shared = true;
        return answer_number(f, call, f->own_callback);
    }
    return forward(f, call);
}

static size_t find_callback(const struct rpc_filter *f, int number)
{
    size_t i = 0;

    while (i < f->n_callbacks && f->callback[i] != number)
        i++;
    return i;
}

static int ask_no_events(struct rpc_filter *f, struct call *call)
{
    if (f->shared && call->args.number.number == f->own_callback) {
        f->shared = false;
        return finish(f, call, RPC_OK, NULL, 0);
    }
    if (find_callback(f, call->args.number.number) == f->n_callbacks)
        return refuse_call(f, call, "not a callback of this client");
    return forward(f, call);
}

static int ask_devices(struct rpc_filter *f, struct call *call)
{
    struct vgr_args_domain_flags args = { call->args.console.dom, 0 };

    if (call->args.console.flags & CONSOLE_FORCE && !(call->rights & RIGHT_TAKEOVER))
        return refuse_call(f, call, "FORCE needs the right takeover");
    return ask(f, call, WAIT_DEVICES, GET_XML_DESC, RPC_CODEC(vgr_args_domain_flags), &args);
}

static int ask_metadata(struct rpc_filter *f, struct call *call)
{
    if (call->args.metadata.type != METADATA_DESCRIPTION && call->args.metadata.type != METADATA_TITLE)
        return refuse_call(f, call, "only the title and the description are offered");
    return forward(f, call);
}

static size_t streams_wanted(const struct rpc_filter *f)
{
    size_t n = f->n_streams;

    for (const struct call *call = f->calls; call; call = call->next)
        n += call->row->stream;
    return n;
}

static int admit(struct rpc_filter *f, struct call *call)
{
    const struct rpc_row *row = call->row;

    if (row->right && !(call->rights & row->right)) {
        char why[64];
        snprintf(why, sizeof why, "needs the right %s", right_name(row->right));
        return refuse_call(f, call, why);
    }
    if (row->stream && streams_wanted(f) > RPC_STREAMS_MAX)
        return refuse_call(f, call, "too many streams");
    switch (row->fate) {
    case FATE_ZEROS:
        return answer_zeros(f, call);
    case FATE_NO_AUTH:
        return answer_no_auth(f, call);
    case FATE_CALLBACK:
        return answer_number(f, call, CALLBACK_OF_OURS + (f->other_callbacks++ & 0xffff));
    case FATE_OPEN:
        return open_connection(f, call);
    case FATE_FEATURE:
        return rpc_allow_feature(call->args.number.number) ? forward(f, call) : answer_number(f, call, 0);
    case FATE_CAPABILITIES:
        return ask_capabilities(f, call);
    case FATE_LOOKUP:
        return ask(f, call, WAIT_LOOKUP, row->procedure, shapes[row->shape].codec, &call->args);
    case FATE_LIST:
        return ask_list(f, call);
    case FATE_OLD_LIST:
        return ask_old_list(f, call);
    case FATE_EVENTS:
        return ask_events(f, call);
    case FATE_NO_EVENTS:
        return ask_no_events(f, call);
    case FATE_CONSOLE:
        return ask_devices(f, call);
    case FATE_METADATA:
        return ask_metadata(f, call);
    case FATE_FORWARD:
    case FATE_STATS:
    case FATE_XML:
        return forward(f, call);
    }
    return -EPROTO;
}

/* --- replies ----------------------------------------------------------------------------------------------------- */

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
        if (r == 0 && rights_on(f, &dom))
            r = keep(call, out, &dom, walk->data + start, rpc_walk_at(walk) - start, kept++);
        rpc_release(RPC_CODEC(vgr_domain), &dom, sizeof dom);
    }
    *ret_kept = kept;
    return r;
}

static int take_list(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct rpc_buffer out = { 0 };
    struct rpc_walk walk;
    uint32_t kept = 0, total;
    int r = append_word(&out, 0);

    rpc_walk_begin(&walk, m->payload, m->len);
    if (r == 0)
        r = keep_own(f, call, &walk, false, keep_bytes, &out, &kept);
    if (r == 0)
        r = rpc_walk_number(&walk, &total);
    if (r == 0)
        r = rpc_walk_end(&walk);
    if (r == 0)
        r = append_word(&out, kept);
    if (r == 0) {
        put_word(out.data + out.start, call->args.list.need_results ? kept : 0);
        r = finish(f, call, RPC_OK, out.data + out.start, rpc_buffer_len(&out));
    }
    rpc_buffer_free(&out);
    return r;
}

static int take_old_list(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    bool ids = call->row->procedure == LIST_DOMAINS, names = call->row->procedure == LIST_DEFINED_DOMAINS;
    struct rpc_buffer out = { 0 };
    struct rpc_walk walk;
    uint32_t kept = 0, total;
    int r = append_word(&out, 0);

    rpc_walk_begin(&walk, m->payload, m->len);
    if (r == 0)
        r = keep_own(f, call, &walk, false, ids ? keep_id : names ? keep_name : keep_none, &out, &kept);
    if (r == 0)
        r = rpc_walk_number(&walk, &total);
    if (r == 0)
        r = rpc_walk_end(&walk);
    if (r == 0) {
        if ((ids || names) && !has_room(call, kept))
            kept = call->args.number.number > 0 ? (uint32_t)call->args.number.number : 0;
        put_word(out.data + out.start, kept);
        r = finish(f, call, RPC_OK, out.data + out.start, rpc_buffer_len(&out));
    }
    rpc_buffer_free(&out);
    return r;
}

static int take_stats(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct rpc_buffer out = { 0 };
    struct rpc_walk walk;
    uint32_t kept = 0;
    int r = append_word(&out, 0);

    rpc_walk_begin(&walk, m->payload, m->len);
    if (r == 0)
        r = keep_own(f, call, &walk, true, keep_bytes, &out, &kept);
    if (r == 0)
        r = rpc_walk_end(&walk);
    if (r == 0) {
        put_word(out.data + out.start, kept);
        r = finish(f, call, RPC_OK, out.data + out.start, rpc_buffer_len(&out));
    }
    rpc_buffer_free(&out);
    return r;
}

static int take_xml(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_ret_text text, rewritten = { NULL };
    struct uuid uuid = rpc_uuid(call->args.domain.dom.uuid);
    void *data;
    size_t len;
    int r = rpc_decode(RPC_CODEC(vgr_ret_text), m->payload, m->len, &text, sizeof text);

    if (r < 0)
        return r;
    r = rpc_xml_rewrite(text.text, strlen(text.text), &uuid, call->rights, &rewritten.text, &len);
    rpc_release(RPC_CODEC(vgr_ret_text), &text, sizeof text);
    if (r == -EINVAL)
        return refuse_call(f, call, "the gate does not understand this domain's XML");
    if (r == 0)
        r = rpc_encode(RPC_CODEC(vgr_ret_text), &rewritten, &data, &len);
    free(rewritten.text);
    if (r < 0)
        return r;
    r = finish(f, call, RPC_OK, data, len);
    free(data);
    return r;
}

static int take_callback(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_ret_number ret;
    int r = rpc_decode(RPC_CODEC(vgr_ret_number), m->payload, m->len, &ret, sizeof ret);

    if (r < 0)
        return r;
    if (f->n_callbacks < RPC_CALLBACKS_MAX && find_callback(f, ret.number) == f->n_callbacks)
        f->callback[f->n_callbacks++] = ret.number;
    return finish(f, call, RPC_OK, m->payload, m->len);
}

static int take_no_callback(struct rpc_filter *f, struct call *call)
{
    size_t i = find_callback(f, call->args.number.number);

    if (i < f->n_callbacks)
        f->callback[i] = f->callback[--f->n_callbacks];
    return finish(f, call, RPC_OK, NULL, 0);
}

/* A connection is open: from here on libvirtd tells the filter of every domain that changes. The client hears that it is open
 * when that is arranged, so that what it asks for next does not come in between. */
static int watch(struct rpc_filter *f, struct call *call)
{
    struct vgr_args_events args = { EVENT_ID_LIFECYCLE, NULL };

    if (f->opened)
        return finish(f, call, RPC_OK, NULL, 0);
    f->opened = true;
    return ask(f, call, WAIT_WATCH, EVENTS_REGISTER, RPC_CODEC(vgr_args_events), &args);
}

static int take_watch(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_ret_number ret;

    /* Refused it is no harm: then nothing is remembered. */
    if (m->header.status == RPC_OK) {
        int r = rpc_decode(RPC_CODEC(vgr_ret_number), m->payload, m->len, &ret, sizeof ret);
        if (r < 0)
            return r;
        f->own_callback = ret.number;
        f->watching = true;
    }
    return finish(f, call, RPC_OK, NULL, 0);
}

/* What a call that succeeded leaves behind in the filter. */
static int succeeded(struct rpc_filter *f, struct call *call)
{
    const struct rpc_row *row = call->row;
    size_t n;
    const vgr_domain *dom = claims(call, &n);

    if (row->right)
        note(f, RPC_DONE, row, row->procedure, n == 1 ? dom : NULL, "");
    if (row->procedure == CONNECT_CLOSE)
        f->closed = true;
    if (!row->stream)
        return 0;
    if (f->n_streams == RPC_STREAMS_MAX)
        return -EPROTO;
    f->stream[f->n_streams++] = (struct stream){
        call->client_serial, call->serial, row->procedure, .sends = row->fate == FATE_CONSOLE,
    };
    return 0;
}

static int take_result(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    int r = succeeded(f, call);

    if (r < 0)
        return r;
    switch (call->row->fate) {
    case FATE_LIST:
        return take_list(f, call, m);
    case FATE_OLD_LIST:
        return take_old_list(f, call, m);
    case FATE_STATS:
        return take_stats(f, call, m);
    case FATE_XML:
        return take_xml(f, call, m);
    case FATE_EVENTS:
        return take_callback(f, call, m);
    case FATE_NO_EVENTS:
        return take_no_callback(f, call);
    case FATE_OPEN:
        return m->len == 0 ? watch(f, call) : -EPROTO;
    case FATE_FORWARD:
    case FATE_FEATURE:
    case FATE_CAPABILITIES:
    case FATE_CONSOLE:
    case FATE_METADATA:
        return finish(f, call, RPC_OK, m->payload, m->len);
    case FATE_ZEROS:
    case FATE_NO_AUTH:
    case FATE_CALLBACK:
    case FATE_LOOKUP:
    default:
        return -EPROTO;
    }
}

/* An error of libvirtd's may name what is not the user's ("in use by domain ..."). It is held until all names are known. */
static int take_error(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    struct vgr_args_list all = { 1, 0 };
    int r = rpc_decode(RPC_CODEC(vgr_error), m->payload, m->len, &call->error, sizeof call->error);

    if (r < 0)
        return r;
    rpc_error_strip(&call->error);
    if (!f->opened)
        return finish_with_error(f, call, &call->error);
    return ask(f, call, WAIT_NAMES, LIST_ALL_DOMAINS, RPC_CODEC(vgr_args_list), &all);
}

static int take_names(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    bool names_others = m->header.status != RPC_OK;
    struct rpc_walk walk;
    uint32_t n = 0;
    int r = 0;

    if (!names_others) {
        rpc_walk_begin(&walk, m->payload, m->len);
        r = rpc_walk_number(&walk, &n);
    }
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        vgr_domain dom;
        r = rpc_walk_next(&walk, RPC_CODEC(vgr_domain), &dom, sizeof dom);
        if (r < 0)
            break;
        if (!rights_on(f, &dom))
            names_others |= rpc_error_names(&call->error, &dom);
        rpc_release(RPC_CODEC(vgr_domain), &dom, sizeof dom);
    }
    if (r == 0 && names_others)
        r = rpc_error_blank(&call->error);
    return r < 0 ? r : finish_with_error(f, call, &call->error);
}

static int take_devices(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    vgr_maybe_name *device = &call->args.console.device;
    struct vgr_ret_text text;
    struct domain_facts facts;
    const char *found = NULL;
    int r;

    if (m->header.status != RPC_OK)
        return take_error(f, call, m);
    r = rpc_decode(RPC_CODEC(vgr_ret_text), m->payload, m->len, &text, sizeof text);
    if (r < 0)
        return r;
    r = domain_xml_read(text.text, &facts);
    rpc_release(RPC_CODEC(vgr_ret_text), &text, sizeof text);
    if (r < 0)
        return r == -ENOMEM ? r : refuse_call(f, call, "the gate does not understand this domain's XML");
    for (size_t i = 0; !found && i < facts.n_consoles; i++)
        if (!*device || strcmp(**device, facts.console[i]) == 0)
            found = facts.console[i];
    /* One that does not run has no aliases yet. libvirtd says so; were it to run by then, no other device has this one. */
    if (facts.n_consoles == 0)
        found = "serial0";
    if (!found)
        return refuse_call(f, call, "not a serial or console device of this domain");
    char *copy = strdup(found);
    if (!copy)
        return -ENOMEM;
    rpc_release(RPC_CODEC(vgr_maybe_name), device, sizeof *device);
    *device = calloc(1, sizeof **device);
    if (!*device) {
        free(copy);
        return -ENOMEM;
    }
    **device = copy;
    return forward(f, call);
}

static int take_reply(struct rpc_filter *f, struct call *call, const struct rpc_message *m)
{
    if (m->header.procedure != call->procedure || m->header.status > RPC_ERROR)
        return -EPROTO;
    switch (call->wait) {
    case WAIT_LOOKUP:
        return take_lookup(f, call, m);
    case WAIT_NOBODY:
        return take_nobody(f, call, m);
    case WAIT_DEVICES:
        return take_devices(f, call, m);
    case WAIT_REPLY:
        return m->header.status == RPC_OK ? take_result(f, call, m) : take_error(f, call, m);
    case WAIT_WATCH:
        return take_watch(f, call, m);
    case WAIT_NAMES:
        return take_names(f, call, m);
    }
    return -EPROTO;
}

/* --- events ------------------------------------------------------------------------------------------------------ */

static int pass_to_client(struct rpc_filter *f, const struct rpc_message *m, uint32_t serial)
{
    struct rpc_header header = m->header;

    header.serial = serial;
    return rpc_frame_put(&f->to_client, &header, m->payload, m->len);
}

static bool wants_event(const struct rpc_filter *f, int callback)
{
    return (f->shared && callback == f->own_callback) || find_callback(f, callback) < f->n_callbacks;
}

static int take_event(struct rpc_filter *f, const struct rpc_message *m)
{
    const struct rpc_event *event = rpc_allow_event(m->header.procedure);
    struct rpc_walk walk;
    uint32_t callback, skipped;
    vgr_domain dom;
    int r;

    if (!event)
        return 0;
    if (!event->domain)
        return m->len == 4 ? pass_to_client(f, m, 0) : -EPROTO;
    rpc_walk_begin(&walk, m->payload, m->len);
    r = rpc_walk_number(&walk, &callback);
    for (unsigned i = 0; r == 0 && i < event->skip; i++)
        r = rpc_walk_number(&walk, &skipped);
    if (r == 0)
        r = rpc_walk_next(&walk, RPC_CODEC(vgr_domain), &dom, sizeof dom);
    if (r < 0)
        return r;
    /* Defined, undefined, renamed, or anything else that may give this uuid another name. */
    if (m->header.procedure == EVENT_LIFECYCLE)
        rpc_known_forget(&f->known, dom.uuid);
    if (wants_event(f, (int)callback) && rights_on(f, &dom))
        r = pass_to_client(f, m, 0);
    rpc_release(RPC_CODEC(vgr_domain), &dom, sizeof dom);
    return r;
}

/* --- streams ----------------------------------------------------------------------------------------------------- */

static void stream_close(struct rpc_filter *f, struct stream *stream)
{
    *stream = f->stream[--f->n_streams];
}

static struct stream *stream_of_client(struct rpc_filter *f, uint32_t serial)
{
    for (size_t i = 0; i < f->n_streams; i++)
        if (f->stream[i].client_serial == serial)
            return &f->stream[i];
    return NULL;
}

static struct stream *stream_of_server(struct rpc_filter *f, uint32_t serial)
{
    for (size_t i = 0; i < f->n_streams; i++)
        if (f->stream[i].serial == serial)
            return &f->stream[i];
    return NULL;
}

static int stream_from_client(struct rpc_filter *f, const struct rpc_message *m)
{
    struct stream *stream = stream_of_client(f, m->header.serial);
    struct rpc_header header = m->header;

    /* What was on its way when libvirtd ended the stream; libvirtd drops such packets too. */
    if (!stream || stream->finished)
        return 0;
    if (m->header.procedure != stream->procedure || m->header.status > RPC_CONTINUE)
        return -EPROTO;
    header.serial = stream->serial;
    if (m->header.status != RPC_CONTINUE) {
        stream->finished = true; /* by OK or by ERROR; libvirtd confirms it */
        return rpc_frame_put(&f->to_server, &header, NULL, 0);
    }
    return stream->sends ? rpc_frame_put(&f->to_server, &header, m->payload, m->len) : 0;
}

/* An end of a stream: by a packet, or by a reply, which confirms that the client has given it up. */
static int stream_end_from_server(struct rpc_filter *f, struct stream *stream, const struct rpc_message *m)
{
    struct rpc_header header = m->header;
    struct vgr_error error;
    void *data = NULL;
    size_t len = 0;
    int r = 0;

    header.serial = stream->client_serial;
    stream_close(f, stream);
    if (m->header.status == RPC_ERROR) {
        r = rpc_decode(RPC_CODEC(vgr_error), m->payload, m->len, &error, sizeof error);
        if (r < 0)
            return r;
        rpc_error_strip(&error);
        r = rpc_encode(RPC_CODEC(vgr_error), &error, &data, &len);
        rpc_release(RPC_CODEC(vgr_error), &error, sizeof error);
    }
    if (r == 0)
        r = rpc_frame_put(&f->to_client, &header, data, len);
    free(data);
    return r;
}

static int stream_from_server(struct rpc_filter *f, const struct rpc_message *m)
{
    struct stream *stream = stream_of_server(f, m->header.serial);

    if (!stream)
        return 0;
    if (m->header.procedure != stream->procedure || m->header.status > RPC_CONTINUE)
        return -EPROTO;
    return m->header.status == RPC_CONTINUE ? pass_to_client(f, m, stream->client_serial) :
                                              stream_end_from_server(f, stream, m);
}

/* --- keepalive --------------------------------------------------------------------------------------------------- */

static bool is_keepalive(const struct rpc_message *m)
{
    const struct rpc_header *h = &m->header;

    return h->version == RPC_VERSION && (h->procedure == KEEPALIVE_PING || h->procedure == KEEPALIVE_PONG) &&
           h->type == RPC_EVENT && h->serial == 0 && h->status == RPC_OK && m->len == 0;
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

static bool serial_in_use(struct rpc_filter *f, uint32_t serial)
{
    for (const struct call *call = f->calls; call; call = call->next)
        if (call->client_serial == serial)
            return true;
    return stream_of_client(f, serial) != NULL;
}

static int decode_args(struct call *call, const struct rpc_message *m)
{
    enum rpc_shape shape = call->row->shape;

    if (!shapes[shape].codec)
        return m->len == 0 ? 0 : -EPROTO;
    return rpc_decode(shapes[shape].codec, m->payload, m->len, &call->args, sizeof call->args);
}

static uint32_t *flags_of(struct call *call)
{
    size_t at = shapes[call->row->shape].flags;

    return at == NO_FLAGS ? NULL : (uint32_t *)(void *)((char *)&call->args + at);
}

static int call_from_client(struct rpc_filter *f, const struct rpc_message *m)
{
    const struct rpc_row *row = rpc_allow(m->header.procedure);

    if (m->header.status != RPC_OK || serial_in_use(f, m->header.serial))
        return -EPROTO;
    if (!row)
        return refuse(f, &m->header, NULL, "is not offered");
    if (row->writes && f->options.readonly)
        return refuse(f, &m->header, row, "this connection is read-only");
    struct call *call = call_new(f, row, m->header.serial);
    if (!call)
        return -ENOMEM;
    call->held = m->len;
    f->held += m->len;
    if (decode_args(call, m) < 0) {
        call_free(f, call);
        return send_error(f, &m->header, RPC_ERR_RPC, "Unable to decode message payload");
    }
    if (row->shape == ARGS_OTHER_EVENTS && call->args.other_events.object != 0) {
        call_free(f, call);
        return refuse(f, &m->header, row, "there is no such object");
    }
    uint32_t *flags = flags_of(call);
    if (flags && *flags & ~row->flags) {
        call_free(f, call);
        return refuse(f, &m->header, row, "with these flags is not offered");
    }
    if (flags)
        *flags &= ~row->cleared;
    return check_claims(f, call);
}

int rpc_filter_from_client(struct rpc_filter *f, const struct rpc_message *m)
{
    if (m->header.program == RPC_PROGRAM_KEEPALIVE)
        return is_keepalive(m) ? rpc_frame_put(&f->to_server, &m->header, NULL, 0) : -EPROTO;
    if (m->header.program != RPC_PROGRAM_REMOTE || m->header.version != RPC_VERSION) {
        if (m->header.type != RPC_CALL && m->header.type != RPC_CALL_WITH_FDS)
            return -EPROTO;
        return refuse(f, &m->header, NULL, "of this program is not offered");
    }
    switch (m->header.type) {
    case RPC_CALL:
        return call_from_client(f, m);
    case RPC_STREAM:
        return stream_from_client(f, m);
    case RPC_CALL_WITH_FDS:
        return refuse(f, &m->header, NULL, "with file descriptors is not offered");
    default:
        return -EPROTO;
    }
}

static struct call *call_of_server(struct rpc_filter *f, uint32_t serial)
{
    struct call *call = f->calls;

    while (call && call->serial != serial)
        call = call->next;
    return call;
}

static int reply_from_server(struct rpc_filter *f, const struct rpc_message *m)
{
    struct call *call = call_of_server(f, m->header.serial);
    struct stream *stream;

    if (call)
        return take_reply(f, call, m);
    stream = stream_of_server(f, m->header.serial);
    if (!stream)
        return 0;
    if (m->header.procedure != stream->procedure || m->header.status > RPC_ERROR)
        return -EPROTO;
    return stream_end_from_server(f, stream, m);
}

int rpc_filter_pass_from_server(struct rpc_filter *f, const struct rpc_header *header, size_t len)
{
    struct rpc_header head = *header;
    const struct stream *stream;
    struct call *call;

    if (header->program != RPC_PROGRAM_REMOTE || header->version != RPC_VERSION)
        return 0;
    if (header->type == RPC_STREAM && header->status == RPC_CONTINUE) {
        stream = stream_of_server(f, header->serial);
        if (!stream || stream->procedure != header->procedure)
            return 0;
        head.serial = stream->client_serial;
    } else if (header->type == RPC_REPLY && header->status == RPC_OK) {
        call = call_of_server(f, header->serial);
        if (!call || call->wait != WAIT_REPLY || call->procedure != header->procedure || call->row->fate != FATE_FORWARD)
            return 0;
        head.serial = call->client_serial;
        int r = succeeded(f, call);
        if (r < 0)
            return r;
        call_free(f, call);
    } else {
        return 0;
    }
    int r = rpc_frame_put_head(&f->to_client, &head, len);
    return r < 0 ? r : 1;
}

int rpc_filter_from_server(struct rpc_filter *f, const struct rpc_message *m)
{
    if (m->header.program == RPC_PROGRAM_KEEPALIVE)
        return is_keepalive(m) ? rpc_frame_put(&f->to_client, &m->header, NULL, 0) : -EPROTO;
    if (m->header.program != RPC_PROGRAM_REMOTE || m->header.version != RPC_VERSION)
        return -EPROTO;
    switch (m->header.type) {
    case RPC_REPLY:
        return reply_from_server(f, m);
    case RPC_EVENT:
        return take_event(f, m);
    case RPC_STREAM:
        return stream_from_server(f, m);
    default: /* nothing was asked for that comes with descriptors or with holes */
        return -EPROTO;
    }
}

/* --- the filter -------------------------------------------------------------------------------------------------- */

int rpc_filter_new(const struct rpc_filter_options *options, struct rpc_filter **ret)
{
    struct rpc_filter *f = calloc(1, sizeof *f);
    uint32_t id;
    size_t len;

    if (!f)
        return -ENOMEM;
    f->options = *options;
    f->subject = (struct subject){ .uid = options->uid, .user = options->user };
    f->serial = options->serial;
    memcpy(f->nobody_uuid.byte, options->seed, sizeof f->nobody_uuid.byte);
    memcpy(&id, options->seed + 16, sizeof id);
    f->nobody_id = (int)(id % 0x3fffffffU + 0x40000000U);
    len = (size_t)snprintf(f->nobody_name, sizeof f->nobody_name, "nobody-");
    for (size_t i = 8; i < 24; i++)
        len += (size_t)snprintf(f->nobody_name + len, sizeof f->nobody_name - len, "%02x", options->seed[i]);
    *ret = f;
    return 0;
}

void rpc_filter_free(struct rpc_filter *f)
{
    if (!f)
        return;
    while (f->calls)
        call_free(f, f->calls);
    rpc_known_free(&f->known);
    rpc_buffer_free(&f->to_client);
    rpc_buffer_free(&f->to_server);
    free(f);
}

struct rpc_buffer *rpc_filter_to_client(struct rpc_filter *f)
{
    return &f->to_client;
}

struct rpc_buffer *rpc_filter_to_server(struct rpc_filter *f)
{
    return &f->to_server;
}

bool rpc_filter_closed(const struct rpc_filter *f)
{
    return f->closed;
}

bool rpc_filter_ready(const struct rpc_filter *f)
{
    return f->n_calls < RPC_CALLS_MAX && f->held < RPC_FROM_CLIENT_MAX;
}
