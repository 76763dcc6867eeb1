/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host that says yes to everything, for what no real sshd grants: whoever logs in is in, every type of channel is opened,
 * every request in it granted, and each command and subsystem answers the sum that the probe asks for.
 *
 *   yes_sshd PORT HOSTKEY     on 127.0.0.1; one process for each login; ends when it is killed */
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHANNELS_MAX 256

static ssh_channel channels[CHANNELS_MAX];
static size_t n_channels;

static void answer_auth(ssh_message message)
{
    if (ssh_message_subtype(message) == SSH_AUTH_METHOD_PUBLICKEY
        && ssh_message_auth_publickey_state(message) == SSH_PUBLICKEY_STATE_NONE)
        ssh_message_auth_reply_pk_ok_simple(message);
    else
        ssh_message_auth_reply_success(message, 0);
}

static void answer_open(ssh_message message)
{
    ssh_channel channel = ssh_message_channel_request_open_reply_accept(message);

    if (channel && n_channels < CHANNELS_MAX)
        channels[n_channels++] = channel;
}

/* A shell goes on, as it would. */
static void answer_request(ssh_message message)
{
    ssh_channel channel = ssh_message_channel_request_channel(message);
    int what = ssh_message_subtype(message);

    ssh_message_channel_request_reply_success(message);
    if (what == SSH_CHANNEL_REQUEST_SHELL)
        ssh_channel_write(channel, "$ ", 2);
    if (what != SSH_CHANNEL_REQUEST_EXEC && what != SSH_CHANNEL_REQUEST_SUBSYSTEM)
        return;
    ssh_channel_write(channel, "probe-42\n", 9);
    ssh_channel_request_send_exit_status(channel, 0);
    ssh_channel_send_eof(channel);
    ssh_channel_close(channel);
}

static void answer(ssh_message message)
{
    switch (ssh_message_type(message)) {
    case SSH_REQUEST_AUTH: answer_auth(message); break;
    case SSH_REQUEST_CHANNEL_OPEN: answer_open(message); break;
    case SSH_REQUEST_CHANNEL: answer_request(message); break;
    case SSH_REQUEST_GLOBAL: ssh_message_global_request_reply_success(message, 4242); break;
    default: ssh_message_reply_default(message);
    }
    ssh_message_free(message);
}

static void close_what_the_client_closed(void)
{
    for (size_t i = 0; i < n_channels; i++)
        if (channels[i] && ssh_channel_is_closed(channels[i])) {
            ssh_channel_free(channels[i]);
            channels[i] = NULL;
        }
}

static void serve(ssh_session session)
{
    ssh_event event = ssh_event_new();

    if (ssh_handle_key_exchange(session) != SSH_OK || !event)
        return;
    ssh_set_blocking(session, 0);
    ssh_event_add_session(event, session);
    do {
        for (ssh_message message; (message = ssh_message_get(session));)
            answer(message);
        close_what_the_client_closed();
    } while (ssh_event_dopoll(event, 1000) != SSH_ERROR && ssh_is_connected(session));
}

int main(int argc, char **argv)
{
    ssh_bind host = ssh_bind_new();

    signal(SIGCHLD, SIG_IGN);
    ssh_init();
    if (argc != 3 || ssh_bind_options_set(host, SSH_BIND_OPTIONS_BINDADDR, "127.0.0.1") != SSH_OK
        || ssh_bind_options_set(host, SSH_BIND_OPTIONS_BINDPORT_STR, argv[1]) != SSH_OK
        || ssh_bind_options_set(host, SSH_BIND_OPTIONS_BANNER, "OpenSSH_9.2 yes") != SSH_OK
        || ssh_bind_options_set(host, SSH_BIND_OPTIONS_HOSTKEY, argv[2]) != SSH_OK || ssh_bind_listen(host) != SSH_OK) {
        fprintf(stderr, "yes_sshd: %s\n", ssh_get_error(host));
        return 1;
    }
    for (;;) {
        ssh_session session = ssh_new();

        if (ssh_bind_accept(host, session) == SSH_OK && fork() == 0) {
            serve(session);
            _exit(0);
        }
        ssh_free(session);
    }
}
