/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "setup/change.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "setup/ledger.h"

#define TEXT_MAX ((size_t)1 << 20)

int change_read(const char *path, char **ret)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    char *text;
    size_t len;

    *ret = NULL;
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    int r = S_ISREG(st.st_mode) ? io_read_all(fd, TEXT_MAX, &text, &len) : -EINVAL;
    if (r < 0)
        return r;
    if (strlen(text) != len) {
        free(text);
        return -EINVAL;
    }
    *ret = text;
    return 0;
}

/* Neither of them: both are missing. */
static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : !a && !b;
}

/* --- files ------------------------------------------------------------------------------------------------------------- */

/* What stands beside owner and mode: access lists, SELinux's label. What the kernel makes itself cannot be set, and need
 * not be. */
static int copy_attributes(const char *from, int to)
{
    static const char acl[] = "system.posix_acl_access";
    char names[4096], value[4096];
    ssize_t len = listxattr(from, names, sizeof names);

    for (const char *name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
        ssize_t n = getxattr(from, name, value, sizeof value);
        if ((n < 0 || fsetxattr(to, name, value, (size_t)n, 0) < 0) && strcmp(name, acl) == 0)
            return -errno;
    }
    return 0;
}

static void temporary_of(char *ret, size_t size, const char *path)
{
    snprintf(ret, size, "%s.virtgate-new", path);
}

/* Whole and on the disk under another name first, so that a crash leaves the old one or the new one. Owner and mode are
 * those of like. */
static int write_file(const char *path, const char *text, const struct stat *like)
{
    char temporary[CHANGE_PATH_SIZE + 256];

    temporary_of(temporary, sizeof temporary, path);
    unlink(temporary); /* of a setup that was killed */
    FD_AUTO fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = io_write_all(fd, text, strlen(text));
    if (r == 0)
        r = copy_attributes(path, fd);
    if (r == 0 && (fchown(fd, like->st_uid, like->st_gid) < 0 || fchmod(fd, like->st_mode & 07777) < 0 ||
                   fsync(fd) < 0 || rename(temporary, path) < 0))
        r = -errno;
    if (r < 0)
        unlink(temporary);
    return r;
}

/* NULL: no file. */
static int put(const char *path, const char *text, mode_t mode, gid_t gid)
{
    struct stat like = { .st_mode = mode, .st_gid = gid };
    char temporary[CHANGE_PATH_SIZE + 256];

    temporary_of(temporary, sizeof temporary, path);
    unlink(temporary);
    if (!text)
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    if (stat(path, &like) < 0 && errno != ENOENT)
        return -errno;
    return write_file(path, text, &like);
}

/* --- records ----------------------------------------------------------------------------------------------------------- */

static int kept_path(char *ret, size_t size, const char *path, const char *tail)
{
    int n = snprintf(ret, size, LEDGER_DIR "/");

    /* Or the way back from the name would lead elsewhere. */
    if (strchr(path, '+'))
        return -EINVAL;
    for (; *path && (size_t)n + strlen(tail) + 1 < size; path++)
        ret[n++] = *path == '/' ? '+' : *path;
    snprintf(ret + n, size - (size_t)n, "%s", tail);
    return *path ? -ENAMETOOLONG : 0;
}

static int read_record(const char *path, char **ret_old, char **ret_new)
{
    char name[400];
    int r = kept_path(name, sizeof name, path, ".new");

    *ret_old = *ret_new = NULL;
    if (r == 0)
        r = change_read(name, ret_new);
    if (r == 0 && *ret_new && (r = kept_path(name, sizeof name, path, ".old")) == 0)
        r = change_read(name, ret_old);
    if (r < 0) {
        free(*ret_new);
        *ret_new = NULL;
    }
    return r;
}

static int drop_record(const char *path)
{
    static const char *const tails[] = { ".new", ".old" };
    char name[400];

    for (size_t i = 0; i < 2; i++)
        if (kept_path(name, sizeof name, path, tails[i]) < 0 || (unlink(name) < 0 && errno != ENOENT))
            return -errno;
    return 0;
}

static int write_record(const char *path, const char *old, const char *new)
{
    const struct stat private = { .st_mode = 0600 };
    char old_name[400], new_name[400];
    int r = kept_path(old_name, sizeof old_name, path, ".old");

    if (r == 0)
        r = kept_path(new_name, sizeof new_name, path, ".new");
    if (r == 0 && !old && unlink(old_name) < 0 && errno != ENOENT)
        r = -errno;
    if (r == 0 && old)
        r = write_file(old_name, old, &private);
    return r == 0 ? write_file(new_name, new, &private) : r;
}

/* The text without the lines that are ours, the caller's; NULL without memory. */
static char *without_ours(const char *text)
{
    char *made = malloc(strlen(text) + 1), *out = made;
    size_t mark = sizeof CHANGE_MARK - 1;

    while (made && *text) {
        size_t len = strcspn(text, "\n"), whole = len + (text[len] == '\n');
        if (len < mark || strncmp(text + len - mark, CHANGE_MARK, mark) != 0) {
            memcpy(out, text, whole);
            out += whole;
        }
        text += whole;
    }
    if (made)
        *out = '\0';
    return made;
}

/* What undo is to bring back: the original, as long as the file is what setup made of it or has not been touched yet. What
 * somebody has made of it since is theirs, but for our lines. */
static char *original_of(const struct change *change)
{
    if (change->kept_new && (same(change->old, change->kept_new) || same(change->old, change->kept_old)))
        return change->kept_old ? strdup(change->kept_old) : NULL;
    return change->old ? without_ours(change->old) : NULL;
}

/* --- making ------------------------------------------------------------------------------------------------------------ */

static void free_change(struct change *change)
{
    free(change->old);
    free(change->new);
    free(change->kept_old);
    free(change->kept_new);
}

int changes_add(struct changes *changes, const char *path, char *new, mode_t mode, gid_t gid)
{
    struct change change = { .new = new, .mode = mode, .gid = gid };
    char real[PATH_MAX];
    struct stat st;
    int r = 0;

    /* A link stays, and what it leads to is changed. */
    if (lstat(path, &st) < 0)
        r = errno == ENOENT ? 0 : -errno;
    else if (!realpath(path, real))
        r = -errno;
    else
        path = real;
    if (r == 0 && strlen(path) >= sizeof change.path)
        r = -ENAMETOOLONG;
    if (r == 0)
        r = change_read(path, &change.old);
    if (r == 0)
        r = read_record(path, &change.kept_old, &change.kept_new);
    if (r == 0 && changes->n == CHANGES_MAX)
        r = -E2BIG;
    if (r < 0 || same(change.old, new)) {
        free_change(&change);
        return r;
    }
    snprintf(change.path, sizeof change.path, "%s", path);
    changes->list[changes->n++] = change;
    return 0;
}

void changes_free(struct changes *changes)
{
    while (changes->n > 0)
        free_change(&changes->list[--changes->n]);
}

int change_make(struct change *change)
{
    char *original = original_of(change);
    int r = write_record(change->path, original, change->new);

    free(original);
    return r < 0 ? r : put(change->path, change->new, change->mode, change->gid);
}

int change_take_back(const struct change *change)
{
    int r = put(change->path, change->old, change->mode, change->gid);

    if (r < 0)
        return r;
    return change->kept_new ? write_record(change->path, change->kept_old, change->kept_new) : drop_record(change->path);
}

int changes_adopt(const char *path)
{
    struct change now = { 0 };
    char *original = NULL;
    int r = change_read(path, &now.old);

    if (r == 0)
        r = read_record(path, &now.kept_old, &now.kept_new);
    if (r == 0 && now.old && now.kept_new && !same(now.old, now.kept_new)) {
        original = original_of(&now);
        r = write_record(path, original, now.old);
    }
    free(original);
    free_change(&now);
    return r;
}

/* --- undoing ----------------------------------------------------------------------------------------------------------- */

int changes_each(int (*visit)(void *context, const char *path), void *context)
{
    struct dirent **entries = NULL;
    int n = scandir(LEDGER_DIR, &entries, NULL, alphasort), r = 0;

    for (int i = 0; i < n; i++) {
        char *name = entries[i]->d_name, *tail = strrchr(name, '.');
        if (r >= 0 && name[0] == '+' && tail && strcmp(tail, ".new") == 0) {
            *tail = '\0';
            for (char *p = name; *p; p++)
                *p = *p == '+' ? '/' : *p;
            r = visit(context, name);
        }
        free(entries[i]);
    }
    free(entries);
    return r;
}

int change_undo(const char *path, bool really, enum undone *ret)
{
    char *old, *new, *now = NULL;
    int r = read_record(path, &old, &new);

    if (r == 0)
        r = change_read(path, &now);
    if (r == 0) {
        *ret = same(now, new) ? UNDONE : same(now, old) ? UNDONE_ALREADY : UNDONE_REFUSED;
        if (really && *ret != UNDONE_REFUSED) {
            r = put(path, old, 0644, 0);
            if (r == 0)
                r = drop_record(path);
        }
    }
    free(old);
    free(new);
    free(now);
    return r;
}

void changes_sweep(void)
{
    struct dirent **entries = NULL;
    char name[700];
    int n = scandir(LEDGER_DIR, &entries, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        const char *tail = strstr(entries[i]->d_name, ".old");
        /* The old text of a record that was not finished, or a file that did not get its name. */
        snprintf(name, sizeof name, LEDGER_DIR "/%.*s.new", tail ? (int)(tail - entries[i]->d_name) : 0,
                 entries[i]->d_name);
        bool unfinished = tail && !tail[4] && access(name, F_OK) < 0;
        snprintf(name, sizeof name, LEDGER_DIR "/%s", entries[i]->d_name);
        if (unfinished || (strstr(entries[i]->d_name, ".virtgate-new") && entries[i]->d_name[0] == '+'))
            unlink(name);
        free(entries[i]);
    }
    free(entries);
}
