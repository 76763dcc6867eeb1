/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* accounts.*: what the gate's users are otherwise on this host. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor/doctor.h"

static void examine_shell(struct door *door, const struct member *member)
{
    char mend[DOOR_TEXT_SIZE], word[DOOR_WORD_SIZE];

    if (strcmp(member->shell, VG_SHELL_PATH) == 0)
        return;
    snprintf(mend, sizeof mend, "virtgatectl adduser %s", door_word(word, member->name));
    door_open(door, mend, "the login shell of %s is %s, which reads the user's own files before the gate", member->name,
              member->shell[0] ? member->shell : "/bin/sh");
}

const char *const doctor_mighty_groups[] = {
    "root", "libvirt", "libvirtd", "libvirt-qemu", "libvirtdbus", "kvm", "qemu", "disk", "docker", "podman", "lxd",
    "incus", "incus-admin", "sudo", "wheel", "admin", "adm", "shadow", "kmem", "tty", "systemd-journal", "polkitd",
    VG_BROKER_USER, NULL,
};

static void examine_groups(struct door *door, const struct member *member)
{
    char mend[DOOR_TEXT_SIZE], word[DOOR_WORD_SIZE];

    if (member->as.uid == 0)
        door_open(door, "give the account a uid of its own, or take it out of " VG_GATE_GROUP, "%s has uid 0",
                  member->name);
    for (size_t i = 0; doctor_mighty_groups[i]; i++) {
        const struct group *group = getgrnam(doctor_mighty_groups[i]);
        for (size_t g = 0; group && g < member->as.n_groups; g++) {
            if (member->as.groups[g] != group->gr_gid)
                continue;
            if (group->gr_gid == member->as.gid)
                snprintf(mend, sizeof mend, "give %s another group of its own: usermod -g GROUP",
                         door_word(word, member->name));
            else
                snprintf(mend, sizeof mend, "gpasswd -d %s %s", door_word(word, member->name), doctor_mighty_groups[i]);
            door_open(door, mend, "%s is in group %s", member->name, doctor_mighty_groups[i]);
        }
    }
}

/* --- cron, at ---------------------------------------------------------------------------------------------------- */

/* Does the file list the name, one on a line? */
static bool lists(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *word = line + strspn(line, " \t");
        if (strncmp(word, name, len) == 0 && strchr(" \t\n", word[len]))
            return true;
    }
    return false;
}

/* By allow and deny files: the first decides by itself, else the second; without either, preset. */
static bool may_use(const char *allow, const char *deny, bool preset, const char *name)
{
    char *allowed = probe_read(allow), *denied = probe_read(deny);
    bool may = allowed ? lists(allowed, name) : denied ? !lists(denied, name) : preset;

    free(allowed);
    free(denied);
    return may;
}

/* Where there is a list of those who may, one of those who may not is not read. */
static void mend_list(char *mend, size_t size, const char *allow, const char *deny, const char *name)
{
    char word[DOOR_WORD_SIZE];

    if (access(allow, F_OK) == 0)
        snprintf(mend, size, "take the line %s out of %s", name, allow);
    else
        snprintf(mend, size, "echo %s >> %s", door_word(word, name), deny);
}

static void examine_may(struct door *door, const struct member *member)
{
    char mend[DOOR_TEXT_SIZE];

    if (access("/usr/bin/crontab", X_OK) == 0 && may_use("/etc/cron.allow", "/etc/cron.deny", true, member->name)) {
        mend_list(mend, sizeof mend, "/etc/cron.allow", "/etc/cron.deny", member->name);
        door_open(door, mend, "%s may have a crontab", member->name);
    }
    if (access("/usr/bin/at", X_OK) == 0 && may_use("/etc/at.allow", "/etc/at.deny", false, member->name)) {
        mend_list(mend, sizeof mend, "/etc/at.allow", "/etc/at.deny", member->name);
        door_open(door, mend, "%s may use at(1)", member->name);
    }
}

/* Jobs of at(1) wait in files of their owners'; their names begin with the queue. */
static void examine_at(struct door *door, const struct member *member)
{
    static const char *const spools[] = { "/var/spool/cron/atjobs", "/var/spool/at", NULL };
    char mend[DOOR_TEXT_SIZE];

    for (size_t i = 0; spools[i]; i++) {
        DIR *folder = opendir(spools[i]);
        const struct dirent *entry;
        struct stat st;
        while (folder && (entry = readdir(folder))) {
            if (entry->d_name[0] == '.' || fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                !S_ISREG(st.st_mode) || st.st_uid != member->as.uid)
                continue;
            snprintf(mend, sizeof mend, "rm %s/%s", spools[i], entry->d_name);
            door_open(door, mend, "%s has a job of at(1) (%s/%s): it will run outside the gate", member->name, spools[i],
                      entry->d_name);
        }
        if (folder)
            closedir(folder);
    }
}

static void examine_cron(struct door *door, const struct member *member)
{
    static const char *const spools[] = { "/var/spool/cron/crontabs", "/var/spool/cron", NULL };
    char path[512], mend[DOOR_TEXT_SIZE], word[DOOR_WORD_SIZE];
    struct stat st;

    for (size_t i = 0; spools[i]; i++) {
        snprintf(path, sizeof path, "%s/%s", spools[i], member->name);
        if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
            snprintf(mend, sizeof mend, "rm %s", door_word(word, path));
            door_open(door, mend, "%s has a crontab (%s): its commands run outside the gate", member->name, path);
        }
    }
    examine_at(door, member);
    examine_may(door, member);
}

/* --- systemd --user ---------------------------------------------------------------------------------------------- */

enum { FOLDER_EMPTY, FOLDER_USED, FOLDER_UNCLEAR };

/* Run as the member, in a process of its own: the folder is theirs. It may be a link to what only root should touch, or lie
 * on a file system that does not answer. */
static int look_into(const void *arg)
{
    const char *path = arg;
    DIR *folder = opendir(path);
    const struct dirent *entry;
    int found = FOLDER_EMPTY;

    if (!folder)
        return errno == ENOENT || errno == ENOTDIR ? FOLDER_EMPTY : FOLDER_UNCLEAR;
    while (found == FOLDER_EMPTY && (entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            found = FOLDER_USED;
    closedir(folder);
    return found;
}

static void examine_systemd(struct door *door, const struct member *member)
{
    static const char *const folders[] = { ".config/systemd/user", ".local/share/systemd/user", NULL };
    char path[512], mend[DOOR_TEXT_SIZE], word[DOOR_WORD_SIZE];

    snprintf(path, sizeof path, "/var/lib/systemd/linger/%s", member->name);
    if (access(path, F_OK) == 0) {
        bool runs = doctor_has_systemd();
        snprintf(mend, sizeof mend, "%s %s", runs ? "loginctl disable-linger" : "rm",
                 door_word(word, runs ? member->name : path));
        door_open(door, mend, "%s has a systemd of their own that runs without a login", member->name);
    }
    for (size_t i = 0; folders[i]; i++) {
        snprintf(path, sizeof path, "%s/%s", member->home, folders[i]);
        int found = probe_do(&member->as, look_into, path);
        if (found == FOLDER_EMPTY)
            continue;
        /* As the user: whatever the path has become since, root would follow it. */
        if (found == FOLDER_USED) {
            snprintf(mend, sizeof mend, "setpriv --reuid=%u --clear-groups rm -r %s", (unsigned)member->as.uid,
                     door_word(word, path));
            door_open(door, mend, "%s has units for systemd --user in %s", member->name, path);
        } else {
            door_unknown(door, "look at the folder by hand", "%s cannot be looked at as %s", path, member->name);
        }
    }
}

void doors_accounts(struct doors *doors, const struct members *members)
{
    struct door *group = door_add(doors, "accounts.group", "%zu accounts are under the gate (group " VG_GATE_GROUP ")",
                                  members->n);
    struct door *shell = door_add(doors, "accounts.shell", "their login shell is " VG_SHELL_PATH);
    struct door *groups = door_add(doors, "accounts.groups", "none is in a group that is worth a console");
    struct door *cron = door_add(doors, "accounts.cron", "none has or may have jobs of cron or at");
    struct door *systemd = door_add(doors, "accounts.systemd", "none has units for systemd --user or a lingering one");

    if (members->n == 0)
        door_unknown(group, "virtgatectl adduser NAME",
                     "nobody is in group " VG_GATE_GROUP ", so there is nobody to try the doors as");
    for (size_t i = 0; i < members->n; i++) {
        examine_shell(shell, &members->list[i]);
        examine_groups(groups, &members->list[i]);
        examine_cron(cron, &members->list[i]);
        examine_systemd(systemd, &members->list[i]);
    }
}
