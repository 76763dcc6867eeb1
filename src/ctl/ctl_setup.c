/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* setup: the locks' lines into the host's files, tried before sshd is told of them, and out again with --undo. What is done
 * is written down first (setup/change.h, setup/ledger.h), so that undo or a second setup goes on wherever one was killed. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "ctl/ctl.h"
#include "doctor/doctor.h"
#include "host/lock.h"
#include "setup/accounts.h"
#include "setup/change.h"
#include "setup/ledger.h"
#include "setup/libvirt_edit.h"
#include "setup/login.h"
#include "setup/pam_edit.h"
#include "setup/say.h"
#include "setup/services.h"

#define PAM_FILE VG_PAM_DIR "/sshd"
#define SYSTEMD_DIR "/etc/systemd/system"
#define SHIPPED VG_DATADIR
#define CONFINED_FILE VG_SYSCONFDIR "/virtgate.d/00-setup.ini"

#define say setup_say

static const char *const units[] = { "virtgated.socket", "virtgated.service", "virtgate-firewall.service", NULL };

/* --- what there is to change ------------------------------------------------------------------------------------------- */

/* Daemons of libvirt with a read-only socket. */
static const char *const daemons[] = { "libvirtd", "virtqemud", "virtlxcd", "virtxend", "virtvboxd", "virtchd", "virtproxyd",
                                       "virtinterfaced", "virtnetworkd", "virtnodedevd", "virtnwfilterd", "virtsecretd",
                                       "virtstoraged", NULL };

static int cannot(const char *path, int r)
{
    return say(EX_OSERR, "%s: %s", path, r == -EINVAL ? "not a text file that can be edited" : strerror(-r));
}

static int add(struct changes *changes, const char *path, char *new)
{
    int r = new ? changes_add(changes, path, new, 0644, 0) : -ENOMEM;

    return r < 0 ? cannot(path, r) : EX_OK;
}

static int plan_copy(struct changes *changes, const char *from, const char *to)
{
    char *text;
    int r = change_read(from, &text);

    if (r < 0 || !text)
        return cannot(from, r < 0 ? r : -ENOENT);
    return add(changes, to, text);
}

/* One of the editors of texts, on a file that is there. */
static int plan_edit(struct changes *changes, const char *path, int (*edit)(const char *text, char **ret))
{
    char *text, *new;
    int r = change_read(path, &text);

    if (r < 0 || !text)
        return cannot(path, r < 0 ? r : -ENOENT);
    r = edit(text, &new);
    free(text);
    if (r == -EINVAL)
        return say(EX_CONFIG, "%s has no line of PAM's at all, and is left alone", path);
    return add(changes, path, r < 0 ? NULL : new);
}

static int plan_socket(struct changes *changes, const char *daemon)
{
    char from[300], to[300], unit[300], conf[300];

    snprintf(from, sizeof from, SHIPPED "/systemd/%s-ro.socket.d/virtgate.conf", daemon);
    snprintf(to, sizeof to, SYSTEMD_DIR "/%s-ro.socket.d/virtgate.conf", daemon);
    snprintf(unit, sizeof unit, VG_UNITDIR "/%s-ro.socket", daemon);
    snprintf(conf, sizeof conf, VG_LIBVIRT_CONFDIR "/%s.conf", daemon);
    if (doctor_has_systemd())
        return access(unit, F_OK) == 0 ? plan_copy(changes, from, to) : EX_OK;
    return access(conf, F_OK) == 0 ? plan_edit(changes, conf, libvirt_edit) : EX_OK;
}

static const char confined_text[] =
    "; By virtgatectl setup, which put pam_virtgate.so into " PAM_FILE ": only logins that it has confined are served.\n"
    "; virtgatectl setup --undo takes this file away. To decide otherwise, change it here.\n"
    "[gate]\n"
    "confined = required\n";

/* The administrator's word stands, whichever it is; without one, required. The file is the broker's to read. */
static int plan_confined(struct changes *changes)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;
    const struct passwd *broker = getpwnam(VG_BROKER_USER);
    int code = EX_OK, r = policy_load(VG_SYSCONFDIR, 0, &policy, &errors);

    if (r < 0) {
        code = say(EX_CONFIG, "the ACL has errors, which virtgatectl check shows; nothing was changed");
    } else if (!policy_settings(policy)->confined_is_set) {
        r = changes_add(changes, CONFINED_FILE, strdup(confined_text), 0640, broker ? broker->pw_gid : 0);
        code = r < 0 ? say(EX_OSERR, CONFINED_FILE ": %s", strerror(-r)) : EX_OK;
    } else if (!policy_settings(policy)->confined) {
        puts("# the ACL has confined = optional, and that is left as it is");
    }
    policy_errors_free(&errors);
    policy_free(policy);
    return code;
}

static int plan(struct changes *changes)
{
    int code = plan_copy(changes, SHIPPED "/05-virtgate.conf", VG_SSHD_DROPIN);

    /* Without the module's file, "required" locks everybody out. */
    if (code == EX_OK && access(VG_PAM_MODULE, F_OK) < 0) {
        puts("# " PAM_FILE ": pam_virtgate.so is not installed; left as it is");
    } else if (code == EX_OK) {
        code = plan_edit(changes, PAM_FILE, pam_edit);
        if (code == EX_OK)
            code = plan_confined(changes);
    }
    for (size_t i = 0; code == EX_OK && daemons[i]; i++)
        code = plan_socket(changes, daemons[i]);
    return code;
}

/* --- trying ------------------------------------------------------------------------------------------------------------ */

#define MEMBERS_TRIED 16 /* sshd goes by the group, not by the name; who is let past by name is doctor's to find */

/* A user of the gate may be let in, or be refused by PAM for want of a grant; either way nothing of theirs is run. */
static int try_members(const struct login_probe *probe, char why[static LOGIN_WHY_SIZE])
{
    struct members members = { 0 };
    int r = members_read(&members);

    if (r < 0)
        snprintf(why, LOGIN_WHY_SIZE, "the members of group " VG_GATE_GROUP " cannot be read: %s", strerror(-r));
    for (size_t i = 0; r == 0 && i < members.n && i < MEMBERS_TRIED; i++)
        if (login_try(probe, members.list[i].name, "true", why) == 0) {
            snprintf(why, LOGIN_WHY_SIZE, "a login of %s runs a program, and not the gate", members.list[i].name);
            r = -1;
        }
    members_free(&members);
    return r;
}

/* root comes in, or whoever called sudo; with the gate in place, its users come no further than to it. */
static int try_logins(bool gated)
{
    char why[LOGIN_WHY_SIZE];
    const char *admin = getenv("SUDO_USER") ? getenv("SUDO_USER") : "root";
    struct login_probe probe;
    int r = login_start(&probe, why);

    if (r == 0)
        r = login_try(&probe, admin, "true", why);
    if (r == 0 && gated)
        r = try_members(&probe, why);
    login_stop(&probe);
    return r != 0 ? say(EX_CONFIG, "%s", why) : EX_OK;
}

static int test_sshd(void)
{
    static const char *const argv[] = { "/usr/sbin/sshd", "-t", NULL };

    return setup_run(argv) == EX_OK ? EX_OK : EX_CONFIG;
}

/* --- the rest of the host learns of it --------------------------------------------------------------------------------- */

/* A broker that does not run reads the ACL when it starts. */
static int reload_broker(void)
{
    const struct ctl ctl = { .name = "reload" };

    if (access(VG_RUNDIR "/broker.sock", F_OK) < 0)
        return say(EX_OK, "virtgated does not run");
    int code = ctl_reload(&ctl); /* says itself that nobody answers */
    return code == EX_UNAVAILABLE ? EX_OK : code;
}

static bool is_firewall_on(void)
{
    FILE *null = fopen("/dev/null", "we");
    bool on = null && lock_print(null, null) == 0;

    if (null)
        fclose(null);
    return on;
}

static int firewall(const char *verb)
{
    char word[8];
    char *words[] = { word, NULL };
    const struct ctl ctl = { .name = "firewall", .argc = 1, .argv = words };

    snprintf(word, sizeof word, "%s", verb);
    return ctl_firewall(&ctl);
}

/* A table that is there may have accounts and ports that somebody has added; it stays. */
static int turn_firewall_on(void)
{
    if (is_firewall_on())
        return EX_OK;
    return ledger_note("firewall", "on") < 0 ? say(EX_OSERR, LEDGER_DIR " cannot be written") : firewall("on");
}

/* Each is done, whatever becomes of the others; the first failure is the exit code. */
static int turn_on(void)
{
    int code, one;

    services_reload_sshd();
    code = services_close_sockets();
    for (size_t i = 0; doctor_has_systemd() && units[i]; i++)
        if ((one = services_enable(units[i])) != EX_OK && code == EX_OK)
            code = one;
    if ((one = turn_firewall_on()) != EX_OK && code == EX_OK)
        code = one;
    if ((one = reload_broker()) != EX_OK && code == EX_OK)
        code = one;
    return code;
}

/* --- undo ---------------------------------------------------------------------------------------------------------------- */

static int take_back_deed(void *context, const char *kind, const char *what)
{
    (void)context;
    if (strcmp(kind, "folder") == 0)
        return rmdir(what) < 0 && errno != ENOENT && errno != ENOTEMPTY;
    if (strcmp(kind, "group") == 0)
        return accounts_remove_group();
    if (strcmp(kind, "account") == 0)
        return accounts_remove_account();
    if (strcmp(kind, "unit") == 0)
        return services_disable(what);
    if (strcmp(kind, "socket") == 0)
        return services_reopen_socket(what);
    if (strcmp(kind, "firewall") == 0)
        return firewall("off") != EX_OK;
    return 0;
}

struct undoing {
    bool really, says, any, refused;
    int code;
};

static int undo_one(void *context, const char *path)
{
    struct undoing *undoing = context;
    enum undone found = UNDONE;
    int r = change_undo(path, undoing->really, &found);

    if (r < 0) {
        undoing->code = say(EX_OSERR, "%s: %s", path, strerror(-r));
    } else if (found == UNDONE_REFUSED) {
        undoing->refused = true;
        undoing->code = say(EX_CONFIG, "%s was changed since", path);
    } else if (found == UNDONE) {
        undoing->any = true;
        if (undoing->says)
            printf("%s: %s\n", path, undoing->really ? "is as it was before" : "would be as it was before");
    }
    return 0;
}

static int no_lock(int r)
{
    if (r == -EWOULDBLOCK)
        return say(EX_TEMPFAIL, "another one is running");
    return say(EX_OSERR, LEDGER_DIR ": %s", strerror(-r));
}

/* All files or none: half of the locks would be a host that nobody has thought of. */
static int undo(const struct ctl *ctl)
{
    struct undoing look = { .says = ctl->dry_run }, doing = { .really = true, .says = true };

    if (ctl->dry_run) {
        changes_each(undo_one, &look);
        return look.code;
    }
    FD_AUTO lock = ledger_lock();
    if (lock < 0)
        return no_lock(lock);
    changes_each(undo_one, &look);
    if (look.code != EX_OK)
        return say(look.code, "nothing was undone%s",
                   look.refused ? "; virtgatectl setup takes the changes for its own, and then --undo keeps them" : "");
    changes_each(undo_one, &doing);
    if (doing.any && test_sshd() == EX_OK)
        services_reload_sshd();
    ledger_take_back(0, take_back_deed, NULL);
    if (doing.any) {
        services_reload_units();
        reload_broker();
    }
    changes_sweep();
    if (doing.code == EX_OK && ledger_length() > 0)
        doing.code = EX_CONFIG;
    return doing.code;
}

/* --- setup --------------------------------------------------------------------------------------------------------------- */

/* The folder of a new file, noted first. */
static int make_folder_of(const struct change *change)
{
    char folder[CHANGE_PATH_SIZE];

    snprintf(folder, sizeof folder, "%s", change->path);
    *strrchr(folder, '/') = '\0';
    if (access(folder, F_OK) == 0)
        return 0;
    int r = ledger_note("folder", folder);
    if (r == 0 && mkdir(folder, change->mode == 0640 ? 0750 : 0755) < 0)
        r = -errno;
    return r == 0 && change->gid && chown(folder, 0, change->gid) < 0 ? -errno : r;
}

static int make_all(struct changes *changes)
{
    for (size_t i = 0; i < changes->n; i++) {
        int r = make_folder_of(&changes->list[i]);
        if (r == 0)
            r = change_make(&changes->list[i]);
        if (r < 0)
            return say(EX_OSERR, "%s: %s", changes->list[i].path, strerror(-r));
    }
    return EX_OK;
}

static void take_all_back(const struct changes *changes, size_t deeds)
{
    bool all = true;

    for (size_t i = changes->n; i-- > 0;) {
        int r = change_take_back(&changes->list[i]);
        if (r < 0)
            say(0, "%s could not be put back: %s", changes->list[i].path, strerror(-r));
        all = all && r == 0;
    }
    ledger_take_back(deeds, take_back_deed, NULL);
    if (all)
        say(0, "every file is as it was before");
}

/* Whose group the new files get is known when the account is there. */
static void set_owners(struct changes *changes)
{
    const struct passwd *broker = getpwnam(VG_BROKER_USER);

    for (size_t i = 0; i < changes->n; i++)
        if (changes->list[i].mode == 0640 && broker)
            changes->list[i].gid = broker->pw_gid;
}

/* sshd reads PAM's files at each login and its own when told to, so all of it is tried before it is told. */
static int apply(struct changes *changes)
{
    size_t deeds = ledger_length();
    int code = test_sshd();

    if (code == EX_OK)
        code = try_logins(false);
    if (code != EX_OK)
        return say(code, "a login has to work before anything is changed, and nothing was; by sudo, the login that is tried "
                   "is that of the account which called it");
    code = accounts_make(false);
    if (code == EX_OK) {
        set_owners(changes);
        code = make_all(changes);
    }
    if (code == EX_OK)
        code = test_sshd();
    if (code == EX_OK)
        code = try_logins(true);
    if (code != EX_OK)
        take_all_back(changes, deeds);
    return code;
}

static int adopt(void *context, const char *path)
{
    int *code = context, r = changes_adopt(path);

    if (r < 0)
        *code = say(EX_OSERR, "%s: %s", path, strerror(-r));
    return 0;
}

static int setup(const struct ctl *ctl)
{
    struct changes changes = { 0 };
    FD_AUTO lock = ctl->dry_run ? -1 : ledger_lock();

    if (!ctl->dry_run && lock < 0)
        return no_lock(lock);
    int code = plan(&changes);
    for (size_t i = 0; code == EX_OK && i < changes.n; i++)
        print_diff(stdout, changes.list[i].path, changes.list[i].old, changes.list[i].new);
    if (code == EX_OK && changes.n == 0)
        puts("no file has to be changed");
    if (code == EX_OK && ctl->dry_run)
        code = accounts_make(true);
    if (code == EX_OK && !ctl->dry_run) {
        fflush(stdout);
        code = apply(&changes);
        if (code == EX_OK)
            changes_each(adopt, &code);
        if (code == EX_OK)
            code = turn_on();
    }
    changes_free(&changes);
    return code;
}

int ctl_setup(const struct ctl *ctl)
{
    if (ctl->argc > 0)
        return ctl_usage_error(ctl, "expected no words");
    if (geteuid() != 0)
        return say(EX_NOPERM, "only root can do this");
    return ctl->undo ? undo(ctl) : setup(ctl);
}
