/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What virtgate-shell says to the broker: one request, then from time to time a report. All of it is claims. */
#ifndef VG_WIRE_REQUEST_H
#define VG_WIRE_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "command/command.h"

#define REQUEST_SAID_SIZE 256

enum request_kind {
    REQUEST_COMMAND = 1, /* command */
    REQUEST_REFUSED,     /* the client's line was refused here already; said and why go to the log */
    REQUEST_RELOAD,      /* uid 0: read the ACL again */
    REQUEST_WHO,         /* uid 0: the sessions that run; answered by a listing */
    REQUEST_KICK,        /* uid 0: the session whose id is in why ends */
};

struct request {
    enum request_kind kind;
    struct command command;
    char said[REQUEST_SAID_SIZE]; /* the beginning of the command line as the client sent it, any bytes but NUL */
    char why[COMMAND_WHY_SIZE];
};

struct report {
    uint64_t to_user;    /* bytes so far */
    uint64_t from_user;
};

/* The message on the wire has exactly this size. */
#define REQUEST_WIRE_SIZE 2176
#define REPORT_WIRE_SIZE 24

/* gate's side. request holds what request_decode() would take. */
void gate_encode_request(const struct request *request, unsigned char out[static REQUEST_WIRE_SIZE]);
void gate_encode_report(const struct report *report, unsigned char out[static REPORT_WIRE_SIZE]);

/* broker's side. 0 or -EPROTO: any field out of its bounds, any field that does not belong to the kind not zero. */
int broker_decode_request(const unsigned char in[static REQUEST_WIRE_SIZE], struct request *ret);
int broker_decode_report(const unsigned char in[static REPORT_WIRE_SIZE], struct report *ret);

/* The bounds of a command that came over a wire (also used by the session's side for a job). */
bool command_is_sound(const struct command *command);

#endif
