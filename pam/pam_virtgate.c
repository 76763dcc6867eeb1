/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pam_virtgate.so: what Linux-PAM calls, in sshd's processes, as root. pam_virtgate(8).
 *
 *   auth     never says who anybody is.
 *   account  decides, and does nothing else: sshd may run it in a process that ends with the answer.
 *
 * Who is not under the gate gets PAM_IGNORE, whatever is broken here; a gate user never does where something is wrong,
 * because PAM_IGNORE leaves the decision to the modules around. */
#include <security/pam_modules.h>

#include "gate.h"

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    (void)pamh;
    (void)flags;
    (void)argc;
    (void)argv;
    return PAM_IGNORE;
}

int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct settings settings;
    struct call call;

    (void)flags;
    call_begin(&call, pamh, argc, argv);
    int r = call.standing == STANDING_OTHER || call_may_enter(&call, &settings) ? PAM_IGNORE : PAM_PERM_DENIED;
    call_end(&call);
    return r;
}
