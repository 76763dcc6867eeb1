/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening sockets on the host: tcpip-forward, streamlocal-forward. What was granted is taken back at once. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "probe/probe.h"
#include "probe/probe_raw.h"

static void try_listen(struct probe *probe, const struct door *door, struct finding *finding)
{
    ssh_session session = probe_session(probe, finding);
    int port = 0, r;

    if (!session)
        return;
    r = ssh_channel_listen_forward(session, door->text, (int)door->number, &port);
    if (r == SSH_OK) {
        finding_set(finding, VERDICT_OPEN, "sshd listened at port %d", port ? port : (int)door->number);
        ssh_channel_cancel_forward(session, door->text, port ? port : (int)door->number);
    } else if (!ssh_is_connected(session)) {
        finding_set(finding, VERDICT_CLOSED, SEEN_LOST);
    } else if (r == SSH_ERROR && ssh_get_error_code(session) == SSH_REQUEST_DENIED) {
        finding_set(finding, VERDICT_CLOSED, "sshd refused the request");
    } else {
        finding_set(finding, VERDICT_UNKNOWN, "%s", r == SSH_AGAIN ? "no answer in time" : ssh_get_error(session));
        probe_drop_session(probe);
    }
}

/* The name is nobody else's: sshd may have been told to remove what lies there. */
static void try_listen_socket(struct probe *probe, const struct door *door, struct finding *finding)
{
    char path[128];
    enum raw_reply reply;
    uint64_t name;

    if (getrandom(&name, sizeof name, 0) != sizeof name)
        return;
    snprintf(path, sizeof path, "%s%016llx", door->text, (unsigned long long)name);
    if (!raw_login(probe, finding))
        return;
    reply = raw_listen_socket(probe, path);
    if (reply == RAW_YES)
        finding_set(finding, VERDICT_OPEN, "sshd listened at %s; it may have left the file", path);
    else if (reply == RAW_NO)
        finding_set(finding, VERDICT_CLOSED, "sshd refused the request");
    else
        raw_judge_silence(reply, finding);
}

#define NO_V6 "a host without IPv6 refuses it too"
#define NOT_THERE "a folder that is not there refuses it too"
#define BAD_PORT "sshd itself takes no such port"

static const struct door doors[] = {
    { .id = "listen.any-port", .tried = "tcpip-forward of 127.0.0.1:0", .try = try_listen, .text = "127.0.0.1" },
    { .id = "listen.name", .tried = "tcpip-forward of localhost:0", .try = try_listen, .text = "localhost" },
    { .id = "listen.everywhere", .tried = "tcpip-forward of 0.0.0.0:0", .try = try_listen, .text = "0.0.0.0" },
    { .id = "listen.nowhere", .tried = "tcpip-forward of :0", .try = try_listen, .text = "" },
    { .id = "listen.v6", .tried = "tcpip-forward of [::1]:0", .try = try_listen, .text = "::1", .never = NO_V6 },
    { .id = "listen.v6-everywhere", .tried = "tcpip-forward of [::]:0", .try = try_listen, .text = "::", .never = NO_V6 },
    { .id = "listen.port-65558", .tried = "tcpip-forward of 127.0.0.1:65558 (22 in 16 bits)", .try = try_listen,
      .text = "127.0.0.1", .number = 65558, .never = BAD_PORT },
    { .id = "listen.socket", .tried = "streamlocal-forward of a socket in /tmp", .try = try_listen_socket,
      .text = "/tmp/virtgate-probe-" },
    { .id = "listen.socket-dots", .tried = "streamlocal-forward of a socket in /tmp/../tmp", .try = try_listen_socket,
      .text = "/tmp/../tmp/virtgate-probe-" },
    { .id = "listen.socket-run", .tried = "streamlocal-forward of a socket in /run/virtgate", .try = try_listen_socket,
      .text = "/run/virtgate/probe-", .never = NOT_THERE },
};

const struct family family_listen = FAMILY(doors);
