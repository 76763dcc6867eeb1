/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands over one connection, any number at a time: a thread of its own talks to libssh, as a session of libssh's is for
 * one thread, and carries each command's bytes to and from descriptors. */
#ifndef VG_CLIENT_CARRIER_H
#define VG_CLIENT_CARRIER_H

#include "client/connection.h"

#define CARRY_SAID_MAX 4096

struct carrier;

enum carry_end {
    CARRY_ENDED,   /* the command ended; status */
    CARRY_FULL,    /* the host takes no further command on this connection while others run */
    CARRY_LOST,    /* the connection broke, perhaps long ago when began is false; said has why */
};

struct carry {
    const char *command;
    int in, out;              /* may be the same socket. Not closed, flags not changed */
    /* --- what came of it --- */
    enum carry_end end;
    bool began;               /* the host had taken the command */
    int status;               /* of the command, 0-255; -1 when it told none */
    char said[CARRY_SAID_MAX];/* its standard error, cut there */
    size_t said_len;
};

/* Takes the connection, also on failure. 0 or -errno. */
int carrier_start(struct connection *connection, struct carrier **ret);

/* Carries until the command has ended. The end of in is handed on; when nobody reads out any more, the command is closed.
 * Any thread. */
void carrier_run(struct carrier *carrier, struct carry *carry);

/* Has the connection broken? Commands would be CARRY_LOST. */
bool carrier_is_lost(const struct carrier *carrier);

/* Nothing may run on it any more. */
void carrier_stop(struct carrier *carrier);

#endif
