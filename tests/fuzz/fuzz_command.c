/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a command line: either a request that is whole, or a reason that can be shown. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "command/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold under NDEBUG too. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The string ends in its field, all of the field after it is zero, and it holds no other bytes than these. */
static void must_hold_only(const char *field, size_t size, const char *bytes)
{
    size_t len = strnlen(field, size);

    must(len < size && strspn(field, bytes) == len);
    for (size_t i = len; i < size; i++)
        must(!field[i]);
}

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static void check_fields(const struct command *c)
{
    static const struct uuid none;

    must_hold_only(c->vm, sizeof c->vm, ALNUM "._+-@:");
    must_hold_only(c->host, sizeof c->host, ALNUM ".:_-");
    must_hold_only(c->path, sizeof c->path, ALNUM "/._+@:=-");
    must_hold_only(c->uri, sizeof c->uri, ALNUM "/._+@:=-,;?&%~");
    must_hold_only(c->device, sizeof c->device, ALNUM "_-");
    must(!c->vm[0] || (c->target == BY_NAME && command_is_vm_name(c->vm, strlen(c->vm))));
    must(c->target == BY_UUID || uuid_equal(&c->uuid, &none));
    must(!c->host[0] == (c->target != BY_TCP) && !c->port == (c->target != BY_TCP) && c->host[0] != '-');
    must(!c->path[0] || (c->path[0] == '/' && !strstr(c->path, "/../") && !strstr(c->path, "//")));
    must(c->index <= COMMAND_INDEX_MAX && (!c->index || c->kind == COMMAND_DISPLAY));
    must(!c->device[0] || c->kind == COMMAND_CONSOLE);
    must(!c->takeover || c->kind == COMMAND_CONSOLE);
    must(!c->readonly || c->kind == COMMAND_RPC);
    must(!c->uri[0] || c->kind == COMMAND_RPC);
    must(!c->json || c->kind == COMMAND_LIST || c->kind == COMMAND_INFO);
}

static void check_kind(const struct command *c)
{
    switch (c->kind) {
    case COMMAND_HELP:
    case COMMAND_VERSION:
    case COMMAND_LIST:
        must(c->target == BY_NOTHING && !c->path[0]);
        break;
    case COMMAND_INFO:
    case COMMAND_CONSOLE:
        must((c->target == BY_NAME || c->target == BY_UUID) && !c->path[0]);
        break;
    case COMMAND_DISPLAY:
        must(c->target != BY_NOTHING && !c->path[0] == (c->target != BY_SOCKET));
        must(!c->index || c->target == BY_NAME || c->target == BY_UUID);
        break;
    case COMMAND_RPC:
        must(c->target == BY_NOTHING && (c->path[0] || c->uri[0]));
        break;
    default:
        must(false);
    }
}

static void check(int r, const struct command *command, const char *why)
{
    if (r == 0) {
        check_fields(command);
        check_kind(command);
        return;
    }
    size_t len = strnlen(why, COMMAND_WHY_SIZE);
    must(r == -EINVAL && len > 0 && len < COMMAND_WHY_SIZE && text_is_plain(why, len));
}

/* The same bytes as the arguments of nc, cut at newlines. */
static void as_netcat(const uint8_t *data, size_t size)
{
    char text[1024], why[COMMAND_WHY_SIZE] = "", *rest = text;
    const char *argv[16];
    struct command command;
    size_t argc = 0;

    if (size >= sizeof text)
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    while (argc < sizeof argv / sizeof argv[0] && rest)
        argv[argc++] = strsep(&rest, "\n");
    int r = command_from_netcat(argc, argv, &command, why);
    check(r, &command, why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[COMMAND_WHY_SIZE] = "";
    struct command command;

    check(command_parse((const char *)data, size, &command, why), &command, why);
    as_netcat(data, size);
    return 0;
}
