/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's protocol, which the gate speaks: calls on a machine that is not the user's. What only reads is asked for as it is.
 * What would change it is asked for in a form that libvirtd itself must reject, and that rejection is the proof that the call
 * came through: a screen, device or key that does not exist, no memory, starting what runs, or else flags that no libvirt
 * knows. The last cannot tell whether the gate looked at the machine: it refuses such flags, and most of these calls, on any.
 * What has neither flags nor such a form (the old destroy, suspend, undefine) is not tried. */
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

/* door->number2: what its reply is held against. */
enum kind { CALL, LIST, START };

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

/* One letter of a call's form. */
static void put_argument(struct bytes *args, char what, const char *name, const struct uuid *uuid)
{
    switch (what) {
    case 'd': put_domain(args, name, uuid); break;
    case 'n': bytes_xdr(args, name); break;
    case 'u': bytes_raw(args, uuid->byte, sizeof uuid->byte); break;
    case '0': PUT(args, 0); break;                          /* a number, flags, an empty array */
    case '1': PUT(args, 1); break;
    case 'h': PUT(args, 0, 0); break;                       /* a number of 64 bits */
    case 'F': PUT(args, BAD_FLAGS); break;
    case 'H': PUT(args, 0, BAD_FLAGS); break;
    case 's': bytes_xdr(args, "info"); break;
    case 'p': bytes_xdr(args, "/nonexistent/probe"); break;
    case 'x': bytes_xdr(args, "<probe/>"); break;
    case 'j': bytes_xdr(args, "{}"); break;
    case 'o': PUT(args, 0); break;                          /* nothing, where a text may be */
    case 'O': put_maybe(args, "probe-none"); break;
    case 'S': PUT(args, 4095); break;                       /* a screen */
    case 'K': PUT(args, 99, 0, 1, 29); break;               /* a key of a set of keys */
    }
}

static void put_arguments(struct bytes *args, const char *form, const char *name, const struct uuid *uuid)
{
    for (; *form; form++)
        put_argument(args, *form, name, uuid);
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

/* A helper that speaks for qemu:///system; or what became of the attempt. */
static bool open_talk(struct talk *talk, struct finding *finding)
{
    struct bytes args = { 0 };
    struct reply reply;
    bool opened = false;

    talk->channel = probe_channel(talk->probe, &talk->answer);
    if (talk->channel && probe_granted(talk->probe, ssh_channel_request_exec(talk->channel, HELPER), &talk->answer)) {
        put_maybe(&args, "qemu:///system");
        PUT(&args, 0);
        send_call(talk, PROGRAM_REMOTE, CONNECT_OPEN, &args);
        bytes_free(&args);
        opened = get_reply(talk, &reply);
    }
    if (!opened)
        judge_answer(&talk->answer, NULL, finding);
    else if (reply.is_error)
        judge_reply(&reply, finding);
    return opened && !reply.is_error;
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
static void judge_domains(const struct reply *reply, const char *name, const struct uuid *uuid, struct finding *finding)
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

    put_arguments(&args, door->text, name, uuid);
    send_call(talk, door->more ? PROGRAM_QEMU : PROGRAM_REMOTE, (uint32_t)door->number, &args);
    bytes_free(&args);
    if (!get_reply(talk, &reply))
        judge_answer(&talk->answer, NULL, finding);
    else if (door->number2 == LIST)
        judge_domains(&reply, name, uuid, finding);
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
    else if (text && open_talk(&talk, finding))
        call_on(&talk, door, name, &uuid, finding);
    close_talk(&talk);
    free(name);
    free(text);
}

/* text: its form, a letter for each argument. more: of the program for QEMU. */
#define ROW(id_, number_, form_, kind_, said_, more_) \
    { .id = "rpc." id_, .tried = "libvirt: " id_ said_, .try = try_call, .number = number_, .number2 = kind_, .text = form_, \
      .more = more_ }
#define READ(id_, number_, form_) ROW(id_, number_, form_, CALL, " of '%n'", NULL)
#define LIST(id_, number_, form_) ROW(id_, number_, form_, LIST, ", is '%n' in it", NULL)
#define NOWHERE(id_, number_, form_, what_) ROW(id_, number_, form_, CALL, " of '%n', " what_, NULL)
#define RUNS(id_, number_, form_) ROW(id_, number_, form_, START, " of '%n', which runs", NULL)
#define CHANGE(id_, number_, form_) ROW(id_, number_, form_, CALL, " of '%n', with flags that do not exist", NULL)
#define QEMU(id_, number_, form_) ROW(id_, number_, form_, CALL, " of '%n', with flags that do not exist", "qemu")

static const struct door doors[] = {
    READ("lookup-by-name", 23, "n"), READ("lookup-by-uuid", 24, "u"), READ("get-xml", 14, "d0"), READ("get-info", 16, "d"),
    READ("get-state", 212, "d0"), READ("get-os-type", 19, "d"), READ("get-autostart", 15, "d"),
    READ("has-managed-save", 183, "d0"), READ("is-active", 150, "d"), READ("is-persistent", 151, "d"),
    READ("is-updated", 202, "d"), READ("get-max-memory", 17, "d"), READ("get-max-vcpus", 18, "d"), READ("get-vcpus", 20, "d11"),
    READ("get-vcpus-flags", 200, "d0"), READ("get-control-info", 229, "d0"), READ("get-job-info", 163, "d"),
    READ("get-job-stats", 298, "d0"), READ("get-messages", 426, "d0"), READ("get-security-label", 121, "d"),
    READ("get-security-label-list", 278, "d"), READ("get-scheduler-type", 56, "d"), READ("get-scheduler-parameters", 57, "d0"),
    READ("get-memory-parameters", 198, "d00"), READ("get-blkio-parameters", 206, "d00"),
    READ("get-numa-parameters", 255, "d00"), READ("get-interface-parameters", 257, "dp00"),
    READ("get-block-io-tune", 253, "do00"), READ("get-vcpu-pin-info", 230, "d110"), READ("get-emulator-pin-info", 280, "d10"),
    READ("get-iothread-info", 351, "d0"), READ("get-cpu-stats", 262, "d0010"), READ("get-disk-errors", 263, "d00"),
    READ("get-metadata", 265, "d0o0"), READ("get-block-info", 194, "dp0"), READ("get-block-job-info", 238, "dp0"),
    READ("block-stats", 64, "dp"), READ("block-stats-flags", 243, "dp00"), READ("interface-stats", 65, "dp"),
    READ("interface-addresses", 353, "d00"), READ("memory-stats", 159, "d10"), READ("get-hostname", 277, "d0"),
    READ("get-time", 337, "d0"), READ("get-fsinfo", 349, "d0"), READ("get-guest-info", 418, "d00"),
    READ("get-guest-vcpus", 371, "d0"), READ("get-ssh-keys", 424, "ds0"), READ("snapshot-num", 187, "d0"),
    READ("snapshot-names", 188, "d10"), READ("snapshot-list", 274, "d10"), READ("snapshot-lookup", 189, "ds0"),
    READ("snapshot-current", 191, "d0"), READ("has-current-snapshot", 190, "d0"), READ("snapshot-get-xml", 186, "sd0"),
    READ("checkpoint-list", 413, "d10"), READ("checkpoint-lookup", 415, "ds0"), READ("managed-save-get-xml", 388, "d0"),
    READ("backup-get-xml", 422, "d0"), READ("migrate-get-max-speed", 242, "d0"), READ("migrate-get-max-downtime", 387, "d0"),
    READ("watch", 316, "01d"),

    LIST("list-all-domains", 273, "10"), LIST("all-domain-stats", 344, "000"), LIST("domain-stats", 344, "1d00"),

    NOWHERE("screenshot", 211, "dS0", "a screen that does not exist"),
    NOWHERE("send-key", 226, "dK0", "a key that does not exist"),
    NOWHERE("open-console", 201, "dO0", "a device that does not exist"),
    NOWHERE("open-console-force", 201, "dO1", "by force, a device that does not exist"),
    NOWHERE("set-memory", 31, "dh", "to nothing"), NOWHERE("set-max-memory", 30, "dh", "to nothing"),
    NOWHERE("set-vcpus", 32, "d0", "to none"), NOWHERE("pin-vcpu", 26, "d00", "to no processor"),
    NOWHERE("attach-device-plain", 8, "dx", "which is none"), NOWHERE("detach-device-plain", 13, "dx", "which is none"),
    NOWHERE("save-image-get-xml", 235, "p0", "not of it: of a file that does not exist"),
    NOWHERE("restore", 54, "p", "not of it: of a file that does not exist"),

    RUNS("start", 196, "d0"), RUNS("start-plain", 9, "d"), RUNS("start-paused", 196, "d1"), RUNS("resume", 28, "d"),

    CHANGE("destroy", 234, "dF"), CHANGE("shutdown", 258, "dF"), CHANGE("reboot", 27, "dF"), CHANGE("reset", 245, "dF"),
    CHANGE("undefine", 231, "dF"), CHANGE("managed-save", 182, "dF"), CHANGE("managed-save-remove", 184, "dF"),
    CHANGE("managed-save-define-xml", 389, "dOF"), CHANGE("save", 232, "dpoF"), CHANGE("restore-flags", 233, "poF"),
    CHANGE("save-image-define-xml", 236, "pxF"), CHANGE("core-dump", 53, "dpF"), CHANGE("core-dump-format", 334, "dp0F"),
    CHANGE("inject-nmi", 210, "dF"), CHANGE("open-channel", 296, "doF"), CHANGE("open-graphics-fd", 343, "d0F"),
    CHANGE("memory-peek", 104, "dh1F"), CHANGE("block-peek", 103, "dph1F"), CHANGE("rename", 358, "doF"),
    CHANGE("set-user-password", 357, "dOOF"), CHANGE("set-ssh-keys", 425, "ds0F"), CHANGE("set-metadata", 264, "d1oooF"),
    CHANGE("set-lifecycle-action", 390, "d00F"), CHANGE("attach-device", 160, "dxF"), CHANGE("detach-device", 161, "dxF"),
    CHANGE("detach-device-alias", 392, "dsF"), CHANGE("update-device", 174, "dxF"), CHANGE("define-xml", 350, "xF"),
    CHANGE("create-xml", 10, "xF"), CHANGE("set-memory-flags", 204, "dhF"), CHANGE("set-vcpus-flags", 199, "d1F"),
    CHANGE("set-vcpu", 384, "ds0F"), CHANGE("set-guest-vcpus", 372, "ds0F"), CHANGE("pin-vcpu-flags", 225, "d00F"),
    CHANGE("pin-emulator", 279, "d0F"), CHANGE("add-iothread", 355, "d1F"), CHANGE("del-iothread", 356, "d1F"),
    CHANGE("pin-iothread", 352, "d10F"), CHANGE("set-memory-parameters", 197, "d0F"),
    CHANGE("set-blkio-parameters", 205, "d0F"), CHANGE("set-scheduler-parameters", 219, "d0F"),
    CHANGE("set-numa-parameters", 254, "d0F"), CHANGE("set-interface-parameters", 256, "ds0F"),
    CHANGE("set-block-io-tune", 252, "dp0F"), CHANGE("set-block-threshold", 386, "dphF"),
    CHANGE("set-memory-stats-period", 308, "d0F"), CHANGE("block-resize", 251, "dphF"), CHANGE("block-pull", 240, "dphF"),
    CHANGE("block-rebase", 266, "dpohF"), CHANGE("block-commit", 290, "dpoohF"), CHANGE("block-copy", 345, "dpx0F"),
    CHANGE("block-job-abort", 237, "dpF"), CHANGE("block-job-set-speed", 239, "dphF"), CHANGE("abort-job", 442, "dF"),
    CHANGE("snapshot-create", 185, "dxF"), CHANGE("snapshot-revert", 192, "sdF"), CHANGE("snapshot-delete", 193, "sdF"),
    CHANGE("checkpoint-create", 411, "dxF"), CHANGE("checkpoint-delete", 417, "sdF"), CHANGE("backup-begin", 421, "dxoF"),
    CHANGE("migrate-begin", 213, "doHoh"), CHANGE("migrate-set-max-speed", 207, "dhF"),
    CHANGE("migrate-set-max-downtime", 166, "dhF"), CHANGE("migrate-start-post-copy", 364, "dF"),
    CHANGE("pm-suspend", 261, "d0hF"), CHANGE("pm-wakeup", 267, "dF"), CHANGE("set-time", 338, "dh0F"),
    CHANGE("fs-trim", 294, "dohF"), CHANGE("fs-freeze", 335, "d0F"), CHANGE("fs-thaw", 336, "d0F"),
    CHANGE("agent-set-timeout", 420, "d0F"), CHANGE("dirty-rate", 427, "d1F"),
    QEMU("monitor-command", 1, "dsF"), QEMU("monitor-command-files", 7, "dsF"), QEMU("agent-command", 3, "dj1F"),
};

const struct family family_rpc = FAMILY(doors);
