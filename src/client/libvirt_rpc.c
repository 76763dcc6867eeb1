/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/libvirt_rpc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "base/uuid.h"

#define PROGRAM 0x20008086U
#define PROTOCOL_VERSION 1U
#define HEADER_SIZE 28U        /* with the length before it */
#define MESSAGE_MAX 4096U      /* of those that are read here; the protocol's own bound is far above */
#define UUID_SIZE 16U
#define VM_NAME_MAX 255U

enum { CALL = 0, REPLY = 1 };
enum { STATUS_OK = 0 };
enum { CONNECT_OPEN = 1, DOMAIN_LOOKUP_BY_NAME = 23, DOMAIN_LOOKUP_BY_UUID = 24, AUTH_LIST = 66 };
enum { ERROR_OPERATION_DENIED = 29, ERROR_NO_DOMAIN = 42 };

static const struct power {
    const char *verb;
    uint32_t procedure;
    bool with_flags;
} powers[] = {
    { "start", 9, false },   { "shutdown", 33, false }, { "reboot", 27, true }, { "reset", 245, true },
    { "off", 12, false },    { "suspend", 34, false },  { "resume", 28, false },
};

const char *const libvirt_rpc_verbs[] = { "start", "shutdown", "reboot", "reset", "off", "suspend", "resume", NULL };

struct message {
    size_t len, at;            /* at: read so far */
    unsigned char data[MESSAGE_MAX];
};

struct talk {
    int fd;
    int64_t end_ms;
    uint32_t serial;
    struct message message;    /* being made, or just read */
};

/* --- bytes -------------------------------------------------------------------------------------------------------------- */

static void put_u32(struct message *message, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        message->data[message->len++] = (unsigned char)(value >> shift);
}

static void put_bytes(struct message *message, const void *data, size_t len)
{
    memcpy(message->data + message->len, data, len);
    message->len += len;
    while (message->len % 4)
        message->data[message->len++] = 0;
}

static void put_text(struct message *message, const char *text)
{
    put_u32(message, (uint32_t)strlen(text));
    put_bytes(message, text, strlen(text));
}

/* What stands at the place, or false at the end of the message. */
static bool take_u32(struct message *message, uint32_t *ret)
{
    if (message->len - message->at < 4)
        return false;
    const unsigned char *at = message->data + message->at;
    *ret = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    message->at += 4;
    return true;
}

static bool take_bytes(struct message *message, const unsigned char **ret, uint32_t len)
{
    uint32_t padded = (len + 3) & ~3U;

    if (len > MESSAGE_MAX || message->len - message->at < padded)
        return false;
    *ret = message->data + message->at;
    message->at += padded;
    return true;
}

static int get(struct talk *talk, void *out, size_t len)
{
    return io_read_exactly(talk->fd, out, len, talk->end_ms);
}

/* --- calls -------------------------------------------------------------------------------------------------------------- */

static void begin_call(struct talk *talk, uint32_t procedure)
{
    talk->message.len = talk->message.at = 0;
    put_u32(&talk->message, 0); /* the length, once it is known */
    put_u32(&talk->message, PROGRAM);
    put_u32(&talk->message, PROTOCOL_VERSION);
    put_u32(&talk->message, procedure);
    put_u32(&talk->message, CALL);
    put_u32(&talk->message, ++talk->serial);
    put_u32(&talk->message, STATUS_OK);
}

static int send_call(struct talk *talk)
{
    struct message *message = &talk->message;
    size_t len = message->len;

    message->len = 0;
    put_u32(message, (uint32_t)len);
    message->len = len;
    return io_write_all(talk->fd, message->data, len);
}

static int read_message(struct talk *talk)
{
    struct message *message = &talk->message;
    uint32_t len = 0;
    int r = get(talk, message->data, 4);

    message->at = 0;
    message->len = 4;
    if (r < 0)
        return r;
    take_u32(message, &len);
    if (len < HEADER_SIZE || len > MESSAGE_MAX)
        return -EPROTO;
    message->len = len;
    return get(talk, message->data + 4, len - 4);
}

/* libvirt's error: its number and its sentence. */
static int explain_error(struct message *message, char why[static WHY_SIZE])
{
    const unsigned char *text;
    uint32_t code, domain, present, len;
    char shown[300];

    if (!take_u32(message, &code) || !take_u32(message, &domain) || !take_u32(message, &present) || present != 1 ||
        !take_u32(message, &len) || !take_bytes(message, &text, len))
        return -EPROTO;
    text_escape(shown, sizeof shown, (const char *)text, len);
    if (len == 0)
        snprintf(shown, sizeof shown, "libvirt's error number %u", code);
    if (code == ERROR_NO_DOMAIN || code == ERROR_OPERATION_DENIED)
        return why_say(why, EX_NOPERM, "%s", shown);
    return why_say(why, EX_UNAVAILABLE, "%s", shown);
}

/* Sends what was begun and waits for its reply, past messages that belong to no call of ours. 0: what was returned lies in
 * talk->message; > 0: a status, and why; -errno. */
static int finish_call(struct talk *talk, uint32_t procedure, char why[static WHY_SIZE])
{
    struct message *message = &talk->message;
    uint32_t head[6]; /* program, version, procedure, type, serial, status: there, as no message is shorter */
    int r = send_call(talk);

    for (;;) {
        if (r == 0)
            r = read_message(talk);
        if (r < 0)
            return r;
        for (size_t i = 0; i < 6; i++)
            if (!take_u32(message, &head[i]))
                return -EPROTO;
        if (head[0] != PROGRAM || head[3] != REPLY)
            continue;
        if (head[1] != PROTOCOL_VERSION || head[2] != procedure || head[4] != talk->serial)
            return -EPROTO;
        return head[5] == STATUS_OK ? 0 : explain_error(message, why);
    }
}

static int open_connection(struct talk *talk, char why[static WHY_SIZE])
{
    begin_call(talk, AUTH_LIST);
    int r = finish_call(talk, AUTH_LIST, why);
    if (r)
        return r;
    begin_call(talk, CONNECT_OPEN);
    put_u32(&talk->message, 1);
    put_text(&talk->message, "qemu:///system");
    put_u32(&talk->message, 0);
    return finish_call(talk, CONNECT_OPEN, why);
}

/* The domain as libvirt names it: name, uuid and number, 4 + n + 16 + 4 bytes that go back as they came. */
static int find_domain(struct talk *talk, const char *vm, unsigned char domain[static MESSAGE_MAX], size_t *ret_len,
                       char why[static WHY_SIZE])
{
    static const char by_uuid[] = "uuid:";
    const unsigned char *skipped;
    uint32_t procedure = DOMAIN_LOOKUP_BY_NAME, len = 0, id;
    struct uuid uuid;
    bool with_uuid = strncmp(vm, by_uuid, strlen(by_uuid)) == 0;

    if (with_uuid && uuid_parse(vm + strlen(by_uuid), strlen(vm + strlen(by_uuid)), &uuid) < 0)
        return why_say(why, EX_USAGE, "expected uuid:UUID");
    if (with_uuid)
        procedure = DOMAIN_LOOKUP_BY_UUID;
    begin_call(talk, procedure);
    if (with_uuid)
        put_bytes(&talk->message, uuid.byte, UUID_SIZE);
    else
        put_text(&talk->message, vm);
    int r = finish_call(talk, procedure, why);
    if (r)
        return r;
    struct message *message = &talk->message;
    size_t from = message->at;
    if (!take_u32(message, &len) || len > VM_NAME_MAX || !take_bytes(message, &skipped, len) ||
        !take_bytes(message, &skipped, UUID_SIZE) || !take_u32(message, &id) || message->at != message->len)
        return -EPROTO;
    *ret_len = message->len - from;
    memcpy(domain, message->data + from, *ret_len);
    return 0;
}

static int do_power(struct talk *talk, const struct power *power, const char *vm, char why[static WHY_SIZE])
{
    unsigned char domain[MESSAGE_MAX];
    size_t len = 0;
    int r = open_connection(talk, why);

    if (r == 0)
        r = find_domain(talk, vm, domain, &len, why);
    if (r)
        return r;
    begin_call(talk, power->procedure);
    put_bytes(&talk->message, domain, len);
    if (power->with_flags)
        put_u32(&talk->message, 0);
    return finish_call(talk, power->procedure, why);
}

int libvirt_rpc_power(int fd, int deadline_ms, const char *verb, const char *vm, char why[static WHY_SIZE])
{
    struct talk talk = { .fd = fd, .end_ms = io_monotonic_ms() + deadline_ms };
    const struct power *power = NULL;

    for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++)
        if (strcmp(powers[i].verb, verb) == 0)
            power = &powers[i];
    if (!power || strlen(vm) > VM_NAME_MAX)
        return why_say(why, EX_USAGE, "expected start, shutdown, reboot, reset, off, suspend or resume");
    int r = do_power(&talk, power, vm, why);
    if (r == -ETIMEDOUT)
        return why_say(why, EX_UNAVAILABLE, "the host does not answer; see by virtgate list whether it was done");
    if (r == -EPROTO)
        return why_say(why, EX_PROTOCOL, "the answer is not libvirt's");
    return r < 0 ? why_say(why, EX_UNAVAILABLE,
                           "the connection ended before the answer; see by virtgate list whether it was done") : r;
}
