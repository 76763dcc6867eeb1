/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a gate user's login asks of Landlock on kernels of every version: this program answers in the kernel's place. What the
 * stages do to a real login is tried through sshd (tests/e2e/test_pam_confined.py). */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine/confine.h"
#include "confine/confine_impl.h"

#define EXECUTE 1U
#define WRITES (1U << 1 | 0x3ff0U | 1U << 14) /* to a file, to folders, truncation */
#define PROGRAM "/bin/true"
#define LIBRARIES "/usr/share/doc" /* in the place of a folder of libraries: it is there */

/* What a version knows: rights on files, of networks, and scopes. */
static const struct version {
    uint64_t fs, net, scoped;
} versions[] = {
    [1] = { 0x1fff, 0, 0 }, [2] = { 0x3fff, 0, 0 }, [3] = { 0x7fff, 0, 0 }, [4] = { 0x7fff, 3, 0 },
    [5] = { 0xffff, 3, 0 }, [6] = { 0xffff, 3, 3 }, [9] = { 0x1ffff, 3, 3 }, [10] = { 0xfffff, 0xff, 0xff },
};

static struct {
    const struct version *version;
    int error;               /* in the place of a version */
    uint64_t handled[3];     /* of the last ruleset */
    unsigned n_rules, n_restricted;
    bool execute_elsewhere;  /* a rule lets run what is not the program */
    bool write_elsewhere;    /* or write what is no terminal and the like, nor in /proc */
    bool beyond;             /* a rule has what the ruleset does not handle */
} kernel;

static bool is_path(int fd, const char *path)
{
    char link[64], at[PATH_MAX] = "", real[PATH_MAX];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, at, sizeof at - 1) > 0 && realpath(path, real) && strcmp(at, real) == 0;
}

/* By name, since a folder of devices has networks and memory in it as well. */
static bool may_be_written(int fd)
{
    static const char *const those[] = { "/proc", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
                                         "/dev/tty", "/dev/pts" };

    for (size_t i = 0; i < sizeof those / sizeof those[0]; i++)
        if (is_path(fd, those[i]))
            return true;
    return false;
}

static long create_ruleset(const uint64_t *attr)
{
    memcpy(kernel.handled, attr, sizeof kernel.handled);
    if (attr[0] & ~kernel.version->fs || attr[1] & ~kernel.version->net || attr[2] & ~kernel.version->scoped) {
        errno = EINVAL; /* E2BIG where the structure was smaller */
        return -1;
    }
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static long add_rule(const struct landlock_path_beneath_attr *rule)
{
    kernel.n_rules++;
    kernel.beyond |= (rule->allowed_access & ~kernel.handled[0]) != 0;
    kernel.execute_elsewhere |= (rule->allowed_access & EXECUTE) && !is_path(rule->parent_fd, PROGRAM);
    kernel.write_elsewhere |= (rule->allowed_access & WRITES) && !may_be_written(rule->parent_fd);
    return 0;
}

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list args;
    const void *first, *third;

    va_start(args, number);
    if (number == SYS_landlock_create_ruleset) {
        first = va_arg(args, const void *);
        va_end(args);
        if (kernel.error) {
            errno = kernel.error;
            return -1;
        }
        return first ? create_ruleset(first) : (long)(kernel.version - versions);
    }
    if (number == SYS_landlock_add_rule) {
        (void)va_arg(args, int);
        (void)va_arg(args, int);
        third = va_arg(args, const void *);
        va_end(args);
        return add_rule(third);
    }
    va_end(args);
    assert_int_equal(number, SYS_landlock_restrict_self);
    kernel.n_restricted++;
    return 0;
}

static int confine(const struct version *version, int error)
{
    const char *const programs[] = { PROGRAM, "/nowhere/gate", NULL, "" };

    memset(&kernel, 0, sizeof kernel);
    kernel.version = version;
    kernel.error = error;
    return confine_landlock_login(programs, 4, LIBRARIES);
}

static void every_version_denies_what_it_can(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        const struct version *version = &versions[i];
        if (!version->fs)
            continue;
        assert_int_equal(confine(version, 0), 0);
        assert_int_equal(kernel.n_restricted, 1);
        /* Files as far as is known what a login needs; the rest whatever there is. */
        assert_int_equal(kernel.handled[0], version->fs & 0x1ffff);
        assert_int_equal(kernel.handled[1], version->net);
        assert_int_equal(kernel.handled[2], version->scoped);
        assert_true(kernel.n_rules >= 5);
        assert_false(kernel.beyond || kernel.execute_elsewhere || kernel.write_elsewhere);
    }
}

static void no_landlock_is_said(void **state)
{
    (void)state;
    assert_int_equal(confine(NULL, ENOSYS), -ENOSYS);
    assert_int_equal(kernel.n_restricted, 0);
    assert_int_equal(confine(NULL, EOPNOTSUPP), -EOPNOTSUPP);
    assert_int_equal(kernel.n_restricted, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_denies_what_it_can),
        cmocka_unit_test(no_landlock_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
