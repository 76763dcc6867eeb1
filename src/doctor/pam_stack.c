/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pam.d(5), as libpam reads it:
 *   type control module arguments       control: a word, or [answer=action ...]
 *   -type ...                           the same, but quiet when the module is not there
 *   type include FILE, @include FILE    the lines of FILE stand here; what ends the stack there ends it here as well
 *   type substack FILE                  what ends FILE's stack ends FILE's alone
 * A backslash at its end continues a line; "#" begins a comment. */
#include "doctor/pam_stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 16

static const char *const type_names[N_PAM_TYPES] = { "auth", "account", "session" };

const char *pam_type_name(enum pam_type type)
{
    return type_names[type];
}

struct reading {
    enum pam_type type;
    pam_loader *load;
    void *context;
    struct pam_stack *stack;
    unsigned depth, n_substacks;
    char *why;
};

static int read_file(struct reading *reading, const char *name, unsigned substack);

/* --- lines ------------------------------------------------------------------------------------------------------- */

/* The next word at *at, or what stands in brackets with them; false at the end of the line. */
static bool next_word(char **at, char *word, size_t size)
{
    char *p = *at + strspn(*at, " \t");
    size_t len = strcspn(p, " \t");

    if (*p == '[') {
        const char *end = strchr(p, ']');
        if (!end)
            return false;
        len = (size_t)(end - p) + 1;
    }
    if (len == 0 || len >= size)
        return false;
    memcpy(word, p, len);
    word[len] = '\0';
    *at = p + len;
    return true;
}

static int not_understood(struct reading *reading, const char *file, unsigned line)
{
    snprintf(reading->why, PAM_WHY_SIZE, "%s:%u is not understood", file, line);
    return -EINVAL;
}

static int add_line(struct reading *reading, const struct pam_line *line)
{
    if (reading->stack->n == PAM_LINES_MAX) {
        snprintf(reading->why, PAM_WHY_SIZE, "%s: the stack has more than %d lines", line->file, PAM_LINES_MAX);
        return -E2BIG;
    }
    reading->stack->lines[reading->stack->n++] = *line;
    return 0;
}

/* text is one line without comment, continuations joined. */
static int read_line(struct reading *reading, char *text, struct pam_line *line)
{
    char type[32];
    bool ours;

    if (!next_word(&text, type, sizeof type))
        return text[strspn(text, " \t")] ? not_understood(reading, line->file, line->line) : 0;
    if (strcmp(type, "@include") == 0) {
        if (!next_word(&text, line->module, sizeof line->module))
            return not_understood(reading, line->file, line->line);
        return read_file(reading, line->module, line->substack);
    }
    ours = strcasecmp(type + (type[0] == '-'), type_names[reading->type]) == 0;
    if (!next_word(&text, line->control, sizeof line->control) || !next_word(&text, line->module, sizeof line->module))
        return ours ? not_understood(reading, line->file, line->line) : 0;
    if (!ours)
        return 0;
    if (strcasecmp(line->control, "include") == 0)
        return read_file(reading, line->module, line->substack);
    if (strcasecmp(line->control, "substack") == 0)
        return read_file(reading, line->module, ++reading->n_substacks);
    snprintf(line->arguments, sizeof line->arguments, "%s", text + strspn(text, " \t"));
    return add_line(reading, line);
}

/* Takes one line off *at into text (of the file's length + 1), comment and line ends removed. */
static unsigned take_line(const char **at, char *text)
{
    unsigned lines = 0;
    size_t n = 0;
    bool more = true;

    while (more && **at) {
        size_t len = strcspn(*at, "\n"), said = strcspn(*at, "#\n");
        memcpy(text + n, *at, said);
        n += said;
        *at += len + ((*at)[len] == '\n');
        lines++;
        /* What stands in a comment continues nothing. */
        more = said == len && n > 0 && text[n - 1] == '\\';
        if (more)
            text[n - 1] = ' ';
    }
    text[n] = '\0';
    return lines;
}

static int read_text(struct reading *reading, const char *name, const char *text, unsigned substack)
{
    char *copy = malloc(strlen(text) + 1);
    unsigned at_line = 1;
    int r = copy ? 0 : -ENOMEM;

    while (r == 0 && *text) {
        struct pam_line line = { .line = at_line, .substack = substack };
        snprintf(line.file, sizeof line.file, "%s", name);
        at_line += take_line(&text, copy);
        r = read_line(reading, copy, &line);
    }
    free(copy);
    return r;
}

static int read_file(struct reading *reading, const char *name, unsigned substack)
{
    if (++reading->depth > DEPTH_MAX) {
        snprintf(reading->why, PAM_WHY_SIZE, "%s: files include one another without end", name);
        return -EINVAL;
    }
    char *text = reading->load(reading->context, name);
    if (!text) {
        snprintf(reading->why, PAM_WHY_SIZE, "%s cannot be read", name);
        return -ENOENT;
    }
    int r = read_text(reading, name, text, substack);
    free(text);
    reading->depth--;
    return r;
}

int pam_stack_read(const char *service, enum pam_type type, pam_loader *load, void *context, struct pam_stack *ret,
                   char why[static PAM_WHY_SIZE])
{
    struct reading reading = { .type = type, .load = load, .context = context, .stack = ret, .why = why };

    ret->n = 0;
    snprintf(why, PAM_WHY_SIZE, "%s", strerror(ENOMEM));
    return read_file(&reading, service, 0);
}

/* --- is ours asked? ---------------------------------------------------------------------------------------------- */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The longest jump of the control, and whether an answer that is not a failure ends the stack. */
static void read_control(const char *control, unsigned *ret_jump, bool *ret_ends)
{
    *ret_jump = 0;
    *ret_ends = strcasecmp(control, "sufficient") == 0;
    if (control[0] != '[')
        return;
    for (const char *p = control; (p = strchr(p, '=')); p++) {
        unsigned long jump = strtoul(p + 1, NULL, 10);
        if (jump > *ret_jump && jump < PAM_LINES_MAX)
            *ret_jump = (unsigned)jump;
        if (strncasecmp(p + 1, "done", 4) == 0)
            *ret_ends = true;
    }
}

/* True when one of the words begins with name and has something else behind it than wanted (in a list: not among it). */
static bool has_other(const char *words, const char *name, const char *wanted)
{
    for (const char *at = words; *(at += strspn(at, " \t")); at += strcspn(at, " \t")) {
        size_t len = strlen(name), end = strcspn(at, " \t");
        bool found = false;
        if (strncmp(at, name, len) != 0)
            continue;
        for (size_t i = len; i < end && !found; i += strcspn(at + i, ", \t") + 1) {
            size_t word = strcspn(at + i, ", \t");
            found = word == strlen(wanted) && strncmp(at + i, wanted, word) == 0;
        }
        if (!found)
            return true;
    }
    return false;
}

/* Does it act in sshd, for the gate's group, by the ACL? */
static bool is_for_us(const struct pam_line *our)
{
    return !has_other(our->arguments, "services=", "sshd") && !has_other(our->arguments, "group=", VG_GATE_GROUP) &&
           !has_other(our->arguments, "config=", VG_SYSCONFDIR);
}

/* A line behind it that has the stack forget what was answered, or NULL. */
static const struct pam_line *forgets(const struct pam_stack *stack, size_t us)
{
    const struct pam_line *our = &stack->lines[us];

    if (strcasecmp(our->control, "requisite") == 0 || strstr(our->control, "default=die"))
        return NULL;
    for (size_t i = us + 1; i < stack->n; i++)
        if (stack->lines[i].substack == our->substack && strstr(stack->lines[i].control, "=reset"))
            return &stack->lines[i];
    return NULL;
}

/* True when the answer "no" of a line with this control cannot be outvoted. */
static bool is_binding(const char *control)
{
    if (strcasecmp(control, "required") == 0 || strcasecmp(control, "requisite") == 0)
        return true;
    if (control[0] != '[' || strstr(control, "module_unknown=ignore"))
        return false;
    const char *preset = strstr(control, "default=");
    return preset && (strncmp(preset + 8, "bad", 3) == 0 || strncmp(preset + 8, "die", 3) == 0) &&
           !strstr(control, "perm_denied=") && !strstr(control, "auth_err=") && !strstr(control, "session_err=");
}

const struct pam_line *pam_stack_ours(const struct pam_stack *stack)
{
    for (size_t i = 0; i < stack->n; i++)
        if (strcmp(file_name(stack->lines[i].module), PAM_MODULE) == 0)
            return &stack->lines[i];
    return NULL;
}

bool pam_stack_asks_us(const struct pam_stack *stack, enum pam_type type, char why[static PAM_WHY_SIZE])
{
    size_t us = 0;

    while (us < stack->n && strcmp(file_name(stack->lines[us].module), PAM_MODULE) != 0)
        us++;
    if (us == stack->n) {
        snprintf(why, PAM_WHY_SIZE, PAM_MODULE " is not in the PAM stack of sshd (%s)", type_names[type]);
        return false;
    }
    const struct pam_line *our = &stack->lines[us];
    if (type != PAM_TYPE_AUTH && !is_binding(our->control)) {
        snprintf(why, PAM_WHY_SIZE, "%s:%u has " PAM_MODULE " as \"%s\" (%s), so its refusal can be overruled",
                 our->file, our->line, our->control, type_names[type]);
        return false;
    }
    if (!is_for_us(our)) {
        snprintf(why, PAM_WHY_SIZE, "%s:%u: by its options (%.80s) " PAM_MODULE " is for something else (%s)", our->file,
                 our->line, our->arguments, type_names[type]);
        return false;
    }
    const struct pam_line *after = type == PAM_TYPE_AUTH ? NULL : forgets(stack, us);
    if (after) {
        snprintf(why, PAM_WHY_SIZE, "%s:%u (%s) has the %s stack forget what " PAM_MODULE " answered", after->file,
                 after->line, after->control, type_names[type]);
        return false;
    }
    size_t begins = 0;
    while (type == PAM_TYPE_SESSION && begins < us && strcmp(file_name(stack->lines[begins].module), "pam_loginuid.so") != 0)
        begins++;
    if (type == PAM_TYPE_SESSION && begins == us) {
        snprintf(why, PAM_WHY_SIZE, "%s:%u: no pam_loginuid.so, whose audit session " PAM_MODULE " needs, stands before it",
                 our->file, our->line);
        return false;
    }
    for (size_t i = 0; i < us; i++) {
        const struct pam_line *line = &stack->lines[i];
        unsigned jump;
        bool ends;
        read_control(line->control, &jump, &ends);
        if (ends && (line->substack == 0 || line->substack == our->substack)) {
            snprintf(why, PAM_WHY_SIZE, "%s:%u (%s %s) can end the %s stack before " PAM_MODULE " is asked",
                     line->file, line->line, line->control, file_name(line->module), type_names[type]);
            return false;
        }
        if (i + jump >= us && line->substack == our->substack) {
            snprintf(why, PAM_WHY_SIZE, "%s:%u (%s) can jump past " PAM_MODULE " in the %s stack", line->file,
                     line->line, line->control, type_names[type]);
            return false;
        }
    }
    return true;
}

const struct pam_line *pam_stack_readenv(const struct pam_stack *stack)
{
    for (size_t i = 0; i < stack->n; i++) {
        const struct pam_line *line = &stack->lines[i];
        if (strcmp(file_name(line->module), "pam_env.so") != 0)
            continue;
        for (const char *set = line->arguments; (set = strstr(set, "user_readenv=")); set++)
            if (strtol(set + 13, NULL, 10) != 0)
                return line;
    }
    return NULL;
}
