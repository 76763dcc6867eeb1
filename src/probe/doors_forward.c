/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections that sshd would make for the client: to ports, to sockets, to a tun device. What opens is closed without a
 * byte. Of hosts only the loopback is asked for: a probe of one host must not reach into the network behind it. */
#include <stdlib.h>
#include <string.h>

#include "probe/probe.h"
#include "probe/probe_raw.h"

/* --- libssh's ------------------------------------------------------------------------------------------------------ */

static void judge_failed_open(struct probe *probe, enum asked asked, struct finding *finding)
{
    uint32_t reason;
    const char *text, *message = ssh_get_error(probe->session);

    if (!ssh_is_connected(probe->session))
        finding_set(finding, VERDICT_CLOSED, SEEN_LOST);
    else if (judge_libssh_refusal(message, &reason, &text))
        judge_refused_channel(asked, reason, text, finding);
    else
        finding_set(finding, VERDICT_UNKNOWN, "%s", message);
}

static void try_to_open(struct probe *probe, enum asked asked, const char *host, int port, const char *path,
                        struct finding *finding)
{
    ssh_session session = probe_session(probe, finding);
    ssh_channel channel = session ? ssh_channel_new(session) : NULL;
    int r;

    if (!channel)
        return;
    r = path ? ssh_channel_open_forward_unix(channel, path, "127.0.0.1", 0)
             : ssh_channel_open_forward(channel, host, port, "127.0.0.1", 0);
    if (r == SSH_OK)
        finding_set(finding, VERDICT_OPEN, "sshd connected");
    else if (r == SSH_AGAIN)
        finding_set(finding, VERDICT_UNKNOWN, "no answer in time");
    else
        judge_failed_open(probe, asked, finding);
    if (r == SSH_OK)
        ssh_channel_close(channel);
    ssh_channel_free(channel);
    if (r == SSH_AGAIN)
        probe_drop_session(probe);
}

static void try_tcp(struct probe *probe, const struct door *door, struct finding *finding)
{
    try_to_open(probe, ASKED_TCP, door->text, (int)door->number, NULL, finding);
}

static void try_other_port(struct probe *probe, const struct door *door, struct finding *finding)
{
    char *port = probe_fill_in(probe, "%p", finding);

    if (port)
        try_to_open(probe, ASKED_TCP, door->text, atoi(port), NULL, finding);
    free(port);
}

/* sshd says the same of a socket that it will not, cannot and must not connect to; what does not open is closed. */
static void try_socket(struct probe *probe, const struct door *door, struct finding *finding)
{
    char *path = probe_fill_in(probe, door->text, finding);

    if (path)
        try_to_open(probe, ASKED_OTHER, NULL, 0, path, finding);
    free(path);
}

/* --- ssh(1)'s ------------------------------------------------------------------------------------------------------ */

/* A channel of that type with those bytes; what opens is closed. The reason of a refusal, else 0. */
static uint32_t try_raw(struct probe *probe, const char *type, struct bytes *more, enum asked asked, struct finding *finding)
{
    struct raw_channel channel;
    enum raw_reply reply;
    uint32_t reason = 0;
    char text[PROBE_SEEN_SIZE] = "";

    if (raw_login(probe, finding)) {
        reply = raw_open(probe, type, more, &channel, &reason, text);
        if (reply == RAW_YES) {
            finding_set(finding, VERDICT_OPEN, "the channel was opened");
            raw_close_channel(probe, &channel);
        } else if (reply == RAW_NO) {
            judge_refused_channel(asked, reason, text, finding);
        } else {
            raw_judge_silence(reply, finding);
        }
    }
    bytes_free(more);
    return reason;
}

/* text and more, with a NUL between them. */
static void add_with_nul(struct bytes *bytes, const struct door *door)
{
    struct bytes name = { 0 };

    bytes_raw(&name, door->text, strlen(door->text) + 1);
    bytes_raw(&name, door->more, strlen(door->more));
    bytes_string(bytes, name.data, name.len);
    bytes_free(&name);
}

static void try_tcp_with_nul(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct bytes more = { 0 };

    add_with_nul(&more, door);
    bytes_u32(&more, (uint32_t)door->number);
    bytes_text(&more, "127.0.0.1");
    bytes_u32(&more, 0);
    try_raw(probe, "direct-tcpip", &more, ASKED_TCP, finding);
}

static void try_socket_with_nul(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct bytes more = { 0 };

    add_with_nul(&more, door);
    bytes_text(&more, "127.0.0.1");
    bytes_u32(&more, 0);
    try_raw(probe, "direct-streamlocal@openssh.com", &more, ASKED_OTHER, finding);
}

/* sshd refuses in the same words what it will not, and what it would and cannot for want of a device. Which of both it is, it
 * says in a debug message. */
#define TUN_REJECTED "Server has rejected tunnel device forwarding"
#define TUN_FAILED "Failed to open the tunnel device"
#define TUN_NO_MODE "Unsupported tunnel device mode"

static void try_tun(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct bytes more = { 0 };
    uint32_t reason;

    /* On a login of its own: what is heard is about this request. */
    raw_close(probe->raw);
    probe->raw = NULL;
    bytes_u32(&more, (uint32_t)door->number);
    bytes_u32(&more, (uint32_t)door->number2);
    reason = try_raw(probe, "tun@openssh.com", &more, ASKED_OTHER, finding);
    if (reason != OPEN_CONNECT_FAILED)
        return;
    if (raw_heard(probe, TUN_FAILED))
        finding_set(finding, VERDICT_OPEN, "sshd tried: " TUN_FAILED);
    else if (raw_heard(probe, TUN_REJECTED))
        finding_set(finding, VERDICT_CLOSED, TUN_REJECTED);
    else if (raw_heard(probe, TUN_NO_MODE))
        finding_set(finding, VERDICT_CLOSED, TUN_NO_MODE);
    else
        finding_set(finding, VERDICT_UNKNOWN, "refused, and the host does not tell whether it will not or cannot");
}

/* --- the doors ----------------------------------------------------------------------------------------------------- */

/* A device that exists is asked for by its number: one that an administrator made for the account. */
#define ANY_UNIT 0x7fffffff
#define BAD_PORT "sshd itself takes no such port"
#define NO_V6 "a host without IPv6 has no such address"
#define NO_NUL "sshd itself takes no NUL in a name"
#define MAY_BE_ABSENT "a socket that is not there, or not for this account, looks the same"

static const struct door doors[] = {
    { .id = "tcp.v4", .tried = "direct-tcpip to 127.0.0.1:22", .try = try_tcp, .text = "127.0.0.1", .number = 22 },
    { .id = "tcp.v6", .tried = "direct-tcpip to [::1]:22", .try = try_tcp, .text = "::1", .number = 22, .never = NO_V6 },
    { .id = "tcp.v6-mapped", .tried = "direct-tcpip to [::ffff:127.0.0.1]:22", .try = try_tcp, .text = "::ffff:127.0.0.1",
      .number = 22 },
    { .id = "tcp.name", .tried = "direct-tcpip to localhost:22", .try = try_tcp, .text = "localhost", .number = 22 },
    { .id = "tcp.name-case", .tried = "direct-tcpip to LocalHost:22", .try = try_tcp, .text = "LocalHost", .number = 22 },
    { .id = "tcp.second", .tried = "direct-tcpip to 127.0.0.2:22", .try = try_tcp, .text = "127.0.0.2", .number = 22 },
    { .id = "tcp.v6-any", .tried = "direct-tcpip to [::]:22", .try = try_tcp, .text = "::", .number = 22, .never = NO_V6 },
    { .id = "tcp.any", .tried = "direct-tcpip to 0.0.0.0:22", .try = try_tcp, .text = "0.0.0.0", .number = 22 },
    { .id = "tcp.short", .tried = "direct-tcpip to 127.1:22", .try = try_tcp, .text = "127.1", .number = 22 },
    { .id = "tcp.decimal", .tried = "direct-tcpip to 2130706433:22", .try = try_tcp, .text = "2130706433", .number = 22 },
    { .id = "tcp.hexadecimal", .tried = "direct-tcpip to 0x7f000001:22", .try = try_tcp, .text = "0x7f000001", .number = 22 },
    { .id = "tcp.libvirt", .tried = "direct-tcpip to localhost:16509 (libvirtd)", .try = try_tcp, .text = "localhost",
      .number = 16509 },
    { .id = "tcp.libvirt-tls", .tried = "direct-tcpip to localhost:16514 (libvirtd, TLS)", .try = try_tcp, .text = "localhost",
      .number = 16514 },
    { .id = "tcp.vnc", .tried = "direct-tcpip to 127.0.0.1:5900 (VNC, SPICE)", .try = try_tcp, .text = "127.0.0.1",
      .number = 5900 },
    { .id = "tcp.vnc-last", .tried = "direct-tcpip to 127.0.0.1:5999", .try = try_tcp, .text = "127.0.0.1", .number = 5999 },
    { .id = "tcp.websocket", .tried = "direct-tcpip to 127.0.0.1:5700 (VNC by websocket)", .try = try_tcp, .text = "127.0.0.1",
      .number = 5700 },
    { .id = "tcp.port-0", .tried = "direct-tcpip to 127.0.0.1:0", .try = try_tcp, .text = "127.0.0.1", .number = 0 },
    { .id = "tcp.port-1", .tried = "direct-tcpip to 127.0.0.1:1", .try = try_tcp, .text = "127.0.0.1", .number = 1 },
    { .id = "tcp.port-65535", .tried = "direct-tcpip to 127.0.0.1:65535", .try = try_tcp, .text = "127.0.0.1",
      .number = 65535 },
    { .id = "tcp.port-65558", .tried = "direct-tcpip to 127.0.0.1:65558 (22 in 16 bits)", .try = try_tcp, .text = "127.0.0.1",
      .number = 65558, .never = BAD_PORT },
    { .id = "tcp.port-minus-1", .tried = "direct-tcpip to 127.0.0.1:4294967295", .try = try_tcp, .text = "127.0.0.1",
      .number = -1, .never = BAD_PORT },
    { .id = "tcp.nul", .tried = "direct-tcpip to 127.0.0.1<NUL>.example:22", .try = try_tcp_with_nul, .text = "127.0.0.1",
      .more = ".example", .number = 22, .never = NO_NUL },
    { .id = "tcp.other-machine", .tried = "direct-tcpip to 127.0.0.1:%p, the other machine's display", .try = try_other_port,
      .text = "127.0.0.1" },
    { .id = "tcp.other-machine-v6", .tried = "direct-tcpip to [::1]:%p, the other machine's display", .try = try_other_port,
      .text = "::1", .never = NO_V6 },

    { .id = "socket.libvirt-ro", .tried = "direct-streamlocal to /run/libvirt/libvirt-sock-ro", .try = try_socket,
      .text = "/run/libvirt/libvirt-sock-ro", .never = MAY_BE_ABSENT },
    { .id = "socket.libvirt", .tried = "direct-streamlocal to /run/libvirt/libvirt-sock", .try = try_socket,
      .text = "/run/libvirt/libvirt-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.libvirt-var", .tried = "direct-streamlocal to /var/run/libvirt/libvirt-sock", .try = try_socket,
      .text = "/var/run/libvirt/libvirt-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.virtqemud", .tried = "direct-streamlocal to /run/libvirt/virtqemud-sock", .try = try_socket,
      .text = "/run/libvirt/virtqemud-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.virtqemud-ro", .tried = "direct-streamlocal to /run/libvirt/virtqemud-sock-ro", .try = try_socket,
      .text = "/run/libvirt/virtqemud-sock-ro", .never = MAY_BE_ABSENT },
    { .id = "socket.virtqemud-admin", .tried = "direct-streamlocal to /run/libvirt/virtqemud-admin-sock", .try = try_socket,
      .text = "/run/libvirt/virtqemud-admin-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.virtlogd", .tried = "direct-streamlocal to /run/libvirt/virtlogd-sock", .try = try_socket,
      .text = "/run/libvirt/virtlogd-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.libvirt-admin", .tried = "direct-streamlocal to /run/libvirt/libvirt-admin-sock", .try = try_socket,
      .text = "/run/libvirt/libvirt-admin-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.virtlogd-admin", .tried = "direct-streamlocal to /run/libvirt/virtlogd-admin-sock", .try = try_socket,
      .text = "/run/libvirt/virtlogd-admin-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.virtlockd", .tried = "direct-streamlocal to /run/libvirt/virtlockd-sock", .try = try_socket,
      .text = "/run/libvirt/virtlockd-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.virtnetworkd", .tried = "direct-streamlocal to /run/libvirt/virtnetworkd-sock", .try = try_socket,
      .text = "/run/libvirt/virtnetworkd-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.virtstoraged", .tried = "direct-streamlocal to /run/libvirt/virtstoraged-sock", .try = try_socket,
      .text = "/run/libvirt/virtstoraged-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.virtsecretd", .tried = "direct-streamlocal to /run/libvirt/virtsecretd-sock", .try = try_socket,
      .text = "/run/libvirt/virtsecretd-sock", .never = MAY_BE_ABSENT },
    { .id = "socket.dbus", .tried = "direct-streamlocal to /run/dbus/system_bus_socket", .try = try_socket,
      .text = "/run/dbus/system_bus_socket" },
    { .id = "socket.dbus-var", .tried = "direct-streamlocal to /var/run/dbus/system_bus_socket", .try = try_socket,
      .text = "/var/run/dbus/system_bus_socket", .never = MAY_BE_ABSENT },
    { .id = "socket.dots", .tried = "direct-streamlocal to /run/virtgate/../dbus/system_bus_socket", .try = try_socket,
      .text = "/run/virtgate/../dbus/system_bus_socket", .never = MAY_BE_ABSENT },
    { .id = "socket.systemd", .tried = "direct-streamlocal to /run/systemd/private", .try = try_socket,
      .text = "/run/systemd/private", .never = MAY_BE_ABSENT },
    { .id = "socket.journal", .tried = "direct-streamlocal to /run/systemd/journal/stdout", .try = try_socket,
      .text = "/run/systemd/journal/stdout", .never = MAY_BE_ABSENT },
    { .id = "socket.docker", .tried = "direct-streamlocal to /run/docker.sock", .try = try_socket, .text = "/run/docker.sock",
      .never = MAY_BE_ABSENT },
    { .id = "socket.broker", .tried = "direct-streamlocal to /run/virtgate/broker.sock", .try = try_socket,
      .text = "/run/virtgate/broker.sock", .never = MAY_BE_ABSENT },
    { .id = "socket.broker-dots", .tried = "direct-streamlocal to /run/virtgate/../virtgate/broker.sock", .try = try_socket,
      .text = "/run/virtgate/../virtgate/broker.sock", .never = MAY_BE_ABSENT },
    { .id = "socket.broker-var", .tried = "direct-streamlocal to /var/run/virtgate/broker.sock", .try = try_socket,
      .text = "/var/run/virtgate/broker.sock", .never = MAY_BE_ABSENT },
    { .id = "socket.display", .tried = "direct-streamlocal to /run/virtgate/display/%u/0", .try = try_socket,
      .text = "/run/virtgate/display/%u/0", .never = MAY_BE_ABSENT },
    { .id = "socket.other-machine", .tried = "direct-streamlocal to %s, the other machine's display", .try = try_socket,
      .text = "%s", .never = MAY_BE_ABSENT },
    { .id = "socket.at-sign", .tried = "direct-streamlocal to @/tmp/.X11-unix/X0", .try = try_socket,
      .text = "@/tmp/.X11-unix/X0", .never = MAY_BE_ABSENT },
    { .id = "socket.abstract", .tried = "direct-streamlocal to <NUL>/tmp/.X11-unix/X0", .try = try_socket_with_nul, .text = "",
      .more = "/tmp/.X11-unix/X0", .never = NO_NUL },
    { .id = "socket.nul", .tried = "direct-streamlocal to /run/dbus/system_bus_socket<NUL>x", .try = try_socket_with_nul,
      .text = "/run/dbus/system_bus_socket", .more = "x", .never = NO_NUL },

    { .id = "tun.point-to-point", .tried = "tun@openssh.com, layer 3", .try = try_tun, .number = 1, .number2 = ANY_UNIT },
    { .id = "tun.ethernet", .tried = "tun@openssh.com, layer 2", .try = try_tun, .number = 2, .number2 = ANY_UNIT },
    { .id = "tun.first", .tried = "tun@openssh.com, layer 3, tun0", .try = try_tun, .number = 1 },
    { .id = "tun.first-ethernet", .tried = "tun@openssh.com, layer 2, tap0", .try = try_tun, .number = 2 },
    { .id = "tun.both", .tried = "tun@openssh.com, layers 2 and 3", .try = try_tun, .number = 3, .number2 = ANY_UNIT,
      .never = "sshd itself takes no such mode" },
};

const struct family family_forward = FAMILY(doors);
