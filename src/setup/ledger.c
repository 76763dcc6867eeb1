/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "setup/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"

#define FILE_NAME LEDGER_DIR "/deeds"
#define LINES_MAX 256

int ledger_lock(void)
{
    if ((mkdir(VG_STATEDIR, 0700) < 0 && errno != EEXIST) || (mkdir(LEDGER_DIR, 0700) < 0 && errno != EEXIST))
        return -errno;
    int fd = open(LEDGER_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

/* The lines, in text, which is the caller's. */
static size_t read_lines(char **text, char *lines[static LINES_MAX])
{
    FD_AUTO fd = open(FILE_NAME, O_RDONLY | O_CLOEXEC);
    size_t n = 0, len;

    *text = NULL;
    if (fd < 0 || io_read_all(fd, 1 << 20, text, &len) < 0)
        return 0;
    /* A line without its end is of a setup that was killed before it did anything of the kind. */
    for (char *line = *text, *end; n < LINES_MAX && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        lines[n++] = line;
    }
    return n;
}

static int write_lines(char *const lines[], size_t n)
{
    FILE *out = fopen(FILE_NAME ".new", "we");

    for (size_t i = 0; out && i < n; i++)
        if (lines[i])
            fprintf(out, "%s\n", lines[i]);
    if (!out || fflush(out) == EOF || fsync(fileno(out)) < 0) {
        int error = errno;
        if (out)
            fclose(out);
        return -error;
    }
    fclose(out);
    return rename(FILE_NAME ".new", FILE_NAME) < 0 ? -errno : 0;
}

int ledger_note(const char *kind, const char *what)
{
    char *text, *lines[LINES_MAX + 1], line[600];
    size_t n = read_lines(&text, lines);
    int r = n == LINES_MAX || strchr(what, '\n') ? -EINVAL : 0;

    snprintf(line, sizeof line, "%s %s", kind, what);
    for (size_t i = 0; i < n && r == 0; i++)
        r = strcmp(lines[i], line) == 0;
    lines[n] = line;
    if (r == 0)
        r = write_lines(lines, n + 1);
    free(text);
    return r > 0 ? 0 : r;
}

size_t ledger_length(void)
{
    char *text, *lines[LINES_MAX];
    size_t n = read_lines(&text, lines);

    free(text);
    return n;
}

void ledger_take_back(size_t from_line, int (*visit)(void *context, const char *kind, const char *what), void *context)
{
    char *text, *lines[LINES_MAX];
    size_t n = read_lines(&text, lines), left = n;

    for (size_t i = n; i-- > from_line;) {
        char kind[32];
        const char *blank = strchr(lines[i], ' ');
        if (!blank || (size_t)(blank - lines[i]) >= sizeof kind)
            continue;
        snprintf(kind, sizeof kind, "%.*s", (int)(blank - lines[i]), lines[i]);
        if (visit(context, kind, blank + 1) != 0)
            continue;
        lines[i] = NULL;
        left--;
        write_lines(lines, n);
    }
    if (left == 0) {
        unlink(FILE_NAME);
        unlink(FILE_NAME ".new"); /* of a setup that was killed */
    }
    free(text);
}
