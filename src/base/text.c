/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

size_t text_utf8_char(const char *text, size_t len, uint32_t *ret_code)
{
    const unsigned char *b = (const unsigned char *)text;
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t need;
    uint32_t code;

    if (b[0] < 0x80) {
        *ret_code = b[0];
        return 1;
    }
    if (b[0] >= 0xc2 && b[0] <= 0xdf)
        need = 2, code = b[0] & 0x1fU;
    else if (b[0] >= 0xe0 && b[0] <= 0xef)
        need = 3, code = b[0] & 0x0fU;
    else if (b[0] >= 0xf0 && b[0] <= 0xf4)
        need = 4, code = b[0] & 0x07U;
    else
        return 0;
    if (need > len)
        return 0;
    for (size_t i = 1; i < need; i++) {
        if ((b[i] & 0xc0U) != 0x80)
            return 0;
        code = code << 6 | (b[i] & 0x3fU);
    }
    if (code < smallest[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return need;
}

bool text_is_unseen(uint32_t code)
{
    static const struct { uint32_t first, last; } unseen[] = {
        { 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x061c, 0x061c }, { 0x200b, 0x200f }, { 0x2028, 0x202e },
        { 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
    };

    for (size_t i = 0; i < sizeof unseen / sizeof unseen[0]; i++)
        if (code >= unseen[i].first && code <= unseen[i].last)
            return true;
    return false;
}

bool text_is_plain(const char *text, size_t len)
{
    uint32_t code;

    for (size_t at = 0, n; at < len; at += n) {
        n = text_utf8_char(text + at, len - at, &code);
        if (n == 0 || text_is_unseen(code))
            return false;
    }
    return true;
}

/* One character of text in its escaped form into piece; returns how many bytes of text it stands for. */
static size_t escape_char(char piece[static 17], const char *text, size_t len)
{
    uint32_t code;
    size_t n = text_utf8_char(text, len, &code);

    if (n > 0 && code == '\\') {
        memcpy(piece, "\\\\", 3);
        return 1;
    }
    if (n > 0 && !text_is_unseen(code)) {
        memcpy(piece, text, n);
        piece[n] = '\0';
        return n;
    }
    if (n == 0)
        n = 1;
    for (size_t i = 0; i < n; i++)
        snprintf(piece + 4 * i, 5, "\\x%02x", (unsigned char)text[i]);
    return n;
}

size_t text_escape(char *out, size_t size, const char *text, size_t len)
{
    char piece[17];
    size_t used = 0, cut = 0; /* cut: where the dots would go so that they still fit */

    for (size_t at = 0, n; at < len; at += n) {
        n = escape_char(piece, text + at, len - at);
        size_t grow = strlen(piece);
        if (used + grow + 1 > size) {
            memcpy(out + cut, "...", 4);
            return cut + 3;
        }
        memcpy(out + used, piece, grow);
        used += grow;
        if (used + 4 <= size)
            cut = used;
    }
    out[used] = '\0';
    return used;
}

int text_copy(char *out, size_t size, const char *in)
{
    size_t len = strlen(in);

    memset(out, 0, size);
    if (len >= size)
        return -ENAMETOOLONG;
    memcpy(out, in, len);
    return 0;
}
