/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions over libssh: open, ask, read what comes. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include <libssh/callbacks.h>

#include "base/io.h"
#include "probe/probe.h"

/* A signal that ends the probe ends this too. */
static void sleep_ms(const struct probe *probe, int64_t ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    while (ms > 0 && nanosleep(&t, &t) < 0 && !probe_is_over(probe))
        ;
}

/* --- logins -------------------------------------------------------------------------------------------------------- */

void probe_pause(struct probe *probe)
{
    int64_t now = io_monotonic_ms();

    if (probe->last_login)
        sleep_ms(probe, probe->last_login + probe->options->login_pause_ms - now);
    probe->last_login = io_monotonic_ms();
}

void probe_drop_session(struct probe *probe)
{
    if (probe->event) {
        if (probe->session)
            ssh_event_remove_session(probe->event, probe->session);
        ssh_event_free(probe->event);
    }
    connection_close(probe->connection);
    probe->connection = NULL;
    probe->session = NULL;
    probe->event = NULL;
    probe->is_stuck = false;
}

int probe_connect(struct probe *probe, char why[static WHY_SIZE])
{
    long seconds = (probe->options->answer_ms + 999) / 1000;
    int status;

    probe_drop_session(probe);
    probe_pause(probe);
    status = connection_open(probe->options->login, &probe->connection, why);
    if (status)
        return status;
    probe->session = connection_session(probe->connection);
    if (ssh_options_set(probe->session, SSH_OPTIONS_TIMEOUT, &seconds) == SSH_OK && (probe->event = ssh_event_new())
        && ssh_event_add_session(probe->event, probe->session) == SSH_OK)
        return 0;
    probe_drop_session(probe);
    return why_say(why, EX_OSERR, "this computer is short of memory; try again");
}

#define LOGINS_MAX 3
#define AGAIN_MS 2000

/* A busy sshd turns some away at random (MaxStartups), and a network may be away for a moment. */
static int connect_again(struct probe *probe, char why[static WHY_SIZE])
{
    int status = probe_connect(probe, why);

    for (int n = 1; n < LOGINS_MAX && status == EX_UNAVAILABLE && !probe_is_over(probe); n++) {
        sleep_ms(probe, n * AGAIN_MS);
        status = probe_connect(probe, why);
    }
    return status;
}

ssh_session probe_session(struct probe *probe, struct finding *finding)
{
    if (probe->session && !probe->is_stuck && ssh_is_connected(probe->session))
        return probe->session;
    /* A host that is gone is not waited for at each door. */
    if (!probe->gone[0] && connect_again(probe, probe->gone) == 0) {
        probe->gone[0] = '\0';
        return probe->session;
    }
    finding_set(finding, VERDICT_UNKNOWN, "no login any more: %.200s", probe->gone);
    return NULL;
}

/* --- one session --------------------------------------------------------------------------------------------------- */

static void tell_why(struct probe *probe, int r, struct answer *answer)
{
    snprintf(answer->why, sizeof answer->why, "%s", r == SSH_AGAIN ? "no answer in time" : ssh_get_error(probe->session));
    probe->is_stuck = true;
}

bool probe_granted(struct probe *probe, int r, struct answer *answer)
{
    if (r == SSH_OK)
        return true;
    if (!ssh_is_connected(probe->session))
        answer->lost = true;
    else if (r == SSH_ERROR && ssh_get_error_code(probe->session) == SSH_REQUEST_DENIED)
        answer->refused = true;
    else {
        answer->opened = false;
        tell_why(probe, r, answer);
    }
    return false;
}

#define ROOM_PAUSE_MS 30

ssh_channel probe_channel(struct probe *probe, struct answer *answer)
{
    int64_t end = io_monotonic_ms() + probe->options->answer_ms;
    struct finding finding;
    int r = SSH_ERROR;

    if (!probe_session(probe, &finding)) {
        snprintf(answer->why, sizeof answer->why, "%s", finding.seen);
        return NULL;
    }
    do {
        ssh_channel channel = ssh_channel_new(probe->session);

        if (channel && (r = ssh_channel_open_session(channel)) == SSH_OK) {
            answer->opened = true;
            return channel;
        }
        if (channel)
            ssh_channel_free(channel);
        if (!ssh_is_connected(probe->session)) {
            answer->lost = answer->opened = true;
            return NULL;
        }
        sleep_ms(probe, ROOM_PAUSE_MS);
    } while (io_monotonic_ms() < end);
    tell_why(probe, r, answer);
    return NULL;
}

static int got_data(ssh_session session, ssh_channel channel, void *data, uint32_t len, int is_stderr, void *answer)
{
    (void)session;
    (void)channel;
    answer_add(answer, is_stderr, data, len);
    return (int)len;
}

static void got_status(ssh_session session, ssh_channel channel, int status, void *answer)
{
    (void)session;
    (void)channel;
    ((struct answer *)answer)->status = status;
}

/* What came together with the answer to a request, before anybody listened: libssh keeps it, and the channel open with it. */
static void take_early(ssh_channel channel, struct answer *answer)
{
    char piece[4096];

    for (int is_err = 0; is_err <= 1; is_err++)
        for (int n; (n = ssh_channel_read_nonblocking(channel, piece, sizeof piece, is_err)) > 0;)
            answer_add(answer, is_err, piece, (size_t)n);
}

static bool is_enough(const struct answer *answer, const char *proof)
{
    return (proof && answer_holds(answer, proof)) || (answer->enough && answer->out_len >= answer->enough);
}

void probe_read_some(struct probe *probe, ssh_channel channel, const char *proof, int ms, struct answer *answer)
{
    int64_t end = io_monotonic_ms() + ms;
    struct ssh_channel_callbacks_struct callbacks = {
        .userdata = answer, .channel_data_function = got_data, .channel_exit_status_function = got_status,
    };

    ssh_callbacks_init(&callbacks);
    if (ssh_add_channel_callbacks(channel, &callbacks) != SSH_OK)
        return;
    take_early(channel, answer);
    while (!ssh_channel_is_closed(channel) && !is_enough(answer, proof)) {
        int64_t left = end - io_monotonic_ms();

        if (left <= 0 || ssh_event_dopoll(probe->event, (int)left) == SSH_ERROR)
            break;
    }
    ssh_remove_channel_callbacks(channel, &callbacks);
    answer->lost = !ssh_is_connected(probe->session);
    answer->ended = ssh_channel_is_closed(channel) && !answer->lost;
    if (answer->ended && answer->status < 0)
        answer->status = connection_status_of(channel);
}

void probe_read(struct probe *probe, ssh_channel channel, const char *proof, struct answer *answer)
{
    probe_read_some(probe, channel, proof, probe->options->answer_ms, answer);
    ssh_channel_close(channel);
    ssh_channel_free(channel);
    /* Whatever it is that runs there may run on. */
    if (!answer->ended)
        probe_drop_session(probe);
}

void probe_exec(struct probe *probe, const char *command, bool tty, const char *input, const char *proof, struct answer *answer)
{
    ssh_channel channel = probe_channel(probe, answer);

    if (!channel)
        return;
    if ((tty && !probe_granted(probe, ssh_channel_request_pty_size(channel, "xterm", 80, 24), answer))
        || !probe_granted(probe, ssh_channel_request_exec(channel, command), answer)) {
        ssh_channel_free(channel);
        return;
    }
    if (input)
        ssh_channel_write(channel, input, (uint32_t)strlen(input));
    ssh_channel_send_eof(channel);
    probe_read(probe, channel, proof, answer);
}
