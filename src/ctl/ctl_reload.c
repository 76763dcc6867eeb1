/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/json.h"
#include "ctl/ctl.h"
#include "shell/gate.h"

int ctl_reload(const struct ctl *ctl)
{
    struct request request = { .kind = REQUEST_RELOAD, .said = "reload" };
    struct json json = JSON_TO(stdout);
    struct gate_answer answer;
    int code;

    if (ctl->argc > 0)
        return ctl_usage_error(ctl, "expected no words");
    code = gate_ask(&request, &answer); /* says itself what is wrong */
    if (code == EX_OK)
        gate_answer_close(&answer);
    if (ctl->json) {
        json_put_open(&json, NULL, '{');
        json_put_bool(&json, "ok", code == EX_OK);
        json_put_close(&json, '}');
        json_put_end(&json);
    } else if (code == EX_OK) {
        puts("the ACL is in force");
    }
    return code;
}
