/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A view: the part of a policy that concerns one subject, as bytes. In this order, numbers little-endian:
 *
 *   magic; settings; the user; the groups, sorted; the names of the files; the conditions that do not hold; the
 *   principals; the rules, in the order of the policy
 *
 * each list as a count of 4 bytes and its members, each text as a length of 4 bytes and its bytes. Files, conditions and
 * principals are numbered in the order in which the rules first use them.
 *
 * There is exactly one encoding of a view. policy_view_decode() reads with every length bounded, encodes again what it
 * has read and compares: whatever policy_view_encode() would not have written is refused by that. */
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "policy/policy_decide.h"
#include "policy/policy_impl.h"

static const char magic[] = "virtgate view 1\n";

/* --- which rules ------------------------------------------------------------------------------------------------- */

struct numbers {
    uint32_t *list;
    size_t n;
    bool failed;
};

static bool collect_rule(void *context, uint32_t rule, const char *of_vm, size_t of_vm_len)
{
    struct numbers *numbers = context;

    (void)of_vm;
    (void)of_vm_len;
    if (array_room(&numbers->list, numbers->n, sizeof *numbers->list) < 0) {
        numbers->failed = true;
        return false;
    }
    numbers->list[numbers->n++] = rule;
    return true;
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* The person's rules, ascending, each once. 0 or -ENOMEM. */
static int collect_rules(const struct policy *policy, const struct person *person, struct numbers *ret)
{
    size_t kept = 0;

    person_visit(policy, person, collect_rule, ret);
    if (ret->failed)
        return -ENOMEM;
    if (ret->n > 0)
        qsort(ret->list, ret->n, sizeof *ret->list, by_number);
    for (size_t i = 0; i < ret->n; i++)
        if (i == 0 || ret->list[i] != ret->list[i - 1])
            ret->list[kept++] = ret->list[i];
    ret->n = kept;
    return 0;
}

static bool see_any(void *context, uint32_t rule, const char *of_vm, size_t of_vm_len)
{
    (void)rule;
    (void)of_vm;
    (void)of_vm_len;
    *(bool *)context = true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The groups that rules are about, sorted, each once. 0 or -ENOMEM. */
static int collect_groups(const struct policy *policy, const struct person *person, const char ***ret, size_t *ret_n)
{
    const char **groups = NULL;
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < person->n_groups; i++) {
        /* A person who is only in this group; no rule names the empty user. */
        struct person alone = { .user = "", .groups = &person->groups[i], .n_groups = 1 };
        bool used = false;
        person_visit(policy, &alone, see_any, &used);
        if (!used)
            continue;
        if (array_room(&groups, n, sizeof *groups) < 0) {
            free(groups);
            return -ENOMEM;
        }
        groups[n++] = person->groups[i];
    }
    if (n > 0)
        qsort(groups, n, sizeof *groups, by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(groups[i], groups[i - 1]) != 0)
            groups[kept++] = groups[i];
    *ret = groups;
    *ret_n = kept;
    return 0;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

struct out {
    uint8_t *data;
    size_t len, size;
    bool failed; /* no memory; nothing is written any more */
};

static void put(struct out *out, const void *data, size_t len)
{
    if (out->failed)
        return;
    if (len > out->size - out->len) {
        size_t size = 2 * (out->size + len);
        uint8_t *grown = realloc(out->data, size);
        if (!grown) {
            out->failed = true;
            return;
        }
        out->data = grown;
        out->size = size;
    }
    if (len > 0)
        memcpy(out->data + out->len, data, len);
    out->len += len;
}

static void put_number(struct out *out, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        put(out, &(uint8_t){ (uint8_t)(number >> 8 * i) }, 1);
}

static void put_bytes(struct out *out, const void *data, size_t len)
{
    put_number(out, len, 4);
    put(out, data, len);
}

static void put_text(struct out *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

static void put_settings(struct out *out, const struct settings *settings)
{
    put_text(out, settings->uri);
    put_number(out, (uint64_t)settings->idle, 8);
    put_number(out, (uint64_t)settings->max_time, 8);
    put_number(out, settings->max_sessions, 4);
}

/* Gives things that rules refer to their numbers in the view: of[old] is the new one + 1, 0 for none yet. */
struct renumbered {
    uint32_t *of;
    struct numbers used; /* the old numbers, in the new order */
};

static uint32_t renumber(struct renumbered *renumbered, uint32_t old)
{
    if (renumbered->of[old] == 0 && collect_rule(&renumbered->used, old, NULL, 0))
        renumbered->of[old] = (uint32_t)renumbered->used.n;
    return renumbered->of[old] - 1;
}

struct encoder {
    const struct policy *policy;
    const struct subject *subject;
    struct out out;
    struct numbers rules;
    const char **groups;
    size_t n_groups;
    struct renumbered files, conditions, principals;
};

/* The condition of a rule, unless it holds. */
static uint32_t held_condition(const struct encoder *encoder, const struct rule *rule)
{
    if (rule->condition == NO_CONDITION ||
        condition_check(&encoder->policy->conditions[rule->condition], encoder->subject) == VERDICT_GRANTED)
        return NO_CONDITION;
    return rule->condition;
}

static int number_all(struct encoder *encoder)
{
    const struct policy *policy = encoder->policy;

    encoder->files.of = calloc(policy->n_files + 1, sizeof(uint32_t));
    encoder->conditions.of = calloc(policy->n_conditions + 1, sizeof(uint32_t));
    encoder->principals.of = calloc(policy->n_principals + 1, sizeof(uint32_t));
    if (!encoder->files.of || !encoder->conditions.of || !encoder->principals.of)
        return -ENOMEM;
    for (size_t i = 0; i < encoder->rules.n; i++) {
        const struct rule *rule = &policy->rules[encoder->rules.list[i]];
        renumber(&encoder->files, rule->file);
        renumber(&encoder->principals, rule->principal);
        if (held_condition(encoder, rule) != NO_CONDITION)
            renumber(&encoder->conditions, rule->condition);
    }
    return encoder->files.used.failed || encoder->principals.used.failed || encoder->conditions.used.failed ? -ENOMEM : 0;
}

static void put_condition(struct encoder *encoder, const struct condition *condition)
{
    enum verdict_reason reason = condition_check(condition, encoder->subject);
    char text[VERDICT_TEXT_SIZE] = "";

    condition_explain(condition, reason, encoder->subject, text);
    put_number(&encoder->out, reason, 1);
    put_text(&encoder->out, text);
}

static void put_rule(struct encoder *encoder, const struct rule *rule)
{
    struct out *out = &encoder->out;

    put_number(out, rule->deny ? 0 : rule->rights, 1);
    put_number(out, renumber(&encoder->principals, rule->principal), 4);
    put_number(out, held_condition(encoder, rule) == NO_CONDITION ? NO_CONDITION
                                                                  : renumber(&encoder->conditions, rule->condition), 4);
    put_number(out, renumber(&encoder->files, rule->file), 4);
    put_number(out, rule->line, 4);
    put_number(out, rule->vm.kind, 1);
    put_bytes(out, rule->vm.bytes, rule->vm.len);
}

static void put_all(struct encoder *encoder, const char *user)
{
    const struct policy *policy = encoder->policy;
    struct out *out = &encoder->out;

    put(out, magic, strlen(magic));
    put_settings(out, &policy->settings);
    put_text(out, user);
    put_number(out, encoder->n_groups, 4);
    for (size_t i = 0; i < encoder->n_groups; i++)
        put_text(out, encoder->groups[i]);
    put_number(out, encoder->files.used.n, 4);
    for (size_t i = 0; i < encoder->files.used.n; i++)
        put_text(out, policy->files[encoder->files.used.list[i]].name);
    put_number(out, encoder->conditions.used.n, 4);
    for (size_t i = 0; i < encoder->conditions.used.n; i++)
        put_condition(encoder, &policy->conditions[encoder->conditions.used.list[i]]);
    put_number(out, encoder->principals.used.n, 4);
    for (size_t i = 0; i < encoder->principals.used.n; i++) {
        const struct principal *principal = &policy->principals[encoder->principals.used.list[i]];
        put_number(out, principal->kind, 1);
        put_bytes(out, principal->bytes, principal->len);
    }
    put_number(out, encoder->rules.n, 4);
    for (size_t i = 0; i < encoder->rules.n; i++)
        put_rule(encoder, &policy->rules[encoder->rules.list[i]]);
}

static void encoder_free(struct encoder *encoder)
{
    struct renumbered *const tables[] = { &encoder->files, &encoder->conditions, &encoder->principals };

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        free(tables[i]->of);
        free(tables[i]->used.list);
    }
    free(encoder->rules.list);
    free(encoder->groups);
    free(encoder->out.data);
}

int policy_view_encode(const struct policy *policy, const struct subject *subject, void **ret, size_t *ret_len)
{
    struct encoder encoder = { .policy = policy, .subject = subject };
    struct person person = { .user = "" };
    int r = 0;

    if (person_of(policy, subject, &person)) {
        r = collect_rules(policy, &person, &encoder.rules);
        if (r == 0)
            r = collect_groups(policy, &person, &encoder.groups, &encoder.n_groups);
    }
    if (r == 0)
        r = number_all(&encoder);
    if (r == 0)
        put_all(&encoder, person.user);
    if (encoder.out.failed)
        r = -ENOMEM;
    if (r == 0) {
        *ret = encoder.out.data;
        *ret_len = encoder.out.len;
        encoder.out.data = NULL;
    }
    encoder_free(&encoder);
    return r;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

struct in {
    const uint8_t *at;
    size_t left;
    int r; /* the first thing that was wrong; nothing is read any more */
    struct policy *policy;
};

static void fail(struct in *in, int r)
{
    if (in->r == 0)
        in->r = r;
}

static const uint8_t *get(struct in *in, size_t len)
{
    const uint8_t *at = in->at;

    if (in->r == 0 && len > in->left)
        fail(in, -EINVAL);
    if (in->r < 0)
        return NULL;
    in->at += len;
    in->left -= len;
    return at;
}

static uint64_t get_number(struct in *in, size_t bytes)
{
    const uint8_t *at = get(in, bytes);
    uint64_t number = 0;

    for (size_t i = 0; at && i < bytes; i++)
        number |= (uint64_t)at[i] << 8 * i;
    return number;
}

static uint32_t get_u32(struct in *in)
{
    return (uint32_t)get_number(in, 4);
}

static uint32_t get_index(struct in *in, size_t n)
{
    uint32_t index = get_u32(in);

    if (index >= n)
        fail(in, -EINVAL);
    return index;
}

static const uint8_t *get_bytes(struct in *in, size_t *ret_len)
{
    *ret_len = get_u32(in);
    return get(in, *ret_len);
}

/* A text without NULs, at most max bytes. Never NULL. */
static const char *get_text(struct in *in, size_t max)
{
    size_t len;
    const uint8_t *bytes = get_bytes(in, &len);
    const char *text = NULL;

    if (bytes && (len > max || memchr(bytes, '\0', len)))
        fail(in, -EINVAL);
    if (in->r == 0 && !(text = arena_copy(&in->policy->arena, bytes, len)))
        fail(in, -ENOMEM);
    return text ? text : "";
}

static void get_settings(struct in *in)
{
    struct settings *settings = &in->policy->settings;
    uint64_t sessions;

    text_copy(settings->uri, sizeof settings->uri, get_text(in, sizeof settings->uri - 1));
    settings->idle = (int64_t)get_number(in, 8);
    settings->max_time = (int64_t)get_number(in, 8);
    sessions = get_number(in, 4);
    settings->max_sessions = (unsigned)sessions;
    if (settings->idle < 0 || settings->max_time < 0 || sessions < 1 || sessions > POLICY_SESSIONS_MAX)
        fail(in, -EINVAL);
}

/* Room in an array of the policy for what is read next; false when reading has failed. */
static bool room(struct in *in, void *array, size_t n, size_t size)
{
    if (in->r == 0 && array_room(array, n, size) < 0)
        fail(in, -ENOMEM);
    return in->r == 0;
}

/* The bounds of texts are those of the places where they end up; names of accounts and files have none of their own. */
static void get_group(struct in *in)
{
    const char *group = get_text(in, in->left);

    if (room(in, &in->policy->groups, in->policy->n_groups, sizeof *in->policy->groups))
        in->policy->groups[in->policy->n_groups++] = group;
}

static void get_file(struct in *in)
{
    struct file file = { .name = get_text(in, in->left) };

    if (room(in, &in->policy->files, in->policy->n_files, sizeof file))
        in->policy->files[in->policy->n_files++] = file;
}

static void get_condition(struct in *in)
{
    uint64_t reason = get_number(in, 1);
    struct condition condition = { .decided = (enum verdict_reason)reason,
                                   .decided_text = get_text(in, VERDICT_TEXT_SIZE - 1) };

    if (reason < VERDICT_ADDRESS_UNKNOWN || reason > VERDICT_EXPIRED)
        fail(in, -EINVAL);
    if (room(in, &in->policy->conditions, in->policy->n_conditions, sizeof condition))
        in->policy->conditions[in->policy->n_conditions++] = condition;
}

static void get_principal(struct in *in)
{
    struct policy *policy = in->policy;
    uint64_t kind = get_number(in, 1);
    size_t len;
    const uint8_t *bytes = get_bytes(in, &len);
    uint32_t number;

    if (!bytes)
        return;
    bool program = kind == PRINCIPAL_USER_OF_VM || kind == PRINCIPAL_GROUP_OF_VM;
    if (kind > PRINCIPAL_GROUP_OF_VM || len == 0 || len > PATTERN_SIZE || (program && !pattern_valid(bytes, len, true)))
        fail(in, -EINVAL);
    else if (policy_add_principal(policy, (enum principal_kind)kind, bytes, len, &number) < 0)
        fail(in, -ENOMEM);
    else if (number + 1 != policy->n_principals) /* there was one like it */
        fail(in, -EINVAL);
}

static bool is_valid_pattern(const struct pattern *pattern, size_t len)
{
    switch ((enum pattern_kind)pattern->kind) {
    case PATTERN_LITERAL:
        return len > 0 && len <= PATTERN_SIZE;
    case PATTERN_UUID:
        return len == sizeof(struct uuid);
    case PATTERN_PROGRAM:
        return len > 0 && len <= PATTERN_SIZE && pattern_valid(pattern->bytes, len, false);
    }
    return false;
}

static void get_rule(struct in *in)
{
    struct policy *policy = in->policy;
    struct rule rule = { .rights = (uint8_t)get_number(in, 1) };
    size_t len;

    rule.deny = rule.rights == 0;
    rule.principal = get_index(in, policy->n_principals);
    rule.condition = get_u32(in);
    rule.file = get_index(in, policy->n_files);
    rule.line = get_u32(in);
    rule.vm.kind = (uint8_t)get_number(in, 1);
    rule.vm.bytes = get_bytes(in, &len);
    if (in->r < 0)
        return;
    rule.vm.len = (uint16_t)len;
    if (rule.condition != NO_CONDITION && (rule.deny || rule.condition >= policy->n_conditions))
        fail(in, -EINVAL);
    else if ((rule.rights & ~RIGHT_ALL) != 0 || !is_valid_pattern(&rule.vm, len))
        fail(in, -EINVAL);
    else if (policy_add_rule(policy, &rule) < 0)
        fail(in, -ENOMEM);
}

static void get_list(struct in *in, void (*get_member)(struct in *in))
{
    uint32_t n = get_u32(in);

    for (uint32_t i = 0; i < n && in->r == 0; i++)
        get_member(in);
}

static void get_all(struct in *in)
{
    const uint8_t *start = get(in, strlen(magic));

    if (start && memcmp(start, magic, strlen(magic)) != 0)
        fail(in, -EINVAL);
    get_settings(in);
    in->policy->user = get_text(in, in->left);
    get_list(in, get_group);
    get_list(in, get_file);
    get_list(in, get_condition);
    get_list(in, get_principal);
    get_list(in, get_rule);
    if (in->left > 0)
        fail(in, -EINVAL);
    if (in->r == 0 && policy_index(in->policy) < 0)
        fail(in, -ENOMEM);
}

/* Is data the encoding of the view? 0, -EINVAL or -ENOMEM. */
static int check_encoding(const struct policy *view, const void *data, size_t len)
{
    const struct subject subject = { .user = view->user };
    void *again;
    size_t again_len;
    int r = policy_view_encode(view, &subject, &again, &again_len);

    if (r < 0)
        return r;
    r = len == again_len && memcmp(data, again, len) == 0 ? 0 : -EINVAL;
    free(again);
    return r;
}

int policy_view_decode(const void *data, size_t len, struct policy **ret)
{
    struct in in = { .at = data, .left = len, .policy = policy_new() };

    if (!in.policy)
        return -ENOMEM;
    in.policy->is_view = true;
    get_all(&in);
    if (in.r == 0)
        in.r = check_encoding(in.policy, data, len);
    if (in.r == 0)
        *ret = in.policy;
    else
        policy_free(in.policy);
    return in.r;
}
