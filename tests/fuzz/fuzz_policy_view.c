/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes are a view that comes from another process. It is refused, or it decides without harm and is, byte for byte,
 * what its own policy encodes to. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool so)
{
    if (!so)
        abort();
}

static void decide(const struct policy *view, const struct subject *subject)
{
    static const struct uuid uuid = { { 1 } };
    static const char *const names[] = { "cards2", "lab-1", "lab-alice-1", "x" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct vm vm = { .name = names[i], .uuid = &uuid };
        struct verdict verdict;
        policy_decide(view, subject, &vm, RIGHT_DISPLAY, &verdict);
        must(memchr(verdict.text, '\0', sizeof verdict.text) != NULL);
        policy_may_allow(view, subject, names[i], RIGHT_SERIAL);
    }
    policy_may_allow(view, subject, NULL, RIGHT_DISPLAY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct subject subject = { .uid = 1000, .user = "mallory" };
    const struct vm vm = { .name = "cards2" };
    struct policy *view;
    void *again;
    size_t len;

    if (policy_view_decode(data, size, &view) < 0)
        return 0;
    if (strcmp(view->user, "mallory") != 0)
        must(policy_rights(view, &subject, &vm) == 0);
    subject.user = view->user;
    decide(view, &subject);
    must(policy_view_encode(view, &subject, &again, &len) == 0);
    must(len == size && memcmp(again, data, len) == 0);
    free(again);
    policy_free(view);
    return 0;
}
