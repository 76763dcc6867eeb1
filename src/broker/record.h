/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The log's three records: a session's start, its end, and a refusal. */
#ifndef VG_RECORD_H
#define VG_RECORD_H

#include <stdint.h>

#include "broker/broker.h"

void record_start(const struct connection *connection);
void record_end(const struct connection *connection);
/* A call over a connection to libvirt that used a right. */
void record_call(const struct connection *connection, const struct outcome *outcome);
/* status as the client got it; rule may be ""; limited by broker/limit.h. */
void record_refusal(const struct connection *connection, const struct outcome *outcome);

#endif
