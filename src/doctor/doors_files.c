/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* files.*: what lies about. */
#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor/doctor.h"
#include "policy/policy.h"

static void examine_acl(struct door *door)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;
    int r = policy_load(VG_SYSCONFDIR, 0, &policy, &errors);

    if (r < 0 && errors.n > 0)
        door_open(door, "virtgatectl check, mend it, virtgatectl reload", "%s:%u %s", errors.list[0].file,
                  errors.list[0].line, errors.list[0].message);
    else if (r < 0)
        door_open(door, "virtgatectl check", VG_SYSCONFDIR ": %s", strerror(-r));
    policy_errors_free(&errors);
    policy_free(policy);
}

static void examine_broker_socket(struct door *door)
{
    static const char path[] = VG_RUNDIR "/broker.sock";
    struct stat st;

    if (lstat(VG_RUNDIR, &st) == 0 && (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH))))
        door_open(door, "chown root:root " VG_RUNDIR "; chmod 0755 " VG_RUNDIR,
                  VG_RUNDIR " is not root's alone, so somebody else can put a socket there");
    if (probe_unix(&probe_nobody, path, SOCK_SEQPACKET) == PROBE_REACHED)
        door_open(door, "chmod 0660 " VG_RUNDIR "/broker.sock",
                  "every account of this host can connect to %s", path);
}

static void examine_program(struct door *door, const char *path)
{
    char mend[DOOR_TEXT_SIZE];
    struct stat st;

    snprintf(mend, sizeof mend, "chown root:root %s && chmod 0755 %s, and install virtgate again: it may be another program",
             path, path);
    if (stat(path, &st) < 0)
        door_open(door, mend, "%s: %s", path, strerror(errno));
    else if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
        door_open(door, mend, "%s can be written by others than root", path);
    else if (st.st_mode & (S_ISUID | S_ISGID))
        door_open(door, mend, "%s is setuid or setgid; no program of virtgate is", path);
}

/* --- what machines leave behind ---------------------------------------------------------------------------------- */

/* Memory that the process which tries shares with us. */
struct tried {
    unsigned n;
    char first[512];
};

/* nftw(3) has no argument for its caller. */
static struct tried *tried;

/* uid 65534 tries. Only by its real uid, so that root can go on to look what there is: a folder that cannot be listed hides
 * nothing from who knows the name. */
static int try_path(const char *path, const struct stat *st, int type, struct FTW *at)
{
    size_t len = strlen(path);

    (void)at;
    /* Numbers of processes say little, and lie open by libvirt's own will. */
    if (type != FTW_F || !S_ISREG(st->st_mode) || st->st_size == 0 || (len > 4 && strcmp(path + len - 4, ".pid") == 0))
        return 0;
    if (setresuid(probe_nobody.uid, (uid_t)-1, 0) < 0)
        return 1;
    if (access(path, R_OK) == 0 && tried->n++ == 0)
        snprintf(tried->first, sizeof tried->first, "%s", path);
    return setresuid(0, 0, 0) < 0;
}

/* In a process of its own: one of the folders may lie on a file system that does not answer. */
static int try_all(const void *arg)
{
    const char *const *folders = arg;

    if (setgroups(0, NULL) < 0 || setresgid(probe_nobody.gid, probe_nobody.gid, probe_nobody.gid) < 0)
        return 1;
    for (size_t i = 0; folders[i]; i++)
        if (nftw(folders[i], try_path, 16, FTW_PHYS) > 0)
            return 1;
    return 0;
}

static void examine_leftovers(struct door *door)
{
    static const char *const folders[] = {
        "/var/lib/libvirt/qemu", "/var/lib/libvirt/images", "/var/log/libvirt", "/var/cache/libvirt/qemu",
        VG_LIBVIRT_RUNDIR "/qemu", VG_LIBVIRT_CONFDIR "/qemu", VG_LIBVIRT_CONFDIR "/secrets", VG_SYSCONFDIR, NULL,
    };
    char mend[DOOR_TEXT_SIZE], word[DOOR_WORD_SIZE];

    tried = mmap(NULL, sizeof *tried, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tried == MAP_FAILED)
        return;
    if (probe_do(NULL, try_all, folders) != 0)
        door_unknown(door, "look which of libvirt's folders does not answer, or has too many files",
                     "the files of libvirt could not be tried within %d s", PROBE_SECONDS);
    snprintf(mend, sizeof mend, "chmod o-r %s", door_word(word, tried->first));
    if (tried->n > 0)
        door_open(door, mend, "every account of this host can read %.300s", tried->first);
    if (tried->n > 1)
        door->more = tried->n - 1;
    munmap(tried, sizeof *tried);
}

void doors_files(struct doors *doors)
{
    struct door *acl = door_add(doors, "files.acl", VG_SYSCONFDIR " is root's and without errors");
    struct door *broker = door_add(doors, "files.broker", VG_RUNDIR "/broker.sock is for the gate's group");
    struct door *programs = door_add(doors, "files.programs", "virtgate's programs are root's");
    struct door *leftovers = door_add(doors, "files.machines", "uid 65534 can read no disk, log or dump of a machine");

    examine_acl(acl);
    examine_broker_socket(broker);
    examine_program(programs, VG_SHELL_PATH);
    examine_program(programs, VG_SESSION_PATH);
    examine_program(programs, VG_RPC_PATH);
    examine_leftovers(leftovers);
}
