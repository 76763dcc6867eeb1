/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection from accept to its end. */
#ifndef VG_SERVE_H
#define VG_SERVE_H

#include "broker/broker.h"

/* Takes every connection that waits. */
int serve_accept(sd_event_source *source, int fd, uint32_t events, void *broker);

/* Takes every answer of NSS that is there. */
int serve_identities(sd_event_source *source, int fd, uint32_t events, void *broker);

/* The session is over: cuts what runs, writes the end to the log if a start was written, frees the connection (a serial
 * session's process gets a moment to bring its numbers first). reason: a constant. */
void connection_end(struct connection *connection, const char *reason);

/* At the broker's end: all of them, at once. */
void connections_drop(struct broker *broker);

#endif
