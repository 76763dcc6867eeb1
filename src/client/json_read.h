/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads JSON (RFC 8259) from a host that is not trusted: whole, with bounds, or not at all. Pure. */
#ifndef VG_CLIENT_JSON_READ_H
#define VG_CLIENT_JSON_READ_H

#include <stddef.h>

#define JSON_DEPTH_MAX 16

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
    enum json_kind kind;
    char *key;                 /* of a member of an object, else NULL */
    char *text;                /* of JSON_STRING (without NULs), and of JSON_NUMBER as it stands */
    struct json_value *first;  /* of JSON_ARRAY and JSON_OBJECT */
    struct json_value *next;
};

/* 0 and *ret; -EINVAL when it is not one JSON value, not UTF-8, or nested too deeply; -ENOMEM. */
int json_read(const char *text, size_t len, struct json_value **ret);
void json_free(struct json_value *value);

/* The member of that name; NULL when there is none or value is no object. */
const struct json_value *json_member(const struct json_value *value, const char *key);

/* The text of a string member; otherwise fallback. */
const char *json_text(const struct json_value *value, const char *key, const char *fallback);

#endif
