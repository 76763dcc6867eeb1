/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/json.h"
#include "ctl/ctl.h"

const char *ctl_config(const struct ctl *ctl)
{
    return ctl->config ? ctl->config : VG_SYSCONFDIR;
}

static void print_text(FILE *out, const struct policy_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++) {
        const struct policy_error *error = &errors->list[i];
        fprintf(out, "%s:%u: %s\n", error->file, error->line, error->message);
    }
}

static void print_json(const struct policy_errors *errors)
{
    struct json json = JSON_TO(stdout);

    json_put_open(&json, NULL, '{');
    json_put_bool(&json, "ok", false);
    json_put_int(&json, "rules", 0);
    json_put_open(&json, "errors", '[');
    for (size_t i = 0; i < errors->n; i++) {
        json_put_open(&json, NULL, '{');
        json_put_string(&json, "file", errors->list[i].file);
        json_put_int(&json, "line", errors->list[i].line);
        json_put_string(&json, "message", errors->list[i].message);
        json_put_close(&json, '}');
    }
    json_put_close(&json, ']');
    json_put_close(&json, '}');
    json_put_end(&json);
}

int ctl_load_policy(const struct ctl *ctl, FILE *errors_to, struct policy **ret)
{
    struct policy_errors errors = { 0 };
    /* A copy that is checked before it is installed belongs to whoever wrote it; what is installed, to root alone. */
    int r = policy_load(ctl_config(ctl), ctl->config ? geteuid() : 0, ret, &errors);

    if (r == 0)
        return EX_OK;
    if (errors.n == 0)
        fprintf(stderr, "virtgatectl: %s: %s\n", ctl_config(ctl), strerror(-r));
    else if (ctl->json)
        print_json(&errors);
    else
        print_text(errors_to, &errors);
    policy_errors_free(&errors);
    return r == -EINVAL ? EX_CONFIG : EX_OSERR;
}
