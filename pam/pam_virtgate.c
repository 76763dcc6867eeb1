/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pam_virtgate.so: what Linux-PAM calls, in sshd's processes, as root. pam_virtgate(8).
 *
 *   auth     never says who anybody is.
 *   account  decides, and does nothing else: sshd may run it in a process that ends with the answer.
 *   session  decides again, since a line above may have skipped the other, and leaves the record of the login.
 *
 * Who is not under the gate gets PAM_IGNORE, whatever is broken here; a gate user never does where something is wrong,
 * because PAM_IGNORE leaves the decision to the modules around. */
#include <errno.h>
#include <security/pam_modules.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "auth_key.h"
#include "base/io.h"
#include "base/text.h"
#include "gate.h"
#include "login_file.h"

#define NOTE "pam_virtgate"

/* What the stages of one login share, in one process and those that it forks. */
struct note {
    uint32_t session; /* of the record; LOGIN_NO_SESSION: there is none */
};

static void free_note(pam_handle_t *pamh, void *data, int status)
{
    (void)pamh;
    (void)status;
    free(data);
}

/* NULL: no memory. */
static struct note *get_note(pam_handle_t *pamh)
{
    const void *found = NULL;
    struct note *note;

    if (pam_get_data(pamh, NOTE, &found) == PAM_SUCCESS && found)
        return (struct note *)(uintptr_t)found; /* the const is PAM's */
    note = malloc(sizeof *note);
    if (!note)
        return NULL;
    *note = (struct note){ .session = LOGIN_NO_SESSION };
    if (pam_set_data(pamh, NOTE, note, free_note) == PAM_SUCCESS)
        return note;
    free(note);
    return NULL;
}

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    (void)pamh;
    (void)flags;
    (void)argc;
    (void)argv;
    return PAM_IGNORE;
}

int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
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

/* --- session ----------------------------------------------------------------------------------------------------- */

/* SSH_CONNECTION: address and port of the client, of the server. Not for a decision: pam_env may have read a file of the
 * user's before us. */
static uint16_t port_of(pam_handle_t *pamh)
{
    const char *at = pam_getenv(pamh, "SSH_CONNECTION");
    uint64_t port;

    at = at ? strchr(at, ' ') : NULL;
    return at && io_parse_number(at + 1, strcspn(at + 1, " "), 0, UINT16_MAX, &port) == 0 ? (uint16_t)port : 0;
}

static int write_record(const struct call *call, struct note *note)
{
    const char *info = pam_getenv(call->pamh, "SSH_AUTH_INFO_0");
    struct login login = {
        .session = login_session(),
        .uid = call->account.uid,
        .address = call_address(call),
        .port = port_of(call->pamh),
        .time = time(NULL),
    };

    if (login.session == LOGIN_NO_SESSION)
        return -ENODATA;
    auth_key_of(info ? info : "", login.key);
    if (text_copy(login.service, sizeof login.service, call->service) < 0)
        return -ENAMETOOLONG;
    int r = login_file_write(&login);
    if (r == 0)
        note->session = login.session;
    return r;
}

static int open_gated(struct call *call)
{
    struct note *note = get_note(call->pamh);
    struct settings settings;

    if (!note || !call_may_enter(call, &settings))
        return PAM_SESSION_ERR;
    int r = write_record(call, note);
    if (r == -ENODATA)
        call_log(call, LOG_WARNING, "no audit session id (is pam_loginuid above?): where %s comes from is not known to the "
                 "gate", call->account.name);
    else if (r < 0)
        call_log(call, LOG_ERR, "the login of %s cannot be recorded: %s", call->account.name, strerror(-r));
    return r == 0 || (r == -ENODATA && !settings.confined) ? PAM_SUCCESS : PAM_SESSION_ERR;
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct call call;

    (void)flags;
    call_begin(&call, pamh, argc, argv);
    int r = call.standing == STANDING_OTHER ? PAM_IGNORE : open_gated(&call);
    call_end(&call);
    return r;
}

int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    const void *found = NULL;

    (void)flags;
    (void)argc;
    (void)argv;
    if (pam_get_data(pamh, NOTE, &found) != PAM_SUCCESS || !found)
        return PAM_IGNORE;
    const struct note *note = found;
    if (note->session != LOGIN_NO_SESSION)
        login_file_remove(note->session);
    return PAM_SUCCESS;
}
