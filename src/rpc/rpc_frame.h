/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages of libvirt's protocol on a byte stream, and buffers for them. Pure memory: who reads and writes is rpc_loop.c.
 *
 * A message is a word with its length, itself included, then a header of six words, then the payload; words are big-endian
 * (libvirt, src/rpc/virnetprotocol.x). */
#ifndef VG_RPC_FRAME_H
#define VG_RPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_PROGRAM_REMOTE 0x20008086U
#define RPC_PROGRAM_KEEPALIVE 0x6b656570U
#define RPC_VERSION 1U /* of both programs */

enum rpc_type {
    RPC_CALL,
    RPC_REPLY,
    RPC_EVENT,           /* libvirt's name is MESSAGE */
    RPC_STREAM,
    RPC_CALL_WITH_FDS,
    RPC_REPLY_WITH_FDS,
    RPC_STREAM_HOLE,
};

enum rpc_status { RPC_OK, RPC_ERROR, RPC_CONTINUE };

#define RPC_HEAD_SIZE 28U                        /* the length and the header */
#define RPC_FROM_CLIENT_MAX (4U << 20)           /* whole messages, in bytes */
#define RPC_FROM_SERVER_MAX ((32U << 20) + 4U)   /* VIR_NET_MESSAGE_MAX does not count the length */

struct rpc_header {
    uint32_t program, version, procedure, type, serial, status;
};

struct rpc_message {
    struct rpc_header header;
    const unsigned char *payload;
    size_t len; /* of the payload */
};

/* Bytes that came in or wait to go out. Starts as { 0 }. */
struct rpc_buffer {
    unsigned char *data;
    size_t start, end, size;
};

void rpc_buffer_free(struct rpc_buffer *buffer);
static inline size_t rpc_buffer_len(const struct rpc_buffer *buffer)
{
    return buffer->end - buffer->start;
}
/* Room for at least len bytes more: where they go, or NULL without memory. What is written there counts from
 * rpc_buffer_added() on. */
unsigned char *rpc_buffer_room(struct rpc_buffer *buffer, size_t len);
void rpc_buffer_added(struct rpc_buffer *buffer, size_t len);
/* Takes bytes away at the front. An empty buffer gives the memory of an exceptional message back. */
void rpc_buffer_drop(struct rpc_buffer *buffer, size_t len);

/* The message at the front, which stays in the buffer: it is taken away by rpc_buffer_drop() of RPC_HEAD_SIZE + len, until
 * when *ret points into it. 1 and *ret; 0: not all of it is there yet; -EPROTO: no message begins so, or one over max. */
int rpc_frame_peek(const struct rpc_buffer *buffer, size_t max, struct rpc_message *ret);

/* The same of the head alone, which is there before the payload is: the length of the payload is *ret_len. */
int rpc_frame_peek_head(const struct rpc_buffer *buffer, size_t max, struct rpc_header *ret, size_t *ret_len);

/* Puts bytes, the head of a message whose payload of len follows, or a whole message at the end. 0 or -ENOMEM. */
int rpc_buffer_put(struct rpc_buffer *buffer, const void *data, size_t len);
int rpc_frame_put_head(struct rpc_buffer *buffer, const struct rpc_header *header, size_t len);
int rpc_frame_put(struct rpc_buffer *buffer, const struct rpc_header *header, const void *payload, size_t len);

#endif
