/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "confine/confine.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* While still root: prctl() says EINVAL for the first number that is no capability. */
static int drop_bounding_set(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap) < 0)
            return -errno;
    return 0;
}

int confine_become(const char *account)
{
    int r;

    if (geteuid() != 0)
        return -EPERM;
    errno = 0;
    const struct passwd *entry = getpwnam(account);
    if (!entry)
        return errno ? -errno : -ENOENT;
    uid_t uid = entry->pw_uid;
    gid_t gid = entry->pw_gid;
    if (uid == 0)
        return -EPERM;
    if (initgroups(account, gid) < 0)
        return -errno;
    r = drop_bounding_set();
    if (r < 0)
        return r;
    if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    /* A success here would be the failure: the saved ids were kept. */
    if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0)
        return -EPERM;
    return 0;
}

int confine_self(void)
{
    static const struct rlimit none = { 0, 0 };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

int confine_to_parent(void)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}
