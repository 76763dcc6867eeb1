/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* docs.kernel.org/userspace-api/landlock.html: a ruleset lists the rights that it handles; without rules, each of them
 * is denied. What a kernel can handle grows from version to version (files since 5.13, TCP since 6.7, abstract sockets
 * and signals since 6.12, pathname sockets later), and a right that is unknown to it is an error. So the kernel is
 * asked for each right: what a later one learns to deny is denied without a new release of ours. */
#include "confine/confine_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

/* linux/landlock.h of Linux 6.12; that of the build machine may be older. */
struct ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

/* A kernel that knows a smaller structure takes this one as long as the rest is zero. */
static int create(const struct ruleset *ruleset)
{
    return (int)syscall(SYS_landlock_create_ruleset, ruleset, sizeof *ruleset, 0);
}

/* Sets each of the first n bits of *field, which is a part of ruleset, that the kernel takes. They have no gaps. */
static void ask_bits(struct ruleset *ruleset, uint64_t *field, unsigned n)
{
    for (unsigned bit = 0; bit < n; bit++) {
        uint64_t known = *field;
        *field |= (uint64_t)1 << bit;
        int fd = create(ruleset);
        if (fd < 0) {
            *field = known;
            return;
        }
        close(fd);
    }
}

static int restrict_self(int ruleset_fd)
{
    return syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0 ? -errno : 0;
}

/* 0; -ENOSYS; -EOPNOTSUPP: built in, but switched off at boot. */
static int ask_kernel(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0 ? -errno : 0;
}

int confine_landlock(void)
{
    struct ruleset ruleset = { 0 };
    int r = ask_kernel();

    if (r < 0)
        return r == -EOPNOTSUPP ? -ENOSYS : r;
    ask_bits(&ruleset, &ruleset.handled_access_fs, 64);
    ask_bits(&ruleset, &ruleset.handled_access_net, 64);
    ask_bits(&ruleset, &ruleset.scoped, 64);
    FD_AUTO fd = create(&ruleset);
    return fd < 0 ? -errno : restrict_self(fd);
}

/* --- a login ----------------------------------------------------------------------------------------------------- */

#define EXECUTE ((uint64_t)1 << 0)
#define WRITE_FILE ((uint64_t)1 << 1)
#define READ_FILE ((uint64_t)1 << 2)
#define READ_DIR ((uint64_t)1 << 3)
#define TRUNCATE ((uint64_t)1 << 14)
#define IOCTL_DEV ((uint64_t)1 << 15)
#define RESOLVE_UNIX ((uint64_t)1 << 16) /* connect to a socket in the file system: ABI 9 */
#define DEVICE (READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV)
#define FS_BITS 17                       /* what a later kernel can deny may be what a login needs */

static const struct place {
    const char *path;
    uint64_t rights;
} places[] = {
    { "/etc", READ_FILE | READ_DIR },            /* ld.so.cache, passwd, locale, terminfo */
    { "/usr/share", READ_FILE | READ_DIR },      /* zoneinfo, terminfo, messages */
    { "/usr/lib/locale", READ_FILE | READ_DIR },
    { "/lib/terminfo", READ_FILE | READ_DIR },
    { "/proc", READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE }, /* attr/exec: SELinux */
    { "/dev/null", DEVICE },                     /* by name: /dev/net/tun is a network, /dev/shm is everybody's to write */
    { "/dev/zero", DEVICE },
    { "/dev/full", DEVICE },
    { "/dev/random", DEVICE },
    { "/dev/urandom", DEVICE },
    { "/dev/tty", DEVICE },
    { "/dev/pts", DEVICE },
    { "/dev", RESOLVE_UNIX },                    /* log */
    { "/run", RESOLVE_UNIX },                    /* what confine_mounts_login() left of it */
    { VG_RUNDIR, RESOLVE_UNIX },
};

static int allow(int ruleset_fd, const struct ruleset *ruleset, const char *path, uint64_t rights)
{
    FD_AUTO fd = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = { rights & ruleset->handled_access_fs, fd };

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!rule.allowed_access)
        return 0; /* the kernel cannot deny it */
    return syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

int confine_landlock_login(const char *const programs[], size_t n, const char *libraries)
{
    struct ruleset ruleset = { 0 };
    int r = ask_kernel();

    if (r < 0)
        return r;
    ask_bits(&ruleset, &ruleset.handled_access_fs, FS_BITS);
    ask_bits(&ruleset, &ruleset.handled_access_net, 64);
    ask_bits(&ruleset, &ruleset.scoped, 64);
    FD_AUTO fd = create(&ruleset);
    if (fd < 0)
        return -errno;
    r = allow(fd, &ruleset, libraries, READ_FILE | READ_DIR);
    for (size_t i = 0; r == 0 && i < sizeof places / sizeof places[0]; i++)
        r = allow(fd, &ruleset, places[i].path, places[i].rights);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (programs[i] && programs[i][0])
            r = allow(fd, &ruleset, programs[i], EXECUTE | READ_FILE);
    return r < 0 ? r : restrict_self(fd);
}
