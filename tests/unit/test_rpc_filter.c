/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter between a client that says anything and a small libvirtd of the tests'. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_policy.h"

#include "rpc/rpc_allow.h"
#include "rpc/rpc_codec.h"
#include "rpc/rpc_error.h"
#include "rpc/rpc_filter.h"

#define POLICY "[user alice]\ndisplay = cards2, off\nserial = cards2\npower = cards2\n" \
               "[user bob]\nserial = cards2\n[user eve]\ndisplay = off\n" \
               "[user max]\nserial = *\ntakeover = *\npower = *\ndisplay = *\n"

/* --- a small libvirtd --------------------------------------------------------------------------------------------- */

struct machine {
    char name[32];
    char uuid[17]; /* as 16 letters: easy to tell apart */
    int id;
};
static const struct machine machines[] = {
    { "cards2", "aaaaaaaaaaaaaaaa", 4 }, { "secret", "ssssssssssssssss", 2 }, { "off", "oooooooooooooooo", -1 },
    { "hidden", "hhhhhhhhhhhhhhhh", -1 },
};
#define N_MACHINES (sizeof machines / sizeof machines[0])

struct world {
    struct policy *policy;
    struct rpc_filter *filter;
    struct machine machine[N_MACHINES];
    uint32_t serial;
    size_t n_asked;                /* calls that came to libvirtd */
    uint32_t asked[4096];
    struct rpc_buffer last;        /* the last one of them, whole */
    int fails;                     /* the next call that is no lookup or list fails with this code */
    const char *fails_text;
    uint32_t stream_serial;        /* of the last call that opened a stream */
    int callbacks;
    unsigned notes[2];
    bool lost;                     /* libvirtd does not answer */
    bool late;                     /* nor that a stream is open */
    bool everybody;                /* there is a domain of every name */
    const char *xml;               /* instead of that of cards2 */
};

/* What came to the client. */
struct answer {
    struct rpc_header header;
    unsigned char data[8192];
    size_t len;
    struct vgr_error error;
};

static void server_says(struct world *w, const struct rpc_header *header, const void *data, size_t len)
{
    const struct rpc_message message = { *header, data, len };

    assert_int_equal(rpc_filter_from_server(w->filter, &message), 0);
}

static void server_replies(struct world *w, const struct rpc_header *to, enum rpc_status status, const void *data,
                           size_t len)
{
    struct rpc_header header = *to;

    header.type = RPC_REPLY;
    header.status = status;
    server_says(w, &header, data, len);
}

static void server_replies_with(struct world *w, const struct rpc_header *to, enum rpc_status status, xdrproc_t codec,
                                const void *what)
{
    void *data;
    size_t len;

    assert_int_equal(rpc_encode(codec, what, &data, &len), 0);
    server_replies(w, to, status, data, len);
    free(data);
}

static vgr_domain domain_of(struct machine *machine)
{
    vgr_domain dom = { .name = machine->name, .id = machine->id };

    memcpy(dom.uuid, machine->uuid, 16);
    return dom;
}

static void server_fails(struct world *w, const struct rpc_header *to, int code, const char *text)
{
    char copy[256], format[] = "Domain not found: %s", *message = copy, *str1 = format, *str2 = copy;
    vgr_domain secret = domain_of(&w->machine[1]);
    struct vgr_error error = { .code = code, .domain = 10, .level = 2, .message = &message, .str1 = &str1, .str2 = &str2,
                               .dom = code == RPC_ERR_NO_DOMAIN ? NULL : &secret, .int1 = -1, .int2 = -1 };

    snprintf(copy, sizeof copy, "%s", text);
    server_replies_with(w, to, RPC_ERROR, RPC_CODEC(vgr_error), &error);
}

static struct machine *by_uuid(struct world *w, const void *uuid)
{
    for (size_t i = 0; i < N_MACHINES; i++)
        if (memcmp(w->machine[i].uuid, uuid, 16) == 0)
            return &w->machine[i];
    return NULL;
}

static void server_no_uuid(struct world *w, const struct rpc_header *to, const void *uuid, const char *name)
{
    char written[UUID_TEXT_SIZE], text[256];
    struct uuid asked;

    memcpy(asked.byte, uuid, 16);
    uuid_format(&asked, written);
    snprintf(text, sizeof text, name ? "no domain with matching uuid '%s' (%s)" : "no domain with matching uuid '%s'",
             written, name);
    server_fails(w, to, RPC_ERR_NO_DOMAIN, text);
}

static void server_lookup(struct world *w, const struct rpc_message *m)
{
    struct machine *found = NULL;
    char text[256] = "";

    if (m->header.procedure == 24) {
        found = by_uuid(w, m->payload);
        if (!found) {
            server_no_uuid(w, &m->header, m->payload, NULL);
            return;
        }
    } else if (m->header.procedure == 23) {
        struct vgr_args_name args;
        assert_int_equal(rpc_decode(RPC_CODEC(vgr_args_name), m->payload, m->len, &args, sizeof args), 0);
        for (size_t i = 0; i < N_MACHINES; i++)
            if (strcmp(w->machine[i].name, args.name) == 0 || w->everybody)
                found = &w->machine[i];
        snprintf(text, sizeof text, "no domain with matching name '%s'", args.name);
        rpc_release(RPC_CODEC(vgr_args_name), &args, sizeof args);
    } else {
        uint32_t id;
        memcpy(&id, m->payload, 4);
        for (size_t i = 0; i < N_MACHINES; i++)
            if (w->machine[i].id == (int)ntohl(id))
                found = &w->machine[i];
        snprintf(text, sizeof text, "no domain with matching id %d", (int)ntohl(id));
    }
    if (found) {
        struct vgr_ret_domain ret = { domain_of(found) };
        server_replies_with(w, &m->header, RPC_OK, RPC_CODEC(vgr_ret_domain), &ret);
    } else {
        server_fails(w, &m->header, RPC_ERR_NO_DOMAIN, text);
    }
}

static size_t put(unsigned char *at, const void *data, size_t len)
{
    memcpy(at, data, len);
    return len;
}

static size_t put_word(unsigned char *at, uint32_t word)
{
    word = htonl(word);
    return put(at, &word, sizeof word);
}

static size_t put_domain(unsigned char *at, struct machine *machine)
{
    vgr_domain dom = domain_of(machine);
    void *data;
    size_t len;

    assert_int_equal(rpc_encode(RPC_CODEC(vgr_domain), &dom, &data, &len), 0);
    memcpy(at, data, len);
    free(data);
    return len;
}

static void server_list(struct world *w, const struct rpc_message *m)
{
    unsigned char out[1024];
    uint32_t flags, n = 0;
    size_t len = 4;

    memcpy(&flags, m->payload + 4, 4);
    flags = ntohl(flags);
    for (size_t i = 0; i < N_MACHINES; i++)
        if ((flags & 3) == 0 || (flags & 3) == 3 || (w->machine[i].id >= 0) == ((flags & 3) == 1)) {
            len += put_domain(out + len, &w->machine[i]);
            n++;
        }
    if (m->payload[3] == 0) /* need_results */
        len = 4;
    put_word(out, m->payload[3] ? n : 0);
    len += put_word(out + len, n);
    server_replies(w, &m->header, RPC_OK, out, len);
}

static void server_stats(struct world *w, const struct rpc_message *m)
{
    unsigned char out[1024];
    size_t len = put_word(out, N_MACHINES);

    for (size_t i = 0; i < N_MACHINES; i++) {
        len += put_domain(out + len, &w->machine[i]);
        len += put_word(out + len, 2);
        len += put(out + len, "\0\0\0\1x\0\0\0\0\0\0\1\0\0\0\7", 16); /* x, an int: 7 */
        len += put(out + len, "\0\0\0\1s\0\0\0\0\0\0\7\0\0\0\3val\0", 20);
    }
    server_replies(w, &m->header, RPC_OK, out, len);
}

#define XML "<domain type='qemu'><name>%s</name><uuid>61616161-6161-6161-6161-616161616161</uuid><devices>" \
    "<serial type='pty'><alias name='serial0'/></serial><console type='pty'><alias name='serial0'/></console>" \
    "<parallel type='pty'><alias name='parallel0'/></parallel>" \
    "<channel type='unix'><alias name='channel0'/></channel>" \
    "<graphics type='vnc' port='5903' passwd='geheim'/></devices></domain>"

static void server_xml(struct world *w, const struct rpc_message *m)
{
    char text[1024];
    struct vgr_ret_text ret = { text };

    if (w->xml)
        snprintf(text, sizeof text, "%s", w->xml);
    else
        snprintf(text, sizeof text, XML, w->machine[0].name);
    server_replies_with(w, &m->header, RPC_OK, RPC_CODEC(vgr_ret_text), &ret);
}

static void server_takes(struct world *w, const struct rpc_message *m)
{
    static const unsigned char nothing[24];
    const struct rpc_row *row = rpc_allow(m->header.procedure);
    uint32_t number;

    if (m->header.type != RPC_CALL)
        return;
    assert_true(w->n_asked < sizeof w->asked / sizeof w->asked[0]);
    w->asked[w->n_asked++] = m->header.procedure;
    if (w->lost)
        return;
    assert_non_null(row); /* nothing else reaches libvirtd */
    if (w->fails && m->header.procedure != 24 && m->header.procedure != 273) {
        server_fails(w, &m->header, w->fails, w->fails_text);
        w->fails = 0;
        return;
    }
    switch (m->header.procedure) {
    case 22:
    case 23:
    case 24:
        server_lookup(w, m);
        return;
    case 273:
        server_list(w, m);
        return;
    case 344:
        server_stats(w, m);
        return;
    case 14:
        server_xml(w, m);
        return;
    case 316:
        if (w->callbacks && m->len == 8 && memcmp(m->payload, "\0\0\0\0\0\0\0\0", 8) == 0) {
            server_fails(w, &m->header, 8, "event callback already tracked"); /* libvirtd takes one of a kind */
            return;
        }
        number = htonl((uint32_t)w->callbacks++);
        server_replies(w, &m->header, RPC_OK, &number, 4);
        return;
    default:
        break;
    }
    if (row->shape >= ARGS_DOMAIN && row->shape <= ARGS_CONSOLE) {
        struct rpc_walk walk;
        vgr_domain dom;
        rpc_walk_begin(&walk, m->payload, m->len);
        assert_int_equal(rpc_walk_next(&walk, RPC_CODEC(vgr_domain), &dom, sizeof dom), 0);
        struct machine *machine = by_uuid(w, dom.uuid);
        if (!machine)
            server_no_uuid(w, &m->header, dom.uuid, dom.name);
        else
            assert_string_equal(dom.name, machine->name); /* the claim was put right */
        rpc_release(RPC_CODEC(vgr_domain), &dom, sizeof dom);
        if (!machine)
            return;
    }
    if (row->stream)
        w->stream_serial = m->header.serial;
    if (row->stream && w->late)
        return;
    server_replies(w, &m->header, RPC_OK, nothing, row->procedure == 60 ? 4 : row->procedure == 211 ? 4 : 0);
}

static void pump(struct world *w)
{
    struct rpc_buffer *out = rpc_filter_to_server(w->filter);
    struct rpc_message m;

    while (rpc_frame_peek(out, RPC_FROM_SERVER_MAX, &m) == 1) {
        rpc_buffer_free(&w->last);
        assert_int_equal(rpc_frame_put(&w->last, &m.header, m.payload, m.len), 0);
        rpc_buffer_drop(out, RPC_HEAD_SIZE + m.len);
        struct rpc_message copy;
        struct rpc_buffer mine = w->last;
        w->last = (struct rpc_buffer){ 0 };
        assert_int_equal(rpc_frame_peek(&mine, RPC_FROM_SERVER_MAX, &copy), 1);
        server_takes(w, &copy);
        if (!w->last.data)
            w->last = mine;
        else
            rpc_buffer_free(&mine);
    }
}

/* --- a client ------------------------------------------------------------------------------------------------------ */

static int client_says(struct world *w, const struct rpc_header *header, const void *data, size_t len)
{
    const struct rpc_message message = { *header, data, len };
    int r = rpc_filter_from_client(w->filter, &message);

    if (r == 0)
        pump(w);
    return r;
}

/* The next message to the client; false: none. */
static bool client_hears(struct world *w, struct answer *ret)
{
    struct rpc_buffer *out = rpc_filter_to_client(w->filter);
    struct rpc_message m;

    memset(ret, 0, sizeof *ret);
    if (rpc_frame_peek(out, RPC_FROM_SERVER_MAX, &m) != 1)
        return false;
    ret->header = m.header;
    ret->len = m.len;
    assert_true(m.len <= sizeof ret->data);
    memcpy(ret->data, m.payload, m.len);
    if (m.header.status == RPC_ERROR)
        assert_int_equal(rpc_decode(RPC_CODEC(vgr_error), m.payload, m.len, &ret->error, sizeof ret->error), 0);
    rpc_buffer_drop(out, RPC_HEAD_SIZE + m.len);
    return true;
}

static void answer_free(struct answer *answer)
{
    rpc_release(RPC_CODEC(vgr_error), &answer->error, sizeof answer->error);
}

static struct answer call_bytes(struct world *w, uint32_t procedure, const void *data, size_t len)
{
    const struct rpc_header header = { RPC_PROGRAM_REMOTE, 1, procedure, RPC_CALL, ++w->serial, RPC_OK };
    struct answer answer;

    assert_int_equal(client_says(w, &header, data, len), 0);
    assert_true(client_hears(w, &answer));
    assert_int_equal(answer.header.program, RPC_PROGRAM_REMOTE);
    assert_int_equal(answer.header.procedure, procedure);
    assert_int_equal(answer.header.type, RPC_REPLY);
    assert_int_equal(answer.header.serial, w->serial);
    return answer;
}

static struct answer call_with(struct world *w, uint32_t procedure, xdrproc_t codec, const void *args)
{
    void *data;
    size_t len;

    assert_int_equal(rpc_encode(codec, args, &data, &len), 0);
    struct answer answer = call_bytes(w, procedure, data, len);
    free(data);
    return answer;
}

/* The code of the error, 0 for none. */
static int code_of(struct answer answer)
{
    int code = answer.header.status == RPC_ERROR ? answer.error.code : 0;

    answer_free(&answer);
    return code;
}

static vgr_domain claim_of(const char *name, const char *uuid, int id)
{
    static char names[4][64];
    static unsigned next;
    vgr_domain dom = { .name = names[next % 4], .id = id };

    snprintf(names[next++ % 4], sizeof names[0], "%s", name);
    memcpy(dom.uuid, uuid, 16);
    return dom;
}

static struct answer call_domain(struct world *w, uint32_t procedure, const char *name, const char *uuid)
{
    struct vgr_args_domain args = { claim_of(name, uuid, 1) };

    return call_with(w, procedure, RPC_CODEC(vgr_args_domain), &args);
}

static struct answer call_flags(struct world *w, uint32_t procedure, const char *name, const char *uuid, unsigned flags)
{
    struct vgr_args_domain_flags args = { claim_of(name, uuid, 1), flags };

    return call_with(w, procedure, RPC_CODEC(vgr_args_domain_flags), &args);
}

static void count_note(void *context, const struct rpc_note *note)
{
    ((struct world *)context)->notes[note->kind]++;
}

static struct world *world_new(const char *user, bool readonly, bool open)
{
    struct world *w = calloc(1, sizeof *w);
    struct rpc_filter_options options = { .uid = 1000, .user = user, .uri = "qemu:///system", .readonly = readonly,
                                          .serial = 7, .seed = "nobody has this, nobody!", .note = count_note };

    assert_non_null(w);
    memcpy(w->machine, machines, sizeof machines);
    w->policy = load_text(POLICY);
    w->serial = 100;
    options.view = w->policy;
    options.context = w;
    assert_int_equal(rpc_filter_new(&options, &w->filter), 0);
    if (open)
        assert_int_equal(code_of(call_bytes(w, 1, "\0\0\0\0\0\0\0\0", 8)), 0);
    return w;
}

static void world_free(struct world *w)
{
    struct answer answer;

    assert_false(client_hears(w, &answer)); /* each test has looked at all there was */
    rpc_filter_free(w->filter);
    rpc_buffer_free(&w->last);
    policy_free(w->policy);
    free(w);
}

static const struct rpc_message *last_asked(struct world *w)
{
    static struct rpc_message m;

    assert_int_equal(rpc_frame_peek(&w->last, RPC_FROM_SERVER_MAX, &m), 1);
    return &m;
}

/* --- what is not offered ------------------------------------------------------------------------------------------- */

static void nothing_else_reaches_libvirtd(void **state)
{
    struct world *w = world_new("max", false, true);
    size_t before = w->n_asked;

    (void)state;
    for (uint32_t procedure = 0; procedure < 1200; procedure++) {
        if (rpc_allow(procedure))
            continue;
        assert_int_equal(code_of(call_bytes(w, procedure, "", 0)), RPC_ERR_OPERATION_DENIED);
        struct answer answer = call_domain(w, procedure, "cards2", "aaaaaaaaaaaaaaaa");
        assert_non_null(strstr(*answer.error.message, "access denied"));
        assert_int_equal(code_of(answer), RPC_ERR_OPERATION_DENIED);
    }
    assert_int_equal(code_of(call_bytes(w, UINT32_MAX, "", 0)), RPC_ERR_OPERATION_DENIED);
    assert_int_equal(w->n_asked, before);
    world_free(w);
}

static void the_table_is_in_order(void **state)
{
    size_t n;
    const struct rpc_row *row = rpc_allow_all(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(rpc_allow(row[i].procedure), &row[i]);
        assert_true(i == 0 || row[i - 1].procedure < row[i].procedure);
        assert_true(!row[i].right || (row[i].writes && row[i].shape >= ARGS_DOMAIN && row[i].shape <= ARGS_CONSOLE));
        assert_true(!row[i].stream || row[i].right);
        assert_int_equal(row[i].cleared & ~row[i].flags, 0);
    }
}

static void odd_messages_are_refused_or_end_it(void **state)
{
    static const struct {
        struct rpc_header header;
        int says, code;
    } row[] = {
        { { RPC_PROGRAM_REMOTE, 1, 4, RPC_CALL_WITH_FDS, 5, 0 }, 0, RPC_ERR_OPERATION_DENIED },
        { { RPC_PROGRAM_REMOTE, 2, 4, RPC_CALL, 5, 0 }, 0, RPC_ERR_OPERATION_DENIED },
        { { 0x20008087, 1, 1, RPC_CALL, 5, 0 }, 0, RPC_ERR_OPERATION_DENIED }, /* QEMU */
        { { 0x00068000, 1, 1, RPC_CALL, 5, 0 }, 0, RPC_ERR_OPERATION_DENIED }, /* LXC */
        { { 0x06900690, 1, 1, RPC_CALL, 5, 0 }, 0, RPC_ERR_OPERATION_DENIED }, /* ADMIN */
        { { 0x20008087, 1, 1, RPC_CALL_WITH_FDS, 5, 0 }, 0, RPC_ERR_OPERATION_DENIED },
        { { 0x20008087, 1, 1, RPC_STREAM, 5, 0 }, -EPROTO, 0 },
        { { RPC_PROGRAM_REMOTE, 1, 4, RPC_CALL, 5, 1 }, -EPROTO, 0 },
        { { RPC_PROGRAM_REMOTE, 1, 4, RPC_REPLY, 5, 0 }, -EPROTO, 0 },
        { { RPC_PROGRAM_REMOTE, 1, 318, RPC_EVENT, 0, 0 }, -EPROTO, 0 },
        { { RPC_PROGRAM_REMOTE, 1, 4, RPC_REPLY_WITH_FDS, 5, 0 }, -EPROTO, 0 },
        { { RPC_PROGRAM_REMOTE, 1, 201, RPC_STREAM_HOLE, 5, 0 }, -EPROTO, 0 },
        { { RPC_PROGRAM_REMOTE, 1, 4, 99, 5, 0 }, -EPROTO, 0 },
        { { RPC_PROGRAM_KEEPALIVE, 1, 3, RPC_EVENT, 0, 0 }, -EPROTO, 0 },
        { { RPC_PROGRAM_KEEPALIVE, 1, 1, RPC_CALL, 0, 0 }, -EPROTO, 0 },
        { { RPC_PROGRAM_KEEPALIVE, 1, 1, RPC_EVENT, 1, 0 }, -EPROTO, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct world *w = world_new("max", false, true);
        size_t before = w->n_asked;
        struct answer answer;
        assert_int_equal(client_says(w, &row[i].header, "", 0), row[i].says);
        if (row[i].code) {
            assert_true(client_hears(w, &answer));
            assert_int_equal(answer.header.program, row[i].header.program);
            assert_int_equal(answer.header.type, RPC_REPLY);
            assert_int_equal(answer.header.serial, 5);
            assert_int_equal(code_of(answer), row[i].code);
        }
        assert_int_equal(w->n_asked, before);
        world_free(w);
    }
}

static void keepalive_goes_through(void **state)
{
    struct world *w = world_new("alice", false, true);
    const struct rpc_header ping = { RPC_PROGRAM_KEEPALIVE, 1, 1, RPC_EVENT, 0, 0 }, pong = { RPC_PROGRAM_KEEPALIVE, 1, 2, RPC_EVENT, 0, 0 };
    struct answer answer;

    (void)state;
    assert_int_equal(client_says(w, &ping, "", 0), 0);
    assert_memory_equal(&last_asked(w)->header, &ping, sizeof ping);
    server_says(w, &pong, "", 0);
    assert_true(client_hears(w, &answer));
    assert_memory_equal(&answer.header, &pong, sizeof pong);
    world_free(w);
}

static void arguments_have_one_form(void **state)
{
    struct world *w = world_new("alice", false, true);
    size_t before = w->n_asked;

    (void)state;
    assert_int_equal(code_of(call_bytes(w, 4, "\0\0\0\0", 4)), RPC_ERR_RPC);
    assert_int_equal(code_of(call_bytes(w, 16, "", 0)), RPC_ERR_RPC);
    assert_int_equal(code_of(call_bytes(w, 16, "\0\0\0\1a\0\0\1aaaaaaaaaaaaaaaa\0\0\0\0", 28)), RPC_ERR_RPC);
    assert_int_equal(code_of(call_bytes(w, 16, "\0\0\0\1a\0\0\0aaaaaaaaaaaaaaaa\0\0\0\0\0\0\0\0", 32)), RPC_ERR_RPC);
    assert_int_equal(code_of(call_bytes(w, 23, "\0\0\0\7cards2\0\0", 12)), RPC_ERR_RPC);
    assert_int_equal(code_of(call_bytes(w, 313, "\0\0\0\0\0\0\0\1", 8)), RPC_ERR_OPERATION_DENIED);
    assert_int_equal(w->n_asked, before);
    world_free(w);
}

/* --- identity ------------------------------------------------------------------------------------------------------ */

/* Asks, and writes code and texts of the error, with what was asked for replaced by a mark; how often libvirtd was asked. */
static size_t error_text(struct world *w, struct answer answer, size_t before, const char *said, char out[static 512])
{
    size_t len = 0;
    vgr_maybe_text text[] = { answer.error.message, answer.error.str1, answer.error.str2, answer.error.str3 };

    assert_int_equal(answer.header.status, RPC_ERROR);
    assert_int_equal(answer.error.code, RPC_ERR_NO_DOMAIN);
    assert_null(strstr((char *)answer.data, "nobody"));
    assert_int_equal(rpc_error_replace(&answer.error, said, "<said>"), 0);
    text[0] = answer.error.message;
    len += (size_t)snprintf(out + len, 512 - len, "%d %d %d", answer.error.domain, answer.error.level, answer.error.int1);
    for (size_t i = 0; i < 4; i++)
        len += (size_t)snprintf(out + len, 512 - len, " [%s]", text[i] ? *text[i] : "none");
    assert_non_null(strstr(out, "<said>"));
    answer_free(&answer);
    return w->n_asked - before;
}

static void anothers_is_like_none(void **state)
{
    struct world *w = world_new("alice", false, true);
    char other[512], none[512];
    struct vgr_args_name secret = { (char[]){ "secret" } }, nosuch = { (char[]){ "nosuch" } };
    uint32_t id2 = htonl(2), id77 = htonl(77);
    size_t n;

    (void)state;
    n = w->n_asked;
    n = error_text(w, call_with(w, 23, RPC_CODEC(vgr_args_name), &secret), n, "secret", other);
    size_t m = w->n_asked;
    assert_int_equal(n, error_text(w, call_with(w, 23, RPC_CODEC(vgr_args_name), &nosuch), m, "nosuch", none));
    assert_string_equal(other, none);

    n = w->n_asked;
    n = error_text(w, call_bytes(w, 24, "ssssssssssssssss", 16), n, "73737373-7373-7373-7373-737373737373", other);
    m = w->n_asked;
    assert_int_equal(n, error_text(w, call_bytes(w, 24, "nnnnnnnnnnnnnnnn", 16), m, "6e6e6e6e-6e6e-6e6e-6e6e-6e6e6e6e6e6e", none));
    assert_string_equal(other, none);

    n = w->n_asked;
    n = error_text(w, call_bytes(w, 22, &id2, 4), n, "2", other);
    m = w->n_asked;
    assert_int_equal(n, error_text(w, call_bytes(w, 22, &id77, 4), m, "77", none));
    assert_string_equal(other, none);

    /* Calls on a handle: every procedure that takes one. */
    size_t n_rows;
    const struct rpc_row *row = rpc_allow_all(&n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        if (row[i].shape != ARGS_DOMAIN && row[i].shape != ARGS_DOMAIN_FLAGS)
            continue;
        bool flags = row[i].shape == ARGS_DOMAIN_FLAGS;
        n = w->n_asked;
        n = error_text(w, flags ? call_flags(w, row[i].procedure, "x", "ssssssssssssssss", 0) :
                       call_domain(w, row[i].procedure, "x", "ssssssssssssssss"), n,
                       "73737373-7373-7373-7373-737373737373", other);
        m = w->n_asked;
        assert_int_equal(n, error_text(w, flags ? call_flags(w, row[i].procedure, "x", "nnnnnnnnnnnnnnnn", 0) :
                                       call_domain(w, row[i].procedure, "x", "nnnnnnnnnnnnnnnn"), m,
                                       "6e6e6e6e-6e6e-6e6e-6e6e-6e6e6e6e6e6e", none));
        assert_string_equal(other, none);
        assert_int_equal(n, 2); /* who is it, and the error */
    }
    world_free(w);
}

static void the_uuid_decides_not_the_name(void **state)
{
    struct world *w = world_new("alice", false, true);

    (void)state;
    /* The fake libvirtd checks that the name it gets is right. */
    assert_int_equal(code_of(call_domain(w, 12, "secret", "aaaaaaaaaaaaaaaa")), 0);
    assert_int_equal(w->asked[w->n_asked - 1], 12);
    assert_memory_equal(last_asked(w)->payload, "\0\0\0\6cards2\0\0aaaaaaaaaaaaaaaa", 28);
    assert_int_equal(code_of(call_domain(w, 12, "hidden", "aaaaaaaaaaaaaaaa")), 0); /* it is known by now */
    assert_int_equal(code_of(call_domain(w, 12, "cards2", "ssssssssssssssss")), RPC_ERR_NO_DOMAIN);
    assert_int_equal(w->asked[w->n_asked - 1], 16);
    assert_int_equal(code_of(call_domain(w, 12, "", "ssssssssssssssss")), RPC_ERR_NO_DOMAIN);
    world_free(w);
}

static void what_is_known_is_not_asked_twice(void **state)
{
    struct world *w = world_new("alice", false, true);
    static const unsigned char changed[] = "\0\0\0\0" "\0\0\0\6cards2\0\0aaaaaaaaaaaaaaaa\0\0\0\4" "\0\0\0\1\0\0\0\2";
    const struct rpc_header event = { RPC_PROGRAM_REMOTE, 1, 318, RPC_EVENT, 0, 0 };

    (void)state;
    assert_int_equal(code_of(call_domain(w, 16, "cards2", "aaaaaaaaaaaaaaaa")), 0);
    size_t n = w->n_asked;
    assert_int_equal(code_of(call_domain(w, 16, "cards2", "aaaaaaaaaaaaaaaa")), 0);
    assert_int_equal(w->n_asked, n + 1);
    /* Renamed, and libvirtd says so: on the filter's own callback, which is not the client's. */
    strcpy(w->machine[0].name, "hers");
    server_says(w, &event, changed, sizeof changed - 1);
    assert_int_equal(code_of(call_domain(w, 16, "cards2", "aaaaaaaaaaaaaaaa")), RPC_ERR_NO_DOMAIN);
    world_free(w);
}

/* libvirtd looks the domain up, it is renamed, and the event of that is sent before the reply. */
static void a_reply_older_than_an_event_is_not_remembered(void **state)
{
    struct world *w = world_new("alice", false, true);
    static const unsigned char changed[] = "\0\0\0\0" "\0\0\0\6cards2\0\0aaaaaaaaaaaaaaaa\0\0\0\4" "\0\0\0\1\0\0\0\2";
    const struct rpc_header event = { RPC_PROGRAM_REMOTE, 1, 318, RPC_EVENT, 0, 0 };
    struct rpc_header call = { RPC_PROGRAM_REMOTE, 1, 24, RPC_CALL, ++w->serial, RPC_OK }, lookup;
    struct vgr_ret_domain ret = { domain_of(&w->machine[0]) };
    struct answer answer;

    (void)state;
    w->lost = true;
    assert_int_equal(client_says(w, &call, "aaaaaaaaaaaaaaaa", 16), 0);
    lookup = last_asked(w)->header;
    w->lost = false;
    server_says(w, &event, changed, sizeof changed - 1);
    server_replies_with(w, &lookup, RPC_OK, RPC_CODEC(vgr_ret_domain), &ret);
    assert_true(client_hears(w, &answer));
    strcpy(w->machine[0].name, "hers");
    assert_int_equal(code_of(call_domain(w, 16, "cards2", "aaaaaaaaaaaaaaaa")), RPC_ERR_NO_DOMAIN);
    world_free(w);
}

static void libvirtd_answers_what_was_asked(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct rpc_header call = { RPC_PROGRAM_REMOTE, 1, 24, RPC_CALL, ++w->serial, RPC_OK };
    struct vgr_ret_domain ret = { domain_of(&w->machine[0]) };
    struct rpc_message m;
    void *data;

    (void)state;
    w->lost = true;
    assert_int_equal(client_says(w, &call, "oooooooooooooooo", 16), 0);
    m.header = last_asked(w)->header;
    m.header.type = RPC_REPLY;
    assert_int_equal(rpc_encode(RPC_CODEC(vgr_ret_domain), &ret, &data, &m.len), 0);
    m.payload = data;
    assert_int_equal(rpc_filter_from_server(w->filter, &m), -EPROTO); /* another uuid than was asked about */
    free(data);
    world_free(w);
}

static void before_open_nothing_is_remembered(void **state)
{
    struct world *w = world_new("alice", false, false);

    (void)state;
    assert_int_equal(code_of(call_domain(w, 16, "cards2", "aaaaaaaaaaaaaaaa")), 0);
    strcpy(w->machine[0].name, "hers");
    assert_int_equal(code_of(call_domain(w, 16, "cards2", "aaaaaaaaaaaaaaaa")), RPC_ERR_NO_DOMAIN);
    world_free(w);
}

/* --- rights -------------------------------------------------------------------------------------------------------- */

static struct answer call_row(struct world *w, const struct rpc_row *row, const char *uuid, unsigned flags)
{
    vgr_domain dom = claim_of("cards2", uuid, 4);
    char text[] = "serial0";
    u_int keys[1] = { 30 };
    vgr_name name = text;
    struct vgr_args_domain domain = { dom };
    struct vgr_args_domain_flags with_flags = { dom, flags };
    struct vgr_args_domain_number_flags number_flags = { dom, 0, flags };
    struct vgr_args_keys keys_args = { .dom = dom, .keycodes = { 1, keys }, .flags = flags };
    struct vgr_args_console console = { dom, &name, flags };

    if (row->shape == ARGS_DOMAIN)
        return call_with(w, row->procedure, RPC_CODEC(vgr_args_domain), &domain);
    if (row->shape == ARGS_DOMAIN_FLAGS)
        return call_with(w, row->procedure, RPC_CODEC(vgr_args_domain_flags), &with_flags);
    if (row->shape == ARGS_DOMAIN_NUMBER_FLAGS)
        return call_with(w, row->procedure, RPC_CODEC(vgr_args_domain_number_flags), &number_flags);
    if (row->shape == ARGS_KEYS)
        return call_with(w, row->procedure, RPC_CODEC(vgr_args_keys), &keys_args);
    assert_int_equal(row->shape, ARGS_CONSOLE);
    return call_with(w, row->procedure, RPC_CODEC(vgr_args_console), &console);
}

static void each_call_needs_its_right(void **state)
{
    static const struct {
        const char *user;
        bool readonly;
        rights has;
    } who[] = {
        { "alice", false, RIGHT_DISPLAY | RIGHT_SERIAL | RIGHT_POWER },
        { "alice", true, 0 },
        { "bob", false, RIGHT_SERIAL },
        { "bob", true, 0 },
    };
    size_t n;
    const struct rpc_row *row = rpc_allow_all(&n);

    (void)state;
    for (size_t u = 0; u < sizeof who / sizeof who[0]; u++)
        for (size_t i = 0; i < n; i++) {
            if (!row[i].right)
                continue;
            struct world *w = world_new(who[u].user, who[u].readonly, true);
            bool may = who[u].has & row[i].right;
            assert_int_equal(code_of(call_row(w, &row[i], "aaaaaaaaaaaaaaaa", 0)), may ? 0 : RPC_ERR_OPERATION_DENIED);
            assert_int_equal(w->asked[w->n_asked - 1] == row[i].procedure, may);
            assert_int_equal(w->notes[RPC_DONE], may);
            assert_int_equal(w->notes[RPC_REFUSED], !may);
            world_free(w);
        }
}

static void flags_are_those_of_the_table(void **state)
{
    size_t n;
    const struct rpc_row *row = rpc_allow_all(&n);
    struct world *w = world_new("max", false, true);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        if ((row[i].shape != ARGS_DOMAIN_FLAGS && row[i].shape != ARGS_DOMAIN_NUMBER_FLAGS && row[i].shape != ARGS_KEYS &&
             row[i].shape != ARGS_CONSOLE) || row[i].stream)
            continue;
        for (unsigned bit = 0; bit < 32; bit++) {
            bool allowed = row[i].flags & 1U << bit;
            size_t before = w->n_asked;
            assert_int_equal(code_of(call_row(w, &row[i], "aaaaaaaaaaaaaaaa", 1U << bit)),
                             allowed ? 0 : RPC_ERR_OPERATION_DENIED);
            if (!allowed)
                assert_int_equal(w->n_asked, before);
        }
    }
    world_free(w);
}

static void xml_is_asked_for_without_secrets(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct answer answer = call_flags(w, 14, "cards2", "aaaaaaaaaaaaaaaa", 0xf);
    const struct rpc_message *m = last_asked(w);

    (void)state;
    assert_int_equal(m->header.procedure, 14);
    assert_memory_equal(m->payload + m->len - 4, "\0\0\0\6", 4); /* INACTIVE and UPDATE_CPU are left */
    assert_null(memmem(answer.data, answer.len, "geheim", 6));
    assert_null(memmem(answer.data, answer.len, "5903", 4));
    assert_non_null(memmem(answer.data, answer.len, "/run/virtgate/display/61616161-6161-6161-6161-616161616161/0", 60));
    world_free(w);

    w = world_new("bob", false, true); /* no display */
    answer = call_flags(w, 14, "cards2", "aaaaaaaaaaaaaaaa", 0);
    assert_int_equal(answer.header.status, RPC_OK);
    assert_null(memmem(answer.data, answer.len, "graphics", 8));
    world_free(w);
}

static void another_domains_xml_is_not_passed_on(void **state)
{
    struct world *w = world_new("max", false, true); /* the fake libvirtd gives the XML of cards2 for each */

    (void)state;
    assert_int_equal(code_of(call_flags(w, 14, "secret", "ssssssssssssssss", 0)), RPC_ERR_OPERATION_DENIED);
    world_free(w);
}

/* Between the lookup and the XML, and libvirtd's event is still on its way. */
static void the_xml_of_one_that_was_renamed(void **state)
{
    struct world *w = world_new("alice", false, true);

    (void)state;
    assert_int_equal(code_of(call_flags(w, 14, "cards2", "aaaaaaaaaaaaaaaa", 0)), 0);
    strcpy(w->machine[0].name, "off"); /* a name that is hers, too, with other rights */
    struct answer answer = call_flags(w, 14, "cards2", "aaaaaaaaaaaaaaaa", 0);
    assert_int_equal(answer.header.status, RPC_OK);
    assert_non_null(memmem(answer.data, answer.len, "<name>off</name>", 16));
    assert_null(memmem(answer.data, answer.len, "<serial", 7));
    strcpy(w->machine[0].name, "hers");
    assert_int_equal(code_of(call_flags(w, 14, "cards2", "aaaaaaaaaaaaaaaa", 0)), RPC_ERR_NO_DOMAIN);
    world_free(w);
}

static void consoles_are_serial_devices(void **state)
{
    static const struct {
        const char *user, *device; /* NULL: none named */
        unsigned flags;
        int code;
    } row[] = {
        { "alice", NULL, 0, 0 },
        { "alice", "serial0", 2, 0 },
        { "alice", "channel0", 0, RPC_ERR_OPERATION_DENIED },
        { "alice", "parallel0", 0, RPC_ERR_OPERATION_DENIED },
        { "alice", "", 0, RPC_ERR_OPERATION_DENIED },
        { "alice", "serial0", 1, RPC_ERR_OPERATION_DENIED }, /* FORCE */
        { "max", "serial0", 1, 0 },
        { "max", "serial0", 4, RPC_ERR_OPERATION_DENIED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct world *w = world_new(row[i].user, false, true);
        char text[32];
        vgr_name name = text;
        struct vgr_args_console args = { claim_of("cards2", "aaaaaaaaaaaaaaaa", 4), row[i].device ? &name : NULL, row[i].flags };
        snprintf(text, sizeof text, "%s", row[i].device ? row[i].device : "");
        assert_int_equal(code_of(call_with(w, 201, RPC_CODEC(vgr_args_console), &args)), row[i].code);
        assert_int_equal(w->asked[w->n_asked - 1] == 201, row[i].code == 0);
        if (row[i].code == 0)
            assert_non_null(memmem(last_asked(w)->payload, last_asked(w)->len, "\0\0\0\7serial0\0", 12));
        world_free(w);
    }
}

/* --- lists --------------------------------------------------------------------------------------------------------- */

static void lists_have_the_users_domains(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct vgr_args_list all = { 1, 0 }, count = { 0, 0 };
    struct answer answer = call_with(w, 273, RPC_CODEC(vgr_args_list), &all);

    (void)state;
    assert_memory_equal(answer.data, "\0\0\0\2\0\0\0\6cards2\0\0aaaaaaaaaaaaaaaa\0\0\0\4\0\0\0\3off\0oooooooooooooooo\xff\xff\xff\xff\0\0\0\2", 68);
    assert_int_equal(answer.len, 68);
    answer = call_with(w, 273, RPC_CODEC(vgr_args_list), &count);
    assert_memory_equal(answer.data, "\0\0\0\0\0\0\0\2", 8);
    assert_int_equal(answer.len, 8);

    answer = call_bytes(w, 51, "", 0);                     /* how many run */
    assert_memory_equal(answer.data, "\0\0\0\1", 4);
    answer = call_bytes(w, 25, "", 0);                     /* how many do not */
    assert_memory_equal(answer.data, "\0\0\0\1", 4);
    answer = call_bytes(w, 37, "\0\0\0\5", 4);
    assert_int_equal(answer.len, 8);
    assert_memory_equal(answer.data, "\0\0\0\1\0\0\0\4", 8);
    answer = call_bytes(w, 37, "\0\0\0\0", 4);
    assert_int_equal(answer.len, 4);
    assert_memory_equal(answer.data, "\0\0\0\0", 4);
    answer = call_bytes(w, 37, "\xff\xff\xff\xff", 4);
    assert_int_equal(answer.len, 4);
    answer = call_bytes(w, 21, "\0\0\0\5", 4);
    assert_int_equal(answer.len, 12);
    assert_memory_equal(answer.data, "\0\0\0\1\0\0\0\3off\0", 12);
    world_free(w);
}

static void stats_have_the_users_domains(void **state)
{
    struct world *w = world_new("alice", false, true);
    vgr_domain both[2] = { claim_of("cards2", "aaaaaaaaaaaaaaaa", 4), claim_of("cards2", "ssssssssssssssss", 4) };
    struct vgr_args_stats all = { { 0, NULL }, 0, 0 }, mine = { { 1, both }, 0, 0 }, others = { { 2, both }, 0, 0 };
    struct answer answer = call_with(w, 344, RPC_CODEC(vgr_args_stats), &all);

    (void)state;
    assert_int_equal(answer.header.status, RPC_OK);
    assert_memory_equal(answer.data, "\0\0\0\2", 4);
    assert_null(memmem(answer.data, answer.len, "secret", 6));
    assert_null(memmem(answer.data, answer.len, "hidden", 6));
    assert_non_null(memmem(answer.data, answer.len, "cards2", 6));
    assert_int_equal(code_of(call_with(w, 344, RPC_CODEC(vgr_args_stats), &mine)), 0);
    assert_int_equal(code_of(call_with(w, 344, RPC_CODEC(vgr_args_stats), &others)), RPC_ERR_NO_DOMAIN);
    world_free(w);
}

static void other_objects_are_none(void **state)
{
    static const struct {
        uint32_t procedure;
        const char *args;
        size_t args_len, len;
    } row[] = {
        { 52, "", 0, 4 }, { 38, "\0\0\0\1", 4, 4 }, { 283, "\0\0\0\1\0\0\0\0", 8, 8 }, { 281, "\0\0\0\1\0\0\0\0", 8, 8 },
        { 111, "\0\0\0\0\0\0\0\0", 8, 4 }, { 112, "\0\0\0\0\0\0\0\1\0\0\0\0", 12, 4 }, { 401, "\0\0\0\1\0\0\0\0", 8, 8 },
        { 314, "\0\0\0\1", 4, 0 },
    };
    struct world *w = world_new("alice", false, true);
    size_t before = w->n_asked;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct answer answer = call_bytes(w, row[i].procedure, row[i].args, row[i].args_len);
        assert_int_equal(answer.header.status, RPC_OK);
        assert_int_equal(answer.len, row[i].len);
        assert_memory_equal(answer.data, "\0\0\0\0\0\0\0\0", row[i].len);
    }
    struct answer auth = call_bytes(w, 66, "", 0);
    assert_memory_equal(auth.data, "\0\0\0\1\0\0\0\0", 8);
    struct answer callback = call_bytes(w, 313, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(callback.len, 4);
    assert_int_equal(w->n_asked, before);
    /* Of a domain: only of the user's own. */
    assert_int_equal(code_of(call_flags(w, 187, "cards2", "aaaaaaaaaaaaaaaa", 0)), 0);
    assert_int_equal(code_of(call_flags(w, 187, "cards2", "ssssssssssssssss", 0)), RPC_ERR_NO_DOMAIN);
    world_free(w);
}

/* --- opening, features, errors -------------------------------------------------------------------------------------- */

static void one_uri_is_offered(void **state)
{
    static const struct {
        const char *name;
        int code;
    } row[] = { { "qemu:///system", 0 }, { "", 0 }, { "qemu:///session", 29 }, { "test:///default", 29 },
                { "qemu:///system?x=y", 29 }, { "esx://host/", 29 }, { "qemu:///systemx", 29 } };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct world *w = world_new("alice", false, false);
        char text[64];
        vgr_name name = text;
        struct vgr_args_open args = { &name, 0 };
        snprintf(text, sizeof text, "%s", row[i].name);
        assert_int_equal(code_of(call_with(w, 1, RPC_CODEC(vgr_args_open), &args)), row[i].code);
        assert_int_equal(w->n_asked, row[i].code ? 0 : 2); /* and the events */
        world_free(w);
    }
}

static void a_client_may_ask_for_less(void **state)
{
    struct world *w = world_new("alice", false, false);

    (void)state;
    assert_int_equal(code_of(call_bytes(w, 1, "\0\0\0\0\0\0\0\1", 8)), 0); /* VIR_CONNECT_RO */
    assert_memory_equal(last_asked(w)->payload, "\0\0\0\0\0\0\0\0", 8);    /* the events' registration */
    assert_int_equal(code_of(call_domain(w, 12, "cards2", "aaaaaaaaaaaaaaaa")), RPC_ERR_OPERATION_DENIED);
    assert_int_equal(code_of(call_bytes(w, 1, "\0\0\0\0\0\0\0\4", 8)), RPC_ERR_OPERATION_DENIED);
    world_free(w);
}

static void features_are_those_that_work_here(void **state)
{
    struct world *w = world_new("alice", false, true);

    (void)state;
    for (uint32_t feature = 0; feature < 40; feature++) {
        uint32_t word = htonl(feature);
        size_t before = w->n_asked;
        struct answer answer = call_bytes(w, 60, &word, 4);
        assert_int_equal(answer.header.status, RPC_OK);
        assert_int_equal(w->n_asked - before, feature == 9 || feature == 10 || feature == 14 || feature == 15);
    }
    world_free(w);
}

static void no_program_of_the_clients_is_run(void **state)
{
    struct world *w = world_new("alice", false, true);
    char path[] = "/home/alice/emulator", arch[] = "x86_64";
    vgr_name emulator = path, name = arch;
    struct vgr_args_capabilities args = { &emulator, &name, NULL, NULL, 0 };

    (void)state;
    assert_int_equal(code_of(call_with(w, 342, RPC_CODEC(vgr_args_capabilities), &args)), 0);
    assert_null(memmem(last_asked(w)->payload, last_asked(w)->len, "emulator", 8));
    assert_non_null(memmem(last_asked(w)->payload, last_asked(w)->len, "x86_64", 6));
    world_free(w);
}

static void errors_do_not_name_others(void **state)
{
    static const struct {
        const char *text;
        bool kept;
    } row[] = {
        { "Requested operation is not valid: domain is already running", true },
        { "PCI device is in use by driver QEMU, domain cards2", true },
        { "PCI device is in use by driver QEMU, domain secret", false },
        { "in use by 73737373-7373-7373-7373-737373737373", false },
        { "in use by 'hidden'", false },
        { "the secretary is out", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct world *w = world_new("alice", false, true);
        w->fails = 55;
        w->fails_text = row[i].text;
        struct answer answer = call_domain(w, 9, "cards2", "aaaaaaaaaaaaaaaa");
        assert_int_equal(answer.error.code, 55);
        assert_null(answer.error.dom);
        assert_int_equal(strcmp(*answer.error.message, row[i].text) == 0, row[i].kept);
        if (!row[i].kept)
            assert_null(memmem(answer.data, answer.len, "in use by", 9));
        answer_free(&answer);
        world_free(w);
    }
}

/* --- events -------------------------------------------------------------------------------------------------------- */

static void send_event(struct world *w, uint32_t procedure, uint32_t callback, size_t machine)
{
    const struct rpc_header header = { RPC_PROGRAM_REMOTE, 1, procedure, RPC_EVENT, 0, 0 };
    unsigned char data[128];
    size_t len = put_word(data, callback);

    if (procedure == 329 || procedure == 330 || procedure == 332)
        len += put_word(data + len, 0);
    len += put_domain(data + len, &w->machine[machine]);
    len += put_word(data + len, 1);
    server_says(w, &header, data, len);
}

static void events_are_of_the_users_domains(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct answer answer = call_bytes(w, 316, "\0\0\0\1\0\0\0\0", 8);
    size_t n = 0;

    (void)state;
    assert_memory_equal(answer.data, "\0\0\0\1", 4); /* 0 is the filter's own */
    for (uint32_t procedure = 300; procedure < 450; procedure++) {
        const struct rpc_event *event = rpc_allow_event(procedure);
        if (event && !event->domain)
            continue;
        if (!event) {
            const struct rpc_header header = { RPC_PROGRAM_REMOTE, 1, procedure, RPC_EVENT, 0, 0 };
            server_says(w, &header, "\0\0\0\1", 4);
            assert_false(client_hears(w, &answer));
            continue;
        }
        n++;
        send_event(w, procedure, 1, 1);
        send_event(w, procedure, 0, 0);
        send_event(w, procedure, 5, 0);
        assert_false(client_hears(w, &answer));
        send_event(w, procedure, 1, 0);
        assert_true(client_hears(w, &answer));
        assert_int_equal(answer.header.procedure, procedure);
        assert_non_null(memmem(answer.data, answer.len, "cards2", 6));
    }
    assert_int_equal(n, RPC_EVENT_ID_MAX + 1);
    /* Taken back: first one that is not the client's, then its own. */
    assert_int_equal(code_of(call_bytes(w, 317, "\0\0\0\0", 4)), RPC_ERR_OPERATION_DENIED);
    assert_int_equal(code_of(call_bytes(w, 317, "\0\0\0\1", 4)), 0);
    assert_int_equal(code_of(call_bytes(w, 317, "\0\0\0\1", 4)), RPC_ERR_OPERATION_DENIED);
    send_event(w, 318, 1, 0);
    assert_false(client_hears(w, &answer));
    world_free(w);
}

static void events_are_asked_for_of_own_domains(void **state)
{
    struct world *w = world_new("alice", false, true);
    vgr_domain mine = claim_of("x", "aaaaaaaaaaaaaaaa", 1), other = claim_of("x", "ssssssssssssssss", 1);
    struct vgr_args_events args = { 0, &mine }, bad = { 0, &other }, unknown = { RPC_EVENT_ID_MAX + 1, NULL };

    (void)state;
    assert_int_equal(code_of(call_with(w, 316, RPC_CODEC(vgr_args_events), &args)), 0);
    assert_int_equal(code_of(call_with(w, 316, RPC_CODEC(vgr_args_events), &bad)), RPC_ERR_NO_DOMAIN);
    assert_int_equal(code_of(call_with(w, 316, RPC_CODEC(vgr_args_events), &unknown)), RPC_ERR_OPERATION_DENIED);
    for (int i = 1; i < RPC_CALLBACKS_MAX; i++)
        assert_int_equal(code_of(call_bytes(w, 316, "\0\0\0\1\0\0\0\0", 8)), 0);
    assert_int_equal(code_of(call_bytes(w, 316, "\0\0\0\1\0\0\0\0", 8)), RPC_ERR_OPERATION_DENIED);
    world_free(w);
}

static void the_filters_own_events_are_shared(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct answer answer;
    size_t before = w->n_asked;

    (void)state;
    answer = call_bytes(w, 316, "\0\0\0\0\0\0\0\0", 8); /* LIFECYCLE, all domains */
    assert_int_equal(answer.header.status, RPC_OK);
    assert_memory_equal(answer.data, "\0\0\0\0", 4);
    assert_int_equal(code_of(call_bytes(w, 316, "\0\0\0\0\0\0\0\0", 8)), RPC_ERR_OPERATION_DENIED);
    assert_int_equal(w->n_asked, before);
    send_event(w, 318, 0, 1);
    assert_false(client_hears(w, &answer));
    send_event(w, 318, 0, 0);
    assert_true(client_hears(w, &answer));
    assert_int_equal(code_of(call_bytes(w, 317, "\0\0\0\0", 4)), 0);
    send_event(w, 318, 0, 0);
    assert_false(client_hears(w, &answer));
    assert_int_equal(code_of(call_bytes(w, 317, "\0\0\0\0", 4)), RPC_ERR_OPERATION_DENIED);
    assert_int_equal(w->n_asked, before); /* the filter still has them */
    world_free(w);
}

/* --- streams ------------------------------------------------------------------------------------------------------- */

static void streams_are_those_that_were_opened(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct rpc_header data = { RPC_PROGRAM_REMOTE, 1, 201, RPC_STREAM, 0, RPC_CONTINUE };
    struct vgr_args_console args = { claim_of("cards2", "aaaaaaaaaaaaaaaa", 4), NULL, 0 };
    struct answer answer;
    size_t before;

    (void)state;
    data.serial = w->serial + 1; /* the serial of a call that is to come */
    before = rpc_buffer_len(&w->last);
    assert_int_equal(client_says(w, &data, "abc", 3), 0);
    assert_int_equal(rpc_buffer_len(&w->last), before);

    assert_int_equal(code_of(call_with(w, 201, RPC_CODEC(vgr_args_console), &args)), 0);
    assert_int_equal(client_says(w, &data, "abc", 3), 0);
    assert_int_equal(last_asked(w)->header.serial, w->stream_serial);
    assert_int_not_equal(w->stream_serial, w->serial);
    assert_memory_equal(last_asked(w)->payload, "abc", 3);

    struct rpc_header from = data;
    from.serial = w->stream_serial;
    server_says(w, &from, "def", 3);
    assert_true(client_hears(w, &answer));
    assert_int_equal(answer.header.serial, w->serial);
    assert_memory_equal(answer.data, "def", 3);

    struct rpc_header call = { RPC_PROGRAM_REMOTE, 1, 4, RPC_CALL, data.serial, RPC_OK };
    assert_int_equal(client_says(w, &call, "", 0), -EPROTO); /* its serial is taken */
    struct rpc_header wrong = data;
    wrong.procedure = 211;
    assert_int_equal(client_says(w, &wrong, "abc", 3), -EPROTO);

    data.status = RPC_OK; /* finished: nothing more */
    assert_int_equal(client_says(w, &data, "", 0), 0);
    assert_int_equal(last_asked(w)->header.status, RPC_OK);
    data.status = RPC_CONTINUE;
    assert_int_equal(client_says(w, &data, "abc", 3), 0);
    assert_int_equal(last_asked(w)->header.status, RPC_OK);
    from.status = RPC_OK;
    server_says(w, &from, "", 0);
    assert_true(client_hears(w, &answer));
    assert_int_equal(answer.header.status, RPC_OK);
    from.status = RPC_CONTINUE;
    server_says(w, &from, "late", 4);
    assert_false(client_hears(w, &answer));
    world_free(w);
}

/* Its client has gone. */
static void a_stream_is_given_up(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct vgr_args_console args = { claim_of("cards2", "aaaaaaaaaaaaaaaa", 4), NULL, 0 };
    struct rpc_header end = { RPC_PROGRAM_REMOTE, 1, 201, RPC_STREAM, 0, RPC_OK };
    struct rpc_buffer *asked = rpc_filter_to_server(w->filter);
    struct rpc_message message;
    struct answer answer;

    (void)state;
    assert_int_equal(rpc_filter_give_up_streams(w->filter), 0);
    assert_int_equal(rpc_buffer_len(asked), 0);
    assert_int_equal(code_of(call_with(w, 201, RPC_CODEC(vgr_args_console), &args)), 0);
    assert_int_equal(rpc_filter_give_up_streams(w->filter), 1);
    assert_int_equal(rpc_frame_peek(asked, RPC_FROM_CLIENT_MAX, &message), 1);
    assert_int_equal(message.header.type, RPC_STREAM);
    assert_int_equal(message.header.status, RPC_ERROR);
    assert_int_equal(message.header.procedure, 201);
    assert_int_equal(message.header.serial, w->stream_serial);
    assert_int_equal(rpc_buffer_len(asked), RPC_HEAD_SIZE + message.len);
    rpc_buffer_drop(asked, rpc_buffer_len(asked));
    assert_int_equal(rpc_filter_give_up_streams(w->filter), 1); /* not said twice */
    assert_int_equal(rpc_buffer_len(asked), 0);
    end.serial = w->stream_serial;
    server_says(w, &end, "", 0);
    assert_int_equal(rpc_filter_give_up_streams(w->filter), 0);
    assert_true(client_hears(w, &answer));
    world_free(w);
}

/* libvirtd's main thread may send data while the thread of the call has not replied yet. */
static void a_stream_may_begin_before_its_reply(void **state)
{
    static const struct {
        enum rpc_status data, reply; /* what it sends after the first data; what the reply is then */
        bool lives;                  /* and then the client may send */
    } row[] = { { RPC_CONTINUE, RPC_OK, true }, { RPC_OK, RPC_OK, false }, { RPC_CONTINUE, RPC_ERROR, false } };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct world *w = world_new("alice", false, true);
        struct vgr_args_console args = { claim_of("cards2", "aaaaaaaaaaaaaaaa", 4), NULL, 0 };
        struct rpc_header call = { RPC_PROGRAM_REMOTE, 1, 201, RPC_CALL, ++w->serial, RPC_OK }, data = call;
        struct answer answer;
        void *bytes;
        size_t len;
        assert_int_equal(rpc_encode(RPC_CODEC(vgr_args_console), &args, &bytes, &len), 0);
        w->late = true;
        assert_int_equal(client_says(w, &call, bytes, len), 0);
        free(bytes);
        data.type = RPC_STREAM;
        data.status = RPC_CONTINUE;
        assert_int_equal(client_says(w, &data, "no", 2), 0); /* it is not open: dropped */
        assert_int_equal(last_asked(w)->header.type, RPC_CALL);

        data.serial = w->stream_serial;
        server_says(w, &data, "early", 5);
        assert_true(client_hears(w, &answer));
        assert_int_equal(answer.header.serial, w->serial);
        assert_memory_equal(answer.data, "early", 5);
        data.status = row[i].data;
        server_says(w, &data, row[i].data == RPC_OK ? "" : "x", row[i].data != RPC_OK);
        assert_true(client_hears(w, &answer));
        assert_int_equal(answer.header.status, row[i].data);

        data.type = RPC_CALL;
        data.status = RPC_OK;
        w->late = false;
        if (row[i].reply == RPC_ERROR)
            server_fails(w, &data, 55, "it did not open");
        else
            server_replies(w, &data, RPC_OK, "", 0);
        pump(w);
        assert_true(client_hears(w, &answer));
        assert_int_equal(code_of(answer), row[i].reply == RPC_ERROR ? 55 : 0);
        data = (struct rpc_header){ RPC_PROGRAM_REMOTE, 1, 201, RPC_STREAM, w->serial, RPC_CONTINUE };
        assert_int_equal(client_says(w, &data, "yes", 3), 0);
        assert_int_equal(last_asked(w)->header.type == RPC_STREAM, row[i].lives);
        data.serial = w->stream_serial;
        server_says(w, &data, "more", 4);
        assert_int_equal(client_hears(w, &answer), row[i].lives);
        world_free(w);
    }
}

static void a_screenshot_flows_one_way(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct vgr_args_domain_number_flags args = { claim_of("cards2", "aaaaaaaaaaaaaaaa", 4), 0, 0 };
    struct rpc_header data = { RPC_PROGRAM_REMOTE, 1, 211, RPC_STREAM, 0, RPC_CONTINUE };
    struct answer answer;

    (void)state;
    assert_int_equal(code_of(call_with(w, 211, RPC_CODEC(vgr_args_domain_number_flags), &args)), 0);
    data.serial = w->serial;
    assert_int_equal(client_says(w, &data, "abc", 3), 0);
    assert_int_equal(last_asked(w)->header.type, RPC_CALL);
    data.status = RPC_ERROR; /* given up: libvirtd confirms by a reply */
    assert_int_equal(client_says(w, &data, "", 0), 0);
    assert_int_equal(last_asked(w)->header.status, RPC_ERROR);
    struct rpc_header reply = { RPC_PROGRAM_REMOTE, 1, 211, RPC_REPLY, w->stream_serial, RPC_OK };
    server_says(w, &reply, "", 0);
    assert_true(client_hears(w, &answer));
    assert_int_equal(answer.header.serial, w->serial);
    for (int i = 0; i < RPC_STREAMS_MAX; i++)
        assert_int_equal(code_of(call_with(w, 211, RPC_CODEC(vgr_args_domain_number_flags), &args)), 0);
    assert_int_equal(code_of(call_with(w, 211, RPC_CODEC(vgr_args_domain_number_flags), &args)), RPC_ERR_OPERATION_DENIED);
    world_free(w);
}

/* --- refusals ------------------------------------------------------------------------------------------------------ */

/* The answer is a refusal with just this text, and it is noted. */
static void is_refused(struct world *w, struct answer answer, const char *text)
{
    unsigned *noted = &w->notes[RPC_REFUSED];
    char whole[256];

    snprintf(whole, sizeof whole, "operation forbidden: %s", text); /* as libvirt begins this kind of error */
    assert_int_equal(answer.header.status, RPC_ERROR);
    assert_int_equal(answer.error.code, RPC_ERR_OPERATION_DENIED);
    assert_string_equal(*answer.error.message, whole);
    assert_int_equal(*noted, 1);
    *noted = 0;
    answer_free(&answer);
}

static struct answer call_header(struct world *w, const struct rpc_header *header)
{
    struct answer answer;

    assert_int_equal(client_says(w, header, "", 0), 0);
    assert_true(client_hears(w, &answer));
    return answer;
}

static void each_refusal_of_a_call_says_why(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct rpc_header fds = { RPC_PROGRAM_REMOTE, 1, 4, RPC_CALL_WITH_FDS, 5, 0 }, qemu = { 0x20008087, 1, 1, RPC_CALL, 6, 0 };

    (void)state;
    is_refused(w, call_bytes(w, 11, "", 0), "access denied: procedure 11 is not offered");
    is_refused(w, call_header(w, &fds), "access denied: procedure 4 with file descriptors is not offered");
    is_refused(w, call_header(w, &qemu), "access denied: procedure 1 of this program is not offered");
    is_refused(w, call_bytes(w, 313, "\0\0\0\0\0\0\0\1", 8),
               "access denied: CONNECT_NETWORK_EVENT_REGISTER_ANY: there is no such object");
    is_refused(w, call_flags(w, 196, "x", "aaaaaaaaaaaaaaaa", 2),
               "access denied: DOMAIN_CREATE_WITH_FLAGS: with these flags is not offered");
    is_refused(w, call_domain(w, 12, "x", "oooooooooooooooo"), "access denied: DOMAIN_DESTROY: needs the right power");
    is_refused(w, call_bytes(w, 317, "\0\0\0\7", 4),
               "access denied: CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY: not a callback of this client");
    is_refused(w, call_bytes(w, 316, "\0\0\0\x1b\0\0\0\0", 8),
               "access denied: CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: no such event of a domain is offered");
    is_refused(w, call_bytes(w, 316, "\xff\xff\xff\xff\0\0\0\0", 8),
               "access denied: CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: no such event of a domain is offered");
    assert_int_equal(code_of(call_bytes(w, 316, "\0\0\0\0\0\0\0\0", 8)), 0);
    is_refused(w, call_bytes(w, 316, "\0\0\0\0\0\0\0\0", 8),
               "access denied: CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: event callback already tracked");
    for (int i = 0; i < RPC_CALLBACKS_MAX; i++)
        assert_int_equal(code_of(call_bytes(w, 316, "\0\0\0\1\0\0\0\0", 8)), 0);
    is_refused(w, call_bytes(w, 316, "\0\0\0\1\0\0\0\0", 8),
               "access denied: CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: too many callbacks");
    is_refused(w, call_flags(w, 14, "x", "aaaaaaaaaaaaaaaa", 64), "access denied: DOMAIN_GET_XML_DESC: with these flags is not offered");
    world_free(w);
}

static void each_refusal_of_a_console_says_why(void **state)
{
    struct world *w = world_new("alice", false, true);
    char text[] = "parallel0";
    vgr_name name = text;
    struct vgr_args_console any = { claim_of("x", "aaaaaaaaaaaaaaaa", 4), NULL, 0 }, forced = { any.dom, NULL, 1 },
                            parallel = { any.dom, &name, 0 };

    (void)state;
    is_refused(w, call_with(w, 201, RPC_CODEC(vgr_args_console), &forced),
               "access denied: DOMAIN_OPEN_CONSOLE: FORCE needs the right takeover");
    is_refused(w, call_with(w, 201, RPC_CODEC(vgr_args_console), &parallel),
               "access denied: DOMAIN_OPEN_CONSOLE: not a serial or console device of this domain");
    for (int i = 0; i < RPC_STREAMS_MAX; i++)
        assert_int_equal(code_of(call_with(w, 201, RPC_CODEC(vgr_args_console), &any)), 0);
    is_refused(w, call_with(w, 201, RPC_CODEC(vgr_args_console), &any), "access denied: DOMAIN_OPEN_CONSOLE: too many streams");
    world_free(w);
}

static void each_refusal_of_what_libvirtd_says_says_why(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct vgr_args_console any = { claim_of("x", "aaaaaaaaaaaaaaaa", 4), NULL, 0 };

    (void)state;
    w->xml = "<domain><uuid>61616161-6161-6161-6161-616161616161</uuid>"; /* not well-formed */
    is_refused(w, call_flags(w, 14, "x", "aaaaaaaaaaaaaaaa", 0),
               "access denied: DOMAIN_GET_XML_DESC: the gate does not understand this domain's XML");
    is_refused(w, call_with(w, 201, RPC_CODEC(vgr_args_console), &any),
               "access denied: DOMAIN_OPEN_CONSOLE: the gate does not understand this domain's XML");
    w->everybody = true; /* even what nobody can have */
    is_refused(w, call_bytes(w, 23, "\0\0\0\6nosuch\0\0", 12), "access denied: DOMAIN_LOOKUP_BY_NAME: no such domain");
    world_free(w);
}

static void each_refusal_of_a_connection_says_why(void **state)
{
    struct world *w = world_new("alice", false, false);
    char text[] = "lxc:///";
    vgr_name name = text;
    struct vgr_args_open args = { &name, 0 };

    (void)state;
    is_refused(w, call_with(w, 1, RPC_CODEC(vgr_args_open), &args),
               "access denied: CONNECT_OPEN: this gate offers qemu:///system and no other");
    world_free(w);
    w = world_new("alice", true, true);
    is_refused(w, call_domain(w, 12, "x", "aaaaaaaaaaaaaaaa"), "access denied: DOMAIN_DESTROY: this connection is read-only");
    is_refused(w, call_domain(w, 12, "x", "ssssssssssssssss"), "access denied: DOMAIN_DESTROY: this connection is read-only");
    world_free(w);
}

/* --- bounds -------------------------------------------------------------------------------------------------------- */

static void calls_in_flight_are_bounded(void **state)
{
    struct world *w = world_new("alice", false, true);
    struct rpc_header header = { RPC_PROGRAM_REMOTE, 1, 4, RPC_CALL, 0, RPC_OK };
    unsigned n = 0;

    (void)state;
    w->lost = true;
    while (rpc_filter_ready(w->filter)) {
        header.serial = ++w->serial;
        assert_int_equal(client_says(w, &header, "", 0), 0);
        assert_int_equal(client_says(w, &header, "", 0), -EPROTO); /* the same serial again */
        assert_true(++n <= RPC_CALLS_MAX);
    }
    assert_int_equal(n, RPC_CALLS_MAX);
    world_free(w);
}

static void replies_have_to_fit(void **state)
{
    static const struct {
        struct rpc_header header;
        int says;
    } row[] = {
        { { RPC_PROGRAM_REMOTE, 1, 4, RPC_REPLY, 9999, 0 }, 0 },           /* to nothing: dropped */
        { { RPC_PROGRAM_REMOTE, 1, 5, RPC_REPLY, 0, 0 }, -EPROTO },        /* to another procedure */
        { { RPC_PROGRAM_REMOTE, 1, 4, RPC_REPLY, 0, 2 }, -EPROTO },
        { { RPC_PROGRAM_REMOTE, 1, 4, RPC_REPLY_WITH_FDS, 0, 0 }, -EPROTO },
        { { RPC_PROGRAM_REMOTE, 2, 4, RPC_REPLY, 0, 0 }, -EPROTO },
        { { 0x20008087, 1, 4, RPC_REPLY, 0, 0 }, -EPROTO },
        { { RPC_PROGRAM_REMOTE, 1, 4, RPC_CALL, 0, 0 }, -EPROTO },
        { { RPC_PROGRAM_REMOTE, 1, 4, RPC_REPLY, 0, 1 }, -EPROTO },        /* an error that is none */
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct world *w = world_new("alice", false, true);
        struct rpc_header call = { RPC_PROGRAM_REMOTE, 1, 4, RPC_CALL, ++w->serial, RPC_OK };
        w->lost = true;
        assert_int_equal(client_says(w, &call, "", 0), 0);
        struct rpc_message m = { row[i].header, (const unsigned char *)"", 0 };
        if (!m.header.serial)
            m.header.serial = last_asked(w)->header.serial;
        assert_int_equal(rpc_filter_from_server(w->filter, &m), row[i].says);
        world_free(w);
    }
}

/* Of metadata, what is written to be read with the domain. */
static void metadata_is_title_and_description(void **state)
{
    struct world *w = world_new("max", false, true);
    struct vgr_args_metadata args = { .dom = claim_of("cards2", "aaaaaaaaaaaaaaaa", 4) };
    char *uri = strdup("http://example.com/notes");

    (void)state;
    for (int type = -1; type < 4; type++) {
        size_t before = w->n_asked;
        args.type = type;
        args.uri = type == 2 ? &uri : NULL;
        int code = code_of(call_with(w, 265, RPC_CODEC(vgr_args_metadata), &args));
        assert_int_equal(code, type == 0 || type == 1 ? 0 : RPC_ERR_OPERATION_DENIED);
        assert_int_equal(w->n_asked > before && w->asked[w->n_asked - 1] == 265, code == 0);
    }
    free(uri);
    world_free(w);
}

/* A payload that is on its way goes on to the client only where nobody has to look at it. */
static void replies_that_nobody_reads_are_passed_on(void **state)
{
    static const struct {
        uint32_t procedure;
        enum rpc_status status;
        int passes;
    } row[] = { { 4, RPC_OK, 1 }, { 7, RPC_OK, 1 }, { 4, RPC_ERROR, 0 }, { 273, RPC_OK, 0 }, { 25, RPC_OK, 0 } };
    static const unsigned char one_list[8] = { 0, 0, 0, 1 };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct world *w = world_new("alice", false, true);
        struct rpc_header call = { RPC_PROGRAM_REMOTE, 1, row[i].procedure, RPC_CALL, 77, RPC_OK }, reply;
        struct rpc_buffer *out = rpc_filter_to_client(w->filter);
        size_t len;
        w->lost = true;
        assert_int_equal(client_says(w, &call, one_list, row[i].procedure == 273 ? 8 : 0), 0);
        reply = last_asked(w)->header;
        reply.type = RPC_REPLY;
        reply.status = row[i].status;
        reply.serial++; /* nobody asked that */
        assert_int_equal(rpc_filter_pass_from_server(w->filter, &reply, 1000), 0);
        reply.serial--;
        reply.procedure++;
        assert_int_equal(rpc_filter_pass_from_server(w->filter, &reply, 1000), 0);
        reply.procedure--;
        assert_int_equal(rpc_filter_pass_from_server(w->filter, &reply, 1000), row[i].passes);
        if (row[i].passes) {
            assert_int_equal(rpc_frame_peek_head(out, RPC_FROM_SERVER_MAX, &reply, &len), 1);
            assert_int_equal(len, 1000);
            assert_int_equal(reply.serial, 77);
            assert_int_equal(rpc_filter_pass_from_server(w->filter, &last_asked(w)->header, 1000), 0); /* it is over */
        } else {
            assert_int_equal(rpc_buffer_len(out), 0);
        }
        world_free(w);
    }
}

/* Few calls may be long as well. */
static void long_calls_in_flight_are_bounded(void **state)
{
    struct world *w = world_new("alice", false, true);
    vgr_domain *doms = calloc(VGR_DOMAINS_MAX, sizeof *doms);
    struct vgr_args_stats args = { .doms = { VGR_DOMAINS_MAX, doms } };
    char name[200];
    void *data;
    size_t len, n = 0;

    (void)state;
    assert_non_null(doms);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i < VGR_DOMAINS_MAX; i++)
        doms[i] = (vgr_domain){ .name = name };
    assert_int_equal(rpc_encode(RPC_CODEC(vgr_args_stats), &args, &data, &len), 0);
    free(doms);
    w->lost = true;
    for (; rpc_filter_ready(w->filter); n++) {
        struct rpc_header call = { RPC_PROGRAM_REMOTE, 1, 344, RPC_CALL, ++w->serial, RPC_OK };
        assert_int_equal(client_says(w, &call, data, len), 0);
    }
    assert_int_equal(n, RPC_FROM_CLIENT_MAX / len + 1);
    free(data);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_else_reaches_libvirtd), cmocka_unit_test(the_table_is_in_order),
        cmocka_unit_test(odd_messages_are_refused_or_end_it), cmocka_unit_test(keepalive_goes_through),
        cmocka_unit_test(arguments_have_one_form), cmocka_unit_test(anothers_is_like_none),
        cmocka_unit_test(the_uuid_decides_not_the_name), cmocka_unit_test(what_is_known_is_not_asked_twice),
        cmocka_unit_test(a_reply_older_than_an_event_is_not_remembered),
        cmocka_unit_test(before_open_nothing_is_remembered), cmocka_unit_test(libvirtd_answers_what_was_asked),
        cmocka_unit_test(each_call_needs_its_right),
        cmocka_unit_test(flags_are_those_of_the_table), cmocka_unit_test(xml_is_asked_for_without_secrets),
        cmocka_unit_test(another_domains_xml_is_not_passed_on), cmocka_unit_test(the_xml_of_one_that_was_renamed),
        cmocka_unit_test(consoles_are_serial_devices),
        cmocka_unit_test(lists_have_the_users_domains), cmocka_unit_test(stats_have_the_users_domains),
        cmocka_unit_test(other_objects_are_none), cmocka_unit_test(one_uri_is_offered),
        cmocka_unit_test(a_client_may_ask_for_less), cmocka_unit_test(features_are_those_that_work_here),
        cmocka_unit_test(no_program_of_the_clients_is_run), cmocka_unit_test(errors_do_not_name_others),
        cmocka_unit_test(events_are_of_the_users_domains), cmocka_unit_test(events_are_asked_for_of_own_domains),
        cmocka_unit_test(the_filters_own_events_are_shared),
        cmocka_unit_test(streams_are_those_that_were_opened), cmocka_unit_test(a_stream_is_given_up),
        cmocka_unit_test(a_stream_may_begin_before_its_reply),
        cmocka_unit_test(a_screenshot_flows_one_way),
        cmocka_unit_test(each_refusal_of_a_call_says_why), cmocka_unit_test(each_refusal_of_a_console_says_why),
        cmocka_unit_test(each_refusal_of_what_libvirtd_says_says_why), cmocka_unit_test(each_refusal_of_a_connection_says_why),
        cmocka_unit_test(calls_in_flight_are_bounded), cmocka_unit_test(replies_have_to_fit),
        cmocka_unit_test(metadata_is_title_and_description), cmocka_unit_test(replies_that_nobody_reads_are_passed_on),
        cmocka_unit_test(long_calls_in_flight_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
