/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "setup/libvirt_edit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup/change.h"

#define GROUP "unix_sock_group"
#define MODE "unix_sock_ro_perms"

static size_t line_length(const char *line)
{
    size_t len = strcspn(line, "\n");

    return len + (line[len] == '\n');
}

/* What stands behind the = of a line that sets the key; NULL when it does not. */
static const char *value_in(const char *line, const char *key)
{
    line += strspn(line, " \t");
    if (strncmp(line, key, strlen(key)) != 0)
        return NULL;
    line += strlen(key);
    line += strspn(line, " \t");
    return *line == '=' ? line + 1 + strspn(line + 1, " \t") : NULL;
}

/* The first line that sets it is the one that libvirt goes by. */
static const char *value_of(const char *text, const char *key)
{
    const char *value = NULL;

    for (const char *line = text; *line && !value; line += line_length(line))
        value = value_in(line, key);
    return value;
}

/* A quoted octal number without rights for others. */
static bool is_closed(const char *value)
{
    char *end;

    if (!value || (*value != '"' && *value != '\''))
        return false;
    unsigned long mode = strtoul(value + 1, &end, 8);
    return end > value + 1 && *end == *value && (mode & 07) == 0;
}

static void write_mode(FILE *out)
{
    fputs(MODE " = \"0770\" " CHANGE_MARK "\n", out);
}

int libvirt_edit(const char *text, char **ret)
{
    bool closed = is_closed(value_of(text, MODE)), grouped = value_of(text, GROUP);
    char *made = NULL;
    size_t len;
    FILE *out = open_memstream(&made, &len);

    if (!out)
        return -ENOMEM;
    bool done = closed, ends = true;
    for (const char *line = text; *line; line += line_length(line)) {
        ends = line[line_length(line) - 1] == '\n';
        if (!done && value_in(line, MODE)) {
            write_mode(out);
            done = ends = true;
        } else {
            fwrite(line, 1, line_length(line), out);
        }
    }
    if (!ends && (!done || !grouped))
        fputc('\n', out);
    if (!grouped)
        fputs(GROUP " = \"libvirt\" " CHANGE_MARK "\n", out);
    if (!done)
        write_mode(out);
    if (fclose(out) == EOF) {
        free(made);
        return -ENOMEM;
    }
    *ret = made;
    return 0;
}
