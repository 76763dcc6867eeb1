/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/probe_bytes.h"

#include <stdlib.h>
#include <string.h>

void bytes_raw(struct bytes *bytes, const void *data, size_t len)
{
    uint8_t *more = realloc(bytes->data, bytes->len + len + 1);

    if (!more) {
        bytes->failed = true;
        return;
    }
    bytes->data = more;
    if (len)
        memcpy(more + bytes->len, data, len);
    bytes->len += len;
}

void bytes_u32(struct bytes *bytes, uint32_t value)
{
    uint8_t data[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };

    bytes_raw(bytes, data, sizeof data);
}

void bytes_string(struct bytes *bytes, const void *data, size_t len)
{
    bytes_u32(bytes, (uint32_t)len);
    bytes_raw(bytes, data, len);
}

void bytes_text(struct bytes *bytes, const char *text)
{
    bytes_string(bytes, text, strlen(text));
}

void bytes_xdr(struct bytes *bytes, const char *text)
{
    size_t len = strlen(text);

    bytes_string(bytes, text, len);
    bytes_raw(bytes, "\0\0\0", (4 - len % 4) % 4);
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){ 0 };
}

uint32_t bytes_get_u32(const uint8_t at[static 4])
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
