/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gate.h"

#include <errno.h>
#include <security/pam_ext.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

void call_log(const struct call *call, int priority, const char *format, ...)
{
    char text[512], shown[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    text_escape(shown, sizeof shown, text, strlen(text));
    pam_syslog(call->pamh, priority, "%s", shown);
}

static const char *item(const struct call *call, int kind)
{
    const void *value = NULL;

    return pam_get_item(call->pamh, kind, &value) == PAM_SUCCESS && value ? value : "";
}

static enum standing standing_of(struct call *call)
{
    const char *user = item(call, PAM_USER);
    int r = account_of_name(user, &call->account);

    if (r == 0 && call->account.uid == 0)
        return STANDING_OTHER; /* above the gate, and the one who mends what is broken */
    if (r == 0 && strcmp(call->account.shell, VG_SHELL_PATH) == 0)
        return STANDING_GATED; /* also where NSS has lost the groups */
    if (r == 0)
        r = account_is_member(&call->account, call->options.group);
    if (r >= 0)
        return r ? STANDING_GATED : STANDING_OTHER;
    call_log(call, LOG_ERR, "account %s or group %s cannot be looked up: %s", user, call->options.group, strerror(-r));
    return STANDING_UNKNOWN;
}

void call_begin(struct call *call, pam_handle_t *pamh, int argc, const char **argv)
{
    char why[OPTIONS_WHY_SIZE];

    *call = (struct call){ .pamh = pamh };
    call->broken = pam_options_parse(argc, argv, &call->options, why) < 0;
    if (call->broken)
        call_log(call, LOG_ERR, "%s: no gate user is let in", why);
    call->service = item(call, PAM_SERVICE);
    call->served = pam_options_serve(&call->options, call->service);
    if (call->served)
        call->standing = standing_of(call);
}

void call_end(struct call *call)
{
    account_free(&call->account);
}

void call_ask_kernel(struct call *call)
{
    int n = getgroups(0, NULL);
    struct account process = { .gid = n > 0 ? calloc((size_t)n, sizeof(gid_t)) : NULL };

    if (process.gid && (n = getgroups(n, process.gid)) > 0)
        process.n_gids = (size_t)n;
    if (call->served && account_is_member(&process, call->options.group) > 0)
        call->standing = STANDING_GATED;
    account_free(&process);
}

struct address call_address(const struct call *call)
{
    struct address address = { .family = AF_UNSPEC };

    address_parse(item(call, PAM_RHOST), &address);
    return address;
}

static bool load_policy(const struct call *call, struct policy **ret)
{
    struct policy_errors errors = { 0 };
    int r = policy_load(call->options.config, 0, ret, &errors);

    if (r < 0 && errors.n)
        call_log(call, LOG_ERR, "%s:%u: %s: no gate user is let in", errors.list[0].file, errors.list[0].line,
                 errors.list[0].message);
    else if (r < 0)
        call_log(call, LOG_ERR, "%s: %s: no gate user is let in", call->options.config, strerror(-r));
    policy_errors_free(&errors);
    return r == 0;
}

static bool has_grant(const struct call *call, const struct policy *policy)
{
    const struct account *account = &call->account;
    struct subject subject = {
        .uid = account->uid,
        .user = account->name,
        .groups = (const char *const *)account->group,
        .n_groups = account->n_groups,
        .address = call_address(call),
    };

    if (moment_at(time(NULL), &subject.now) == 0 && policy_may_allow_any(policy, &subject, NULL))
        return true;
    call_log(call, LOG_NOTICE, "no current grant for %s from %s", account->name,
             subject.address.family == AF_UNSPEC ? "an unknown address" : item(call, PAM_RHOST));
    return false;
}

bool call_may_enter(struct call *call, struct settings *ret)
{
    struct policy *policy;

    if (call->standing != STANDING_GATED || call->broken || !load_policy(call, &policy))
        return false;
    int r = account_name_groups(&call->account);
    if (r < 0)
        call_log(call, LOG_ERR, "the names of the account's groups cannot be looked up: %s", strerror(-r));
    bool may = r == 0 && has_grant(call, policy);
    *ret = *policy_settings(policy);
    policy_free(policy);
    return may;
}
