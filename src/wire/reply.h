/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the broker's side says to virtgate-shell: one reply, and when a session is cut, an end. */
#ifndef VG_WIRE_REPLY_H
#define VG_WIRE_REPLY_H

#include <stdint.h>

#define REPLY_LINE_SIZE 288 /* with "virtgate: " before it and a newline after it: at most 300 bytes */

enum reply_kind {
    REPLY_STREAM = 1, /* one descriptor: a display's or a serial console's stream */
    REPLY_LISTING,    /* one descriptor: a file to read from its start (wire/listing.h) */
    REPLY_DONE,       /* nothing to hand over; line may say something */
    REPLY_REFUSED,    /* status and line say why; the connection ends */
    REPLY_END,        /* the session that ran is over; status and line say why */
};

struct reply {
    enum reply_kind kind;
    uint8_t status;                /* of sysexits.h; 0 unless refused or ended */
    char line[REPLY_LINE_SIZE];    /* for the user, without "virtgate: "; plain UTF-8 */
};

#define REPLY_WIRE_SIZE 296

/* broker's and session's side */
void broker_encode_reply(const struct reply *reply, unsigned char out[static REPLY_WIRE_SIZE]);

/* gate's side; n_fds: how many descriptors came with it. 0 or -EPROTO. */
int gate_decode_reply(const unsigned char in[static REPLY_WIRE_SIZE], unsigned n_fds, struct reply *ret);

#endif
