/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/request.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "wire/field.h"

#define REQUEST_MAGIC 0x56475251U /* "VGRQ" */
#define REPORT_MAGIC 0x56475250U  /* "VGRP" */
#define WIRE_VERSION 1

struct request_wire {
    uint32_t magic;
    uint16_t version;
    uint8_t kind;
    uint8_t command_kind, target, json, readonly, takeover;
    uint32_t index;
    uint16_t port;
    uint8_t zero[2];
    struct uuid uuid;
    char vm[COMMAND_NAME_SIZE];
    char host[COMMAND_HOST_SIZE];
    char path[COMMAND_PATH_SIZE];
    char uri[COMMAND_PATH_SIZE];
    char device[COMMAND_DEVICE_SIZE];
    char said[REQUEST_SAID_SIZE];
    char why[COMMAND_WHY_SIZE];
    uint8_t room[44];
};
static_assert(sizeof(struct request_wire) == REQUEST_WIRE_SIZE, "the message has one size");

struct report_wire {
    uint32_t magic;
    uint32_t zero;
    uint64_t to_user, from_user;
};
static_assert(sizeof(struct report_wire) == REPORT_WIRE_SIZE, "the message has one size");

void gate_encode_request(const struct request *request, unsigned char out[static REQUEST_WIRE_SIZE])
{
    const struct command *command = &request->command;
    struct request_wire wire = {
        .magic = REQUEST_MAGIC, .version = WIRE_VERSION, .kind = (uint8_t)request->kind,
        .command_kind = (uint8_t)command->kind, .target = (uint8_t)command->target,
        .json = command->json, .readonly = command->readonly, .takeover = command->takeover,
        .index = command->index, .port = command->port, .uuid = command->uuid,
    };

    memcpy(wire.vm, command->vm, sizeof wire.vm);
    memcpy(wire.host, command->host, sizeof wire.host);
    memcpy(wire.path, command->path, sizeof wire.path);
    memcpy(wire.uri, command->uri, sizeof wire.uri);
    memcpy(wire.device, command->device, sizeof wire.device);
    memcpy(wire.said, request->said, sizeof wire.said);
    memcpy(wire.why, request->why, sizeof wire.why);
    memcpy(out, &wire, sizeof wire);
}

void gate_encode_report(const struct report *report, unsigned char out[static REPORT_WIRE_SIZE])
{
    struct report_wire wire = { REPORT_MAGIC, 0, report->to_user, report->from_user };

    memcpy(out, &wire, sizeof wire);
}

/* Which parts a target has; the others must be zero. */
static bool target_is_sound(const struct command *c)
{
    static const struct uuid no_uuid;
    bool has_vm = c->vm[0] != '\0', has_uuid = !uuid_equal(&c->uuid, &no_uuid), has_path = c->path[0] != '\0';
    bool has_tcp = c->host[0] != '\0' && c->port != 0, no_tcp = c->host[0] == '\0' && c->port == 0;

    switch (c->target) {
    case BY_NOTHING:
        return !has_vm && !has_uuid && no_tcp && (c->kind == COMMAND_RPC || !has_path);
    case BY_NAME:
        return !has_uuid && no_tcp && !has_path && command_is_vm_name(c->vm, strlen(c->vm));
    case BY_UUID:
        return !has_vm && no_tcp && !has_path;
    case BY_TCP:
        return !has_vm && !has_uuid && has_tcp && !has_path;
    case BY_SOCKET:
        return !has_vm && !has_uuid && no_tcp && has_path;
    }
    return false;
}

static bool kind_is_sound(const struct command *c)
{
    bool by_vm = c->target == BY_NAME || c->target == BY_UUID;

    if ((c->index && (c->kind != COMMAND_DISPLAY || !by_vm)) || c->index > COMMAND_INDEX_MAX)
        return false;
    if ((c->device[0] || c->takeover) && c->kind != COMMAND_CONSOLE)
        return false;
    if ((c->uri[0] || c->readonly) && c->kind != COMMAND_RPC)
        return false;
    switch (c->kind) {
    case COMMAND_LIST:
        return c->target == BY_NOTHING;
    case COMMAND_INFO:
        return by_vm;
    case COMMAND_CONSOLE:
        return by_vm && !c->json;
    case COMMAND_DISPLAY:
        return c->target != BY_NOTHING && !c->json;
    case COMMAND_RPC:
        return c->target == BY_NOTHING && !c->json && (c->uri[0] || c->path[0]);
    case COMMAND_HELP:
    case COMMAND_VERSION: /* answered by the shell itself */
        break;
    }
    return false;
}

bool command_is_sound(const struct command *command)
{
    return FIELD_OK(word, command->vm) && FIELD_OK(word, command->host) && FIELD_OK(word, command->path) &&
           FIELD_OK(word, command->uri) && FIELD_OK(word, command->device) && target_is_sound(command) &&
           kind_is_sound(command);
}

int broker_decode_request(const unsigned char in[static REQUEST_WIRE_SIZE], struct request *ret)
{
    static const struct command no_command;
    struct request_wire wire;
    struct request request = { 0 };
    struct command *command = &request.command;

    memcpy(&wire, in, sizeof wire);
    if (wire.magic != REQUEST_MAGIC || wire.version != WIRE_VERSION || !FIELD_OK(zero, wire.zero) ||
        !FIELD_OK(zero, wire.room) || wire.json > 1 || wire.readonly > 1 || wire.takeover > 1 ||
        wire.target > BY_SOCKET || wire.command_kind > COMMAND_RPC || !FIELD_OK(string, wire.said) ||
        !FIELD_OK(string, wire.why))
        return -EPROTO;
    request.kind = (enum request_kind)wire.kind;
    command->kind = (enum command_kind)wire.command_kind;
    command->target = (enum command_target)wire.target;
    command->json = wire.json;
    command->readonly = wire.readonly;
    command->takeover = wire.takeover;
    command->index = wire.index;
    command->port = wire.port;
    command->uuid = wire.uuid;
    memcpy(command->vm, wire.vm, sizeof wire.vm);
    memcpy(command->host, wire.host, sizeof wire.host);
    memcpy(command->path, wire.path, sizeof wire.path);
    memcpy(command->uri, wire.uri, sizeof wire.uri);
    memcpy(command->device, wire.device, sizeof wire.device);
    memcpy(request.said, wire.said, sizeof wire.said);
    memcpy(request.why, wire.why, sizeof wire.why);

    switch (request.kind) {
    case REQUEST_COMMAND:
        if (!command_is_sound(command) || request.why[0])
            return -EPROTO;
        break;
    case REQUEST_REFUSED:
    case REQUEST_RELOAD:
    case REQUEST_WHO:
    case REQUEST_KICK:
        if (memcmp(command, &no_command, sizeof no_command) != 0)
            return -EPROTO;
        break;
    default:
        return -EPROTO;
    }
    *ret = request;
    return 0;
}

int broker_decode_report(const unsigned char in[static REPORT_WIRE_SIZE], struct report *ret)
{
    struct report_wire wire;

    memcpy(&wire, in, sizeof wire);
    if (wire.magic != REPORT_MAGIC || wire.zero)
        return -EPROTO;
    *ret = (struct report){ wire.to_user, wire.from_user };
    return 0;
}
