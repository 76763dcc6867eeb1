/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "setup/pam_edit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MODULE "pam_virtgate.so"
#define MARK "# by virtgatectl setup"

static size_t line_length(const char *line)
{
    size_t len = strcspn(line, "\n");

    return len + (line[len] == '\n');
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

/* Is the line a rule of this type ("auth"; NULL for any) that names the module (NULL for any)? */
static bool is_rule(const char *line, const char *type, const char *module)
{
    char copy[512];
    size_t len = strcspn(line, "\n#");

    if (len >= sizeof copy)
        return false;
    memcpy(copy, line, len);
    copy[len] = '\0';
    const char *word = copy + strspn(copy, " \t-");
    size_t type_len = strcspn(word, " \t");
    if (type_len == 0)
        return false;
    if (type && (strlen(type) != type_len || strncasecmp(word, type, type_len) != 0))
        return false;
    return !module || strstr(word, module);
}

static bool has_rule(const char *text, const char *type, const char *module)
{
    for (const char *line = text; *line; line += line_length(line))
        if (is_rule(line, type, module))
            return true;
    return false;
}

/* --- writing --------------------------------------------------------------------------------------------------------- */

/* The line, with the user's file taken back from pam_env.so. */
static void write_line(FILE *out, const char *line, size_t len)
{
    static const char reads[] = "user_readenv=1";
    const char *at = is_rule(line, NULL, "pam_env.so") ? memmem(line, len, reads, sizeof reads - 1) : NULL;

    if (!at) {
        fwrite(line, 1, len, out);
        return;
    }
    size_t head = (size_t)(at - line) + sizeof reads - 2; /* up to the 1 */
    fwrite(line, 1, head, out);
    fputc('0', out);
    fwrite(line + head + 1, 1, len - head - 1, out);
}

static void write_all(FILE *out, const char *text)
{
    bool auth = has_rule(text, "auth", MODULE), account = has_rule(text, "account", MODULE);
    bool session = has_rule(text, "session", MODULE), begun = false;

    for (const char *line = text; *line; line += line_length(line)) {
        if (!begun && is_rule(line, NULL, NULL)) {
            begun = true;
            if (!auth)
                fputs("auth       optional     " MODULE " " MARK "\n", out);
            if (!account)
                fputs("account    required     " MODULE " " MARK "\n", out);
        }
        write_line(out, line, line_length(line));
        if (!session && is_rule(line, "session", "pam_loginuid.so")) {
            session = true;
            if (line[line_length(line) - 1] != '\n')
                fputc('\n', out);
            fputs("session    required     " MODULE " " MARK "\n", out);
        }
    }
}

int pam_edit(const char *text, char **ret)
{
    size_t len;

    if (!has_rule(text, "session", MODULE) && !has_rule(text, "session", "pam_loginuid.so"))
        return -EINVAL;
    char *made = NULL;
    FILE *out = open_memstream(&made, &len);
    if (!out)
        return -ENOMEM;
    write_all(out, text);
    if (fclose(out) == EOF) {
        free(made);
        return -ENOMEM;
    }
    *ret = made;
    return 0;
}

/* --- what changed ------------------------------------------------------------------------------------------------------ */

static void print_line(FILE *out, char sign, const char *line)
{
    fprintf(out, "%c%.*s\n", sign, (int)strcspn(line, "\n"), line);
}

static bool same(const char *a, const char *b)
{
    size_t len = line_length(a);

    return len == line_length(b) && memcmp(a, b, len) == 0;
}

/* The line of b, from here on, that is as a's; NULL when there is none. */
static const char *find(const char *line, const char *in)
{
    while (*in && !same(line, in))
        in += line_length(in);
    return *in ? in : NULL;
}

void print_diff(FILE *out, const char *name, const char *old, const char *new)
{
    fprintf(out, "--- %s%s\n+++ %s\n", name, old ? "" : " (is not there)", name);
    for (old = old ? old : ""; *old; old += line_length(old)) {
        /* Our changes add lines and change single ones: a line that comes again is where the two go on together. */
        const char *again = find(old, new);
        if (!again) {
            print_line(out, '-', old);
            continue;
        }
        for (; new < again; new += line_length(new))
            print_line(out, '+', new);
        new += line_length(new);
    }
    for (; *new; new += line_length(new))
        print_line(out, '+', new);
}
