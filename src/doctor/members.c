/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/doctor.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

static void free_member(struct member *member)
{
    free(member->name);
    free(member->home);
    free(member->shell);
}

void members_free(struct members *members)
{
    for (size_t i = 0; i < members->n; i++)
        free_member(&members->list[i]);
    free(members->list);
    *members = (struct members){ 0 };
}

static bool is_in(const struct members *members, const char *name)
{
    for (size_t i = 0; i < members->n; i++)
        if (strcmp(members->list[i].name, name) == 0)
            return true;
    return false;
}

static int add(struct members *members, const struct passwd *account)
{
    struct member *list = reallocarray(members->list, members->n + 1, sizeof *list), new = { 0 };
    int n = PROBE_MAX_GROUPS;

    if (!list)
        return -ENOMEM;
    members->list = list;
    new.name = strdup(account->pw_name);
    new.home = strdup(account->pw_dir);
    new.shell = strdup(account->pw_shell);
    if (!new.name || !new.home || !new.shell) {
        free_member(&new);
        return -ENOMEM;
    }
    new.as.uid = account->pw_uid;
    new.as.gid = account->pw_gid;
    if (getgrouplist(new.name, new.as.gid, new.as.groups, &n) < 0)
        n = PROBE_MAX_GROUPS; /* the array is full; the rest is left out */
    new.as.n_groups = (size_t)n;
    members->list[members->n++] = new;
    return 0;
}

/* Names first: getpwnam() in the loop could overwrite what getgrnam() returned. */
static char **copy_names(const struct group *group)
{
    size_t n = 0;

    while (group->gr_mem[n])
        n++;
    char **names = calloc(n + 1, sizeof *names);
    for (size_t i = 0; names && i < n; i++)
        names[i] = strdup(group->gr_mem[i]);
    return names;
}

static int add_listed(struct members *members, const struct group *group)
{
    char **names = copy_names(group);
    int r = names ? 0 : -ENOMEM;

    for (size_t i = 0; names && names[i]; i++) {
        const struct passwd *account = r == 0 && !is_in(members, names[i]) ? getpwnam(names[i]) : NULL;
        if (account)
            r = add(members, account);
        free(names[i]);
    }
    free(names);
    return r;
}

int members_read(struct members *ret)
{
    struct members members = { 0 };
    const struct group *group = getgrnam(VG_GATE_GROUP);
    const struct passwd *account;
    gid_t gid = group ? group->gr_gid : 0;
    int r = group ? add_listed(&members, group) : 0;

    setpwent();
    while (r == 0 && group && (account = getpwent()))
        if (account->pw_gid == gid && !is_in(&members, account->pw_name))
            r = add(&members, account);
    endpwent();
    if (r < 0)
        members_free(&members);
    *ret = members;
    return r;
}
