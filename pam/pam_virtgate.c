/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pam_virtgate.so: what Linux-PAM calls, in sshd's processes, as root. pam_virtgate(8).
 *
 *   auth     never says who anybody is. Its setcred is what sshd calls once more in the process that becomes the user, while
 *            that is root; there, and not in sshd's monitor, a gate user's session is confined (confine/confine_login.c).
 *   account  decides, and does nothing else: sshd may run it in a process that ends with the answer.
 *   session  decides again, since a line above may have skipped the other, and leaves the record of the login.
 *
 * Who is not under the gate gets PAM_IGNORE, whatever is broken here; a gate user never does where something is wrong,
 * because PAM_IGNORE leaves the decision to the modules around. */
#include <errno.h>
#include <security/pam_modules.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "auth_key.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/text.h"
#include "confine/confine.h"
#include "gate.h"
#include "login_file.h"

#define NOTE "pam_virtgate"

/* What the stages of one login share, in one process and those that it forks. */
struct note {
    pid_t pid;        /* of whom it was made in: sshd's monitor; then of the user's process */
    uint32_t session; /* of the record; LOGIN_NO_SESSION: there is none */
    bool opened;      /* by our session line */
    bool required;    /* the ACL has confined = required */
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
    *note = (struct note){ .pid = getpid(), .session = LOGIN_NO_SESSION };
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

/* --- the user's process ------------------------------------------------------------------------------------------ */

static void say_missing(const struct call *call, const char *stage, int r)
{
    if (r < 0)
        call_log(call, LOG_ERR, "the login of %s is without its %s: %s", call->account.name, stage, strerror(-r));
}

/* True: confined, and the record says so. */
static bool confine(const struct call *call, const struct note *note)
{
    struct confine_report report;
    FD_AUTO record = -1;
    int r = note->session == LOGIN_NO_SESSION ? -ENODATA : login_file_open(note->session, &record);
    bool confined = confine_login(call->account.shell, &report);

    say_missing(call, "mount namespace", report.mounts);
    say_missing(call, "network namespace", report.network);
    say_missing(call, "no_new_privs", report.privileges);
    say_missing(call, "Landlock rules", report.files);
    say_missing(call, "system call filter", report.calls);
    if (r == 0 && confined)
        r = login_file_mark(record); /* the last step: the broker goes by it */
    say_missing(call, "record", r);
    return confined && r == 0;
}

/* sshd heeds what setcred answers only after a password, so a session that must not be has its process ended, as sshd itself
 * does where it cannot go on. Without our session line nobody knows what the ACL wants: then it is required. */
static void confine_or_end(const struct call *call, const struct note *note)
{
    if (confine(call, note) || (note->opened && !note->required && !call->broken))
        return;
    call_log(call, LOG_ERR, "the login of %s is ended: it is not confined as it must be", call->account.name);
    _exit(255);
}

/* For ordinary shell accounts. Nobody is kept out because it does not come about. */
static void hide(const struct call *call)
{
    const char *at = call->options.hide_except;
    char group[OPTION_NAME_SIZE];
    int r = 0;

    while (r == 0 && pam_options_next(&at, group))
        r = account_is_member(&call->account, group);
    if (r > 0)
        return;
    r = confine_hide(VG_LIBVIRT_RUNDIR);
    if (r < 0)
        call_log(call, LOG_WARNING, VG_LIBVIRT_RUNDIR " cannot be hidden: %s", strerror(-r));
}

int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct note *note = get_note(pamh);
    struct call call;

    if (!note)
        return PAM_CRED_ERR;
    if (note->pid == getpid() || (flags & (int)PAM_DELETE_CRED) != 0)
        return PAM_IGNORE; /* sshd's monitor */
    note->pid = getpid(); /* once */
    call_begin(&call, pamh, argc, argv);
    call_ask_kernel(&call);
    if (call.standing != STANDING_OTHER)
        confine_or_end(&call, note);
    else if (call.options.hide && call.served && call.account.uid != 0)
        hide(&call);
    call_end(&call);
    return PAM_IGNORE;
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
    note->opened = true;
    note->required = settings.confined;
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
