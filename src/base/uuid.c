/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/uuid.h"

#include <errno.h>
#include <string.h>

/* Not isxdigit(): that asks the locale. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_dash_place(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

int uuid_parse(const char *text, size_t len, struct uuid *ret)
{
    struct uuid uuid = { { 0 } };
    size_t digits = 0;

    if (len != UUID_TEXT_SIZE - 1)
        return -EINVAL;
    for (size_t at = 0; at < len; at++) {
        if (is_dash_place(at)) {
            if (text[at] != '-')
                return -EINVAL;
            continue;
        }
        int digit = hex_digit(text[at]);
        if (digit < 0)
            return -EINVAL;
        uuid.byte[digits / 2] = (uint8_t)(uuid.byte[digits / 2] << 4 | digit);
        digits++;
    }
    *ret = uuid;
    return 0;
}

void uuid_format(const struct uuid *uuid, char out[static UUID_TEXT_SIZE])
{
    static const char digit[] = "0123456789abcdef";
    size_t at = 0;

    for (size_t i = 0; i < sizeof uuid->byte; i++) {
        if (is_dash_place(at))
            out[at++] = '-';
        out[at++] = digit[uuid->byte[i] >> 4];
        out[at++] = digit[uuid->byte[i] & 15];
    }
    out[at] = '\0';
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->byte, b->byte, sizeof a->byte) == 0;
}
