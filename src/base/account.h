/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An account and its groups as NSS has them now (local files, SSSD, LDAP ...). A directory may take seconds to answer. */
#ifndef VG_BASE_ACCOUNT_H
#define VG_BASE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ACCOUNT_NAME_SIZE 256
#define ACCOUNT_SHELL_SIZE 4096

struct account {
    char name[ACCOUNT_NAME_SIZE];   /* "": not known */
    uid_t uid;
    char shell[ACCOUNT_SHELL_SIZE];
    size_t n_gids;
    gid_t *gid;                     /* of all its groups */
    size_t n_groups;
    char **group;                   /* their names, once account_name_groups() has found them */
};

/* 0; -ENOENT: there is no such account; -errno. On failure ret holds what was found; it is freed all the same.
 * The name of a uid must lead back to it: with two sources that disagree, the rules of a name would go to another uid. */
int account_of_uid(uid_t uid, struct account *ret);
int account_of_name(const char *name, struct account *ret);

/* Finds the names of all groups. 0; -ENOENT: one has none, and a deny may hang on it; -errno. */
int account_name_groups(struct account *account);

/* 1: in the group of that name; 0: not, or there is no such group; -errno: nobody knows. Goes by numbers, so that a group
 * without a name elsewhere is no obstacle. */
int account_is_member(const struct account *account, const char *group);

void account_free(struct account *account);

#endif
