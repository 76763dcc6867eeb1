/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes JSON (RFC 8259) to a stream, one value after the other; commas and nesting are kept here. Output only. */
#ifndef VG_BASE_JSON_H
#define VG_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out;
    bool begun;  /* the innermost array or object has a member already */
};

#define JSON_TO(stream) { .out = (stream) }

/* Not json_string() and so on: those are libjansson's, which would then call ours.
 * key is NULL for an element of an array and for the outermost value. */
void json_put_open(struct json *json, const char *key, char bracket); /* bracket: '{' or '[' */
void json_put_close(struct json *json, char bracket);                 /* bracket: '}' or ']' */
/* A value of NULL becomes null. Bytes that are not UTF-8 become U+FFFD; unseen characters (base/text.h) become \uXXXX. */
void json_put_string(struct json *json, const char *key, const char *value);
void json_put_bool(struct json *json, const char *key, bool value);
void json_put_int(struct json *json, const char *key, int64_t value);
/* Ends the outermost value with a newline. */
void json_put_end(struct json *json);

#endif
