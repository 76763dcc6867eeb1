/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "setup/accounts.h"

#include <ctype.h>
#include <dirent.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "setup/ledger.h"
#include "setup/say.h"

#define SYSUSERS "/usr/bin/systemd-sysusers"

/* --- making ------------------------------------------------------------------------------------------------------------ */

static int make_both(void)
{
    static const char *const sysusers[] = { SYSUSERS, VG_SYSUSERSDIR "/virtgate.conf", NULL };
    static const char *const groupadd[] = { "/usr/sbin/groupadd", "--system", VG_GATE_GROUP, NULL };
    static const char *const useradd[] = { "/usr/sbin/useradd", "--system", "--user-group", "--groups", "libvirt",
                                           "--no-create-home", "--home-dir", "/nonexistent", "--shell",
                                           "/usr/sbin/nologin", VG_BROKER_USER, NULL };
    int code = EX_OK;

    if (access(SYSUSERS, X_OK) == 0 && access(sysusers[1], F_OK) == 0)
        code = setup_run(sysusers);
    if (code == EX_OK && !getgrnam(VG_GATE_GROUP))
        code = setup_run(groupadd);
    if (code == EX_OK && !getpwnam(VG_BROKER_USER))
        code = setup_run(useradd);
    return code;
}

int accounts_make(bool dry_run)
{
    bool group = !getgrnam(VG_GATE_GROUP), account = !getpwnam(VG_BROKER_USER);

    if (group)
        puts("+ group " VG_GATE_GROUP);
    if (account)
        puts("+ account " VG_BROKER_USER ", in group libvirt");
    if (dry_run || (!group && !account))
        return EX_OK;
    if ((group && ledger_note("group", VG_GATE_GROUP) < 0) || (account && ledger_note("account", VG_BROKER_USER) < 0))
        return setup_say(EX_OSERR, LEDGER_DIR " cannot be written");
    return make_both();
}

/* --- removing ---------------------------------------------------------------------------------------------------------- */

static bool is_in_use(const struct group *group)
{
    gid_t gid = group->gr_gid;
    const struct passwd *account;
    bool used = group->gr_mem[0] != NULL;

    setpwent();
    while (!used && (account = getpwent()))
        used = account->pw_gid == gid;
    endpwent();
    return used;
}

int accounts_remove_group(void)
{
    static const char *const argv[] = { "/usr/sbin/groupdel", VG_GATE_GROUP, NULL };
    const struct group *group = getgrnam(VG_GATE_GROUP);

    if (!group)
        return 0;
    if (is_in_use(group))
        return setup_say(1, "group " VG_GATE_GROUP " has members and stays; virtgatectl deluser takes them out");
    return setup_run(argv) != EX_OK;
}

static bool has_processes(uid_t uid)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    struct stat st;
    bool any = false;

    while (proc && !any && (entry = readdir(proc)))
        any = isdigit((unsigned char)entry->d_name[0]) && fstatat(dirfd(proc), entry->d_name, &st, 0) == 0 &&
              st.st_uid == uid;
    if (proc)
        closedir(proc);
    return any;
}

int accounts_remove_account(void)
{
    static const char *const argv[] = { "/usr/sbin/userdel", VG_BROKER_USER, NULL };
    const struct passwd *account = getpwnam(VG_BROKER_USER);
    struct stat st;

    if (!account)
        return 0;
    /* The next account of that number would read what is its group's. */
    if (stat(VG_SYSCONFDIR "/virtgate.ini", &st) == 0 && st.st_gid == account->pw_gid)
        return setup_say(1, "account " VG_BROKER_USER " stays: the ACL is its group's");
    if (has_processes(account->pw_uid))
        return setup_say(1, "account " VG_BROKER_USER " stays: virtgated runs");
    return setup_run(argv) != EX_OK;
}
