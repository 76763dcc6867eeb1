/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "confine/confine.h"
#include "confine/confine_impl.h"

#define RUN "/run"
#define COVER_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* What the host mounts and unmounts later goes on in here, or a session would hold on to each disk of its time. */
static int new_mounts(void)
{
    return unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? -errno : 0;
}

/* Makes the folders of path below RUN, which is empty. */
static int make_folders(const char *path)
{
    char at[108];

    if (strlen(path) >= sizeof at)
        return -ENAMETOOLONG;
    for (const char *slash = strchr(path + strlen(RUN) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(at, sizeof at, "%.*s", (int)(slash - path), path);
        if ((mkdir(at, 0755) < 0 && errno != EEXIST) || chmod(at, 0755) < 0)
            return -errno;
    }
    return 0;
}

/* Mounts what fd was opened on at path. */
static int bring_back(int fd, const char *path)
{
    char source[32];
    struct stat st;
    int r = make_folders(path);

    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode) ? mkdir(path, 0755) < 0 : mknod(path, S_IFREG | 0600, 0) < 0)
        return -errno;
    snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
    return mount(source, path, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

/* A folder or socket that stays, when it is there and below RUN. Opened while it can be seen, in the new mounts. */
struct kept {
    char *path;
    int fd;
};

static void keep(struct kept *kept, const char *path)
{
    *kept = (struct kept){ realpath(path, NULL), -1 };
    if (kept->path && strncmp(kept->path, RUN "/", strlen(RUN "/")) == 0)
        kept->fd = open(kept->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* Nothing is in the folder any more. 0, also where there is no such folder. */
static int cover(const char *folder, const char *mode)
{
    return mount("virtgate", folder, "tmpfs", COVER_FLAGS | MS_RDONLY, mode) < 0 && errno != ENOENT ? -errno : 0;
}

/* Who may only look whether a name is there, which no later stage refuses, finds machines by their images, logs, network
 * devices and control groups. */
static int cover_names(void)
{
    static const char *const folders[] = { "/etc/libvirt", "/sys", "/var/cache/libvirt", "/var/lib/libvirt", "/var/log/libvirt" };
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof folders / sizeof folders[0]; i++)
        r = cover(folders[i], "mode=0755,size=4k,nr_inodes=2");
    return r;
}

static int cover_run(struct kept *kept, size_t n)
{
    int r = 0;

    if (mount("virtgate", RUN, "tmpfs", COVER_FLAGS, "mode=0755,size=64k,nr_inodes=64") < 0)
        return -errno;
    for (size_t i = 0; r == 0 && i < n; i++)
        if (kept[i].fd >= 0)
            r = bring_back(kept[i].fd, kept[i].path);
    if (r == 0 && mount(NULL, RUN, NULL, MS_REMOUNT | MS_RDONLY | COVER_FLAGS, NULL) < 0)
        r = -errno;
    return r;
}

/* Other accounts' processes tell much by their command lines: QEMU's has the machine's name, uuid and port. An instance of its
 * own since Linux 5.8; before that, the options of the host's stay as they are, and so does what is seen. */
static int cover_proc(void)
{
    return mount("proc", "/proc", "proc", COVER_FLAGS, "hidepid=2") < 0 ? -errno : 0;
}

int confine_mounts_login(void)
{
    struct kept kept[2];
    int r = new_mounts();

    if (r < 0)
        return r;
    keep(&kept[0], VG_RUNDIR);
    keep(&kept[1], "/dev/log"); /* journald's, with systemd */
    r = cover_run(kept, 2);
    if (r == 0)
        r = cover_names();
    if (r == 0)
        r = cover_proc();
    for (size_t i = 0; i < 2; i++) {
        fd_close(&kept[i].fd);
        free(kept[i].path);
    }
    return r;
}

int confine_hide(const char *folder)
{
    int r = new_mounts();

    return r < 0 ? r : cover(folder, "mode=0700,size=4k,nr_inodes=2");
}

int confine_network(void)
{
    return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
}
