/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The searches behind policy_decide(), shared with the view. */
#ifndef VG_POLICY_DECIDE_H
#define VG_POLICY_DECIDE_H

#include "policy/policy_impl.h"

/* Whose rules count. */
struct person {
    const char *user;
    size_t user_len;
    const char *const *groups;
    size_t n_groups;
};

/* False: for this subject nothing is ever allowed. */
bool person_of(const struct policy *policy, const struct subject *subject, struct person *ret);

/* Calls visit for every rule that could match the person on some VM, in no order and possibly twice, until it returns
 * false. of_vm is the VM's name that the rule's principal is bound to, NULL for none. */
typedef bool rule_visitor(void *context, uint32_t rule, const char *of_vm, size_t of_vm_len);
void person_visit(const struct policy *policy, const struct person *person, rule_visitor *visit, void *context);

#endif
