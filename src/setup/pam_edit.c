/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "setup/pam_edit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "setup/change.h"

#define MODULE "pam_virtgate.so"
#define LOGINUID "pam_loginuid.so"
#define MARK CHANGE_MARK

static size_t line_length(const char *line)
{
    size_t len = strcspn(line, "\n");

    return len + (line[len] == '\n');
}

/* A line, and those in which it goes on: a backslash at its end, but not behind a comment. */
static size_t rule_length(const char *text)
{
    size_t len = 0;

    for (;;) {
        const char *line = text + len;
        size_t whole = line_length(line), said = strcspn(line, "#\n");
        len += whole;
        if (whole == 0 || said == 0 || line[said] != '\n' || line[said - 1] != '\\')
            return len;
    }
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

/* The next word at *at, or what stands in brackets with them: its length. Blanks, and the ends of lines that go on, lie
 * between words. */
static size_t next_word(const char **at, size_t *left)
{
    while (*left > 0 && strchr(" \t\n\\", **at)) {
        ++*at;
        --*left;
    }
    for (size_t i = 0; i < *left; i++)
        if ((*at)[0] == '[' ? i > 0 && (*at)[i - 1] == ']' : strchr(" \t\n", (*at)[i]) || (*at)[i] == '#')
            return i;
    return *left;
}

/* Is the rule (of that length, with the lines that it goes on in) one of this type ("auth"; NULL for any) and module (NULL
 * for any; its file name)? */
static bool is_rule(const char *rule, size_t left, const char *type, const char *module)
{
    const char *at = rule;
    size_t len = next_word(&at, &left);

    if (len == 0 || *at == '#')
        return false;
    if (type) {
        bool quiet = *at == '-';
        if (len - quiet != strlen(type) || strncasecmp(at + quiet, type, strlen(type)) != 0)
            return false;
    }
    if (!module)
        return true;
    for (int i = 0; i < 2; i++) {
        at += len;
        left -= len;
        len = next_word(&at, &left);
    }
    size_t tail = strlen(module);
    return len >= tail && strncmp(at + len - tail, module, tail) == 0 && (len == tail || at[len - tail - 1] == '/');
}

static bool has_rule(const char *text, const char *type, const char *module)
{
    for (const char *rule = text; *rule; rule += rule_length(rule))
        if (is_rule(rule, rule_length(rule), type, module))
            return true;
    return false;
}

/* --- writing --------------------------------------------------------------------------------------------------------- */

/* The line, with the user's file taken back from pam_env.so. */
static void write_line(FILE *out, const char *line, size_t len)
{
    static const char reads[] = "user_readenv=1";
    const char *at = is_rule(line, len, NULL, "pam_env.so") ? memmem(line, len, reads, sizeof reads - 1) : NULL;

    if (!at) {
        fwrite(line, 1, len, out);
        return;
    }
    size_t head = (size_t)(at - line) + sizeof reads - 2; /* up to the 1 */
    fwrite(line, 1, head, out);
    fputc('0', out);
    fwrite(line + head + 1, 1, len - head - 1, out);
}

static void put_line(FILE *out, const char *type, const char *control, const char *module)
{
    fprintf(out, "%-10s %-12s %s " MARK "\n", type, control, module);
}

/* Before the first rule: what is not there yet and does not go behind another line. */
static void write_first(FILE *out, const char *text)
{
    if (!has_rule(text, "auth", MODULE))
        put_line(out, "auth", "optional", MODULE);
    if (!has_rule(text, "account", MODULE))
        put_line(out, "account", "required", MODULE);
    if (has_rule(text, "session", MODULE) || has_rule(text, "session", LOGINUID))
        return;
    /* An included file may have it as well; the second time it changes nothing. */
    put_line(out, "session", "required", LOGINUID);
    put_line(out, "session", "required", MODULE);
}

static void write_all(FILE *out, const char *text)
{
    bool session = has_rule(text, "session", MODULE), begun = false;

    for (const char *rule = text; *rule; rule += rule_length(rule)) {
        size_t len = rule_length(rule);
        if (!begun && is_rule(rule, len, NULL, NULL)) {
            begun = true;
            write_first(out, text);
        }
        write_line(out, rule, len);
        if (!session && is_rule(rule, len, "session", LOGINUID)) {
            session = true;
            if (rule[len - 1] != '\n')
                fputc('\n', out);
            put_line(out, "session", "required", MODULE);
        }
    }
}

int pam_edit(const char *text, char **ret)
{
    size_t len;

    if (!has_rule(text, NULL, NULL))
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
