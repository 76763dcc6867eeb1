/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "setup/services.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "doctor/doctor.h"
#include "setup/ledger.h"
#include "setup/say.h"

#define SYSTEMCTL "/usr/bin/systemctl"
#define FOLDER VG_LIBVIRT_RUNDIR

/* --- sshd -------------------------------------------------------------------------------------------------------------- */

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
    for (int i = 0; i < 500; i++) {
        if (heeds_hangup(process->pid)) {
            kill(process->pid, SIGHUP);
            return;
        }
        poll(NULL, 0, 20);
    }
    setup_say(0, "sshd (pid %ld) does not heed SIGHUP; reload it by hand", (long)process->pid);
}

void services_reload_sshd(void)
{
    static const char *const sshd[] = { "sshd", NULL };

    process_each(sshd, hang_up, NULL);
}

/* --- libvirt's read-only sockets --------------------------------------------------------------------------------------- */

void services_reload_units(void)
{
    static const char *const reload[] = { SYSTEMCTL, "daemon-reload", NULL };

    if (doctor_has_systemd())
        setup_run(reload);
}

static bool is_readonly(const char *name)
{
    size_t len = strlen(name);

    return len > 8 && strcmp(name + len - 8, "-sock-ro") == 0;
}

/* The folder is root's: nobody puts something else in the socket's place. */
static int close_socket(int folder, const char *name, const struct group *group)
{
    struct stat st;
    char noted[300];

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode) || (st.st_mode & 07) == 0)
        return 0;
    snprintf(noted, sizeof noted, "%04o %lu %.200s", st.st_mode & 07777, (unsigned long)st.st_gid, name);
    if (ledger_note("socket", noted) < 0)
        return -1;
    if (group && fchownat(folder, name, (uid_t)-1, group->gr_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    return fchmodat(folder, name, group ? 0770 : 0700, 0);
}

int services_close_sockets(void)
{
    const struct group *group = getgrnam("libvirt");
    const struct dirent *entry;
    int code = EX_OK;

    services_reload_units();
    DIR *folder = opendir(FOLDER);
    while (folder && (entry = readdir(folder)))
        if (is_readonly(entry->d_name) && close_socket(dirfd(folder), entry->d_name, group) < 0)
            code = setup_say(EX_OSERR, FOLDER "/%s cannot be closed", entry->d_name);
    if (folder)
        closedir(folder);
    return code;
}

int services_reopen_socket(const char *noted)
{
    unsigned mode;
    unsigned long gid;
    int at = 0;
    struct stat st;
    FD_AUTO folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (sscanf(noted, "%o %lu %n", &mode, &gid, &at) < 2 || at == 0 || strchr(noted + at, '/'))
        return 0;
    if (folder < 0 || fstatat(folder, noted + at, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode))
        return 0; /* libvirt has made it anew, or will */
    return fchownat(folder, noted + at, (uid_t)-1, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0 ||
           fchmodat(folder, noted + at, mode & 07777, 0) < 0;
}

/* --- units ------------------------------------------------------------------------------------------------------------- */

int services_enable(const char *unit)
{
    const char *const asked[] = { SYSTEMCTL, "is-enabled", "--quiet", unit, NULL };
    const char *const argv[] = { SYSTEMCTL, "enable", "--now", unit, NULL };
    char *said = NULL;
    int status = probe_run(asked, NULL, NULL, &said);

    free(said);
    if (status != 0 && ledger_note("unit", unit) < 0)
        return setup_say(EX_OSERR, LEDGER_DIR " cannot be written");
    return setup_run(argv);
}

int services_disable(const char *unit)
{
    const char *const argv[] = { SYSTEMCTL, "disable", "--now", unit, NULL };

    return doctor_has_systemd() && setup_run(argv) != EX_OK;
}
