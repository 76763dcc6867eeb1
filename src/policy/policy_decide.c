/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decision. A search looks at the rules of the subject's user, then of each of its groups: those with a literal name or
 * a uuid are found by hash, those with a pattern are tried in turn; and at the rules whose user or group depends on the VM
 * (@vm-%v). Everything else in the policy could not match.
 *
 * Of the rules that match, a deny decides against all; else a grant whose conditions hold; else it stays no, and the
 * verdict names the first grant that was held back. "First" is in the order of the files. */
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "policy/policy_decide.h"
#include "policy/policy_impl.h"

#define NO_RULE UINT32_MAX

/* What a kernel shows for a user that cannot be expressed (user namespaces, 16 bit calls), and what "no user" is. */
static bool is_overflow_uid(uid_t uid)
{
    return uid == (uid_t)-1 || uid == 65534;
}

bool person_of(const struct policy *policy, const struct subject *subject, struct person *ret)
{
    if (is_overflow_uid(subject->uid) || !subject->user || subject->user[0] == '\0')
        return false;
    if (policy->is_view && strcmp(subject->user, policy->user) != 0)
        return false;
    *ret = (struct person){
        .user = subject->user,
        .user_len = strlen(subject->user),
        .groups = policy->is_view ? policy->groups : subject->groups,
        .n_groups = policy->is_view ? policy->n_groups : subject->n_groups,
    };
    return true;
}

/* --- searching --------------------------------------------------------------------------------------------------- */

struct search {
    const struct policy *policy;
    const struct subject *subject;
    const struct person *person;
    rights wanted;            /* any of these in a grant */
    const char *name;         /* NULL: only uuids are compared */
    size_t name_len;
    uint32_t name_hash;
    const struct uuid *uuid;  /* NULL: only names are compared */
    uint32_t uuid_hash;
    uint32_t deny, grant, held; /* the first of each kind; NO_RULE: none */
};

static void keep_first(uint32_t *first, uint32_t rule)
{
    if (rule < *first)
        *first = rule;
}

static bool holds(const struct search *search, const struct rule *rule)
{
    return rule->condition == NO_CONDITION ||
           condition_check(&search->policy->conditions[rule->condition], search->subject) == VERDICT_GRANTED;
}

/* A rule that matches person and VM. */
static void count_rule(struct search *search, uint32_t number)
{
    const struct rule *rule = &search->policy->rules[number];

    if (rule->deny)
        keep_first(&search->deny, number);
    else if ((rule->rights & search->wanted) != 0)
        keep_first(holds(search, rule) ? &search->grant : &search->held, number);
}

/* Without a name only for uuids. */
static bool matches_vm(const struct search *search, const struct pattern *vm)
{
    switch ((enum pattern_kind)vm->kind) {
    case PATTERN_LITERAL:
        return vm->len == search->name_len && memcmp(vm->bytes, search->name, vm->len) == 0;
    case PATTERN_UUID:
        return search->uuid && memcmp(vm->bytes, search->uuid->byte, sizeof search->uuid->byte) == 0;
    case PATTERN_PROGRAM:
        return search->name && pattern_match(vm->bytes, vm->len, search->name, search->name_len, search->person->user,
                                             search->person->user_len);
    }
    return false;
}

static void search_exact(struct search *search, uint32_t principal, enum pattern_kind kind, uint32_t bytes_hash)
{
    uint32_t hash = policy_exact_hash(principal, kind, bytes_hash), number;

    for (size_t at = hash; (number = map_next(&search->policy->exact, hash, &at)) != MAP_NONE;) {
        const struct rule *rule = &search->policy->rules[number];
        if (rule->principal == principal && rule->vm.kind == kind && matches_vm(search, &rule->vm))
            count_rule(search, number);
    }
}

static void search_principal(struct search *search, enum principal_kind kind, const char *name, size_t len)
{
    const struct policy *policy = search->policy;
    uint32_t number = policy_find_principal(policy, kind, name, len);

    if (number == MAP_NONE)
        return;
    const struct principal *principal = &policy->principals[number];
    if (search->name && principal->n > principal->n_scan)
        search_exact(search, number, PATTERN_LITERAL, search->name_hash);
    if (search->uuid && principal->n > principal->n_scan)
        search_exact(search, number, PATTERN_UUID, search->uuid_hash);
    for (uint32_t i = 0; i < principal->n_scan; i++) {
        uint32_t rule = policy->by_principal[principal->first + i];
        if (matches_vm(search, &policy->rules[rule].vm))
            count_rule(search, rule);
    }
}

static bool is_principal_of_vm(const struct search *search, const struct principal *principal)
{
    const struct person *person = search->person;

    if (principal->kind == PRINCIPAL_USER_OF_VM)
        return pattern_match(principal->bytes, principal->len, person->user, person->user_len, search->name,
                             search->name_len);
    for (size_t i = 0; i < person->n_groups; i++)
        if (pattern_match(principal->bytes, principal->len, person->groups[i], strlen(person->groups[i]), search->name,
                          search->name_len))
            return true;
    return false;
}

static void search_of_vm(struct search *search)
{
    const struct policy *policy = search->policy;

    for (size_t i = 0; search->name && i < policy->n_of_vm; i++) {
        const struct rule *rule = &policy->rules[policy->of_vm[i]];
        if (matches_vm(search, &rule->vm) && is_principal_of_vm(search, &policy->principals[rule->principal]))
            count_rule(search, policy->of_vm[i]);
    }
}

static void search_vm(struct search *search, const char *name, size_t name_len, const struct uuid *uuid)
{
    const struct person *person = search->person;

    search->name = name;
    search->name_len = name_len;
    search->name_hash = name ? map_hash(name, name_len) : 0;
    search->uuid = uuid;
    search->uuid_hash = uuid ? map_hash(uuid->byte, sizeof uuid->byte) : 0;
    search->deny = search->grant = search->held = NO_RULE;
    search_principal(search, PRINCIPAL_USER, person->user, person->user_len);
    for (size_t i = 0; i < person->n_groups; i++)
        search_principal(search, PRINCIPAL_GROUP, person->groups[i], strlen(person->groups[i]));
    search_of_vm(search);
}

static bool is_allowed(const struct search *search)
{
    return search->grant != NO_RULE && search->deny == NO_RULE;
}

/* What a grant may say so that it grants the right; 0 when it is not one right. */
static rights granting(enum right right)
{
    if (!right_name(right))
        return 0;
    return right == RIGHT_WATCH ? RIGHT_WATCH | RIGHT_DISPLAY : (rights)right;
}

/* --- verdicts ---------------------------------------------------------------------------------------------------- */

static void set_verdict(struct verdict *ret, enum verdict_reason reason, const struct policy *policy, uint32_t rule,
                        const char *text)
{
    *ret = (struct verdict){ .allowed = reason == VERDICT_GRANTED, .reason = reason };
    if (rule != NO_RULE) {
        ret->file = policy->files[policy->rules[rule].file].name;
        ret->line = policy->rules[rule].line;
    }
    text_copy(ret->text, sizeof ret->text, text);
}

static void explain_held(const struct search *search, struct verdict *ret)
{
    const struct rule *rule = &search->policy->rules[search->held];
    const struct condition *condition = &search->policy->conditions[rule->condition];
    enum verdict_reason reason = condition_check(condition, search->subject);

    set_verdict(ret, reason, search->policy, search->held, "");
    condition_explain(condition, reason, search->subject, ret->text);
}

bool policy_decide(const struct policy *policy, const struct subject *subject, const struct vm *vm, enum right right,
                   struct verdict *ret)
{
    struct person person;
    struct search search = { .policy = policy, .subject = subject, .person = &person, .wanted = granting(right) };

    if (!vm->name || vm->name[0] == '\0') {
        set_verdict(ret, VERDICT_NO_RULE, policy, NO_RULE, "a VM without a name");
        return false;
    }
    if (!person_of(policy, subject, &person)) {
        set_verdict(ret, VERDICT_NO_RULE, policy, NO_RULE, "the account is not one that a rule can name");
        return false;
    }
    search_vm(&search, vm->name, strlen(vm->name), vm->uuid);
    if (search.deny != NO_RULE)
        set_verdict(ret, VERDICT_DENIED, policy, search.deny, "a deny forbids it");
    else if (search.grant != NO_RULE)
        set_verdict(ret, VERDICT_GRANTED, policy, search.grant, "granted");
    else if (search.held != NO_RULE)
        explain_held(&search, ret);
    else
        set_verdict(ret, VERDICT_NO_RULE, policy, NO_RULE, "no rule grants it");
    return ret->allowed;
}

rights policy_rights(const struct policy *policy, const struct subject *subject, const struct vm *vm)
{
    struct verdict verdict;
    rights allowed = 0;

    for (rights right = 1; right & RIGHT_ALL; right <<= 1)
        if (policy_decide(policy, subject, vm, (enum right)right, &verdict))
            allowed |= right;
    return allowed;
}

/* --- every rule of a person -------------------------------------------------------------------------------------- */

static bool visit_principal(const struct policy *policy, enum principal_kind kind, const char *name, rule_visitor *visit,
                            void *context)
{
    uint32_t number = policy_find_principal(policy, kind, name, strlen(name));

    if (number == MAP_NONE)
        return true;
    const struct principal *principal = &policy->principals[number];
    for (uint32_t i = 0; i < principal->n; i++)
        if (!visit(context, policy->by_principal[principal->first + i], NULL, 0))
            return false;
    return true;
}

/* name is the user or group that the rule's principal may be when the VM has the right name. */
static bool visit_of_vm(const struct policy *policy, uint32_t number, const char *name, rule_visitor *visit, void *context)
{
    const struct rule *rule = &policy->rules[number];
    const struct principal *principal = &policy->principals[rule->principal];
    const struct person nobody = { .user = "" }; /* [vm PATTERN] knows no %u */
    struct search search = { .person = &nobody };

    if (!pattern_solve(principal->bytes, principal->len, name, strlen(name), &search.name, &search.name_len) ||
        (rule->vm.kind != PATTERN_UUID && !matches_vm(&search, &rule->vm)))
        return true;
    return visit(context, number, search.name, search.name_len);
}

void person_visit(const struct policy *policy, const struct person *person, rule_visitor *visit, void *context)
{
    bool go_on = visit_principal(policy, PRINCIPAL_USER, person->user, visit, context);

    for (size_t i = 0; go_on && i < person->n_groups; i++)
        go_on = visit_principal(policy, PRINCIPAL_GROUP, person->groups[i], visit, context);
    for (size_t r = 0; go_on && r < policy->n_of_vm; r++) {
        uint32_t rule = policy->of_vm[r];
        if (policy->principals[policy->rules[rule].principal].kind == PRINCIPAL_USER_OF_VM)
            go_on = visit_of_vm(policy, rule, person->user, visit, context);
        else
            for (size_t i = 0; go_on && i < person->n_groups; i++)
                go_on = visit_of_vm(policy, rule, person->groups[i], visit, context);
    }
}

/* --- may anything be allowed? ------------------------------------------------------------------------------------ */

struct hope {
    struct search search;
    const char *name; /* NULL: any */
    bool found;
};

static bool is_deny_of_all(const struct rule *rule)
{
    return rule->deny && rule->vm.kind == PATTERN_PROGRAM && rule->vm.len == 1 && rule->vm.bytes[0] == STEP_ANY;
}

/* Tries the VM that the rule is about: by its uuid or literal name if that is all it can be about. A pattern is believed
 * to leave some VM that no deny takes away. */
static bool try_rule(void *context, uint32_t number, const char *of_vm, size_t of_vm_len)
{
    struct hope *hope = context;
    struct search *search = &hope->search;
    const struct rule *rule = &search->policy->rules[number];
    const char *name = hope->name;
    size_t name_len = name ? strlen(name) : 0;
    struct uuid uuid;

    if (!of_vm && is_deny_of_all(rule)) {
        hope->found = false;
        return false;
    }
    if (hope->found || rule->deny || (rule->rights & search->wanted) == 0 || !holds(search, rule))
        return true;
    if (name && rule->vm.kind != PATTERN_UUID)
        return true; /* policy_may_allow() has searched by the name already */
    if (!name && of_vm) {
        name = of_vm;
        name_len = of_vm_len;
    }
    if (rule->vm.kind == PATTERN_UUID) {
        memcpy(uuid.byte, rule->vm.bytes, sizeof uuid.byte);
        search_vm(search, name, name_len, &uuid);
    } else if (!name && rule->vm.kind == PATTERN_LITERAL) {
        search_vm(search, (const char *)rule->vm.bytes, rule->vm.len, NULL);
    } else if (name) {
        search_vm(search, name, name_len, NULL);
    } else {
        hope->found = true;
        return true;
    }
    hope->found = is_allowed(search);
    return true;
}

bool policy_may_allow(const struct policy *policy, const struct subject *subject, const char *name, enum right right)
{
    struct person person;
    struct hope hope = {
        .search = { .policy = policy, .subject = subject, .person = &person, .wanted = granting(right) },
        .name = name,
    };

    if ((name && name[0] == '\0') || !person_of(policy, subject, &person))
        return false;
    if (name) {
        search_vm(&hope.search, name, strlen(name), NULL);
        if (hope.search.deny != NO_RULE || hope.search.grant != NO_RULE)
            return is_allowed(&hope.search);
    }
    person_visit(policy, &person, try_rule, &hope);
    return hope.found;
}

bool policy_may_allow_any(const struct policy *policy, const struct subject *subject, const char *name)
{
    for (rights right = 1; right & RIGHT_ALL; right <<= 1)
        if (policy_may_allow(policy, subject, name, (enum right)right))
            return true;
    return false;
}
