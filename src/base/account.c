/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define NSS_BUFFER (256 * 1024)
#define GROUPS_MAX 4096

static int ask_uid(uid_t uid, struct passwd *entry, char *buffer)
{
    struct passwd *found = NULL;
    int error;

    do
        error = getpwuid_r(uid, entry, buffer, NSS_BUFFER, &found);
    while (error == EINTR);
    return found ? 0 : error ? -error : -ENOENT;
}

static int ask_name(const char *name, struct passwd *entry, char *buffer)
{
    struct passwd *found = NULL;
    int error;

    do
        error = getpwnam_r(name, entry, buffer, NSS_BUFFER, &found);
    while (error == EINTR);
    return found ? 0 : error ? -error : -ENOENT;
}

static int keep(const struct passwd *entry, struct account *ret, gid_t *ret_gid)
{
    if (!entry->pw_name[0])
        return -ENOENT;
    if (text_copy(ret->name, sizeof ret->name, entry->pw_name) < 0 ||
        text_copy(ret->shell, sizeof ret->shell, entry->pw_shell) < 0)
        return -ENAMETOOLONG;
    ret->uid = entry->pw_uid;
    *ret_gid = entry->pw_gid;
    return 0;
}

static int find_gids(struct account *account, gid_t gid)
{
    int n = GROUPS_MAX;

    account->gid = calloc(GROUPS_MAX, sizeof *account->gid);
    if (!account->gid)
        return -ENOMEM;
    if (getgrouplist(account->name, gid, account->gid, &n) < 0)
        return -E2BIG;
    account->n_gids = (size_t)n;
    return 0;
}

int account_of_uid(uid_t uid, struct account *ret)
{
    char *buffer = malloc(NSS_BUFFER);
    struct passwd entry;
    gid_t gid = 0;
    int r;

    *ret = (struct account){ .uid = uid };
    if (!buffer)
        return -ENOMEM;
    r = ask_uid(uid, &entry, buffer);
    if (r == 0)
        r = keep(&entry, ret, &gid);
    if (r == 0)
        r = ask_name(ret->name, &entry, buffer);
    if (r == 0)
        r = entry.pw_uid == uid ? find_gids(ret, gid) : -ENOENT;
    free(buffer);
    return r;
}

int account_of_name(const char *name, struct account *ret)
{
    char *buffer = malloc(NSS_BUFFER);
    struct passwd entry;
    gid_t gid = 0;
    int r;

    *ret = (struct account){ .uid = (uid_t)-1 };
    if (!buffer)
        return -ENOMEM;
    r = ask_name(name, &entry, buffer);
    if (r == 0)
        r = keep(&entry, ret, &gid);
    if (r == 0)
        r = find_gids(ret, gid);
    free(buffer);
    return r;
}

static int name_of_group(gid_t gid, char *buffer, char **ret)
{
    struct group entry, *found = NULL;
    int error;

    do
        error = getgrgid_r(gid, &entry, buffer, NSS_BUFFER, &found);
    while (error == EINTR);
    if (!found)
        return error ? -error : -ENOENT;
    *ret = strdup(entry.gr_name);
    return *ret ? 0 : -ENOMEM;
}

int account_name_groups(struct account *account)
{
    char *buffer = malloc(NSS_BUFFER);
    int r = 0;

    account->group = calloc(account->n_gids + 1, sizeof *account->group);
    if (!buffer || !account->group)
        r = -ENOMEM;
    while (r == 0 && account->n_groups < account->n_gids) {
        r = name_of_group(account->gid[account->n_groups], buffer, &account->group[account->n_groups]);
        account->n_groups += r == 0;
    }
    free(buffer);
    return r;
}

static bool has_gid(const struct account *account, gid_t gid)
{
    for (size_t i = 0; i < account->n_gids; i++)
        if (account->gid[i] == gid)
            return true;
    return false;
}

int account_is_member(const struct account *account, const char *group)
{
    char *buffer = malloc(NSS_BUFFER);
    struct group entry, *found = NULL;
    int error;

    if (!buffer)
        return -ENOMEM;
    do
        error = getgrnam_r(group, &entry, buffer, NSS_BUFFER, &found);
    while (error == EINTR);
    int r = found ? has_gid(account, entry.gr_gid) : -error;
    free(buffer);
    return r;
}

void account_free(struct account *account)
{
    for (size_t i = 0; i < account->n_groups; i++)
        free(account->group[i]);
    free(account->group);
    free(account->gid);
    *account = (struct account){ .uid = (uid_t)-1 };
}
