/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/rpc_frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS (RPC_HEAD_SIZE / 4)
#define KEEP_SIZE 65536U /* what an idle buffer may hold */

void rpc_buffer_free(struct rpc_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct rpc_buffer){ 0 };
}

unsigned char *rpc_buffer_room(struct rpc_buffer *buffer, size_t len)
{
    size_t used = rpc_buffer_len(buffer), size = buffer->size ? buffer->size : 4096;

    if (len <= buffer->size - buffer->end)
        return buffer->data + buffer->end;
    if (len > SIZE_MAX / 4 - used)
        return NULL;
    if (buffer->start > 0) {
        memmove(buffer->data, buffer->data + buffer->start, used);
        buffer->start = 0;
        buffer->end = used;
    }
    while (size - used < len)
        size *= 2;
    if (size > buffer->size) {
        unsigned char *data = realloc(buffer->data, size);
        if (!data)
            return NULL;
        buffer->data = data;
        buffer->size = size;
    }
    return buffer->data + buffer->end;
}

void rpc_buffer_added(struct rpc_buffer *buffer, size_t len)
{
    buffer->end += len;
}

void rpc_buffer_drop(struct rpc_buffer *buffer, size_t len)
{
    buffer->start += len;
    if (buffer->start < buffer->end)
        return;
    buffer->start = buffer->end = 0;
    if (buffer->size > KEEP_SIZE)
        rpc_buffer_free(buffer);
}

int rpc_frame_peek_head(const struct rpc_buffer *buffer, size_t max, struct rpc_header *ret, size_t *ret_len)
{
    size_t have = rpc_buffer_len(buffer);
    uint32_t word[WORDS];

    if (have < sizeof word[0])
        return 0;
    memcpy(word, buffer->data + buffer->start, have < sizeof word ? sizeof word[0] : sizeof word);
    uint32_t size = ntohl(word[0]);
    if (size < RPC_HEAD_SIZE || size > max)
        return -EPROTO;
    if (have < sizeof word)
        return 0;
    *ret = (struct rpc_header){
        ntohl(word[1]), ntohl(word[2]), ntohl(word[3]), ntohl(word[4]), ntohl(word[5]), ntohl(word[6]),
    };
    *ret_len = size - RPC_HEAD_SIZE;
    return 1;
}

int rpc_frame_peek(const struct rpc_buffer *buffer, size_t max, struct rpc_message *ret)
{
    int r = rpc_frame_peek_head(buffer, max, &ret->header, &ret->len);

    if (r <= 0)
        return r;
    ret->payload = buffer->data + buffer->start + RPC_HEAD_SIZE;
    return rpc_buffer_len(buffer) - RPC_HEAD_SIZE >= ret->len;
}

int rpc_buffer_put(struct rpc_buffer *buffer, const void *data, size_t len)
{
    unsigned char *room;

    if (len == 0)
        return 0;
    room = rpc_buffer_room(buffer, len);
    if (!room)
        return -ENOMEM;
    memcpy(room, data, len);
    rpc_buffer_added(buffer, len);
    return 0;
}

int rpc_frame_put_head(struct rpc_buffer *buffer, const struct rpc_header *header, size_t len)
{
    const uint32_t word[WORDS] = {
        htonl((uint32_t)(RPC_HEAD_SIZE + len)), htonl(header->program), htonl(header->version),
        htonl(header->procedure), htonl(header->type), htonl(header->serial), htonl(header->status),
    };

    if (len > RPC_FROM_SERVER_MAX - RPC_HEAD_SIZE)
        return -ENOMEM;
    return rpc_buffer_put(buffer, word, sizeof word);
}

int rpc_frame_put(struct rpc_buffer *buffer, const struct rpc_header *header, const void *payload, size_t len)
{
    int r = rpc_frame_put_head(buffer, header, len);

    return r < 0 ? r : rpc_buffer_put(buffer, payload, len);
}
