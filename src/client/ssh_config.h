/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ~/.ssh/config is libssh's to read, and it does: Host, Match, HostName, User, Port, ProxyJump and so on. This reads the same
 * file for what libssh 0.10 does not know, or does not tell: certificates, which keys there are, how strict to be with a host's
 * key, and which words of the user's would be passed over in silence. */
#ifndef VG_CLIENT_SSH_CONFIG_H
#define VG_CLIENT_SSH_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#define SSH_CONFIG_FILES_MAX 16

enum ssh_config_strict { STRICT_ASK, STRICT_YES, STRICT_ACCEPT_NEW, STRICT_NO };

struct ssh_config {                                /* starts as { 0 } */
    size_t n_identities, n_certificates;
    char *identity[SSH_CONFIG_FILES_MAX];
    char *certificate[SSH_CONFIG_FILES_MAX];
    enum ssh_config_strict strict;
    bool identities_only;
    bool batch;                                    /* BatchMode: ask nothing */
    bool binds;                                    /* BindAddress */
    int timeout_ms;                                /* ConnectTimeout; 0: not said */
    bool unsure;                                   /* there was a Match that only libssh can judge */
    char lacking[200];                             /* words that are passed over, ", " between them; "" for none */
    char refused[64];                              /* one that must not be passed over (RevokedHostKeys); "" for none */
    unsigned seen;                                 /* the first value counts */
};

/* Adds what the file at path says of host, as it was typed; home stands for ~ and %d. A file that is not there says
 * nothing. 0 or -errno. */
int ssh_config_read(struct ssh_config *config, const char *path, const char *home, const char *host);

void ssh_config_clear(struct ssh_config *config);

#endif
