/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* firewall on|off|show: the host lock. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "ctl/ctl.h"
#include "host/lock.h"

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "virtgatectl: firewall: %s: %s\n", what, why);
    return EX_CONFIG;
}

/* --- whom it lets through ---------------------------------------------------------------------------------------- */

static int full(int r)
{
    return r < 0 ? complain("--allow", "there is no room for so many accounts") : EX_OK;
}

static int allow_group(struct lock *lock, const char *name)
{
    const struct group *group = getgrnam(name);

    if (!group) {
        complain(name, "there is no such group");
        return EX_NOUSER;
    }
    int r = lock_add_gid(lock, group->gr_gid);
    for (char **member = group->gr_mem; r == 0 && *member; member++) {
        const struct passwd *account = getpwnam(*member);
        if (account)
            r = lock_add_uid(lock, account->pw_uid);
    }
    return full(r);
}

static int allow_account(struct lock *lock, const char *name)
{
    const struct passwd *account = getpwnam(name);

    if (!account) {
        complain(name, "there is no such account");
        return EX_NOUSER;
    }
    return full(lock_add_uid(lock, account->pw_uid));
}

/* NAME,@GROUP,... */
static int allow_list(struct lock *lock, const char *list)
{
    char *copy = strdup(list), *rest = copy, *name;
    int code = copy ? EX_OK : EX_OSERR;

    while (code == EX_OK && (name = strsep(&rest, ",")))
        code = name[0] == '@' ? allow_group(lock, name + 1) : allow_account(lock, name);
    free(copy);
    return code;
}

/* QEMU's account, as qemu.conf has it; without a word there, the one that the distribution made. */
static int allow_qemu(struct lock *lock, const char *user)
{
    static const char *const usual[] = { "libvirt-qemu", "qemu" };
    uint64_t uid;

    if (user[0] == '+' || (user[0] >= '0' && user[0] <= '9')) {
        const char *digits = user + (user[0] == '+');
        if (io_parse_number(digits, strlen(digits), 0, UINT32_MAX - 1, &uid) < 0)
            return complain(QEMU_CONF, "expected the name or number of an account after user");
        return full(lock_add_uid(lock, (uid_t)uid));
    }
    if (user[0])
        return allow_account(lock, user);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (getpwnam(usual[i]))
            return allow_account(lock, usual[i]);
    return EX_OK;
}

/* --- on ---------------------------------------------------------------------------------------------------------- */

static int read_ports(struct lock *lock, const struct ctl *ctl, const struct qemu_conf *conf)
{
    /* The first two always have room. */
    lock_add_ports(lock, conf->display);
    lock_add_ports(lock, conf->websocket);
    if (ctl->ports && lock_parse_ports(lock, ctl->ports) < 0)
        return ctl_usage_error(ctl, "--ports: expected ports or ranges of them, such as 7000,7100-7199");
    return EX_OK;
}

static int read_lock(struct lock *lock, const struct ctl *ctl)
{
    char why[QEMU_CONF_WHY_SIZE];
    struct qemu_conf conf;

    if (qemu_conf_read(&conf, why) < 0)
        return complain(QEMU_CONF, why);
    int code = read_ports(lock, ctl, &conf);
    if (code == EX_OK)
        code = allow_qemu(lock, conf.user);
    if (code == EX_OK)
        code = allow_account(lock, VG_BROKER_USER);
    if (code == EX_OK && ctl->allow)
        code = allow_list(lock, ctl->allow);
    return code;
}

static int failed(int r)
{
    if (r == -EPERM)
        fputs("virtgatectl: firewall: only root can do this\n", stderr);
    else if (r != -EIO) /* nftables has spoken */
        fprintf(stderr, "virtgatectl: firewall: %s\n", strerror(-r));
    return r == -EPERM ? EX_NOPERM : EX_OSERR;
}

static int on(const struct ctl *ctl)
{
    struct lock lock = { 0 };

    if (!ctl->dry_run && geteuid() != 0)
        return failed(-EPERM);
    int code = read_lock(&lock, ctl);
    if (code != EX_OK)
        return code;
    if (ctl->dry_run) {
        lock_write(stdout, LOCK_TABLE, &lock);
        return EX_OK;
    }
    int r = lock_load(&lock, stderr);
    if (r < 0)
        return failed(r);
    fputs("the host lock is on; ports", stdout);
    for (size_t i = 0; i < lock.n_ports; i++)
        printf("%s %u-%u", i ? "," : "", lock.ports[i].first, lock.ports[i].last);
    putchar('\n');
    return EX_OK;
}

/* --- off, show --------------------------------------------------------------------------------------------------- */

static int off(void)
{
    int r = lock_remove(stderr);

    if (r < 0)
        return failed(r);
    puts("the host lock is off");
    return EX_OK;
}

static int show(void)
{
    int r = lock_print(stdout, stderr);

    if (r == -ENOENT) {
        fputs("virtgatectl: firewall: the host lock is off\n", stderr);
        return EX_UNAVAILABLE;
    }
    return r == 0 ? EX_OK : failed(r);
}

int ctl_firewall(const struct ctl *ctl)
{
    const char *verb = ctl->argc == 1 ? ctl->argv[0] : "";
    bool is_on = strcmp(verb, "on") == 0;

    if (!is_on && (ctl->allow || ctl->ports || ctl->dry_run))
        return ctl_usage_error(ctl, "--allow, --ports and --dry-run belong to on");
    if (is_on)
        return on(ctl);
    if (strcmp(verb, "off") == 0)
        return off();
    if (strcmp(verb, "show") == 0)
        return show();
    return ctl_usage_error(ctl, "expected on, off or show");
}
