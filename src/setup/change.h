/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes of files that can be taken back byte for byte: what was, and what was made of it, is kept before the file is
 * touched, so that whatever ends setup in the middle, undo or a second setup knows what to do.
 *
 * VG_STATEDIR/setup has, by the file's path with its slashes as '+': NAME.old (not there: there was no file) and NAME.new.
 * NAME.new is written last and makes the record; it goes first. Callers hold the lock of ledger.h. */
#ifndef VG_SETUP_CHANGE_H
#define VG_SETUP_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHANGES_MAX 24
#define CHANGE_PATH_SIZE 256

/* At the end of a line that setup adds to a file of somebody else's. */
#define CHANGE_MARK "# by virtgatectl setup"

struct change {
    char path[CHANGE_PATH_SIZE]; /* of the file itself, links followed */
    char *old, *new;             /* texts; old is NULL for a file that is not there */
    mode_t mode;                 /* of a file that is not there */
    gid_t gid;                   /* likewise */
    char *kept_old, *kept_new;   /* the record of an earlier setup; NULL: none */
};

struct changes {
    struct change list[CHANGES_MAX];
    size_t n;
};

/* The text of a file, at most 1 MiB, the caller's. 0 and *ret, NULL when there is none; -EINVAL with a NUL in it or for what
 * is no regular file; -errno. */
int change_read(const char *path, char **ret);

/* Takes ownership of new. What would change nothing is left out. 0 or -errno. */
int changes_add(struct changes *changes, const char *path, char *new, mode_t mode, gid_t gid);
void changes_free(struct changes *changes);

/* Keeps both texts and makes the change; or takes both back right after. Files are replaced as a whole, with owner, mode and
 * attributes of the old one. 0 or -errno. */
int change_make(struct change *change);
int change_take_back(const struct change *change);

/* For a file with a record: if it has been changed since, the record is made to fit what it is now. */
int changes_adopt(const char *path);

enum undone {
    UNDONE,         /* it is as we made it, and goes back */
    UNDONE_ALREADY, /* it is as it was; only the record goes */
    UNDONE_REFUSED, /* it is neither */
};

/* Calls visit for each record, with the file's path; stops at the first that returns less than 0, and returns that. */
int changes_each(int (*visit)(void *context, const char *path), void *context);

/* What undo would find, or (with really) does. 0 or -errno. */
int change_undo(const char *path, bool really, enum undone *ret);

/* Takes away what a setup that was killed left beside the records. */
void changes_sweep(void);

#endif
