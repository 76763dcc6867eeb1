/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One login over libssh: name and address by the user's ~/.ssh/config, the host's key by known_hosts, then whatever the host
 * takes and the user has (certificates, agent, keys, keyboard-interactive, password).
 *
 * A login is how to get to one host; what was typed for it (a passphrase, a password) is remembered in it, so that a second
 * connection of the same login asks nothing again. A connection is used by one thread at a time; several may be opened from
 * one login at once. */
#ifndef VG_CLIENT_CONNECTION_H
#define VG_CLIENT_CONNECTION_H

#include <libssh/libssh.h>
#include <stdbool.h>

#include "client/host_spec.h"
#include "client/say.h"

struct login;
struct connection;

struct login_options {       /* zero: as ssh(1) without options */
    const char *config;      /* -F: in place of ~/.ssh/config and /etc/ssh/ssh_config; "none" for neither; NULL */
    const char *identity;    /* -i: a key to be tried before all others; NULL */
    const char *strict;      /* StrictHostKeyChecking in place of the configuration's; NULL */
};

/* Reads what there is to know about the host; connects to nothing. 0 and *ret; or EX_USAGE, EX_CONFIG and why. */
int login_new(const char *spec, const struct login_options *options, struct login **ret, char why[static WHY_SIZE]);
void login_free(struct login *login);

/* The host as it was typed, for messages and tables. */
const char *login_name(const struct login *login);

/* The same, taken apart. */
const struct host_spec *login_spec(const struct login *login);

/* Says what ~/.ssh/config has for this host and this program passes over. */
void login_say_lacking(const struct login *login);

/* Connects, knows the host, and logs in. 0 and *ret; or a status of sysexits.h and why, which ends in what to do next:
 *   EX_NOHOST       there is no such host
 *   EX_UNAVAILABLE  it cannot be reached
 *   EX_PROTOCOL     the host's key is another one, or is not known and nobody said yes
 *   EX_NOPERM       it does not let the user in
 *   EX_CONFIG       ~/.ssh/config asks for what this program must not pass over */
int connection_open(struct login *login, struct connection **ret, char why[static WHY_SIZE]);

/* Logged in, blocking. The connection keeps it. */
ssh_session connection_session(struct connection *connection);

/* When to ask a host that says nothing whether it is there, and how often before it is taken for lost. */
struct connection_alive {
    int interval_ms;
    unsigned count;
};
const struct connection_alive *connection_alive(const struct connection *connection);

void connection_close(struct connection *connection);

/* What the command of a channel that is closed has ended with; -1 when it told no status. */
int connection_status_of(ssh_channel channel);

#endif
