/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* who: the sessions that run, as virtgated has them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/json.h"
#include "base/text.h"
#include "ctl/ctl.h"
#include "shell/gate.h"
#include "wire/listing.h"

#define CELL_SIZE 1100 /* of a name of 255 bytes, each escaped */

static bool is_number(const char *key)
{
    static const char *const keys[] = { "uid", "seconds", "to_user", "from_user" };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static void json_field(void *context, const char *key, const char *value)
{
    struct json *json = context;

    if (strcmp(key, "session") == 0) /* the first of a record */
        json_put_open(json, NULL, '{');
    if (is_number(key))
        json_put_int(json, key, strtoll(value, NULL, 10));
    else
        json_put_string(json, key, value[0] ? value : NULL);
}

static void json_record(void *context)
{
    json_put_close(context, '}');
}

static int print_json(const char *data, size_t len)
{
    struct json json = JSON_TO(stdout);
    const struct listing_reader reader = { json_field, json_record, &json };

    json_put_open(&json, NULL, '{');
    json_put_open(&json, "sessions", '[');
    int r = gate_read_listing(data, len, &reader);
    json_put_close(&json, ']');
    json_put_close(&json, '}');
    json_put_end(&json);
    return r;
}

static void text_field(void *context, const char *key, const char *value)
{
    char shown[CELL_SIZE];

    (void)context;
    text_escape(shown, sizeof shown, value, strlen(value));
    if (shown[0])
        printf(strchr(shown, ' ') ? "%s=\"%s\" " : "%s=%s ", key, shown);
}

static void text_record(void *context)
{
    (void)context;
    putchar('\n');
}

static int print_text(const char *data, size_t len)
{
    const struct listing_reader reader = { text_field, text_record, NULL };

    return gate_read_listing(data, len, &reader);
}

int ctl_who(const struct ctl *ctl)
{
    const struct request request = { .kind = REQUEST_WHO, .said = "who" };
    struct gate_answer answer;
    char *data = NULL;
    size_t len;

    if (ctl->argc > 0)
        return ctl_usage_error(ctl, "expected no words");
    int code = gate_ask(&request, &answer); /* says itself what is wrong */
    if (code != EX_OK)
        return code;
    int r = gate_take_listing(&answer, &data, &len);
    gate_answer_close(&answer);
    if (r == 0)
        r = ctl->json ? print_json(data, len) : print_text(data, len);
    free(data);
    return r == 0 ? EX_OK : gate_complain(EX_PROTOCOL, "virtgated's answer is not whole");
}
