/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/listeners.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"

#define TCP_LISTENING 0x0a
#define UNIX_ACCEPTS 0x10000

bool listener_of_tcp(const char *line, bool v6, struct listener *ret)
{
    char local[33];
    unsigned port, state;
    unsigned long inode;
    uint32_t words[4] = { 0 };

    if (sscanf(line, " %*u: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", local, &port, &state,
               &inode) != 4 ||
        state != TCP_LISTENING || strlen(local) != (v6 ? 32 : 8))
        return false;
    for (size_t i = 0; i < (v6 ? 4 : 1); i++) {
        /* Each is a number of the machine's byte order. */
        char part[9] = { 0 };
        memcpy(part, local + 8 * i, 8);
        words[i] = (uint32_t)strtoul(part, NULL, 16);
    }
    *ret = (struct listener){ .inode = inode, .port = (uint16_t)port, .type = SOCK_STREAM };
    return inet_ntop(v6 ? AF_INET6 : AF_INET, words, ret->address, sizeof ret->address) != NULL;
}

bool listener_of_unix(const char *line, struct listener *ret)
{
    unsigned flags, type;
    unsigned long inode;
    int at = 0;

    if (sscanf(line, "%*[0-9a-fA-F]: %*x %*x %x %x %*x %lu %n", &flags, &type, &inode, &at) != 3 || at == 0 ||
        !(flags & UNIX_ACCEPTS) || (line[at] != '/' && line[at] != '@'))
        return false;
    *ret = (struct listener){ .inode = inode, .type = (int)type };
    return text_copy(ret->path, sizeof ret->path, line + at) == 0;
}

bool listener_is_loopback(const struct listener *listener)
{
    const char *address = listener->address;

    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 || strncmp(address, "::ffff:127.", 11) == 0;
}

const char *listener_reach(const struct listener *listener)
{
    if (strcmp(listener->address, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(listener->address, "::") == 0 ? "::1" : listener->address;
}

/* --- QEMU -------------------------------------------------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* "guest=NAME,debug-threads=on", or the name alone. */
static void read_name(const char *value, struct qemu *qemu)
{
    const char *name = begins(value, "guest=") ? value + 6 : value;

    snprintf(qemu->name, sizeof qemu->name, "%.*s", (int)strcspn(name, ","), name);
}

static bool is_network(const char *device)
{
    return begins(device, "tcp:") || begins(device, "telnet:") || begins(device, "websocket:");
}

/* "tcp::1234": the port behind the last colon, before an option. */
static uint16_t port_of(const char *device)
{
    char text[128];

    snprintf(text, sizeof text, "%.*s", (int)strcspn(device, ","), device);
    const char *colon = strrchr(text, ':');
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;
    return port <= 65535 ? (uint16_t)port : 0;
}

/* True when the character device of this id is a socket with a port. */
static bool is_tcp_chardev(const char *words, size_t len, const char *id)
{
    char wanted[160];

    snprintf(wanted, sizeof wanted, ",id=%s,", id);
    for (const char *w = words; w < words + len; w += strlen(w) + 1) {
        char padded[1024];
        if (!begins(w, "socket,"))
            continue;
        snprintf(padded, sizeof padded, "%s,", w);
        if (strstr(padded, wanted) && strstr(padded, ",port="))
            return true;
    }
    return false;
}

/* The value of -mon: "chardev=ID,mode=control", or "ID". */
static bool is_tcp_monitor(const char *words, size_t len, const char *value)
{
    const char *id = strstr(value, "chardev=");
    char text[96];

    id = id ? id + 8 : value;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(id, ","), id);
    return is_tcp_chardev(words, len, text);
}

void qemu_of_cmdline(const char *words, size_t len, struct qemu *ret)
{
    struct qemu qemu = { .name = "?" };

    for (const char *w = words; w < words + len; w += strlen(w) + 1) {
        const char *value = w + strlen(w) + 1;
        if (strcmp(w, "-s") == 0)
            qemu.gdb_port = 1234;
        if (value >= words + len)
            break;
        if (strcmp(w, "-name") == 0)
            read_name(value, &qemu);
        if (strcmp(w, "-gdb") == 0 && is_network(value))
            qemu.gdb_port = port_of(value);
        if (((strcmp(w, "-monitor") == 0 || begins(w, "-qmp")) && is_network(value)) ||
            (strcmp(w, "-mon") == 0 && is_tcp_monitor(words, len, value))) {
            qemu.has_tcp_monitor = true;
            snprintf(qemu.monitor, sizeof qemu.monitor, "%s %.100s", w, value);
        }
    }
    *ret = qemu;
}
