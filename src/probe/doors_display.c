/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Displays and consoles by the gate's commands and by those of stock clients: of a machine that is not the user's, and
 * (probe_expect) of one that is. A display is asked for no more than its first bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/probe.h"

/* A SPICE server says nothing before it is spoken to: link message for the main channel, version 2.2, no capabilities. */
static const unsigned char spice_link[] = {
    'R', 'E', 'D', 'Q', 2, 0, 0, 0, 2, 0, 0, 0, 18, 0, 0, 0,    /* magic, version, size of what follows */
    0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 18, 0, 0, 0,      /* connection, channel, capabilities: none */
};
#define VNC_WAIT_MS 1500

/* The first bytes that the command's stream brings, or its refusal. */
static void read_first(struct probe *probe, const char *command, bool tty, struct answer *answer)
{
    ssh_channel channel = probe_channel(probe, answer);

    if (!channel)
        return;
    if ((tty && !probe_granted(probe, ssh_channel_request_pty(channel), answer))
        || !probe_granted(probe, ssh_channel_request_exec(channel, command), answer)) {
        ssh_channel_free(channel);
        return;
    }
    answer->enough = tty ? 0 : 4;
    /* On a terminal a line comes first, whichever it is. */
    probe_read_some(probe, channel, tty ? "\n" : NULL, tty ? probe->options->answer_ms : VNC_WAIT_MS, answer);
    if (!tty && answer->out_len == 0 && !answer->ended && !answer->lost) {
        ssh_channel_write(channel, spice_link, sizeof spice_link);
        probe_read_some(probe, channel, NULL, probe->options->answer_ms, answer);
    }
    ssh_channel_close(channel);
    ssh_channel_free(channel);
    if (!answer->ended)
        probe_drop_session(probe);
}

static void try_stream(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    char *command = probe_fill_in(probe, door->text, finding);

    if (command) {
        read_first(probe, command, door->number, &answer);
        judge_stream(&answer, finding);
    }
    free(command);
}

static void try_list(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    char *name = probe_fill_in(probe, "%n", finding);

    if (!name)
        return;
    probe_exec(probe, door->text, false, NULL, NULL, &answer);
    judge_names(&answer, name, finding);
    free(name);
}

#define S(id_, command_) { .id = "other." id_, .tried = command_, .try = try_stream, .text = command_ }
#define S_TTY(id_, command_) \
    { .id = "other." id_, .tried = command_ " on a terminal", .try = try_stream, .text = command_, .number = 1 }

static const struct door doors[] = {
    { .id = "other.list", .tried = "list", .try = try_list, .text = "list" },
    { .id = "other.list-json", .tried = "list --json", .try = try_list, .text = "list --json" },
    S("info", "info %n"), S("info-uuid", "info uuid:%u"), S("display", "display %n"), S("display-index", "display %n 0"),
    S("display-uuid", "display uuid:%u"), S_TTY("console", "console %n"), S_TTY("console-device", "console %n serial0"),
    S_TTY("console-takeover", "console --takeover %n"), S_TTY("console-uuid", "console uuid:%u"), S("port", "nc 127.0.0.1 %p"),
    S("port-name", "nc localhost %p"), S("port-v6", "nc ::ffff:127.0.0.1 %p"), S("port-any", "nc 0.0.0.0 %p"),
    S("port-socat", "socat - TCP:127.0.0.1:%p"),
    S("port-stock", "if (command -v socat) >/dev/null 2>&1; then socat - TCP:localhost:%p; else nc localhost %p; fi"),
    S("path", "nc -U %s"), S("path-socat", "socat - UNIX-CONNECT:%s"), S("path-gate", "nc -U /run/virtgate/display/%u/0"),
};

const struct family family_display = FAMILY(doors);

/* --- what is granted ----------------------------------------------------------------------------------------------- */

static bool answers(struct probe *probe, const char *verb, bool tty, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    char command[512];
    struct finding judged;

    if ((size_t)snprintf(command, sizeof command, "%s %s", verb, probe->options->expect) >= sizeof command) {
        finding_set(finding, VERDICT_FAILS, "the name is too long");
        return false;
    }
    read_first(probe, command, tty, &answer);
    judge_stream(&answer, &judged);
    if (judged.verdict == VERDICT_OPEN)
        finding_set(finding, VERDICT_WORKS, "%s: %.200s", verb, judged.seen);
    else
        finding_set(finding, VERDICT_FAILS, "%s: %.200s", verb, judged.seen);
    return judged.verdict == VERDICT_OPEN;
}

void probe_expect(struct probe *probe, struct finding *finding)
{
    /* Either right is a console. */
    if (!answers(probe, "display", false, finding))
        answers(probe, "console", true, finding);
}
