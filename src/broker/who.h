/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sessions that run, for root. */
#ifndef VG_WHO_H
#define VG_WHO_H

#include "broker/broker.h"

/* A listing (wire/listing.h), a record for each session: session, user, uid, from, key, vm, uuid, right, rule, seconds, to_user,
 * from_user. What is not known or does not apply is "". 0 and a descriptor of the caller's, or -errno. */
int who_list(const struct broker *broker, int *ret_fd);

#endif
