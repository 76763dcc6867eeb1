/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's protocol, which the gate speaks: calls on a machine that is not the user's. What would change it is asked for in a
 * form that libvirtd itself must reject, and that rejection is the proof that the call came through: a screen, device or key
 * that does not exist, starting what runs, or else flags that no libvirt knows. The last cannot tell whether the gate looked
 * at the machine: it refuses such flags, and most of these calls, on any. */
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "probe/probe.h"
#include "probe/probe_bytes.h"

#define HELPER "virt-ssh-helper qemu:///system"

/* src/rpc/virnetprotocol.x, src/remote/remote_protocol.x */
#define PROGRAM_REMOTE 0x20008086
#define PROGRAM_QEMU 0x20008087
#define CONNECT_OPEN 1
#define HEADER 28           /* with the length */
#define KIND_REPLY 1
#define BAD_FLAGS 0x80000000

/* What stands in a call, behind the domain if there is one. */
enum shape { NAME, UUID, DOM, DOM_FLAGS, DOM_NUMBER_FLAGS, DOM_TEXT_FLAGS, DOM_MAYBE_FLAGS, DOM_SAVE, DOM_KEYS,
             DOM_DEVICE, DOM_SCREEN, DOM_PEEK, DOM_PEEK_BLOCK, DOM_PASSWORD, DOM_METADATA, DOM_AGENT, XML_FLAGS, LIST, START };

struct talk {
    struct probe *probe;
    ssh_channel channel;
    struct answer answer;
    size_t at;              /* how much of answer.out is read */
    uint32_t serial;
};

struct reply {
    const uint8_t *payload;
    size_t len;
    bool is_error, is_cut;
};

/* --- messages ------------------------------------------------------------------------------------------------------ */

static void put_maybe(struct bytes *args, const char *text)
{
    bytes_u32(args, 1);
    bytes_xdr(args, text);
}

static void put_domain(struct bytes *args, const char *name, const struct uuid *uuid)
{
    bytes_xdr(args, name);
    bytes_raw(args, uuid->byte, sizeof uuid->byte);
    bytes_u32(args, 0xffffffff);
}

static void put_numbers(struct bytes *args, size_t n, const uint32_t numbers[])
{
    for (size_t i = 0; i < n; i++)
        bytes_u32(args, numbers[i]);
}

#define PUT(args, ...) put_numbers(args, sizeof (uint32_t[]){ __VA_ARGS__ } / 4, (uint32_t[]){ __VA_ARGS__ })

static void put_arguments(struct bytes *args, enum shape shape, uint32_t flags, const char *name, const struct uuid *uuid)
{
    if (shape != NAME && shape != UUID && shape != XML_FLAGS && shape != LIST)
        put_domain(args, name, uuid);
    switch (shape) {
    case NAME: bytes_xdr(args, name); break;
    case UUID: bytes_raw(args, uuid->byte, sizeof uuid->byte); break;
    case DOM: break;
    case START:
    case DOM_FLAGS: PUT(args, flags); break;
    case DOM_NUMBER_FLAGS: PUT(args, 0, flags); break;
    case DOM_TEXT_FLAGS: bytes_xdr(args, "info"); PUT(args, flags); break;
    case DOM_MAYBE_FLAGS: PUT(args, 0, flags); break;
    case DOM_SAVE: bytes_xdr(args, "/nonexistent/probe"); PUT(args, 0, flags); break;
    case DOM_KEYS: PUT(args, 99, 0, 1, 29, flags); break;
    case DOM_DEVICE: put_maybe(args, "probe-none"); PUT(args, flags); break;
    case DOM_SCREEN: PUT(args, 4095, flags); break;
    case DOM_PEEK: PUT(args, 0, 0, 1, flags); break;
    case DOM_PEEK_BLOCK: bytes_xdr(args, "/nonexistent"); PUT(args, 0, 0, 1, flags); break;
    case DOM_PASSWORD: put_maybe(args, "root"); put_maybe(args, "probe"); PUT(args, flags); break;
    case DOM_METADATA: PUT(args, 1, 0, 0, 0, flags); break;
    case DOM_AGENT: bytes_xdr(args, "{}"); PUT(args, 1, flags); break;
    case XML_FLAGS: bytes_xdr(args, "<probe/>"); PUT(args, flags); break;
    case LIST: PUT(args, 1, 0); break;
    }
}

static void send_call(struct talk *talk, uint32_t program, uint32_t procedure, const struct bytes *args)
{
    struct bytes message = { 0 };

    PUT(&message, (uint32_t)(HEADER + args->len), program, 1, procedure, 0, ++talk->serial, 0);
    bytes_raw(&message, args->data, args->len);
    if (!message.failed)
        ssh_channel_write(talk->channel, message.data, (uint32_t)message.len);
    bytes_free(&message);
}

/* So many bytes from talk->at on; false if they do not come. */
static bool have(struct talk *talk, size_t n)
{
    talk->answer.enough = talk->at + n;
    if (talk->answer.enough > ANSWER_SIZE - 1)
        return false;
    if (talk->answer.out_len < talk->answer.enough)
        probe_read_some(talk->probe, talk->channel, NULL, talk->probe->options->answer_ms, &talk->answer);
    return talk->answer.out_len >= talk->answer.enough;
}

/* The reply to the last call; one that is too long for us comes in part. */
static bool get_reply(struct talk *talk, struct reply *ret)
{
    for (;;) {
        const uint8_t *head;
        size_t size, room;

        if (!have(talk, HEADER))
            return false;
        head = (const uint8_t *)talk->answer.out + talk->at;
        size = bytes_get_u32(head);
        room = ANSWER_SIZE - 1 - talk->at;
        if (size < HEADER || !have(talk, size < room ? size : room))
            return false;
        talk->at += size < room ? size : room;
        if (bytes_get_u32(head + 16) != KIND_REPLY || bytes_get_u32(head + 20) != talk->serial)
            continue;
        *ret = (struct reply){ head + HEADER, (size < room ? size : room) - HEADER, bytes_get_u32(head + 24) != 0, size > room };
        return true;
    }
}

static void judge_reply(const struct reply *reply, struct finding *finding)
{
    char message[PROBE_SEEN_SIZE] = "";
    size_t len;

    if (!reply->is_error || reply->len < 16) {
        judge_rpc_reply(0, "", finding);
        return;
    }
    /* code, domain, is there a message, its length, it */
    len = bytes_get_u32(reply->payload + 8) ? bytes_get_u32(reply->payload + 12) : 0;
    if (len > reply->len - 16)
        len = reply->len - 16;
    if (len > sizeof message - 1)
        len = sizeof message - 1;
    memcpy(message, reply->payload + 16, len);
    judge_rpc_reply((int)bytes_get_u32(reply->payload), message, finding);
}

/* --- a door -------------------------------------------------------------------------------------------------------- */

static bool open_talk(struct talk *talk)
{
    struct bytes args = { 0 };
    struct reply reply;

    talk->channel = probe_channel(talk->probe, &talk->answer);
    if (!talk->channel)
        return false;
    if (!probe_granted(talk->probe, ssh_channel_request_exec(talk->channel, HELPER), &talk->answer))
        return false;
    put_maybe(&args, "qemu:///system");
    PUT(&args, 0);
    send_call(talk, PROGRAM_REMOTE, CONNECT_OPEN, &args);
    bytes_free(&args);
    return get_reply(talk, &reply) && !reply.is_error;
}

static void close_talk(struct talk *talk)
{
    if (!talk->channel)
        return;
    if (!talk->answer.ended && ssh_is_connected(talk->probe->session)) {
        talk->answer.enough = 0;
        ssh_channel_send_eof(talk->channel);
        probe_read(talk->probe, talk->channel, NULL, &talk->answer);
    } else {
        ssh_channel_free(talk->channel);
    }
}

/* A list of machines has it or not; one that is too long for us proves nothing. */
static void judge_list(const struct reply *reply, const char *name, const struct uuid *uuid, struct finding *finding)
{
    if (reply->is_error)
        judge_reply(reply, finding);
    else if (memmem(reply->payload, reply->len, uuid->byte, sizeof uuid->byte))
        finding_set(finding, VERDICT_OPEN, "'%s' is in the list", name);
    else if (reply->is_cut)
        finding_set(finding, VERDICT_UNKNOWN, "the list is too long to be read");
    else
        finding_set(finding, VERDICT_CLOSED, "'%s' is not in the list", name);
}

static void call_on(struct talk *talk, const struct door *door, const char *name, const struct uuid *uuid,
                    struct finding *finding)
{
    struct bytes args = { 0 };
    struct reply reply;

    put_arguments(&args, (enum shape)door->number2, door->text ? 0 : BAD_FLAGS, name, uuid);
    send_call(talk, door->more ? PROGRAM_QEMU : PROGRAM_REMOTE, (uint32_t)door->number, &args);
    bytes_free(&args);
    if (!get_reply(talk, &reply))
        judge_answer(&talk->answer, NULL, finding);
    else if (door->number2 == LIST)
        judge_list(&reply, name, uuid, finding);
    else
        judge_reply(&reply, finding);
}

static void try_call(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct talk talk = { .probe = probe, .answer = ANSWER_NONE };
    char *name = probe_fill_in(probe, "%n", finding);
    char *text = name ? probe_fill_in(probe, door->number2 == START ? "%r%u" : "%u", finding) : NULL;
    struct uuid uuid;

    if (text && uuid_parse(text, strlen(text), &uuid) < 0)
        finding_set(finding, VERDICT_UNKNOWN, "not tried: --other-uuid is no uuid");
    else if (text && open_talk(&talk))
        call_on(&talk, door, name, &uuid, finding);
    else if (text)
        judge_answer(&talk.answer, NULL, finding);
    close_talk(&talk);
    free(name);
    free(text);
}

/* text: flags of 0. more: of the program for QEMU. */
#define READ(id_, number_, shape_) \
    { .id = "rpc." id_, .tried = "libvirt: " id_ " of '%n'", .try = try_call, .number = number_, .number2 = shape_, \
      .text = "reads" }
#define NOWHERE(id_, number_, shape_, what_) \
    { .id = "rpc." id_, .tried = "libvirt: " id_ " of '%n', " what_, .try = try_call, .number = number_, .number2 = shape_, \
      .text = "fails" }
#define CHANGE(id_, number_, shape_) \
    { .id = "rpc." id_, .tried = "libvirt: " id_ " of '%n', with flags that do not exist", .try = try_call, .number = number_, \
      .number2 = shape_ }
#define QEMU(id_, number_, shape_) \
    { .id = "rpc." id_, .tried = "libvirt: " id_ " of '%n', with flags that do not exist", .try = try_call, .number = number_, \
      .number2 = shape_, .more = "qemu" }

static const struct door doors[] = {
    READ("lookup-by-name", 23, NAME), READ("lookup-by-uuid", 24, UUID), READ("list-all-domains", 273, LIST),
    READ("get-xml", 14, DOM_FLAGS), READ("get-info", 16, DOM), READ("get-state", 212, DOM_FLAGS), READ("get-os-type", 19, DOM),
    READ("get-autostart", 15, DOM), READ("has-managed-save", 183, DOM_FLAGS), READ("is-active", 150, DOM),

    NOWHERE("screenshot", 211, DOM_SCREEN, "a screen that does not exist"),
    NOWHERE("send-key", 226, DOM_KEYS, "a key that does not exist"),
    NOWHERE("open-console", 201, DOM_DEVICE, "a device that does not exist"), NOWHERE("start", 196, START, "which runs"),

    CHANGE("destroy", 234, DOM_FLAGS), CHANGE("shutdown", 258, DOM_FLAGS), CHANGE("reboot", 27, DOM_FLAGS),
    CHANGE("reset", 245, DOM_FLAGS), CHANGE("undefine", 231, DOM_FLAGS), CHANGE("managed-save", 182, DOM_FLAGS),
    CHANGE("save", 232, DOM_SAVE), CHANGE("core-dump", 53, DOM_TEXT_FLAGS), CHANGE("inject-nmi", 210, DOM_FLAGS),
    CHANGE("open-channel", 296, DOM_MAYBE_FLAGS), CHANGE("open-graphics-fd", 343, DOM_NUMBER_FLAGS),
    CHANGE("memory-peek", 104, DOM_PEEK), CHANGE("block-peek", 103, DOM_PEEK_BLOCK), CHANGE("rename", 358, DOM_MAYBE_FLAGS),
    CHANGE("set-user-password", 357, DOM_PASSWORD), CHANGE("set-metadata", 264, DOM_METADATA),
    CHANGE("attach-device", 160, DOM_TEXT_FLAGS), CHANGE("define-xml", 350, XML_FLAGS), CHANGE("create-xml", 10, XML_FLAGS),
    QEMU("monitor-command", 1, DOM_TEXT_FLAGS), QEMU("agent-command", 3, DOM_AGENT),
};

const struct family family_rpc = FAMILY(doors);
