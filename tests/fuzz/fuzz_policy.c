/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes are an ACL file. It is refused with reasons that can be shown to a person, or it is a policy; then whoever asks
 * for whatever gets the same verdict from it and from the asker's view. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "policy/policy_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool so)
{
    if (!so)
        abort();
}

static void check_errors(const struct policy_errors *errors)
{
    must(errors->n > 0 && errors->n <= POLICY_ERRORS_MAX);
    for (size_t i = 0; i < errors->n; i++) {
        const char *message = errors->list[i].message;
        must(strcmp(errors->list[i].file, "etc/virtgate.ini") == 0 && *message);
        for (size_t at = 0; message[at]; at += strcspn(message + at, "\t") + (message[at] == '\t'))
            must(text_is_plain(message + at, strcspn(message + at, "\t")));
        must(i == 0 || errors->list[i - 1].line <= errors->list[i].line);
    }
}

static void check_same(const struct verdict *a, const struct verdict *b)
{
    must(a->allowed == b->allowed && a->reason == b->reason && a->line == b->line && strcmp(a->text, b->text) == 0);
    must(a->file ? b->file && strcmp(a->file, b->file) == 0 : !b->file);
}

static void check_subject(const struct policy *policy, const struct subject *subject)
{
    static const struct uuid uuid = { { 0x6b, 0x0d, 0x7b, 0x4e, 0x52, 0xc6, 0x4a, 0x2f, 0x9d, 0x8e, 1, 2, 3, 4, 5, 6 } };
    static const char *const names[] = { "cards2", "lab-1", "lab-alice-1", "lab-exam", "a;b", "x" };
    const struct subject bare = { .uid = subject->uid, .user = subject->user };
    struct policy *view;
    void *bytes;
    size_t len;

    must(policy_view_encode(policy, subject, &bytes, &len) == 0);
    must(policy_view_decode(bytes, len, &view) == 0);
    free(bytes);
    for (size_t i = 0; i < 2 * sizeof names / sizeof names[0]; i++) {
        const struct vm vm = { .name = names[i / 2], .uuid = i % 2 ? &uuid : NULL };
        for (unsigned right = RIGHT_WATCH; right <= RIGHT_TAKEOVER; right <<= 1) {
            struct verdict whole, part;
            bool allowed = policy_decide(policy, subject, &vm, (enum right)right, &whole);
            must(policy_decide(view, &bare, &vm, (enum right)right, &part) == allowed);
            check_same(&whole, &part);
            must(!allowed || (policy_may_allow(policy, subject, vm.name, (enum right)right) &&
                              policy_may_allow(policy, subject, NULL, (enum right)right) &&
                              policy_may_allow(view, &bare, vm.name, (enum right)right)));
        }
    }
    policy_free(view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const groups[] = { "students", "vm-x", "teachers", "vm-x", "a b" };
    struct subject alice = { .uid = 1000, .user = "alice", .groups = groups, .n_groups = 5 };
    struct subject bob = { .uid = 1001, .user = "bob" };
    struct policy_errors errors = { 0 };
    struct policy *policy;

    moment_parse("2026-11-21 10:00", &alice.now);
    moment_parse("2027-02-03 23:30", &bob.now);
    address_parse("192.0.2.7", &alice.address);
    if (policy_load_text("etc/virtgate.ini", (const char *)data, size, &policy, &errors) < 0) {
        check_errors(&errors);
    } else {
        must(errors.n == 0);
        check_subject(policy, &alice);
        check_subject(policy, &bob);
        policy_free(policy);
    }
    policy_errors_free(&errors);
    return 0;
}
