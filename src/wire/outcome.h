/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session process tells the broker about its job: for the session table and the log. The connection's user has the
 * reply already. */
#ifndef VG_WIRE_OUTCOME_H
#define VG_WIRE_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "policy/policy.h"

#define OUTCOME_NAME_SIZE 256
#define OUTCOME_RULE_SIZE 128

enum outcome_kind {
    OUTCOME_REFUSED = 1, /* nothing was opened; status, reason */
    OUTCOME_ANSWERED,    /* list and info */
    OUTCOME_OPENED,      /* a stream; for a display with one descriptor: the copy that the broker keeps to cut it. Without a
                          * right: a connection to libvirt, with such a descriptor. Over it follow any number of
                          * OUTCOME_REFUSED and OUTCOME_CALLED */
    OUTCOME_ENDED,       /* a stream that this process carried is over; bytes, status, reason */
    OUTCOME_CALLED,      /* a call that needed the right was made; reason: its name */
};

struct outcome {
    enum outcome_kind kind;
    uint32_t status;                /* of sysexits.h */
    uint32_t right;                 /* enum right that was used, 0 for none */
    uint32_t has_uuid;
    struct uuid uuid;               /* of the domain, as libvirtd gave it */
    uint64_t to_user, from_user;    /* bytes, OUTCOME_ENDED */
    char vm[OUTCOME_NAME_SIZE];     /* the domain's name, as libvirtd gave it; "" when none was found */
    char rule[OUTCOME_RULE_SIZE];   /* "virtgate.ini:14" */
    char reason[VERDICT_TEXT_SIZE]; /* for the log */
};

/* 0 or -EPROTO. */
int broker_check_outcome(const struct outcome *outcome, unsigned n_fds);

#endif
