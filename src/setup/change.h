/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes of files that can be taken back byte for byte: what was, and what was made of it, is kept. */
#ifndef VG_SETUP_CHANGE_H
#define VG_SETUP_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#define CHANGES_MAX 16

struct change {
    char path[256];
    char *old, *new; /* texts; old is NULL for a file that is not there */
};

struct changes {
    struct change list[CHANGES_MAX];
    size_t n;
};

/* Takes ownership of new. What would change nothing is left out. 0 or -errno. */
int changes_add(struct changes *changes, const char *path, char *new);
void changes_free(struct changes *changes);

/* Makes the change, or takes it back right after. Files are replaced as a whole, with owner and mode of the old one. */
int change_make(const struct change *change);
int change_take_back(const struct change *change);

/* Keeps both texts, for changes_undo(). What is kept of an earlier change of the file stays: that is the original. */
int change_keep(const struct change *change);

enum undone { UNDONE, UNDONE_NOTHING, UNDONE_REFUSED };

/* Puts the original of path back, when something is kept and the file is still as we made it. */
int change_undo(const char *path, bool dry_run, enum undone *ret);

#endif
