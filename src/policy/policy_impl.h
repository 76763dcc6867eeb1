/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of policy/ share with each other, and with nobody else but their tests. */
#ifndef VG_POLICY_IMPL_H
#define VG_POLICY_IMPL_H

#include "policy/policy.h"
#include "policy/policy_mem.h"

#define WHY_SIZE 640 /* one sentence of what was expected; holds a name twice */

/* --- patterns (policy_pattern.c) --------------------------------------------------------------------------------- */

#define PATTERN_TEXT_MAX 255  /* bytes of a pattern or name as written */
#define PATTERN_SIZE (2 * PATTERN_TEXT_MAX) /* of a compiled one */

enum pattern_kind {
    PATTERN_LITERAL, /* bytes: the name */
    PATTERN_UUID,    /* bytes: the 16 of a uuid */
    PATTERN_PROGRAM, /* bytes: the steps below; every other byte stands for itself */
};

/* Control characters cannot be written in the ACL file, so that no literal byte is taken for a step. */
enum pattern_step {
    STEP_ANY = 1,    /* any bytes */
    STEP_ONE = 2,    /* one byte */
    STEP_SET = 3,    /* one byte of a set: 0 or 1 for "not in", the number of ranges, first and last byte of each */
    STEP_INSERT = 4, /* the name that is inserted: %u or %v */
};

struct pattern {
    const uint8_t *bytes;
    uint16_t len;
    uint8_t kind; /* enum pattern_kind */
};

/* How one place of the file is to be read. */
struct pattern_rules {
    bool glob;   /* * ? [..] and backslash act, and uuid: is known; else they are refused (a backslash is itself) */
    char letter; /* the letter that may follow %, 0: none */
};

/* Compiles a pattern or name as written (without quotes) into bytes, which the pattern then points at. 0, or -EINVAL and
 * why. */
int pattern_compile(const char *text, size_t len, const struct pattern_rules *rules, uint8_t bytes[static PATTERN_SIZE],
                    struct pattern *ret, char why[static WHY_SIZE]);
/* Does the program match the name as a whole? Byte by byte: no locale has a say. */
bool pattern_match(const uint8_t *program, size_t program_len, const char *name, size_t name_len, const char *insert,
                   size_t insert_len);
/* For a program without sets and wildcards: finds the one text that has to be inserted so that it matches name. */
bool pattern_solve(const uint8_t *program, size_t program_len, const char *name, size_t name_len, const char **ret_insert,
                   size_t *ret_len);
/* Can pattern_match() (with flat: pattern_solve() as well) be trusted with these bytes? */
bool pattern_valid(const uint8_t *program, size_t len, bool flat);

/* --- conditions (policy_time.c, policy_address.c, policy_condition.c) --------------------------------------------- */

struct span {             /* of a week */
    uint8_t days;         /* bit 0: Monday; the day on which it starts */
    uint16_t start, end;  /* minutes; end <= start: on the next day */
};

bool span_holds(const struct span *span, const struct moment *now);
/* Reads "[Day[-Day]] HH:MM-HH:MM". 0 or -EINVAL. */
int span_parse(const char *text, size_t len, struct span *ret);

/* Reads "YYYY-MM-DD", which ends with that day, or "YYYY-MM-DD HH:MM"; minute is 1440 for the former. 0 or -EINVAL. */
int until_parse(const char *text, struct moment *ret);
bool until_is_past(const struct moment *until, const struct moment *now);

struct net {
    struct address address; /* no bit set beyond the prefix */
    unsigned prefix;
};

bool net_holds(const struct net *net, const struct address *address);
/* Reads ADDRESS[/PREFIX]. 0, or -EINVAL and why. */
int net_parse(const char *text, size_t len, struct net *ret, char why[static WHY_SIZE]);

/* What a section's from, hours and until say of its grants. */
struct condition {
    const struct net *from;
    size_t n_from;
    const char *from_text;  /* as written; NULL: none */
    const struct span *hours;
    size_t n_hours;
    const char *hours_text;
    struct moment until;
    const char *until_text;
    const char *decided_text; /* in a view: the condition does not hold, for the reason decided; NULL: not decided */
    enum verdict_reason decided;
};

/* VERDICT_GRANTED: it holds; or the reason why not. */
enum verdict_reason condition_check(const struct condition *condition, const struct subject *subject);
/* The sentence for a reason that condition_check() gave. */
void condition_explain(const struct condition *condition, enum verdict_reason reason, const struct subject *subject,
                       char out[static VERDICT_TEXT_SIZE]);

/* --- the policy -------------------------------------------------------------------------------------------------- */

enum principal_kind {
    PRINCIPAL_USER,
    PRINCIPAL_GROUP,
    PRINCIPAL_USER_OF_VM,  /* bytes: a program in which the VM's name is inserted */
    PRINCIPAL_GROUP_OF_VM,
};

struct principal {
    const uint8_t *bytes;
    uint32_t len;
    uint8_t kind;
    uint32_t first;         /* in by_principal: n_scan rules to be tried one by one, then those of the exact table */
    uint32_t n_scan, n;
};

#define NO_CONDITION UINT32_MAX

struct rule {
    struct pattern vm;
    uint8_t rights;         /* of a grant */
    bool deny;
    uint32_t principal, condition, file, line;
};

struct file {
    const char *path;       /* NULL in a view */
    const char *name;       /* its last component */
};

struct policy {
    struct arena arena;     /* every text and pattern below */
    struct settings settings;
    struct file *files;
    size_t n_files;
    struct condition *conditions;
    size_t n_conditions;
    struct rule *rules;     /* in the order of files, lines and items */
    size_t n_rules;
    struct principal *principals;
    size_t n_principals;
    struct map principal_map;
    /* What policy_index() adds. */
    uint32_t *by_principal;
    struct map exact;       /* rules with a literal name or a uuid, by principal and that */
    uint32_t *of_vm;        /* the rules whose principal depends on the VM: every decision tries them all */
    size_t n_of_vm;
    /* A view is a policy for one user; its groups count, not those that the subject brings. */
    bool is_view;
    const char *user;
    const char **groups;
    size_t n_groups;
};

/* An empty policy with default settings, or NULL. */
struct policy *policy_new(void);
/* Finds or adds. 0 or -ENOMEM. */
int policy_add_principal(struct policy *policy, enum principal_kind kind, const void *bytes, size_t len, uint32_t *ret);
/* The number of that one, or MAP_NONE. */
uint32_t policy_find_principal(const struct policy *policy, enum principal_kind kind, const void *bytes, size_t len);
/* Copies the pattern's bytes. 0 or -ENOMEM. */
int policy_add_rule(struct policy *policy, const struct rule *rule);
/* After the last rule. 0 or -ENOMEM. */
int policy_index(struct policy *policy);
uint32_t policy_exact_hash(uint32_t principal, enum pattern_kind kind, uint32_t bytes_hash);

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* policy_load() of one file that is in memory already. */
int policy_load_text(const char *path, const char *data, size_t len, struct policy **ret, struct policy_errors *errors);

/* Bytes of a line with its end and a NUL: what inih has room for as it comes. Other builds of inih have more; but a file
 * shall not be right on one host and wrong on another. */
#define LINE_SIZE 200

/* The lines of one file, in their order (policy_ini.c). */
struct ini_events {
    void *user;
    void (*section)(void *user, unsigned line, const char *text); /* between [ and ]; NULL: a header that was refused */
    void (*key)(void *user, unsigned line, const char *key, const char *value);
    void (*error)(void *user, unsigned line, const char *message);
};

/* 0 or -ENOMEM; what is wrong with the text goes to events->error. */
int policy_ini_read(const char *data, size_t len, const struct ini_events *events);

/* Words and lists of them (policy_value.c). */
struct word {
    char text[PATTERN_TEXT_MAX + 1];
    size_t len;
    bool quoted;
};

const char *skip_blanks(const char *at);
/* Reads the word at *at (not a blank, not the end) and moves on behind it. 0, or -EINVAL and why. */
int word_parse(const char **at, struct word *ret, char why[static WHY_SIZE]);
/* The next word of a list with commas; *at starts at the value and becomes NULL behind the last. Only for *at != NULL.
 * 0, or -EINVAL and why. */
int list_next(const char **at, struct word *ret, char why[static WHY_SIZE]);
/* The same for parts that may hold blanks: the stretch up to the next comma, without blanks around it. */
int part_next(const char **at, const char **ret, size_t *ret_len, char why[static WHY_SIZE]);
bool is_role_name(const char *text);

/* The keys of [gate]. 0, or -EINVAL and why. */
int settings_set(struct settings *settings, const char *key, const char *value, char why[static WHY_SIZE]);

#endif
