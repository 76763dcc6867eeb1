/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/json_read.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct reading {
    const char *at, *end;
    unsigned depth;
};

static int read_value(struct reading *reading, struct json_value **ret);

static void skip_blanks(struct reading *reading)
{
    while (reading->at < reading->end && strchr(" \t\r\n", *reading->at) && *reading->at)
        reading->at++;
}

/* Takes the byte if it comes next, after blanks. */
static bool take(struct reading *reading, char byte)
{
    skip_blanks(reading);
    if (reading->at == reading->end || *reading->at != byte)
        return false;
    reading->at++;
    return true;
}

static bool take_word(struct reading *reading, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(reading->end - reading->at) < len || memcmp(reading->at, word, len) != 0)
        return false;
    reading->at += len;
    return true;
}

/* --- strings ---------------------------------------------------------------------------------------------------------- */

static int read_hex(struct reading *reading, uint32_t *ret)
{
    uint32_t code = 0;

    if (reading->end - reading->at < 4)
        return -EINVAL;
    for (int i = 0; i < 4; i++) {
        char c = *reading->at++;
        char small = c | 0x20;
        unsigned digit = 16;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (small >= 'a' && small <= 'f')
            digit = (unsigned)(small - 'a' + 10);
        if (digit == 16)
            return -EINVAL;
        code = code << 4 | digit;
    }
    *ret = code;
    return 0;
}

/* \uXXXX, two of them for what is above U+FFFF; no halves and no NUL. */
static int read_code(struct reading *reading, uint32_t *ret)
{
    uint32_t low;

    if (read_hex(reading, ret) < 0 || *ret == 0 || (*ret >= 0xdc00 && *ret <= 0xdfff))
        return -EINVAL;
    if (*ret < 0xd800 || *ret > 0xdfff)
        return 0;
    if (!take_word(reading, "\\u") || read_hex(reading, &low) < 0 || low < 0xdc00 || low > 0xdfff)
        return -EINVAL;
    *ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
    return 0;
}

static size_t put_utf8(char *out, uint32_t code)
{
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

    for (size_t i = n; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[n] | code);
    return n;
}

static int read_escape(struct reading *reading, char *out, size_t *len)
{
    static const char letters[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    const char *found;
    uint32_t code;

    if (reading->at == reading->end)
        return -EINVAL;
    char letter = *reading->at++;
    if (letter == 'u') {
        if (read_code(reading, &code) < 0)
            return -EINVAL;
        *len += put_utf8(out + *len, code);
        return 0;
    }
    found = letter ? strchr(letters, letter) : NULL;
    if (!found)
        return -EINVAL;
    out[(*len)++] = meaning[found - letters];
    return 0;
}

/* How long it is as it stands there, up to its quote or to the end of all. */
static size_t raw_length(const struct reading *reading)
{
    const char *at = reading->at;

    while (at < reading->end && *at != '"')
        at += *at == '\\' && reading->end - at > 1 ? 2 : 1;
    return (size_t)(at - reading->at);
}

/* Behind the first quote. What comes out is never longer than what stands there. */
static int read_string(struct reading *reading, char **ret)
{
    char *out = malloc(raw_length(reading) + 1);
    size_t len = 0, n;
    uint32_t code;
    int r = 0;

    if (!out)
        return -ENOMEM;
    while (r == 0 && reading->at < reading->end && *reading->at != '"') {
        if (*reading->at == '\\') {
            reading->at++;
            r = read_escape(reading, out, &len);
            continue;
        }
        n = text_utf8_char(reading->at, (size_t)(reading->end - reading->at), &code);
        if (n == 0 || code < 0x20)
            break;
        memcpy(out + len, reading->at, n);
        len += n;
        reading->at += n;
    }
    if (r < 0 || reading->at == reading->end || *reading->at != '"') {
        free(out);
        return -EINVAL;
    }
    reading->at++;
    out[len] = '\0';
    char *shrunk = realloc(out, len + 1);
    *ret = shrunk ? shrunk : out;
    return 0;
}

/* --- values ----------------------------------------------------------------------------------------------------------- */

static int read_number(struct reading *reading, char **ret)
{
    const char *from = reading->at;

    while (reading->at < reading->end && *reading->at && strchr("+-.0123456789Ee", *reading->at))
        reading->at++;
    if (reading->at == from || !memchr("-0123456789", *from, 11))
        return -EINVAL;
    *ret = strndup(from, (size_t)(reading->at - from));
    return *ret ? 0 : -ENOMEM;
}

static int read_members(struct reading *reading, struct json_value *value, char close)
{
    struct json_value **last = &value->first;
    int r;

    if (take(reading, close))
        return 0;
    do {
        char *key = NULL;
        if (close == '}') {
            r = take(reading, '"') ? read_string(reading, &key) : -EINVAL;
            if (r == 0 && !take(reading, ':'))
                r = -EINVAL;
            if (r < 0) {
                free(key);
                return r;
            }
        }
        r = read_value(reading, last);
        if (r < 0) {
            free(key);
            return r;
        }
        (*last)->key = key;
        last = &(*last)->next;
    } while (take(reading, ','));
    return take(reading, close) ? 0 : -EINVAL;
}

static int read_kind(struct reading *reading, struct json_value *value)
{
    if (take(reading, '"')) {
        value->kind = JSON_STRING;
        return read_string(reading, &value->text);
    }
    if (take(reading, '[')) {
        value->kind = JSON_ARRAY;
        return read_members(reading, value, ']');
    }
    if (take(reading, '{')) {
        value->kind = JSON_OBJECT;
        return read_members(reading, value, '}');
    }
    if (take_word(reading, "null"))
        return 0;
    value->kind = take_word(reading, "true") ? JSON_TRUE : take_word(reading, "false") ? JSON_FALSE : JSON_NUMBER;
    return value->kind == JSON_NUMBER ? read_number(reading, &value->text) : 0;
}

static int read_value(struct reading *reading, struct json_value **ret)
{
    struct json_value *value;
    int r;

    if (reading->depth == JSON_DEPTH_MAX)
        return -EINVAL;
    value = calloc(1, sizeof *value);
    if (!value)
        return -ENOMEM;
    reading->depth++;
    r = read_kind(reading, value);
    reading->depth--;
    if (r < 0)
        json_free(value);
    else
        *ret = value;
    return r;
}

int json_read(const char *text, size_t len, struct json_value **ret)
{
    struct reading reading = { text, text + len, 0 };
    struct json_value *value = NULL;
    int r = read_value(&reading, &value);

    if (r < 0)
        return r;
    skip_blanks(&reading);
    if (reading.at != reading.end) {
        json_free(value);
        return -EINVAL;
    }
    *ret = value;
    return 0;
}

void json_free(struct json_value *value)
{
    while (value) {
        struct json_value *next = value->next;
        json_free(value->first);
        free(value->key);
        free(value->text);
        free(value);
        value = next;
    }
}

const struct json_value *json_member(const struct json_value *value, const char *key)
{
    if (!value || value->kind != JSON_OBJECT)
        return NULL;
    for (const struct json_value *at = value->first; at; at = at->next)
        if (strcmp(at->key, key) == 0)
            return at;
    return NULL;
}

const char *json_text(const struct json_value *value, const char *key, const char *fallback)
{
    const struct json_value *member = json_member(value, key);

    return member && member->kind == JSON_STRING ? member->text : fallback;
}
