/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions that run: how many, how long, and how they are cut. */
#ifndef VG_SESSIONS_H
#define VG_SESSIONS_H

#include "broker/broker.h"

/* Sessions of the uid that run or are being opened. */
unsigned sessions_of(const struct broker *broker, uid_t uid);
/* Connections of the uid in any state. */
unsigned connections_of(const struct broker *broker, uid_t uid);

/* The subject of a connection, as of now. 0 or -errno (the time cannot be told). */
int subject_of(const struct connection *connection, struct subject *ret);

/* False: the settings want logins confined, and this one is not known to be. */
bool is_confined_enough(const struct connection *connection);

/* Looks at every live session: over its time, idle, or no longer allowed by the policy as it is now. */
void sessions_look(struct broker *broker);

/* Cuts one: the user gets the line, the stream ends, the log gets the reason. */
void session_cut(struct connection *connection, uint8_t status, const char *reason, const char *line);

/* Starts or stops the regular look, as there are live sessions or none. */
void sessions_set_tick(struct broker *broker);

#endif
