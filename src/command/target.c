/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command/target.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"
#include "command/why.h"

#define HOST_BYTES ALNUM ".:_-"
#define PATH_BYTES ALNUM "/._+@:=-" /* no ',': socat reads options after it; no '%': no second spelling of '.' */
#define URI_BYTES ALNUM "/._+@:=-,;?&%~"

static bool starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool cut_end(char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);

    if (len < n || strcmp(text + len - n, end) != 0)
        return false;
    text[len - n] = '\0';
    return true;
}

/* --- spellings --------------------------------------------------------------------------------------------------- */

static int read_port(const char *text, uint16_t *ret, char why[static COMMAND_WHY_SIZE])
{
    uint64_t port;

    if (io_parse_number(text, strlen(text), 1, UINT16_MAX, &port) < 0)
        return why_set(why, "expected a port from 1 to 65535, not '%s'", why_quote(text).text);
    *ret = (uint16_t)port;
    return 0;
}

int target_tcp(const char *host, const char *port, struct endpoint *ret, char why[static COMMAND_WHY_SIZE])
{
    struct endpoint end = { .tcp = true };

    if (!host[0] || host[0] == '-' || host[strspn(host, HOST_BYTES)] || text_copy(end.host, sizeof end.host, host) < 0)
        return why_set(why, "expected a host of letters, digits and .:_-, not '%s'", why_quote(host).text);
    int r = read_port(port, &end.port, why);
    if (r < 0)
        return r;
    *ret = end;
    return 0;
}

int target_host_port(const char *text, struct endpoint *ret, bool *ret_bare, char why[static COMMAND_WHY_SIZE])
{
    char host[COMMAND_HOST_SIZE + 2];
    const char *colon = strrchr(text, ':'), *name = host;

    if (!colon || (size_t)(colon - text) >= sizeof host)
        return why_set(why, "socat: expected TCP:HOST:PORT, not 'TCP:%s'", why_quote(text).text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    bool bracketed = host[0] == '[' && cut_end(host, "]");
    if (bracketed)
        name = host + 1;
    int r = target_tcp(name, colon + 1, ret, why);
    if (r < 0)
        return r;
    *ret_bare = !bracketed && strchr(name, ':');
    return 0;
}

/* Absolute, and one spelling only: a path that is compared must not have another that means the same. */
static bool is_plain_path(const char *path)
{
    if (path[0] != '/' || path[strspn(path, PATH_BYTES)])
        return false;
    while (*path) {
        size_t n = strcspn(++path, "/");
        if (n == 0 || (n == 1 && path[0] == '.') || (n == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        path += n;
    }
    return true;
}

int target_path(const char *path, struct endpoint *ret, char why[static COMMAND_WHY_SIZE])
{
    struct endpoint end = { .tcp = false };

    if (!is_plain_path(path) || text_copy(end.path, sizeof end.path, path) < 0)
        return why_set(why, "expected the absolute path of a socket without '.', '..' or '//', not '%s'",
                       why_quote(path).text);
    *ret = end;
    return 0;
}

int target_agree(const struct endpoint *a, const struct endpoint *b, char why[static COMMAND_WHY_SIZE])
{
    if (a->tcp != b->tcp)
        return why_set(why, "one half of the command names a host and port, the other a socket");
    if (strcmp(a->host, b->host) != 0)
        return why_set(why, "the command names two hosts, '%s' and '%s'", why_quote(a->host).text,
                       why_quote(b->host).text);
    if (a->port != b->port)
        return why_set(why, "the command names two ports, %u and %u", a->port, b->port);
    if (strcmp(a->path, b->path) != 0)
        return why_set(why, "the command names two sockets, '%s' and '%s'", why_quote(a->path).text,
                       why_quote(b->path).text);
    return 0;
}

/* --- what a socket stands for ------------------------------------------------------------------------------------ */

/* The sockets that libvirt's clients open. The daemons of logs and locks have sockets too, which no client needs. */
static const char *const libvirt_sockets[] = {
    "libvirt-sock", "virtqemud-sock", "virtlxcd-sock", "virtxend-sock", "virtvboxd-sock", "virtbhyved-sock",
    "virtvzd-sock", "virtchd-sock", "virtnetworkd-sock", "virtstoraged-sock", "virtnodedevd-sock",
    "virtinterfaced-sock", "virtnwfilterd-sock", "virtsecretd-sock",
};

/* 1 and *ret_readonly for a socket of libvirt, 0 for another file, -EINVAL for one of libvirt's that is not offered. */
static int libvirt_socket(const char *path, bool *ret_readonly, char why[static COMMAND_WHY_SIZE])
{
    const char *slash = strrchr(path, '/');
    char name[COMMAND_PATH_SIZE];

    text_copy(name, sizeof name, slash + 1);
    bool readonly = cut_end(name, "-ro");
    for (size_t i = 0; i < sizeof libvirt_sockets / sizeof libvirt_sockets[0]; i++)
        if (strcmp(name, libvirt_sockets[i]) == 0) {
            *ret_readonly = readonly;
            return 1;
        }
    if ((starts_with(name, "libvirt") || starts_with(name, "virt")) && cut_end(name, "-sock"))
        return why_set(why, "'%s' is not a socket of libvirt for clients", why_quote(slash + 1).text);
    return 0;
}

/* display/UUID/INDEX, below virtgate's folder. */
static int read_display(const char *below, struct command *ret, char why[static COMMAND_WHY_SIZE])
{
    struct command command = { .kind = COMMAND_DISPLAY, .target = BY_UUID };
    const char *uuid = starts_with(below, "display/") ? below + strlen("display/") : "";
    const char *slash = strchr(uuid, '/');
    uint64_t index;

    if (!slash || uuid_parse(uuid, (size_t)(slash - uuid), &command.uuid) < 0 ||
        io_parse_number(slash + 1, strlen(slash + 1), 0, COMMAND_INDEX_MAX, &index) < 0)
        return why_set(why, "expected display/UUID/INDEX below virtgate's folder, not '%s'", why_quote(below).text);
    command.index = (uint32_t)index;
    *ret = command;
    return 0;
}

/* What follows the folder of virtgate's own sockets in path, or NULL. Rewritten domain XML says /run; a client may
 * also be told the folder that this build uses. */
static const char *below_rundir(const char *path)
{
    static const char *const folders[] = { "/run/virtgate/", VG_RUNDIR "/" };

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (starts_with(path, folders[i]))
            return path + strlen(folders[i]);
    return NULL;
}

static int resolve_path(const char *path, struct command *ret, char why[static COMMAND_WHY_SIZE])
{
    const char *below = below_rundir(path);
    bool readonly;

    if (below) /* nothing else there is for clients, the broker's socket least of all */
        return read_display(below, ret, why);
    int r = libvirt_socket(path, &readonly, why);
    if (r < 0)
        return r;
    struct command command = { .kind = r ? COMMAND_RPC : COMMAND_DISPLAY, .target = r ? BY_NOTHING : BY_SOCKET };
    command.readonly = r && readonly;
    text_copy(command.path, sizeof command.path, path);
    *ret = command;
    return 0;
}

int target_resolve(const struct endpoint *end, struct command *ret, char why[static COMMAND_WHY_SIZE])
{
    if (!end->tcp)
        return resolve_path(end->path, ret, why);
    struct command command = { .kind = COMMAND_DISPLAY, .target = BY_TCP, .port = end->port };
    text_copy(command.host, sizeof command.host, end->host);
    *ret = command;
    return 0;
}

/* --- URIs -------------------------------------------------------------------------------------------------------- */

static int hex(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* Undoes %XX. False when a % is not one, or stands for NUL. */
static bool percent_decode(char *out, const char *in, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (in[i] != '%') {
            *out++ = in[i];
            continue;
        }
        int high = len - i > 2 ? hex(in[i + 1]) : -1, low = len - i > 2 ? hex(in[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return false;
        *out++ = (char)(high << 4 | low);
        i += 2;
    }
    *out = '\0';
    return true;
}

/* The decoded socket= of the URI's query into path, "" when there is none. */
static int uri_socket(const char *uri, char path[static COMMAND_PATH_SIZE], char why[static COMMAND_WHY_SIZE])
{
    const char *at = strchr(uri, '?');
    struct endpoint end;
    bool readonly, seen = false;

    path[0] = '\0';
    while (at) {
        size_t n = strcspn(++at, "&;");
        if (starts_with(at, "socket=")) {
            if (seen || !percent_decode(path, at + strlen("socket="), n - strlen("socket=")) ||
                target_path(path, &end, why) < 0 || libvirt_socket(path, &readonly, why) != 1)
                return why_set(why, "virt-ssh-helper: expected one socket= of libvirt in '%s'", why_quote(uri).text);
            seen = true;
        }
        at = at[n] ? at + n : NULL;
    }
    return 0;
}

static bool is_local_uri(const char *uri)
{
    size_t scheme = strspn(uri, "abcdefghijklmnopqrstuvwxyz0123456789");

    return scheme > 0 && isalpha((unsigned char)uri[0]) && starts_with(uri + scheme, ":///") &&
           !uri[strspn(uri, URI_BYTES)];
}

int target_uri(const char *uri, struct command *ret, char why[static COMMAND_WHY_SIZE])
{
    char path[COMMAND_PATH_SIZE];

    if (!is_local_uri(uri) || strlen(uri) >= sizeof ret->uri)
        return why_set(why, "virt-ssh-helper: expected a local URI such as qemu:///system, not '%s'",
                       why_quote(uri).text);
    int r = uri_socket(uri, path, why);
    if (r < 0)
        return r;
    if (path[0] && ret->path[0] && strcmp(path, ret->path) != 0)
        return why_set(why, "the command names two sockets, '%s' and '%s'", why_quote(path).text,
                       why_quote(ret->path).text);
    ret->readonly |= cut_end(path, "-ro");
    text_copy(ret->uri, sizeof ret->uri, uri);
    return 0;
}

void command_show_target(const struct command *command, char out[static COMMAND_TARGET_SIZE])
{
    char text[COMMAND_PATH_SIZE + 32], uuid[UUID_TEXT_SIZE];

    switch (command->target) {
    case BY_UUID:
        uuid_format(&command->uuid, uuid);
        snprintf(text, sizeof text, "uuid:%s", uuid);
        break;
    case BY_TCP:
        snprintf(text, sizeof text, "%s port %u", command->host, command->port);
        break;
    case BY_SOCKET:
        snprintf(text, sizeof text, "%s", command->path);
        break;
    case BY_NAME:
    case BY_NOTHING:
    default:
        snprintf(text, sizeof text, "%s", command->vm);
        break;
    }
    text_escape(out, COMMAND_TARGET_SIZE, text, strlen(text));
}
