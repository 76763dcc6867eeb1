/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

static void put_code(FILE *out, uint32_t code)
{
    if (code > 0xffff) { /* as two UTF-16 halves, RFC 8259 section 7 */
        code -= 0x10000;
        fprintf(out, "\\u%04x\\u%04x", 0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff));
    } else {
        fprintf(out, "\\u%04x", code);
    }
}

static void put_string(FILE *out, const char *text)
{
    size_t len = strlen(text), n;
    uint32_t code;

    putc('"', out);
    for (size_t at = 0; at < len; at += n) {
        n = text_utf8_char(text + at, len - at, &code);
        if (n == 0) {
            put_code(out, 0xfffd);
            n = 1;
        } else if (text_is_unseen(code)) {
            put_code(out, code);
        } else {
            if (code == '"' || code == '\\')
                putc('\\', out);
            fwrite(text + at, 1, n, out);
        }
    }
    putc('"', out);
}

static void lead(struct json *json, const char *key)
{
    if (json->begun)
        fputs(", ", json->out);
    json->begun = true;
    if (key) {
        put_string(json->out, key);
        fputs(": ", json->out);
    }
}

void json_put_open(struct json *json, const char *key, char bracket)
{
    lead(json, key);
    putc(bracket, json->out);
    json->begun = false;
}

void json_put_close(struct json *json, char bracket)
{
    putc(bracket, json->out);
    json->begun = true;
}

void json_put_string(struct json *json, const char *key, const char *value)
{
    lead(json, key);
    if (value)
        put_string(json->out, value);
    else
        fputs("null", json->out);
}

void json_put_bool(struct json *json, const char *key, bool value)
{
    lead(json, key);
    fputs(value ? "true" : "false", json->out);
}

void json_put_int(struct json *json, const char *key, int64_t value)
{
    lead(json, key);
    fprintf(json->out, "%" PRId64, value);
}

void json_put_end(struct json *json)
{
    putc('\n', json->out);
}
