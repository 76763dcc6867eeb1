/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Neither fcntl.h nor syslog.h: their inline functions have the names of those below. */
#include "pam_host.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine/confine_impl.h"
#include "wire/login.h"

struct pam_host host;

/* --- accounts ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *shell;
    uid_t uid;
    bool gated;
} accounts[] = {
    { "root", "/bin/bash", 0, true }, /* it is above the gate, whatever its groups */
    { "alice", "/bin/bash", 40001, true },
    { "mallory", "/bin/bash", 40002, true },
    { "carol", "/bin/bash", 40003, false },
    { "shelly", VG_SHELL_PATH, 40004, false },
};

int getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size, struct passwd **ret)
{
    (void)buffer;
    (void)size;
    *ret = NULL;
    for (size_t i = 0; i < sizeof accounts / sizeof accounts[0]; i++)
        if (strcmp(accounts[i].name, name) == 0) {
            *entry = (struct passwd){ .pw_uid = accounts[i].uid, .pw_gid = accounts[i].uid };
            entry->pw_name = (char *)(uintptr_t)accounts[i].name;
            entry->pw_shell = (char *)(uintptr_t)accounts[i].shell;
            *ret = entry;
        }
    return 0;
}

int getgrnam_r(const char *name, struct group *entry, char *buffer, size_t size, struct group **ret)
{
    (void)buffer;
    (void)size;
    *ret = NULL;
    if (host.nss_error)
        return host.nss_error;
    *entry = (struct group){ .gr_name = (char *)(uintptr_t)HOST_GROUP, .gr_gid = HOST_GROUP_GID };
    if (strcmp(name, HOST_GROUP) == 0)
        *ret = entry;
    return 0;
}

int getgrgid_r(gid_t gid, struct group *entry, char *buffer, size_t size, struct group **ret)
{
    *ret = NULL;
    if (host.nss_error)
        return host.nss_error;
    if (host.nameless)
        return 0;
    if (gid == HOST_GROUP_GID)
        return getgrnam_r(HOST_GROUP, entry, buffer, size, ret);
    snprintf(buffer, size, "g%u", gid);
    *entry = (struct group){ .gr_name = buffer, .gr_gid = gid };
    *ret = entry;
    return 0;
}

int getgrouplist(const char *name, gid_t gid, gid_t *groups, int *n)
{
    *n = 0;
    groups[(*n)++] = gid;
    for (size_t i = 0; i < sizeof accounts / sizeof accounts[0]; i++)
        if (accounts[i].gated && strcmp(accounts[i].name, name) == 0)
            groups[(*n)++] = HOST_GROUP_GID;
    return *n;
}

/* --- files --------------------------------------------------------------------------------------------------------- */

/* What the tests write is root's. */
int fstat(int fd, struct stat *st)
{
    int r = fstatat(fd, "", st, 0x1000 /* AT_EMPTY_PATH */);

    if (r == 0)
        st->st_uid = 0;
    return r;
}

static int open_sessionid(const char *path, int flags)
{
    char text[256], own[64];

    snprintf(own, sizeof own, "/proc/%d/sessionid", (int)getpid());
    unsigned session = strcmp(path, own) == 0 ? host.session : host.parent;
    snprintf(text, sizeof text, "%s/sessionid", host.folder);
    FILE *file = fopen(text, "w");
    if (!file)
        return -1;
    fprintf(file, "%u", session ? session : UINT32_MAX);
    fclose(file);
    return (int)syscall(SYS_openat, -100 /* AT_FDCWD */, text, flags, 0);
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    char login[128];

    if (strncmp(path, "/proc/", 6) == 0 && strstr(path, "/sessionid"))
        return open_sessionid(path, flags);
    if (strcmp(path, LOGIN_FOLDER) == 0) {
        snprintf(login, sizeof login, "%s/login", host.folder);
        path = login;
    }
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...);
int openat(int dir, const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t); /* nonsense where there is none, and then not looked at */
    va_end(args);
    return open_at(dir, path, flags, mode);
}

int __openat_2(int dir, const char *path, int flags);
int __openat_2(int dir, const char *path, int flags)
{
    return open_at(dir, path, flags, 0);
}

/* Nothing outside the test's folder is made. */
int mkdir(const char *path, mode_t mode)
{
    (void)path;
    (void)mode;
    errno = EACCES;
    return -1;
}

int unshare(int flags);
int unshare(int flags)
{
    (void)flags;
    errno = EPERM; /* so that a confinement lacks something, for root as well */
    return -1;
}

/* --- the log ------------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 0))) static void keep(const char *format, va_list args)
{
    size_t len = strlen(host.log);

    vsnprintf(host.log + len, sizeof host.log - len, format, args);
}

void syslog(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void syslog(int priority, const char *format, ...)
{
    va_list args;

    (void)priority;
    va_start(args, format);
    keep(format, args);
    va_end(args);
}

void __syslog_chk(int priority, int flag, const char *format, ...) __attribute__((format(printf, 3, 4)));
void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list args;

    (void)priority;
    (void)flag;
    va_start(args, format);
    keep(format, args);
    va_end(args);
}

/* libpam's: the machine's audit has nothing of this, as on a kernel without. */
int audit_open(void);
int audit_open(void)
{
    errno = EPROTONOSUPPORT;
    return -1;
}

/* --- memory -------------------------------------------------------------------------------------------------------- */

#if !CONFINE_SANITIZED && defined(__GLIBC__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static bool fails(void)
{
    if (!host.counted || ++host.n_calls < host.fail_at || !host.fail_at || (host.n_calls > host.fail_at && !host.fail_on))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}
#endif
