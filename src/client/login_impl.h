/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of connection.c and the files that do its steps; nobody else's. */
#ifndef VG_CLIENT_LOGIN_IMPL_H
#define VG_CLIENT_LOGIN_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "client/ask.h"
#include "client/connection.h"
#include "client/ssh_config.h"

#define LOGIN_KEYS_MAX (2 * SSH_CONFIG_FILES_MAX)

struct login {
    struct host_spec spec;
    char name[400];                 /* as typed */
    char home[4096];
    int flat;                       /* what counts of the configuration, for libssh to read */
    char *identity;                 /* login_options.identity */
    struct ssh_config config;
    /* What was typed or opened. Under ask_lock(), as whoever asks looks first. */
    size_t n_keys;
    struct { char *path; ssh_key key; } key[LOGIN_KEYS_MAX];
    char password[ASK_SIZE];        /* "": none yet */
    char answer[ASK_SIZE];          /* the same for a lone hidden question of keyboard-interactive */
    char host_key[200];             /* fingerprint that the person said yes to */
    atomic_flag told;               /* that it is authenticating: once, however many connections there will be */
};

/* ask_line(), unless the configuration says BatchMode. Under ask_lock(). */
int login_ask(const struct login *login, const char *prompt, bool secret, char ret[static ASK_SIZE]);

/* How long the way to the host may take. */
int login_timeout_ms(const struct login *login);

/* A connected socket to host, the first of its addresses that answers. 0 and *ret_fd, which is the caller's; or EX_NOHOST,
 * EX_UNAVAILABLE and why. */
int dial(const char *host, unsigned port, int timeout_ms, int *ret_fd, char why[static WHY_SIZE]);

/* 0 when the session's host is who it should be. */
int hostkey_check(struct login *login, ssh_session session, char why[static WHY_SIZE]);

/* 0 when the host let the user in. */
int auth_run(struct login *login, ssh_session session, char why[static WHY_SIZE]);

/* The private key in the file, to be freed by the caller; asks for its passphrase when nobody did before. NULL: there is
 * none, or nobody opened it. */
ssh_key login_private_key(struct login *login, const char *path);

#endif
