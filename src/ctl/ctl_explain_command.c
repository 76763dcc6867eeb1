/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* explain --command: what a client's command line is taken for. Every key is one member in JSON, one line in text. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/json.h"
#include "command/command.h"
#include "ctl/ctl.h"

/* Both forms at once: json is NULL for text. */
static void put_string(struct json *json, const char *key, const char *value)
{
    if (json)
        json_put_string(json, key, value);
    else
        printf("%s: %s\n", key, value);
}

static void put_if(struct json *json, const char *key, const char *value)
{
    if (value[0])
        put_string(json, key, value);
}

static void put_int(struct json *json, const char *key, unsigned value)
{
    if (json)
        json_put_int(json, key, value);
    else
        printf("%s: %u\n", key, value);
}

static void put_bool(struct json *json, const char *key, bool value)
{
    if (json)
        json_put_bool(json, key, value);
    else
        printf("%s: %s\n", key, value ? "true" : "false");
}

static void put_target(struct json *json, const struct command *command)
{
    char uuid[UUID_TEXT_SIZE];

    put_if(json, "host", command->host);
    if (command->target == BY_TCP)
        put_int(json, "port", command->port);
    put_if(json, "path", command->path);
    put_if(json, "vm", command->vm);
    if (command->target == BY_UUID) {
        uuid_format(&command->uuid, uuid);
        put_string(json, "uuid", uuid);
    }
}

static void put_command(struct json *json, const struct command *command)
{
    put_string(json, "kind", command_kind_name(command->kind));
    if (command->kind == COMMAND_RPC)
        put_bool(json, "readonly", command->readonly);
    put_target(json, command);
    if (command->kind == COMMAND_DISPLAY && (command->target == BY_NAME || command->target == BY_UUID))
        put_int(json, "index", command->index);
    put_if(json, "uri", command->uri);
    put_if(json, "device", command->device);
    if (command->kind == COMMAND_CONSOLE)
        put_bool(json, "takeover", command->takeover);
}

int ctl_explain_command(const struct ctl *ctl)
{
    struct json writer = JSON_TO(stdout), *json = ctl->json ? &writer : NULL;
    char why[COMMAND_WHY_SIZE];
    struct command command;

    if (ctl->argc > 0 || ctl->groups || ctl->from || ctl->at || ctl->uuid)
        return ctl_usage_error(ctl, "expected nothing but --json beside --command STRING");
    if (json)
        json_put_open(json, NULL, '{');
    int r = command_parse(ctl->command, strlen(ctl->command), &command, why);
    if (r == 0) {
        put_command(json, &command);
    } else {
        put_string(json, "kind", "refused");
        put_string(json, "reason", why);
    }
    if (json) {
        json_put_close(json, '}');
        json_put_end(json);
    }
    return r == 0 ? EX_OK : EX_NOPERM;
}
