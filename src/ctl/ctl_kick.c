/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kick: ends sessions, by their ids. */
#include <string.h>
#include <sysexits.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "shell/gate.h"

static bool is_id(const char *text)
{
    return strlen(text) == 16 && strspn(text, "0123456789abcdef") == 16;
}

static int kick(const char *id)
{
    struct request request = { .kind = REQUEST_KICK, .said = "kick" };
    struct gate_answer answer;

    text_copy(request.why, sizeof request.why, id);
    int code = gate_ask(&request, &answer); /* says itself what is wrong */
    if (code == EX_OK)
        gate_answer_close(&answer);
    return code;
}

int ctl_kick(const struct ctl *ctl)
{
    int code = EX_OK;

    if (ctl->argc == 0)
        return ctl_usage_error(ctl, "expected a session's id, as virtgatectl who shows it");
    for (int i = 0; i < ctl->argc; i++)
        if (!is_id(ctl->argv[i]))
            return ctl_usage_error(ctl, "expected a session's id of 16 digits, as virtgatectl who shows it");
    for (int i = 0; i < ctl->argc; i++) {
        int one = kick(ctl->argv[i]);
        code = code == EX_OK ? one : code;
    }
    return code;
}
