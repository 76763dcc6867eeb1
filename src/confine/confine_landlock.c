/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* docs.kernel.org/userspace-api/landlock.html: a ruleset lists the rights that it handles; without rules, each of them
 * is denied. What a kernel can handle grows from version to version (files since 5.13, TCP since 6.7, abstract sockets
 * and signals since 6.12, pathname sockets later), and a right that is unknown to it is an error. So the kernel is
 * asked for each right: what a later one learns to deny is denied without a new release of ours. */
#include "confine/confine_impl.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* Sets each bit of *field, which is a part of ruleset, that the kernel takes. They have no gaps. */
static void ask_bits(struct ruleset *ruleset, uint64_t *field)
{
    for (unsigned bit = 0; bit < 64; bit++) {
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

static int restrict_self(const struct ruleset *ruleset)
{
    int fd = create(ruleset), r = 0;

    if (fd < 0)
        return -errno;
    if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        r = -errno;
    close(fd);
    return r;
}

int confine_landlock(void)
{
    struct ruleset ruleset = { 0 };

    if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0)
        return errno == EOPNOTSUPP ? -ENOSYS : -errno; /* built in, but switched off at boot */
    ask_bits(&ruleset, &ruleset.handled_access_fs);
    ask_bits(&ruleset, &ruleset.handled_access_net);
    ask_bits(&ruleset, &ruleset.scoped);
    return restrict_self(&ruleset);
}
