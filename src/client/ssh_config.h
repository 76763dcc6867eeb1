/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ~/.ssh/config says, libssh acts on: HostName, User, Port, ProxyJump and so on. But libssh 0.10 compares a Host with what
 * an earlier HostName has put in its place, and ssh(1) with the name as it was typed. So the blocks are picked here, and libssh
 * gets the lines that count (flat), with every Match in its place for it to judge. Besides, this reads what libssh does not know
 * or does not tell: certificates, which keys there are, how strict to be with a host's key, and which words of the user's would
 * be passed over in silence. */
#ifndef VG_CLIENT_SSH_CONFIG_H
#define VG_CLIENT_SSH_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SSH_CONFIG_FILES_MAX 16

#define SSH_CONFIG_WHY_SIZE 300

enum ssh_config_method { METHOD_PUBLICKEY = 1, METHOD_INTERACTIVE = 2, METHOD_PASSWORD = 4 };

enum ssh_config_strict { STRICT_ASK, STRICT_YES, STRICT_ACCEPT_NEW, STRICT_NO };

struct ssh_config {                                /* starts as { 0 } */
    size_t n_identities, n_certificates;
    char *identity[SSH_CONFIG_FILES_MAX];
    char *certificate[SSH_CONFIG_FILES_MAX];
    enum ssh_config_strict strict;
    bool identities_only;
    char *agent;                                   /* IdentityAgent: a path, or "none"; NULL: by the environment */
    bool batch;                                    /* BatchMode: ask nothing */
    bool binds;                                    /* BindAddress */
    int timeout_ms;                                /* ConnectTimeout; 0: not said */
    int alive_s;                                   /* ServerAliveInterval; 0: not said */
    unsigned alive_count;                          /* ServerAliveCountMax; 0: not said */
    bool unsure;                                   /* there was a Match that only libssh can judge */
    char lacking[200];                             /* words that are passed over, ", " between them; "" for none */
    char unread[300];                              /* the user's own file, when it is there and cannot be read; "" */
    char refused[64];                              /* one that must not be passed over (RevokedHostKeys); "" for none */
    unsigned off;                                  /* methods that are not to be used (PasswordAuthentication no and so on) */
    char preferred[200];                           /* PreferredAuthentications; "": as this program likes */
    unsigned seen;                                 /* the first value counts */
};

enum ssh_config_file {
    FILE_USUAL,   /* of everybody's: one that is not there, or not for this user, says nothing */
    FILE_OWN,     /* the same, but nobody else may be able to write to it: it may have commands in it */
    FILE_NAMED,   /* on the command line: it has to be there */
};

/* Adds what the file at path says of host, as it was typed; home stands for ~ and %d. The lines for libssh go to flat, unless
 * that is NULL. 0; or -errno, and one sentence in why. */
int ssh_config_read(struct ssh_config *config, const char *path, enum ssh_config_file kind, const char *home, const char *host,
                    FILE *flat, char why[static SSH_CONFIG_WHY_SIZE]);

/* As if word and value stood before everything in the file. */
void ssh_config_set(struct ssh_config *config, const char *word, const char *value);

void ssh_config_clear(struct ssh_config *config);

#endif
