/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* from, hours and until of a section: do its grants hold now, and what to tell a person when they do not. */
#include "policy/policy_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static bool is_in_nets(const struct condition *condition, const struct address *address)
{
    for (size_t i = 0; i < condition->n_from; i++)
        if (net_holds(&condition->from[i], address))
            return true;
    return false;
}

static bool is_in_hours(const struct condition *condition, const struct moment *now)
{
    for (size_t i = 0; i < condition->n_hours; i++)
        if (span_holds(&condition->hours[i], now))
            return true;
    return false;
}

static bool is_known(const struct address *address)
{
    return address->family == AF_INET || address->family == AF_INET6;
}

/* When several do not hold, the one that will not change by itself comes first. */
enum verdict_reason condition_check(const struct condition *condition, const struct subject *subject)
{
    if (condition->decided_text)
        return condition->decided;
    if (condition->until_text && until_is_past(&condition->until, &subject->now))
        return VERDICT_EXPIRED;
    if (condition->hours_text && !is_in_hours(condition, &subject->now))
        return VERDICT_HOURS;
    if (condition->from_text && !is_known(&subject->address))
        return VERDICT_ADDRESS_UNKNOWN;
    if (condition->from_text && !is_in_nets(condition, &subject->address))
        return VERDICT_ADDRESS;
    return VERDICT_GRANTED;
}

/* A list as written; a long one is cut, so that what follows it in the sentence is kept. All of it is ASCII. */
enum { LIST_SHOWN = 160 };
#define LIST_FORMAT "%.*s%s"
#define LIST_ARGS(text) LIST_SHOWN, text, strnlen(text, LIST_SHOWN + 1) > LIST_SHOWN ? "..." : ""

void condition_explain(const struct condition *condition, enum verdict_reason reason, const struct subject *subject,
                       char out[static VERDICT_TEXT_SIZE])
{
    char address[ADDRESS_TEXT_SIZE];

    if (condition->decided_text) {
        text_copy(out, VERDICT_TEXT_SIZE, condition->decided_text);
        return;
    }
    switch (reason) {
    case VERDICT_EXPIRED:
        snprintf(out, VERDICT_TEXT_SIZE, "until %s is past", condition->until_text);
        break;
    case VERDICT_HOURS:
        snprintf(out, VERDICT_TEXT_SIZE, "hours are " LIST_FORMAT, LIST_ARGS(condition->hours_text));
        break;
    case VERDICT_ADDRESS_UNKNOWN:
        snprintf(out, VERDICT_TEXT_SIZE, "from is " LIST_FORMAT " and the address is not known",
                 LIST_ARGS(condition->from_text));
        break;
    case VERDICT_ADDRESS:
        address_format(&subject->address, address);
        snprintf(out, VERDICT_TEXT_SIZE, "from is " LIST_FORMAT " and the address is %s", LIST_ARGS(condition->from_text),
                 address);
        break;
    case VERDICT_GRANTED:
    case VERDICT_DENIED:
    case VERDICT_NO_RULE:
        break;
    }
}
