/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kept in VG_STATEDIR/setup, by the path with its slashes as '+': NAME.old (not there: there was no file) and NAME.new. */
#include "setup/change.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "doctor/probe.h"

#define KEPT VG_STATEDIR "/setup"

int changes_add(struct changes *changes, const char *path, char *new)
{
    struct change change = { .old = probe_read(path), .new = new };

    snprintf(change.path, sizeof change.path, "%s", path);
    if (!change.old && access(path, F_OK) == 0) {
        free(new);
        return -EACCES;
    }
    if ((change.old && strcmp(change.old, new) == 0) || changes->n == CHANGES_MAX) {
        free(change.old);
        free(new);
        return 0;
    }
    changes->list[changes->n++] = change;
    return 0;
}

void changes_free(struct changes *changes)
{
    while (changes->n > 0) {
        struct change *change = &changes->list[--changes->n];
        free(change->old);
        free(change->new);
    }
}

/* --- files ------------------------------------------------------------------------------------------------------------- */

/* Whole and on the disk under another name first, so that a crash leaves the old one or the new one. */
static int write_file(const char *path, const char *text, const struct stat *like)
{
    char temporary[320];

    snprintf(temporary, sizeof temporary, "%s.virtgate-new", path);
    FD_AUTO fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = io_write_all(fd, text, strlen(text));
    if (r == 0 && (fchown(fd, like->st_uid, like->st_gid) < 0 || fchmod(fd, like->st_mode & 07777) < 0 ||
                   fsync(fd) < 0 ||
                   rename(temporary, path) < 0))
        r = -errno;
    if (r < 0)
        unlink(temporary);
    return r;
}

static int make_folder_of(const char *path)
{
    char folder[256];

    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    return mkdir(folder, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* NULL: no file. */
static int put(const char *path, const char *text)
{
    struct stat like = { .st_mode = 0644 };

    if (!text)
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    if (stat(path, &like) < 0) {
        int r = make_folder_of(path);
        if (r < 0)
            return r;
    }
    return write_file(path, text, &like);
}

int change_make(const struct change *change)
{
    return put(change->path, change->new);
}

int change_take_back(const struct change *change)
{
    return put(change->path, change->old);
}

/* --- what is kept ------------------------------------------------------------------------------------------------------ */

static void kept_path(char *ret, size_t size, const char *path, const char *tail)
{
    int n = snprintf(ret, size, KEPT "/");

    for (; *path && (size_t)n + strlen(tail) + 1 < size; path++)
        ret[n++] = *path == '/' ? '+' : *path;
    snprintf(ret + n, size - (size_t)n, "%s", tail);
}

int change_keep(const struct change *change)
{
    const struct stat private = { .st_mode = 0600 };
    char old[400], new[400];

    kept_path(old, sizeof old, change->path, ".old");
    kept_path(new, sizeof new, change->path, ".new");
    if ((mkdir(VG_STATEDIR, 0700) < 0 && errno != EEXIST) || (mkdir(KEPT, 0700) < 0 && errno != EEXIST))
        return -errno;
    int r = 0;
    if (access(new, F_OK) < 0 && change->old)
        r = write_file(old, change->old, &private);
    return r < 0 ? r : write_file(new, change->new, &private);
}

int change_undo(const char *path, bool dry_run, enum undone *ret)
{
    char old_path[400], new_path[400];
    int r = 0;

    kept_path(old_path, sizeof old_path, path, ".old");
    kept_path(new_path, sizeof new_path, path, ".new");
    char *old = probe_read(old_path), *new = probe_read(new_path), *now = probe_read(path);
    if (!new) {
        *ret = UNDONE_NOTHING;
    } else if (!now || strcmp(now, new) != 0) {
        *ret = UNDONE_REFUSED;
    } else {
        *ret = UNDONE;
        r = dry_run ? 0 : put(path, old);
        if (r == 0 && !dry_run) {
            unlink(old_path);
            unlink(new_path);
        }
    }
    free(old);
    free(new);
    free(now);
    return r;
}
