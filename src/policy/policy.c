/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy_impl.h"

static const struct {
    enum right right;
    const char *name;
} right_names[] = {
    { RIGHT_WATCH, "watch" }, { RIGHT_DISPLAY, "display" },   { RIGHT_SERIAL, "serial" },
    { RIGHT_POWER, "power" }, { RIGHT_TAKEOVER, "takeover" },
};
#define N_RIGHTS (sizeof right_names / sizeof right_names[0])

const char *right_name(enum right right)
{
    for (size_t i = 0; i < N_RIGHTS; i++)
        if (right_names[i].right == right)
            return right_names[i].name;
    return NULL;
}

int right_parse(const char *name, enum right *ret)
{
    for (size_t i = 0; i < N_RIGHTS; i++) {
        if (strcmp(right_names[i].name, name) == 0) {
            *ret = right_names[i].right;
            return 0;
        }
    }
    return -EINVAL;
}

void rights_format(rights set, const char *sep, char *out, size_t size)
{
    size_t used = 0;

    if (size > 0)
        *out = '\0';
    for (size_t i = 0; i < N_RIGHTS && used < size; i++) {
        if (set & right_names[i].right)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? sep : "", right_names[i].name);
    }
}

/* --- life of a policy -------------------------------------------------------------------------------------------- */

struct policy *policy_new(void)
{
    struct policy *policy = calloc(1, sizeof *policy);

    if (policy)
        policy->settings = (struct settings){ .uri = "qemu:///system", .max_sessions = 16 };
    return policy;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    free(policy->files);
    free(policy->conditions);
    free(policy->rules);
    free(policy->principals);
    map_free(&policy->principal_map);
    free(policy->by_principal);
    map_free(&policy->exact);
    free(policy->of_vm);
    free(policy->groups);
    arena_free(&policy->arena);
    free(policy);
}

void policy_errors_free(struct policy_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++) {
        free(errors->list[i].file);
        free(errors->list[i].message);
    }
    free(errors->list);
    *errors = (struct policy_errors){ 0 };
}

const struct settings *policy_settings(const struct policy *policy)
{
    return &policy->settings;
}

size_t policy_n_rules(const struct policy *policy)
{
    return policy->n_rules;
}

/* --- rules and their index ---------------------------------------------------------------------------------------- */

uint32_t policy_find_principal(const struct policy *policy, enum principal_kind kind, const void *bytes, size_t len)
{
    uint32_t hash = map_hash(bytes, len), found;

    for (size_t at = hash; (found = map_next(&policy->principal_map, hash, &at)) != MAP_NONE;) {
        const struct principal *principal = &policy->principals[found];
        if (principal->kind == kind && principal->len == len && memcmp(principal->bytes, bytes, len) == 0)
            break;
    }
    return found;
}

int policy_add_principal(struct policy *policy, enum principal_kind kind, const void *bytes, size_t len, uint32_t *ret)
{
    struct principal principal = { .kind = (uint8_t)kind, .len = (uint32_t)len };
    uint32_t number = policy_find_principal(policy, kind, bytes, len);

    if (number == MAP_NONE) {
        principal.bytes = arena_copy(&policy->arena, bytes, len);
        if (!principal.bytes || array_room(&policy->principals, policy->n_principals, sizeof principal) < 0)
            return -ENOMEM;
        number = (uint32_t)policy->n_principals;
        if (map_add(&policy->principal_map, map_hash(bytes, len), number) < 0)
            return -ENOMEM;
        policy->principals[policy->n_principals++] = principal;
    }
    *ret = number;
    return 0;
}

int policy_add_rule(struct policy *policy, const struct rule *rule)
{
    struct rule added = *rule;

    added.vm.bytes = arena_copy(&policy->arena, rule->vm.bytes, rule->vm.len);
    if (!added.vm.bytes || array_room(&policy->rules, policy->n_rules, sizeof added) < 0)
        return -ENOMEM;
    policy->rules[policy->n_rules++] = added;
    return 0;
}

uint32_t policy_exact_hash(uint32_t principal, enum pattern_kind kind, uint32_t bytes_hash)
{
    return map_mix(bytes_hash, 2 * principal + (kind == PATTERN_UUID));
}

static bool is_scanned(const struct rule *rule)
{
    return rule->vm.kind == PATTERN_PROGRAM;
}

static bool depends_on_vm(const struct principal *principal)
{
    return principal->kind == PRINCIPAL_USER_OF_VM || principal->kind == PRINCIPAL_GROUP_OF_VM;
}

/* Where each principal's rules lie in by_principal. */
static void lay_out(struct policy *policy)
{
    uint32_t first = 0;

    for (size_t i = 0; i < policy->n_rules; i++)
        policy->principals[policy->rules[i].principal].n++;
    for (size_t i = 0; i < policy->n_principals; i++) {
        policy->principals[i].first = first;
        first += policy->principals[i].n;
        policy->principals[i].n = 0;
    }
}

/* Both runs keep the order of the rules. */
static void fill(struct policy *policy, bool scanned)
{
    for (uint32_t i = 0; i < policy->n_rules; i++) {
        struct principal *principal = &policy->principals[policy->rules[i].principal];
        if (is_scanned(&policy->rules[i]) != scanned)
            continue;
        policy->by_principal[principal->first + principal->n++] = i;
        principal->n_scan += scanned;
    }
}

int policy_index(struct policy *policy)
{
    policy->by_principal = calloc(policy->n_rules + 1, sizeof *policy->by_principal);
    if (!policy->by_principal)
        return -ENOMEM;
    lay_out(policy);
    fill(policy, true);
    fill(policy, false);
    for (uint32_t i = 0; i < policy->n_rules; i++) {
        const struct rule *rule = &policy->rules[i];
        uint32_t hash = policy_exact_hash(rule->principal, rule->vm.kind, map_hash(rule->vm.bytes, rule->vm.len));
        if (depends_on_vm(&policy->principals[rule->principal])) {
            if (array_room(&policy->of_vm, policy->n_of_vm, sizeof *policy->of_vm) < 0)
                return -ENOMEM;
            policy->of_vm[policy->n_of_vm++] = i;
        } else if (!is_scanned(rule) && map_add(&policy->exact, hash, i) < 0) {
            return -ENOMEM;
        }
    }
    return 0;
}
