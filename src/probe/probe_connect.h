/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is asked and how to log in there: all that the probe has of connecting. */
#ifndef VG_PROBE_CONNECT_H
#define VG_PROBE_CONNECT_H

#include <libssh/libssh.h>
#include <stddef.h>

struct probe_host {
    const char *user;         /* NULL: ssh's configuration or the caller's own name */
    const char *host;
    unsigned port;            /* 0: ssh's configuration or 22 */
    const char *identity;     /* a private key's file; NULL: the agent's and the default ones */
    const char *known_hosts;  /* NULL: the user's own */
    int timeout_ms;
};

/* Reads [user@]host[:port] or [user@][v6]:port; the texts lie in buffer. 0 or -EINVAL. */
int probe_host_parse(const char *spec, char *buffer, size_t size, struct probe_host *ret);

/* A login, with the host's key known and the same. NULL with a sentence in why. The caller's to give to
 * probe_disconnect(). */
ssh_session probe_connect(const struct probe_host *host, char *why, size_t why_size);
void probe_disconnect(ssh_session session);

/* The beginning of a command line for ssh(1) to the same host as the same user: options up to and with the destination.
 * Fills argv from at on; returns how many. texts is the room for them. */
#define PROBE_SSH_WORDS 24
#define PROBE_SSH_TEXT 4096
size_t probe_ssh_words(const struct probe_host *host, char texts[static PROBE_SSH_TEXT], char *argv[static PROBE_SSH_WORDS]);

#endif
