/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/login_of.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"

#define PROC_TEXT_MAX 16384

static int open_process(const struct peer *peer, int *ret_dir)
{
    struct pollfd alive = { .fd = peer->pidfd, .events = POLLIN };
    char path[32];

    if (peer->pid <= 0 || peer->pidfd < 0)
        return -ESRCH; /* of another pid namespace, or the kernel has no pidfd */
    snprintf(path, sizeof path, "/proc/%d", (int)peer->pid);
    FD_AUTO dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    if (poll(&alive, 1, 0) != 0)
        return -ESRCH;
    *ret_dir = dir;
    dir = -1;
    return 0;
}

static int read_entry(int dir, const char *name, char **ret)
{
    FD_AUTO fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    size_t len;

    return fd < 0 ? -errno : io_read_all(fd, PROC_TEXT_MAX, ret, &len);
}

/* The number behind "\nNAME:\t" of /proc/PID/status, in which a newline cannot be part of a value; -1: none. */
static long long status_number(const char *status, const char *name)
{
    const char *at = strstr(status, name);

    return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

/* 1: of that account and confined; 0: of that account; -EPERM: another account's by now. */
static int look_at_status(int dir, uid_t uid)
{
    char *status;
    int r = read_entry(dir, "status", &status);

    if (r < 0)
        return r;
    if (status_number(status, "\nUid:\t") != (long long)uid)
        r = -EPERM;
    else
        r = status_number(status, "\nNoNewPrivs:\t") == 1 && status_number(status, "\nSeccomp:\t") == 2;
    free(status);
    return r;
}

static int session_of(int dir, uint32_t *ret)
{
    char *text;
    uint64_t n;
    int r = read_entry(dir, "sessionid", &text);

    if (r < 0)
        return r;
    r = io_parse_number(text, strcspn(text, "\n"), 0, LOGIN_NO_SESSION - 1, &n);
    free(text);
    if (r < 0)
        return -ENOENT; /* not of a login */
    *ret = (uint32_t)n;
    return 0;
}

static int read_record(uint32_t session, struct login *ret)
{
    char path[sizeof LOGIN_FOLDER + 16], why[PATH_WHY_SIZE], *text;
    FD_AUTO fd = -1;
    size_t len;

    snprintf(path, sizeof path, LOGIN_FOLDER "/%" PRIu32, session);
    int r = path_open_trusted(path, false, 0, &fd, why);
    if (r == 0)
        r = io_read_all(fd, LOGIN_TEXT_SIZE, &text, &len);
    if (r < 0)
        return r;
    r = login_decode(text, len, ret);
    free(text);
    return r;
}

int login_of_peer(const struct peer *peer, struct login *ret)
{
    struct login login;
    uint32_t session;
    FD_AUTO dir = -1;
    int confined = 0;
    int r = open_process(peer, &dir);

    if (r == 0)
        r = confined = look_at_status(dir, peer->uid);
    if (r >= 0)
        r = session_of(dir, &session);
    if (r == 0)
        r = read_record(session, &login);
    if (r < 0)
        return r;
    if (login.session != session || login.uid != peer->uid)
        return -EPERM;
    login.confined = login.confined && confined;
    *ret = login;
    return 0;
}
