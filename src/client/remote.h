/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on one host, from any number of threads. They share one connection as far as the host allows, and further ones
 * are opened where it does not (sshd's MaxSessions); a person is asked at most once. With ssh set, each command goes through
 * the system's ssh instead. */
#ifndef VG_CLIENT_REMOTE_H
#define VG_CLIENT_REMOTE_H

#include "client/connection.h"

struct remote;

struct remote_options {
    struct login_options login;
    const char *ssh;       /* --ssh: a program and its arguments, blanks between them; NULL for libssh */
};

#define REMOTE_SAID_SIZE 4096

struct remote_said {       /* what the command, or this program, said on standard error: lines */
    size_t len;
    char text[REMOTE_SAID_SIZE];
};

/* Connects to nothing yet. 0; or a status of sysexits.h and said. */
int remote_new(const char *spec, const struct remote_options *options, struct remote **ret, struct remote_said *said);

/* Connects now, unless it is connected, so that what goes wrong does so before anything else begins. As above. */
int remote_connect(struct remote *remote, struct remote_said *said);

/* Always true with ssh. */
bool remote_is_connected(struct remote *remote);

/* Runs the command with in and out as its input and output, until it has ended; the caller's afterwards. Returns its
 * status; or one of sysexits.h, and said, when it did not come to run or was lost. */
int remote_run(struct remote *remote, const char *command, int in, int out, struct remote_said *said);

/* The same without input; its output in *ret, to be freed, at most max bytes and a NUL behind. *ret is NULL unless 0 is
 * returned. */
int remote_read(struct remote *remote, const char *command, size_t max, char **ret, size_t *ret_len, struct remote_said *said);

const char *remote_name(const struct remote *remote);

/* How many connections were made so far. */
unsigned remote_connections(struct remote *remote);

/* Nothing may run on it any more. */
void remote_free(struct remote *remote);

#endif
