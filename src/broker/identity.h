/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The account of a uid and its groups, as NSS has them now. A directory may take seconds to answer; each question has a
 * thread of its own, so that nobody waits for another's. */
#ifndef VG_IDENTITY_H
#define VG_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/account.h"

#define IDENTITY_ASKED_MAX 64 /* questions at one time */

struct identity {
    void *context;              /* of who asked */
    uid_t uid;
    int error;                  /* 0 or -errno: -ENOENT: no such account, or a group of it without a name */
    struct account account;
};

/* Where answers come: each read gives one pointer to a struct identity, of the reader's from then on. 0 or -errno. */
int identity_prepare(int *ret_answers);

/* 0; -EAGAIN: IDENTITY_ASKED_MAX questions are open; -errno. */
int identity_ask(uid_t uid, void *context);

/* The next answer, or NULL when there is none now. */
struct identity *identity_next(void);

/* Is the account in the group of that name? */
bool identity_is_in(const struct identity *identity, const char *group);

void identity_free(struct identity *identity);

#endif
