/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "login_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"

#define NAME_SIZE 16
#define GROUP_BUFFER 16384

/* Reads a short file, as a string. 0 or -errno. */
static int read_text(int dir, const char *path, char *out, size_t size)
{
    FD_AUTO fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

    if (n < 0)
        return -errno;
    out[n] = '\0';
    return 0;
}

static uint32_t session_of(pid_t pid)
{
    char path[40], text[32];
    uint64_t n;

    snprintf(path, sizeof path, "/proc/%d/sessionid", (int)pid);
    if (read_text(AT_FDCWD, path, text, sizeof text) < 0 ||
        io_parse_number(text, strcspn(text, "\n"), 0, UINT32_MAX, &n) < 0)
        return LOGIN_NO_SESSION;
    return (uint32_t)n;
}

uint32_t login_session(void)
{
    uint32_t session = session_of(getpid());

    return session == session_of(getppid()) ? LOGIN_NO_SESSION : session;
}

/* proc(5): the name, which may hold anything, is in brackets; the 20th field behind it is the start time. */
static int start_of(pid_t pid, uint64_t *ret)
{
    char path[32], text[1024], *at;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int r = read_text(AT_FDCWD, path, text, sizeof text);
    if (r < 0)
        return r;
    at = strrchr(text, ')');
    for (int i = 0; at && i < 20; i++)
        at = strchr(at + 1, ' ');
    return at ? io_parse_number(at + 1, strcspn(at + 1, " "), 0, UINT64_MAX, ret) : -EINVAL;
}

/* --- the folder -------------------------------------------------------------------------------------------------- */

/* As systemd-tmpfiles makes it. Files in it get its group. */
static int make_folder(int *ret_dir, char why[static PATH_WHY_SIZE])
{
    char buffer[GROUP_BUFFER];
    struct group entry, *broker = NULL;
    int r;

    if (mkdir(VG_RUNDIR, 0755) == 0)
        chmod(VG_RUNDIR, 0755); /* whatever the umask is */
    if (mkdir(LOGIN_FOLDER, 0700) < 0 && errno != EEXIST)
        return -errno;
    r = path_open_trusted(LOGIN_FOLDER, true, 0, ret_dir, why);
    if (r < 0)
        return r;
    getgrnam_r(VG_BROKER_USER, &entry, buffer, sizeof buffer, &broker);
    if (!broker || (fchown(*ret_dir, 0, entry.gr_gid) == 0 && fchmod(*ret_dir, 02750) == 0))
        return 0;
    r = -errno;
    fd_close(ret_dir);
    return r;
}

static int open_folder(int *ret_dir)
{
    char why[PATH_WHY_SIZE];
    int r = path_open_trusted(LOGIN_FOLDER, true, 0, ret_dir, why);

    return r == -ENOENT ? make_folder(ret_dir, why) : r;
}

/* --- sweeping ---------------------------------------------------------------------------------------------------- */

/* sshd's process was killed: nobody called close_session. */
static bool is_stale(int dir, const char *name)
{
    char text[LOGIN_TEXT_SIZE];
    struct login login;
    uint64_t started;

    if (read_text(dir, name, text, sizeof text) < 0)
        return false;
    if (login_decode(text, strlen(text), &login) < 0)
        return true;
    int r = start_of(login.pid, &started);
    return r == -ENOENT || r == -ESRCH || (r == 0 && started != login.started); /* out of memory or files says nothing */
}

static void sweep(int dir)
{
    int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);

    if (!folder) {
        fd_close(&copy);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && is_stale(dir, entry->d_name))
            unlinkat(dir, entry->d_name, 0);
    closedir(folder);
}

/* --- one record -------------------------------------------------------------------------------------------------- */

static void name_of(uint32_t session, char name[static NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%" PRIu32, session);
}

/* Whole, or not there: it gets its name when it is written. */
static int write_whole(int dir, const char *name, const char *text, size_t len)
{
    FD_AUTO fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0640);
    char path[40];

    if (fd < 0 || fchmod(fd, 0640) < 0)
        return -errno;
    int r = io_write_all(fd, text, len);
    if (r < 0)
        return r;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    unlinkat(dir, name, 0);
    return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int login_file_write(struct login *login)
{
    char text[LOGIN_TEXT_SIZE], name[NAME_SIZE];
    FD_AUTO dir = -1;
    size_t len;
    int r;

    login->pid = getpid();
    r = start_of(login->pid, &login->started);
    if (r == 0)
        r = login_encode(login, text, &len);
    if (r == 0)
        r = open_folder(&dir);
    if (r < 0)
        return r;
    sweep(dir);
    name_of(login->session, name);
    return write_whole(dir, name, text, len);
}

int login_file_open(uint32_t session, int *ret_fd)
{
    FD_AUTO dir = -1;
    char name[NAME_SIZE];
    int r = open_folder(&dir);

    if (r < 0)
        return r;
    name_of(session, name);
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int login_file_mark(int fd)
{
    off_t end = lseek(fd, 0, SEEK_END);

    if (end < (off_t)LOGIN_MARK_LEN)
        return end < 0 ? -errno : -EINVAL;
    ssize_t n = pwrite(fd, LOGIN_CONFINED_MARK, LOGIN_MARK_LEN, end - (off_t)LOGIN_MARK_LEN);
    return n == (ssize_t)LOGIN_MARK_LEN ? 0 : n < 0 ? -errno : -EIO;
}

void login_file_remove(uint32_t session)
{
    FD_AUTO dir = -1;
    char name[NAME_SIZE];

    if (open_folder(&dir) < 0)
        return;
    name_of(session, name);
    unlinkat(dir, name, 0);
}
