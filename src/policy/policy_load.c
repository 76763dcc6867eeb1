/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From files to a policy: which files, what their sections and keys mean, and every error of them.
 *
 * Sections condition nothing but themselves, names may be used before they are defined, and the order of files matters
 * only for which of several rules a verdict names. So everything is read first; roles are looked up at the end. */
#include "policy/policy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "base/text.h"
#include "policy/policy_impl.h"

#define FILE_SIZE_MAX ((size_t)64 << 20)
#define MAIN_FILE "virtgate.ini"
#define DROP_IN_FOLDER "virtgate.d"

enum section_kind { SECTION_GATE, SECTION_ROLE, SECTION_USER, SECTION_GROUP, SECTION_VM };

struct section {
    enum section_kind kind;
    const char *name;      /* as written, without quotes; "" for [gate] */
    struct pattern vm;     /* SECTION_VM */
    uint32_t principal;    /* SECTION_USER, SECTION_GROUP */
    uint32_t condition;    /* of the same */
    uint32_t file;
    unsigned line;
    rights granted;        /* SECTION_ROLE */
    bool has_grant;
};

struct key {
    const char *name;
    uint32_t section, file;
    unsigned line;
    bool is_role;                 /* to be looked up at the end */
    size_t first_rule, n_rules;   /* the rules of a role's key */
};

struct noted_error {
    uint32_t file;
    unsigned line;
    size_t number;
    char *message;
};

struct loader {
    struct policy *policy;
    uint32_t file;                /* the one being read */
    struct section *sections;
    size_t n_sections;
    struct map section_map;
    struct key *keys;
    size_t n_keys;
    struct map key_map;
    uint32_t section;             /* the current one, or: */
    unsigned line;                /* the current one */
    struct noted_error *errors;   /* of one pass in order: the first POLICY_ERRORS_MAX + 1 of each are enough */
    size_t n_errors, pass_began;
    bool no_memory;
};
#define SECTION_NONE UINT32_MAX          /* no header yet */
#define SECTION_REFUSED (UINT32_MAX - 1) /* its keys say nothing */

/* --- errors ------------------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 4, 5))) static void note(struct loader *loader, uint32_t file, unsigned line,
                                                       const char *format, ...)
{
    struct noted_error error = { .file = file, .line = line, .number = loader->n_errors };
    va_list args;

    if (loader->n_errors - loader->pass_began > POLICY_ERRORS_MAX)
        return;
    va_start(args, format);
    int len = vasprintf(&error.message, format, args);
    va_end(args);
    if (len < 0 || array_room(&loader->errors, loader->n_errors, sizeof error) < 0) {
        if (len >= 0)
            free(error.message);
        loader->no_memory = true;
        return;
    }
    loader->errors[loader->n_errors++] = error;
}

#define refuse(loader, ...) note(loader, (loader)->file, (loader)->line, __VA_ARGS__)

static int by_place(const void *a, const void *b)
{
    const struct noted_error *x = a, *y = b;

    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

/* 0 or -ENOMEM. */
static int give_errors(struct loader *loader, struct policy_errors *ret)
{
    size_t n = loader->n_errors > POLICY_ERRORS_MAX ? POLICY_ERRORS_MAX : loader->n_errors;

    if (n == 0)
        return 0;
    ret->list = calloc(n, sizeof *ret->list);
    if (!ret->list)
        return -ENOMEM;
    qsort(loader->errors, loader->n_errors, sizeof *loader->errors, by_place);
    for (ret->n = 0; ret->n < n; ret->n++) {
        const struct noted_error *from = &loader->errors[ret->n];
        struct policy_error *to = &ret->list[ret->n];
        bool last = loader->n_errors > n && ret->n == n - 1;
        to->file = strdup(loader->policy->files[from->file].path);
        to->line = from->line;
        to->message = strdup(last ? "there are more errors from here on" : from->message);
        if (!to->file || !to->message) {
            free(to->file);
            free(to->message);
            return -ENOMEM;
        }
    }
    return 0;
}

/* --- section headers --------------------------------------------------------------------------------------------- */

static const struct {
    const char *word, *form;
} section_forms[] = {
    [SECTION_GATE] = { "gate", "[gate]" },
    [SECTION_ROLE] = { "role", "[role NAME]" },
    [SECTION_USER] = { "user", "[user NAME]" },
    [SECTION_GROUP] = { "group", "[group NAME]" },
    [SECTION_VM] = { "vm", "[vm PATTERN]" },
};
#define N_SECTION_FORMS (sizeof section_forms / sizeof section_forms[0])

static int section_kind_parse(const struct word *word, enum section_kind *ret)
{
    for (size_t i = 0; i < N_SECTION_FORMS; i++) {
        if (!word->quoted && strcmp(section_forms[i].word, word->text) == 0) {
            *ret = (enum section_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* Kind and name; the name is "" where there is none. */
static int parse_header(struct loader *loader, const char *text, enum section_kind *ret_kind, struct word *ret_name)
{
    const char *at = skip_blanks(text);
    struct word kind = { 0 };
    char why[WHY_SIZE];

    if (*at != '\0' && word_parse(&at, &kind, why) < 0)
        goto refused;
    if (section_kind_parse(&kind, ret_kind) < 0) {
        refuse(loader, "unknown section [%s]: expected [gate], [role NAME], [user NAME], [group NAME] or [vm PATTERN]", text);
        return -EINVAL;
    }
    at = skip_blanks(at);
    *ret_name = (struct word){ 0 };
    if (*ret_kind != SECTION_GATE && *at != '\0' && word_parse(&at, ret_name, why) < 0)
        goto refused;
    if (*skip_blanks(at) == '\0' && (*ret_kind == SECTION_GATE) == (ret_name->len == 0))
        return 0;
    refuse(loader, "expected %s, not [%s]%s", section_forms[*ret_kind].form, text,
           *ret_kind == SECTION_GATE ? "" : " (a name with blanks must stand within double quotes)");
    return -EINVAL;
refused:
    refuse(loader, "%s", why);
    return -EINVAL;
}

static uint32_t section_hash(enum section_kind kind, const char *name)
{
    return map_mix(map_hash(name, strlen(name)), kind);
}

static struct section *find_section(const struct loader *loader, enum section_kind kind, const char *name)
{
    uint32_t hash = section_hash(kind, name), found;

    for (size_t at = hash; (found = map_next(&loader->section_map, hash, &at)) != MAP_NONE;)
        if (loader->sections[found].kind == kind && strcmp(loader->sections[found].name, name) == 0)
            return &loader->sections[found];
    return NULL;
}

static void out_of_memory(struct loader *loader)
{
    loader->no_memory = true;
}

static int check_role_name(struct loader *loader, const char *name)
{
    static const char *const keys[] = { "grant", "deny", "from", "hours", "until" };
    enum right right;
    bool taken = right_parse(name, &right) == 0;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        taken |= strcmp(keys[i], name) == 0;
    if (taken)
        refuse(loader, "a role cannot be called '%s': the word has a meaning of its own", name);
    else if (!is_role_name(name))
        refuse(loader, "expected a role's name of small letters, digits and '-' that begins with a letter, not '%s'", name);
    else
        return 0;
    return -EINVAL;
}

/* Adds condition and principal of [user NAME] and [group NAME]. */
static int set_principal(struct loader *loader, struct section *section, const struct word *name)
{
    const struct pattern_rules literal = { .glob = false };
    uint8_t bytes[PATTERN_SIZE];
    char why[WHY_SIZE];
    struct pattern pattern;

    if (name->text[0] == '@') {
        refuse(loader, "a group's section is [group %s]", name->text + 1);
        return -EINVAL;
    }
    if (pattern_compile(name->text, name->len, &literal, bytes, &pattern, why) < 0) {
        refuse(loader, "%s", why);
        return -EINVAL;
    }
    section->name = arena_copy(&loader->policy->arena, bytes, pattern.len);
    if (!section->name ||
        policy_add_principal(loader->policy, section->kind == SECTION_USER ? PRINCIPAL_USER : PRINCIPAL_GROUP, bytes,
                             pattern.len, &section->principal) < 0) {
        out_of_memory(loader);
        return -ENOMEM;
    }
    return 0;
}

static int set_vm(struct loader *loader, struct section *section, const struct word *name)
{
    const struct pattern_rules glob = { .glob = true };
    uint8_t bytes[PATTERN_SIZE];
    char why[WHY_SIZE];

    if (pattern_compile(name->text, name->len, &glob, bytes, &section->vm, why) < 0) {
        refuse(loader, "%s", why);
        return -EINVAL;
    }
    section->vm.bytes = arena_copy(&loader->policy->arena, bytes, section->vm.len);
    if (!section->vm.bytes) {
        out_of_memory(loader);
        return -ENOMEM;
    }
    return 0;
}

static int set_name(struct loader *loader, struct section *section, const struct word *name)
{
    section->name = arena_copy(&loader->policy->arena, name->text, name->len);
    if (!section->name) {
        out_of_memory(loader);
        return -ENOMEM;
    }
    switch (section->kind) {
    case SECTION_GATE:
        return 0;
    case SECTION_ROLE:
        return check_role_name(loader, name->text);
    case SECTION_USER:
    case SECTION_GROUP:
        return set_principal(loader, section, name);
    case SECTION_VM:
        return set_vm(loader, section, name);
    }
    return -EINVAL;
}

static int add_condition(struct loader *loader, struct section *section)
{
    struct policy *policy = loader->policy;

    section->condition = NO_CONDITION;
    if (section->kind == SECTION_GATE || section->kind == SECTION_ROLE)
        return 0;
    if (array_room(&policy->conditions, policy->n_conditions, sizeof *policy->conditions) < 0)
        return -ENOMEM;
    section->condition = (uint32_t)policy->n_conditions;
    policy->conditions[policy->n_conditions++] = (struct condition){ 0 };
    return 0;
}

static int add_section(struct loader *loader, const struct section *section)
{
    uint32_t number = (uint32_t)loader->n_sections;

    if (array_room(&loader->sections, loader->n_sections, sizeof *section) < 0 ||
        map_add(&loader->section_map, section_hash(section->kind, section->name), number) < 0)
        return -ENOMEM;
    loader->sections[loader->n_sections++] = *section;
    loader->section = number;
    return 0;
}

static void on_section(void *user, unsigned line, const char *text)
{
    struct loader *loader = user;
    struct section section = { .file = loader->file, .line = line }, *other;
    struct word name;

    loader->section = SECTION_REFUSED;
    loader->line = line;
    if (!text || parse_header(loader, text, &section.kind, &name) < 0 || set_name(loader, &section, &name) < 0)
        return;
    other = find_section(loader, section.kind, section.name);
    if (other && section.kind == SECTION_GATE && other->file != section.file) {
        /* The settings go on in this file: whoever adds one does not have to write into a file of somebody else's. */
        other->file = section.file;
        other->line = line;
        loader->section = (uint32_t)(other - loader->sections);
    } else if (other) {
        refuse(loader, "a second section [%s]: expected one, and there is one in %s, line %u", text,
               loader->policy->files[other->file].path, other->line);
    } else if (add_condition(loader, &section) < 0 || add_section(loader, &section) < 0) {
        out_of_memory(loader);
    }
}

/* --- keys -------------------------------------------------------------------------------------------------------- */

/* The keys of a section are few, but a map costs no more than a search through roles without number would. */
static int register_key(struct loader *loader, const char *name)
{
    struct key key = { .section = loader->section, .file = loader->file, .line = loader->line,
                       .first_rule = loader->policy->n_rules };
    uint32_t hash = map_mix(map_hash(name, strlen(name)), loader->section), found;

    for (size_t at = hash; (found = map_next(&loader->key_map, hash, &at)) != MAP_NONE;) {
        const struct key *other = &loader->keys[found];
        if (other->section == loader->section && strcmp(other->name, name) == 0) {
            refuse(loader, "a second '%s' in this section: expected one, and there is one in %s%sline %u", name,
                   other->file == loader->file ? "" : loader->policy->files[other->file].path,
                   other->file == loader->file ? "" : ", ", other->line);
            return -EINVAL;
        }
    }
    key.name = arena_copy(&loader->policy->arena, name, strlen(name));
    if (!key.name || array_room(&loader->keys, loader->n_keys, sizeof key) < 0 ||
        map_add(&loader->key_map, hash, (uint32_t)loader->n_keys) < 0) {
        out_of_memory(loader);
        return -ENOMEM;
    }
    loader->keys[loader->n_keys++] = key;
    return 0;
}

static void refuse_watch(struct loader *loader)
{
    refuse(loader, "the right 'watch' is not yet available");
}

static void set_role_grant(struct loader *loader, struct section *section, const char *value)
{
    struct word word;
    char why[WHY_SIZE];
    enum right right;

    section->has_grant = true;
    for (const char *at = value; at;) {
        if (list_next(&at, &word, why) < 0) {
            refuse(loader, "%s", why);
            return;
        }
        if (right_parse(word.text, &right) < 0) {
            refuse(loader, "unknown right '%s': expected display, serial, power or takeover", word.text);
            return;
        }
        if (right == RIGHT_WATCH) {
            refuse_watch(loader);
            return;
        }
        section->granted |= right;
    }
}

/* The text of a condition, for the verdict. */
static const char *keep_text(struct loader *loader, const char *value)
{
    const char *text = arena_copy(&loader->policy->arena, value, strlen(value));

    if (!text)
        out_of_memory(loader);
    return text;
}

static void set_from(struct loader *loader, struct condition *condition, const char *value)
{
    struct net nets[LINE_SIZE / 2]; /* each takes a byte and a comma, or more */
    size_t n = 0, len;
    const char *part;
    char why[WHY_SIZE];

    for (const char *at = value; at; n++) {
        if (part_next(&at, &part, &len, why) < 0 || net_parse(part, len, &nets[n], why) < 0) {
            refuse(loader, "%s", why);
            return;
        }
    }
    condition->from = arena_copy(&loader->policy->arena, nets, n * sizeof nets[0]);
    condition->n_from = n;
    condition->from_text = keep_text(loader, value);
    if (!condition->from)
        out_of_memory(loader);
}

static void set_hours(struct loader *loader, struct condition *condition, const char *value)
{
    struct span spans[LINE_SIZE / 2];
    size_t n = 0, len;
    const char *part;
    char why[WHY_SIZE];

    for (const char *at = value; at; n++) {
        if (part_next(&at, &part, &len, why) < 0) {
            refuse(loader, "%s", why);
            return;
        }
        if (span_parse(part, len, &spans[n]) < 0) {
            refuse(loader, "expected hours such as 08:00-18:00, Mon-Fri 08:00-18:00 or Sat 22:00-06:00, not '%.*s'",
                   (int)len, part);
            return;
        }
    }
    condition->hours = arena_copy(&loader->policy->arena, spans, n * sizeof spans[0]);
    condition->n_hours = n;
    condition->hours_text = keep_text(loader, value);
    if (!condition->hours)
        out_of_memory(loader);
}

static void set_until(struct loader *loader, struct condition *condition, const char *value)
{
    if (until_parse(value, &condition->until) < 0)
        refuse(loader, "expected a date of the calendar such as 2027-01-31, or 2027-01-31 18:00, not '%s'", value);
    else
        condition->until_text = keep_text(loader, value);
}

/* An item of a list in [user NAME] or [group NAME]: a VM pattern. */
static int read_vm_item(const struct word *word, uint8_t bytes[static PATTERN_SIZE], struct pattern *ret,
                        char why[static WHY_SIZE])
{
    const struct pattern_rules rules = { .glob = true, .letter = 'u' };

    if (word->text[0] == '@') {
        snprintf(why, WHY_SIZE, "expected a VM pattern, not '%s': groups are named in [vm PATTERN] (a VM of that name: \\%s)",
                 word->text, word->text);
        return -EINVAL;
    }
    if (word->text[0] == '!') {
        snprintf(why, WHY_SIZE, "expected a VM pattern, not '%s': use deny (a VM of that name: \\%s)", word->text, word->text);
        return -EINVAL;
    }
    return pattern_compile(word->text, word->len, &rules, bytes, ret, why);
}

/* An item of a list in [vm PATTERN]: a user or a group. */
static int read_principal_item(const struct word *word, uint8_t bytes[static PATTERN_SIZE], struct pattern *ret,
                               enum principal_kind *ret_kind, char why[static WHY_SIZE])
{
    const struct pattern_rules rules = { .letter = 'v' };
    bool group = word->text[0] == '@';
    int r;

    if (word->text[0] == '!' || (group && word->len == 1)) {
        snprintf(why, WHY_SIZE, "expected a user's name or @ and a group's name, not '%s'%s", word->text,
                 group ? "" : " (to exclude somebody, use deny)");
        return -EINVAL;
    }
    r = pattern_compile(word->text + group, word->len - group, &rules, bytes, ret, why);
    if (r < 0)
        return r;
    if (ret->kind == PATTERN_PROGRAM)
        *ret_kind = group ? PRINCIPAL_GROUP_OF_VM : PRINCIPAL_USER_OF_VM;
    else
        *ret_kind = group ? PRINCIPAL_GROUP : PRINCIPAL_USER;
    return 0;
}

/* Adds the rule that one item of a list makes; rule holds what is common to the list. -EINVAL and why, or -ENOMEM. */
static int add_item(struct loader *loader, const struct section *section, const struct word *word, struct rule rule,
                    char why[static WHY_SIZE])
{
    uint8_t bytes[PATTERN_SIZE];
    enum principal_kind kind;
    struct pattern pattern;
    int r;

    if (section->kind == SECTION_VM) {
        r = read_principal_item(word, bytes, &pattern, &kind, why);
        rule.vm = section->vm;
        if (r == 0)
            r = policy_add_principal(loader->policy, kind, pattern.bytes, pattern.len, &rule.principal);
    } else {
        r = read_vm_item(word, bytes, &rule.vm, why);
        rule.principal = section->principal;
    }
    return r < 0 ? r : policy_add_rule(loader->policy, &rule);
}

static void add_list(struct loader *loader, const struct section *section, const char *value, rights granted, bool deny)
{
    struct rule rule = { .rights = (uint8_t)granted, .deny = deny, .condition = deny ? NO_CONDITION : section->condition,
                         .file = loader->file, .line = loader->line };
    struct word word;
    char why[WHY_SIZE];

    for (const char *at = value; at;) {
        int r = list_next(&at, &word, why);
        if (r == 0)
            r = add_item(loader, section, &word, rule, why);
        if (r == -ENOMEM)
            out_of_memory(loader);
        else if (r < 0)
            refuse(loader, "%s", why);
        if (r < 0)
            return;
    }
}

static void set_list(struct loader *loader, const struct section *section, struct key *key, const char *value)
{
    enum right right = 0;
    bool deny = strcmp(key->name, "deny") == 0;

    if (!deny && right_parse(key->name, &right) < 0)
        key->is_role = true;
    if (right == RIGHT_WATCH) {
        refuse_watch(loader);
        return;
    }
    add_list(loader, section, value, right, deny);
    key->n_rules = loader->policy->n_rules - key->first_rule;
}

static void set_rule_key(struct loader *loader, const struct section *section, struct key *key, const char *value)
{
    struct condition *condition = &loader->policy->conditions[section->condition];

    if (strcmp(key->name, "from") == 0)
        set_from(loader, condition, value);
    else if (strcmp(key->name, "hours") == 0)
        set_hours(loader, condition, value);
    else if (strcmp(key->name, "until") == 0)
        set_until(loader, condition, value);
    else
        set_list(loader, section, key, value);
}

static void on_key(void *user, unsigned line, const char *name, const char *value)
{
    struct loader *loader = user;
    char why[WHY_SIZE];

    loader->line = line;
    if (loader->section == SECTION_NONE)
        refuse(loader, "expected a [section] before the first key");
    if (loader->section >= SECTION_REFUSED || register_key(loader, name) < 0)
        return;
    struct section *section = &loader->sections[loader->section];
    switch (section->kind) {
    case SECTION_GATE:
        if (settings_set(&loader->policy->settings, name, value, why) < 0)
            refuse(loader, "%s", why);
        break;
    case SECTION_ROLE:
        if (strcmp(name, "grant") == 0)
            set_role_grant(loader, section, value);
        else
            refuse(loader, "unknown key '%s': expected grant", name);
        break;
    case SECTION_USER:
    case SECTION_GROUP:
    case SECTION_VM:
        set_rule_key(loader, section, &loader->keys[loader->n_keys - 1], value);
        break;
    }
}

static void on_error(void *user, unsigned line, const char *message)
{
    struct loader *loader = user;

    note(loader, loader->file, line, "%s", message);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static void read_text(struct loader *loader, const char *data, size_t len)
{
    const struct ini_events events = { .user = loader, .section = on_section, .key = on_key, .error = on_error };

    loader->section = SECTION_NONE;
    if (policy_ini_read(data, len, &events) < 0)
        out_of_memory(loader);
}

/* Makes path the current file. 0 or -ENOMEM. */
static int begin_file(struct loader *loader, const char *path)
{
    struct policy *policy = loader->policy;
    const char *slash = strrchr(path, '/');
    struct file file = { .path = arena_copy(&policy->arena, path, strlen(path)) };

    if (!file.path || array_room(&policy->files, policy->n_files, sizeof file) < 0) {
        out_of_memory(loader);
        return -ENOMEM;
    }
    file.name = slash ? file.path + (slash - path) + 1 : file.path;
    loader->file = (uint32_t)policy->n_files;
    loader->line = 0;
    policy->files[policy->n_files++] = file;
    return 0;
}

static void read_open_file(struct loader *loader, int fd)
{
    char *data;
    size_t len;
    int r = io_read_all(fd, FILE_SIZE_MAX, &data, &len);

    if (r == -EFBIG) {
        refuse(loader, "is larger than %zu MiB", FILE_SIZE_MAX >> 20);
    } else if (r == -ENOMEM) {
        out_of_memory(loader);
    } else if (r < 0) {
        refuse(loader, "cannot be read: %s", strerror(-r));
    } else {
        read_text(loader, data, len);
        free(data);
    }
}

/* Opens name in dir, which was opened as folder (NULL: name is a whole path), as the current file. A missing one is an
 * error unless may_miss. 0 or -errno. */
static int open_current(struct loader *loader, int dir, const char *folder, const char *name, bool directory, bool may_miss,
                        uid_t owner, int *ret_fd)
{
    char why[PATH_WHY_SIZE];
    char *path;
    int r;

    if (asprintf(&path, "%s%s%s", folder ? folder : "", folder ? "/" : "", name) < 0) {
        out_of_memory(loader);
        return -ENOMEM;
    }
    r = begin_file(loader, path);
    free(path);
    if (r < 0)
        return r;
    r = path_open_trusted_at(dir, name, directory, owner, ret_fd, why);
    if (r < 0 && !(may_miss && r == -ENOENT))
        refuse(loader, "%s", why);
    return r;
}

static void read_file(struct loader *loader, int dir, const char *folder, const char *name, uid_t owner)
{
    FD_AUTO fd = -1;

    if (open_current(loader, dir, folder, name, false, false, owner, &fd) == 0)
        read_open_file(loader, fd);
}

static bool is_drop_in(const char *name)
{
    size_t len = strlen(name);

    return name[0] != '.' && len > strlen(".ini") && strcmp(name + len - strlen(".ini"), ".ini") == 0;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

/* The drop-ins of the open folder, sorted. 0 or -errno. Takes ownership of fd. */
static int list_drop_ins(int fd, char ***ret, size_t *ret_n)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    char **names = NULL;
    size_t n = 0;
    int error;

    if (!dir) {
        error = errno;
        fd_close(&fd);
        return -error;
    }
    while (errno = 0, (entry = readdir(dir))) {
        if (!is_drop_in(entry->d_name))
            continue;
        if (array_room(&names, n, sizeof *names) < 0 || !(names[n] = strdup(entry->d_name))) {
            errno = ENOMEM;
            break;
        }
        n++;
    }
    error = errno;
    closedir(dir);
    if (error) {
        free_names(names, n);
        return -error;
    }
    if (n > 0)
        qsort(names, n, sizeof *names, by_bytes);
    *ret = names;
    *ret_n = n;
    return 0;
}

static void read_drop_ins(struct loader *loader, int parent, const char *parent_path, uid_t owner)
{
    FD_AUTO dir = -1;
    char **names = NULL;
    size_t n = 0;
    int r = open_current(loader, parent, parent_path, DROP_IN_FOLDER, true, true, owner, &dir);

    if (r < 0)
        return;
    const char *path = loader->policy->files[loader->file].path;
    int listed = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = listed < 0 ? -errno : list_drop_ins(listed, &names, &n);
    if (r < 0) {
        refuse(loader, "cannot be read: %s", strerror(-r));
        return;
    }
    for (size_t i = 0; i < n; i++)
        read_file(loader, dir, path, names[i], owner);
    free_names(names, n);
}

static void read_folder(struct loader *loader, const char *path, uid_t owner)
{
    FD_AUTO dir = -1;

    if (open_current(loader, AT_FDCWD, NULL, path, true, false, owner, &dir) < 0)
        return;
    read_file(loader, dir, path, MAIN_FILE, owner);
    read_drop_ins(loader, dir, path, owner);
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

static void resolve_role(struct loader *loader, const struct key *key)
{
    const struct section *role = find_section(loader, SECTION_ROLE, key->name);

    if (!role) {
        note(loader, key->file, key->line, "unknown key '%s': expected display, serial, power, takeover, deny, from, hours, "
             "until or the name of a role", key->name);
        return;
    }
    for (size_t i = 0; i < key->n_rules; i++)
        loader->policy->rules[key->first_rule + i].rights = (uint8_t)role->granted;
}

static void resolve(struct loader *loader)
{
    loader->pass_began = loader->n_errors;
    for (size_t i = 0; i < loader->n_keys; i++)
        if (loader->keys[i].is_role)
            resolve_role(loader, &loader->keys[i]);
    loader->pass_began = loader->n_errors;
    for (size_t i = 0; i < loader->n_sections; i++)
        if (loader->sections[i].kind == SECTION_ROLE && !loader->sections[i].has_grant)
            note(loader, loader->sections[i].file, loader->sections[i].line, "expected grant = RIGHTS in [role %s]",
                 loader->sections[i].name);
}

static void loader_free(struct loader *loader)
{
    for (size_t i = 0; i < loader->n_errors; i++)
        free(loader->errors[i].message);
    free(loader->errors);
    free(loader->sections);
    map_free(&loader->section_map);
    free(loader->keys);
    map_free(&loader->key_map);
    policy_free(loader->policy);
}

/* Ends what policy_load() and policy_load_text() began: the policy, or the errors. */
static int finish(struct loader *loader, struct policy **ret, struct policy_errors *errors)
{
    int r = 0;

    resolve(loader);
    if (give_errors(loader, errors) < 0 || loader->no_memory)
        r = -ENOMEM;
    else if (loader->n_errors > 0)
        r = -EINVAL;
    else
        r = policy_index(loader->policy);
    if (r == 0) {
        *ret = loader->policy;
        loader->policy = NULL;
    }
    loader_free(loader);
    return r;
}

int policy_load_text(const char *path, const char *data, size_t len, struct policy **ret, struct policy_errors *errors)
{
    struct loader loader = { .policy = policy_new() };

    if (!loader.policy)
        return -ENOMEM;
    if (begin_file(&loader, path) == 0)
        read_text(&loader, data, len);
    return finish(&loader, ret, errors);
}

int policy_load(const char *path, uid_t owner, struct policy **ret, struct policy_errors *errors)
{
    struct loader loader = { .policy = policy_new() };
    struct stat st;

    if (!loader.policy)
        return -ENOMEM;
    /* Only to know what path is meant to be; what it is, path_open_trusted_at() checks on the open descriptor. */
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
        read_folder(&loader, path, owner);
    else
        read_file(&loader, AT_FDCWD, NULL, path, owner);
    return finish(&loader, ret, errors);
}
