/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/reply.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "wire/field.h"

#define REPLY_MAGIC 0x56475259U /* "VGRY" */

struct reply_wire {
    uint32_t magic;
    uint8_t kind, status, zero[2];
    char line[REPLY_LINE_SIZE];
};
static_assert(sizeof(struct reply_wire) == REPLY_WIRE_SIZE, "the message has one size");

void broker_encode_reply(const struct reply *reply, unsigned char out[static REPLY_WIRE_SIZE])
{
    struct reply_wire wire = { .magic = REPLY_MAGIC, .kind = (uint8_t)reply->kind, .status = reply->status };

    memcpy(wire.line, reply->line, sizeof wire.line);
    memcpy(out, &wire, sizeof wire);
}

int gate_decode_reply(const unsigned char in[static REPLY_WIRE_SIZE], unsigned n_fds, struct reply *ret)
{
    struct reply_wire wire;

    memcpy(&wire, in, sizeof wire);
    if (wire.magic != REPLY_MAGIC || !FIELD_OK(zero, wire.zero) || !FIELD_OK(string, wire.line) ||
        !text_is_plain(wire.line, strlen(wire.line)))
        return -EPROTO;
    if (wire.kind < REPLY_STREAM || wire.kind > REPLY_END)
        return -EPROTO;
    if (n_fds != (wire.kind == REPLY_STREAM || wire.kind == REPLY_LISTING ? 1 : 0))
        return -EPROTO;
    ret->kind = (enum reply_kind)wire.kind;
    ret->status = wire.status;
    memcpy(ret->line, wire.line, sizeof ret->line);
    return 0;
}
