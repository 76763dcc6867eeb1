/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/json.h"
#include "ctl/ctl.h"

static void print_ok(const struct ctl *ctl, size_t rules)
{
    struct json json = JSON_TO(stdout);

    if (!ctl->json) {
        printf("%s: %zu rules, ok\n", ctl_config(ctl), rules);
        return;
    }
    json_put_open(&json, NULL, '{');
    json_put_bool(&json, "ok", true);
    json_put_int(&json, "rules", (int64_t)rules);
    json_put_open(&json, "errors", '[');
    json_put_close(&json, ']');
    json_put_close(&json, '}');
    json_put_end(&json);
}

int ctl_check(const struct ctl *ctl)
{
    struct policy *policy;

    if (ctl->argc > 0)
        return ctl_usage_error(ctl, "expected no words; the path goes after --config");
    int code = ctl_load_policy(ctl, stdout, &policy);
    if (code != EX_OK)
        return code;
    print_ok(ctl, policy_n_rules(policy));
    policy_free(policy);
    return EX_OK;
}
