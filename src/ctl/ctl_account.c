/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* adduser, deluser: an account under the gate, and out again. The shell that it had is kept in a file of its name. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "ctl/ctl.h"
#include "doctor/doctor.h"

#define KEPT VG_STATEDIR "/accounts"
#define SHELLS "/etc/shells"

static int refuse(const struct ctl *ctl, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int refuse(const struct ctl *ctl, int code, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "virtgatectl: %s: ", ctl->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

/* --- the account --------------------------------------------------------------------------------------------------- */

/* A copy: later look-ups overwrite what getpwnam() returns. */
struct account {
    char name[64], shell[256];
    uid_t uid;
    gid_t gid;
};

/* EX_OK; or the exit code after a line. */
static int read_account(const struct ctl *ctl, struct account *ret)
{
    if (ctl->argc != 1 || !ctl->argv[0][0])
        return ctl_usage_error(ctl, "expected NAME");
    if (geteuid() != 0)
        return refuse(ctl, EX_NOPERM, "only root can do this");
    const char *name = ctl->argv[0];
    const struct passwd *found = getpwnam(name);
    /* The name becomes one of a file, and a word of usermod's. */
    if (!found || strlen(name) >= sizeof ret->name || strlen(found->pw_shell) >= sizeof ret->shell ||
        strcmp(found->pw_name, name) != 0 || strchr(name, '/') || name[0] == '-' || name[0] == '.')
        return refuse(ctl, EX_NOUSER, "there is no account '%s'; useradd makes one", name);
    *ret = (struct account){ .uid = found->pw_uid, .gid = found->pw_gid };
    snprintf(ret->name, sizeof ret->name, "%s", name);
    snprintf(ret->shell, sizeof ret->shell, "%s", found->pw_shell);
    return EX_OK;
}

static bool is_listed(const struct group *group, const char *name)
{
    for (char **member = group->gr_mem; *member; member++)
        if (strcmp(*member, name) == 0)
            return true;
    return false;
}

/* Some other group of the account that the gate could not hold it in, or NULL. */
static const char *mighty_group(const struct account *account)
{
    for (size_t i = 0; doctor_mighty_groups[i]; i++) {
        const struct group *group = getgrnam(doctor_mighty_groups[i]);
        if (group && (group->gr_gid == account->gid || is_listed(group, account->name)))
            return doctor_mighty_groups[i];
    }
    return NULL;
}

/* --- programs ------------------------------------------------------------------------------------------------------ */

/* Runs one of the programs for accounts; what it says is passed on when it fails. */
static int run(const struct ctl *ctl, const char *const argv[])
{
    static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    char *said = NULL;
    int status = probe_run(argv, env, NULL, &said);

    if (status != 0)
        refuse(ctl, 0, "%s: %s", argv[0], status < 0 ? strerror(-status) : said && said[0] ? said : "failed");
    free(said);
    return status == 0 ? EX_OK : EX_OSERR;
}

/* --- the shell that it had ----------------------------------------------------------------------------------------- */

static int keep_shell(const struct ctl *ctl, const struct account *account)
{
    char path[sizeof KEPT + 64];

    snprintf(path, sizeof path, KEPT "/%s", account->name);
    if ((mkdir(VG_STATEDIR, 0700) < 0 && errno != EEXIST) || (mkdir(KEPT, 0700) < 0 && errno != EEXIST))
        return refuse(ctl, EX_OSERR, KEPT ": %s", strerror(errno));
    FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : io_write_all(fd, account->shell, strlen(account->shell));
    return r < 0 ? refuse(ctl, EX_OSERR, "%s: %s", path, strerror(-r)) : EX_OK;
}

/* Gives the account its shell back and forgets it; without one that was kept, says so. */
static int restore_shell(const struct ctl *ctl, const struct account *account)
{
    char path[sizeof KEPT + 64];

    snprintf(path, sizeof path, KEPT "/%s", account->name);
    char *shell = probe_read(path);
    if (strcmp(account->shell, VG_SHELL_PATH) != 0) {
        unlink(path); /* somebody has given it another since */
        free(shell);
        return EX_OK;
    }
    if (!shell)
        return refuse(ctl, EX_OK, "it is not known which shell %s had; usermod -s gives it one", account->name);
    const char *const argv[] = { "/usr/sbin/usermod", "-s", shell, "--", account->name, NULL };
    int code = run(ctl, argv);
    if (code == EX_OK)
        unlink(path);
    free(shell);
    return code;
}

/* Programs that ask whether an account is an ordinary one (ftp servers, some PAM stacks) look there. */
static int list_shell(const struct ctl *ctl)
{
    char *text = probe_read(SHELLS);
    size_t len = sizeof VG_SHELL_PATH - 1;
    bool ends = !text || !text[0] || text[strlen(text) - 1] == '\n';

    for (const char *at = text; at && (at = strstr(at, VG_SHELL_PATH)); at++) {
        if ((at == text || at[-1] == '\n') && (at[len] == '\n' || at[len] == '\0')) {
            free(text);
            return EX_OK;
        }
    }
    free(text);
    FD_AUTO fd = open(SHELLS, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    const char *line = ends ? VG_SHELL_PATH "\n" : "\n" VG_SHELL_PATH "\n";
    int r = fd < 0 ? -errno : io_write_all(fd, line, strlen(line));
    return r < 0 ? refuse(ctl, EX_OSERR, SHELLS ": %s", strerror(-r)) : EX_OK;
}

/* --- entries ------------------------------------------------------------------------------------------------------- */

int ctl_adduser(const struct ctl *ctl)
{
    struct account account;
    const char *mighty;
    int code = read_account(ctl, &account);

    if (code != EX_OK)
        return code;
    if (account.uid == 0 || strcmp(account.name, VG_BROKER_USER) == 0)
        return refuse(ctl, EX_NOPERM, "%s is above the gate", account.name);
    if ((mighty = mighty_group(&account)))
        return refuse(ctl, EX_NOPERM, "%s is in group %s, which is above the gate; gpasswd -d %s %s takes it out",
                      account.name, mighty, account.name, mighty);
    if (!getgrnam(VG_GATE_GROUP))
        return refuse(ctl, EX_NOUSER, "there is no group " VG_GATE_GROUP "; systemd-sysusers, or groupadd --system, makes it");
    if (strcmp(account.shell, VG_SHELL_PATH) != 0)
        code = keep_shell(ctl, &account);
    if (code == EX_OK)
        code = list_shell(ctl);
    /* Both at once: in the group alone it would have its shell's start-up files, with the shell alone its forwarding. */
    const char *const argv[] = { "/usr/sbin/usermod", "-a", "-G", VG_GATE_GROUP, "-s", VG_SHELL_PATH, "--", account.name,
                                 NULL };
    if (code == EX_OK)
        code = run(ctl, argv);
    if (code == EX_OK)
        printf("%s is under the gate; sessions that it has already are not\n", account.name);
    return code;
}

int ctl_deluser(const struct ctl *ctl)
{
    struct account account;
    int code = read_account(ctl, &account);

    if (code != EX_OK)
        return code;
    const struct group *group = getgrnam(VG_GATE_GROUP);
    if (group && group->gr_gid == account.gid)
        return refuse(ctl, EX_NOPERM, VG_GATE_GROUP " is the own group of %s; usermod -g gives it another", account.name);
    if (!group || !is_listed(group, account.name))
        return refuse(ctl, EX_NOUSER, "%s is not under the gate", account.name);
    const char *const argv[] = { "/usr/bin/gpasswd", "-d", account.name, VG_GATE_GROUP, NULL };
    /* The group last: until then sshd goes on to force the gate. */
    code = restore_shell(ctl, &account);
    if (code == EX_OK)
        code = run(ctl, argv);
    if (code == EX_OK)
        printf("%s is not under the gate any more\n", account.name);
    return code;
}
