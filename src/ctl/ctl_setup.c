/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* setup: the locks' lines into the host's files, tried before sshd is told of them, and out again with --undo. */
#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "doctor/doctor.h"
#include "setup/change.h"
#include "setup/login.h"
#include "setup/pam_edit.h"

#define PAM_FILE VG_PAM_DIR "/sshd"
#define SYSTEMD_DIR "/etc/systemd/system"
#define SHIPPED VG_DATADIR

static int say(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int say(int code, const char *format, ...)
{
    va_list args;

    fputs("virtgatectl: setup: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

static bool have_systemd(void)
{
    return access("/run/systemd/system", F_OK) == 0;
}

/* --- what there is to change ------------------------------------------------------------------------------------------- */

/* libvirt's read-only sockets that this host has: the names of their drop-ins. */
static const char *const sockets[] = { "libvirtd", "virtqemud", "virtproxyd", "virtinterfaced", "virtnetworkd",
                                       "virtnodedevd",
                                       "virtnwfilterd", "virtsecretd", "virtstoraged", NULL };

static void socket_paths(const char *name, char *shipped, char *target, size_t size)
{
    snprintf(shipped, size, SHIPPED "/systemd/%s-ro.socket.d/virtgate.conf", name);
    snprintf(target, size, SYSTEMD_DIR "/%s-ro.socket.d/virtgate.conf", name);
}

static int plan_copy(struct changes *changes, const char *from, const char *to)
{
    char *text = probe_read(from);
    int r = text ? changes_add(changes, to, text) : -ENOENT;

    return r < 0 ? say(EX_OSERR, "%s: %s", text ? to : from, strerror(-r)) : EX_OK;
}

static int plan_pam(struct changes *changes)
{
    glob_t found;
    char *text = probe_read(PAM_FILE), *new = NULL;
    int r = -EINVAL;

    /* Without the file, "required" locks everybody out. */
    if (glob("/lib/*/security/pam_virtgate.so", 0, NULL, &found) != 0 &&
        glob("/lib*/security/pam_virtgate.so", 0, NULL, &found) != 0) {
        free(text);
        puts("# " PAM_FILE ": pam_virtgate.so is not installed; left as it is");
        return EX_OK;
    }
    globfree(&found);
    if (text)
        r = pam_edit(text, &new);
    free(text);
    if (r == -EINVAL)
        return say(EX_CONFIG, PAM_FILE " has no pam_loginuid.so for the session, behind which our line must stand");
    return r < 0 || changes_add(changes, PAM_FILE, new) < 0 ? say(EX_OSERR, PAM_FILE " cannot be read") : EX_OK;
}

static int plan(struct changes *changes)
{
    char shipped[300], target[300], unit[300];
    int code = plan_copy(changes, SHIPPED "/05-virtgate.conf", VG_SSHD_DROPIN);

    if (code == EX_OK)
        code = plan_pam(changes);
    for (size_t i = 0; code == EX_OK && have_systemd() && sockets[i]; i++) {
        snprintf(unit, sizeof unit, VG_UNITDIR "/%s-ro.socket", sockets[i]);
        socket_paths(sockets[i], shipped, target, sizeof shipped);
        if (access(unit, F_OK) == 0)
            code = plan_copy(changes, shipped, target);
    }
    return code;
}

/* --- trying ------------------------------------------------------------------------------------------------------------ */

/* A user of the gate may be let in, or be refused by PAM for want of a grant; either way nothing of theirs is run. */
static int try_member(const struct login_probe *probe, char why[static LOGIN_WHY_SIZE])
{
    struct members members = { 0 };
    int r = 0;

    if (members_read(&members) == 0 && members.n > 0 && login_try(probe, members.list[0].name, "true", why) == 0) {
        snprintf(why, LOGIN_WHY_SIZE, "a login of %s runs a program, and not the gate", members.list[0].name);
        r = -1;
    }
    members_free(&members);
    return r;
}

/* root comes in, or whoever called sudo; with the gate in place, its users come no further than to it. */
static int try_logins(bool gated)
{
    char why[LOGIN_WHY_SIZE] = "";
    const char *admin = getenv("SUDO_USER") ? getenv("SUDO_USER") : "root";
    struct login_probe probe;
    int r = login_start(&probe, why);

    if (r == 0)
        r = login_try(&probe, admin, "true", why);
    if (r == 0 && gated)
        r = try_member(&probe, why);
    login_stop(&probe);
    return r != 0 ? say(EX_CONFIG, "%s", why) : EX_OK;
}

static int run(const char *const argv[])
{
    static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    char *said = NULL;
    int status = probe_run(argv, env, NULL, &said);

    if (status != 0)
        say(0, "%s %s: %s", argv[0], argv[1], said ? said : strerror(-status));
    free(said);
    return status == 0 ? EX_OK : EX_CONFIG;
}

static int test_sshd(void)
{
    static const char *const argv[] = { "/usr/sbin/sshd", "-t", NULL };

    return run(argv);
}

/* --- sshd and systemd learn of it -------------------------------------------------------------------------------------- */

/* An sshd that has just been told to restart does not heed the signal yet, and would end by it. */
static bool heeds_hangup(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    char *text = probe_read(path);
    const char *caught = text ? strstr(text, "\nSigCgt:") : NULL;
    bool heeds = caught && (strtoull(caught + 8, NULL, 16) & 1U << (SIGHUP - 1));
    free(text);
    return heeds;
}

static void hang_up(void *context, const struct process *process)
{
    (void)context;
    if (!process->is_roots || strncmp(process->cmdline, "sshd: ", 6) != 0 || !strstr(process->cmdline, "[listener]"))
        return;
    for (int i = 0; i < 100; i++) {
        if (heeds_hangup(process->pid)) {
            kill(process->pid, SIGHUP);
            return;
        }
        poll(NULL, 0, 20);
    }
    say(0, "sshd (pid %ld) does not heed SIGHUP; reload it by hand", (long)process->pid);
}

static void reload_all(bool on)
{
    static const char *const sshd[] = { "sshd", NULL };
    static const char *const reload[] = { "/usr/bin/systemctl", "daemon-reload", NULL };
    static const char *const restart[] = { "/usr/bin/systemctl", "try-restart", "libvirtd-ro.socket",
                                           "virt*d-ro.socket", NULL };
    const char *const firewall[] = { "/usr/bin/systemctl", on ? "enable" : "disable", "--now", "virtgate-firewall",
                                     NULL };

    process_each(sshd, hang_up, NULL);
    if (have_systemd()) {
        run(reload);
        run(restart);
        run(firewall);
    }
}

static int firewall(const char *verb)
{
    char word[8];
    char *words[] = { word, NULL };
    const struct ctl ctl = { .name = "firewall", .argc = 1, .argv = words };

    snprintf(word, sizeof word, "%s", verb);
    return ctl_firewall(&ctl);
}

/* --- setup --------------------------------------------------------------------------------------------------------------- */

static int make_all(const struct changes *changes)
{
    for (size_t i = 0; i < changes->n; i++) {
        int r = change_make(&changes->list[i]);
        if (r < 0)
            return say(EX_OSERR, "%s: %s", changes->list[i].path, strerror(-r));
    }
    return EX_OK;
}

static void take_all_back(const struct changes *changes)
{
    for (size_t i = 0; i < changes->n; i++)
        if (change_take_back(&changes->list[i]) < 0)
            say(0, "%s could not be put back", changes->list[i].path);
    say(0, "every file is as it was before");
}

static int keep_all(const struct changes *changes)
{
    for (size_t i = 0; i < changes->n; i++) {
        int r = change_keep(&changes->list[i]);
        if (r < 0)
            return say(EX_OSERR, VG_STATEDIR ": %s", strerror(-r));
    }
    return EX_OK;
}

/* sshd reads PAM's files at each login and its own when told to, so all of it is tried before it is told. */
static int apply(const struct changes *changes)
{
    int code = test_sshd();

    if (code == EX_OK)
        code = try_logins(false);
    if (code != EX_OK)
        return say(code, "this host's sshd is not in order as it is; nothing was changed");
    code = make_all(changes);
    if (code == EX_OK)
        code = test_sshd();
    if (code == EX_OK)
        code = try_logins(true);
    if (code == EX_OK)
        code = keep_all(changes);
    if (code != EX_OK)
        take_all_back(changes);
    return code;
}

static int setup(const struct ctl *ctl)
{
    struct changes changes = { 0 };
    int code = plan(&changes);

    if (code == EX_OK && !getgrnam(VG_GATE_GROUP))
        code = say(EX_NOUSER, "there is no group " VG_GATE_GROUP "; systemd-sysusers, or groupadd --system, makes it");
    for (size_t i = 0; code == EX_OK && i < changes.n; i++)
        print_diff(stdout, changes.list[i].path, changes.list[i].old, changes.list[i].new);
    fflush(stdout);
    if (code == EX_OK && changes.n == 0)
        puts("no file has to be changed");
    if (code == EX_OK && changes.n > 0 && !ctl->dry_run)
        code = apply(&changes);
    if (code == EX_OK && !ctl->dry_run) {
        if (changes.n > 0)
            reload_all(true);
        code = firewall("on");
    }
    changes_free(&changes);
    return code;
}

/* --- undo ---------------------------------------------------------------------------------------------------------------- */

static int undo_one(const char *path, bool dry_run, bool *any)
{
    enum undone undone;
    int r = change_undo(path, dry_run, &undone);

    if (r < 0)
        return say(EX_OSERR, "%s: %s", path, strerror(-r));
    if (undone == UNDONE_REFUSED)
        return say(EX_CONFIG, "%s was changed since; its original is in " VG_STATEDIR "/setup", path);
    *any = *any || undone == UNDONE;
    if (undone == UNDONE)
        printf("%s: %s\n", path, dry_run ? "would be as it was before" : "is as it was before");
    return EX_OK;
}

static int undo(const struct ctl *ctl)
{
    static const char *const paths[] = { PAM_FILE, VG_SSHD_DROPIN, NULL };
    char shipped[300], target[300];
    bool any = false;
    int code = EX_OK, one;

    for (size_t i = 0; paths[i]; i++)
        if ((one = undo_one(paths[i], ctl->dry_run, &any)) != EX_OK)
            code = one;
    for (size_t i = 0; sockets[i]; i++) {
        socket_paths(sockets[i], shipped, target, sizeof shipped);
        if ((one = undo_one(target, ctl->dry_run, &any)) != EX_OK)
            code = one;
    }
    if (ctl->dry_run)
        return code;
    if (any && test_sshd() == EX_OK)
        reload_all(false);
    one = firewall("off");
    return code != EX_OK ? code : one;
}

int ctl_setup(const struct ctl *ctl)
{
    if (ctl->argc > 0)
        return ctl_usage_error(ctl, "expected no words");
    if (geteuid() != 0)
        return say(EX_NOPERM, "only root can do this");
    return ctl->undo ? undo(ctl) : setup(ctl);
}
