/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Views decide as their policy does, the index finds what a search through all rules finds, and nothing but a view is taken
 * for one. Random policies of few names, so that rules meet. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy_impl.h"
#include "test_policy.h"

#define UUID_1 "6b0d7b4e-52c6-4a2f-9d8e-000000000001"
#define UUID_2 "6b0d7b4e-52c6-4a2f-9d8e-000000000002"

#define PICK(list) list[(size_t)rand() % (sizeof list / sizeof list[0])]

static const char *const users[] = { "alice", "bob", "al", "a", "*" };
static const char *const groups[] = { "g", "h", "vm-a", "vm-ab", "vm-vm-a", "alice", "g" };
static const char *const vms[] = { "a", "ab", "b", "alice", "lab-alice", "lab-bob-1", "*", "vm-a" };
static const char *const patterns[] = { "[!a]*", "a", "ab", "b", "*", "a*", "?", "lab-*", "uuid:" UUID_1, "uuid:" UUID_2,
                                        "\\*" };
static const char *const keys[] = { "display", "serial", "power", "takeover", "deny", "some", "most" };
static const char *const conditions[] = { "from = 192.0.2.0/24", "from = ::/0", "hours = Sat 09:00-12:00", "hours = Sun 00:00-24:00",
                                          "until = 2026-11-21", "until = 2026-11-20", "until = 2030-01-01\nfrom = ::1" };

static bool once_in(int n)
{
    return rand() % n == 0;
}

static void write_list(FILE *out, bool of_principals)
{
    static const char *const vm_extras[] = { "%u", "lab-%u", "lab-%u-*", "*%u*" };
    static const char *const principal_extras[] = { "%v", "@vm-%v", "@%v", "\"@vm-%v-%v\"", "al%v" };
    int n = 1 + rand() % 3;

    for (int i = 0; i < n; i++) {
        fputs(i > 0 ? ", " : "", out);
        if (of_principals) {
            const char *user = users[(size_t)rand() % 4]; /* not *, which the file cannot name */
            const char *group = PICK(groups);
            if (once_in(3))
                fputs(PICK(principal_extras), out);
            else
                fprintf(out, "%s%s", once_in(2) ? "@" : "", once_in(2) ? user : group);
        } else {
            fputs(once_in(4) ? PICK(vm_extras) : PICK(patterns), out);
        }
    }
    fputs("\n", out);
}

static void write_section(FILE *out, const char *kind, const char *name)
{
    if (once_in(3))
        return;
    fprintf(out, "[%s %s]\n", kind, name);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        /* Not a deny in every section: most verdicts would be that. */
        if (once_in(strcmp(keys[i], "deny") == 0 ? 12 : 4)) {
            fprintf(out, "%s = ", keys[i]);
            write_list(out, strcmp(kind, "vm") == 0);
        }
    }
    if (once_in(3))
        fprintf(out, "%s\n", PICK(conditions));
}

static char *random_acl(void)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    fputs("[role some]\ngrant = display, power\n[role most]\ngrant = display, serial, takeover\n", out);
    for (size_t i = 0; i < 4; i++)
        write_section(out, "user", users[i]);
    for (size_t i = 0; i < 6; i++)
        write_section(out, "group", groups[i]);
    for (size_t i = 1; i < sizeof patterns / sizeof patterns[0]; i++) /* a header can hold no bracket */
        write_section(out, "vm", patterns[i]);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* --- the decision again, without any index ----------------------------------------------------------------------- */

static bool fits(const struct pattern *pattern, const char *name, const uint8_t *uuid, const char *insert)
{
    if (pattern->kind == PATTERN_UUID)
        return uuid && memcmp(pattern->bytes, uuid, 16) == 0;
    if (pattern->kind == PATTERN_LITERAL)
        return pattern->len == strlen(name) && memcmp(pattern->bytes, name, pattern->len) == 0;
    return pattern_match(pattern->bytes, pattern->len, name, strlen(name), insert, strlen(insert));
}

static bool is_about(const struct principal *principal, const struct subject *subject, const char *vm)
{
    bool of_vm = principal->kind == PRINCIPAL_USER_OF_VM || principal->kind == PRINCIPAL_GROUP_OF_VM;
    const struct pattern pattern = { .bytes = principal->bytes, .len = (uint16_t)principal->len,
                                     .kind = of_vm ? PATTERN_PROGRAM : PATTERN_LITERAL };

    if (principal->kind == PRINCIPAL_USER || principal->kind == PRINCIPAL_USER_OF_VM)
        return fits(&pattern, subject->user, NULL, vm);
    for (size_t i = 0; i < subject->n_groups; i++)
        if (fits(&pattern, subject->groups[i], NULL, vm))
            return true;
    return false;
}

static void expect_as_without_index(const struct policy *policy, const struct subject *subject, const struct vm *vm,
                                    enum right right, const struct verdict *found)
{
    rights wanted = right == RIGHT_WATCH ? RIGHT_WATCH | RIGHT_DISPLAY : right;
    const struct rule *deny = NULL, *grant = NULL, *held = NULL;
    enum verdict_reason reason = VERDICT_NO_RULE;

    for (size_t i = policy->n_rules; i-- > 0;) {
        const struct rule *rule = &policy->rules[i];
        if (!fits(&rule->vm, vm->name, vm->uuid->byte, subject->user) ||
            !is_about(&policy->principals[rule->principal], subject, vm->name))
            continue;
        if (rule->deny)
            deny = rule;
        else if (rule->rights & wanted)
            *(condition_check(&policy->conditions[rule->condition], subject) == VERDICT_GRANTED ? &grant : &held) = rule;
    }
    const struct rule *first = deny ? deny : grant ? grant : held;
    if (deny || grant)
        reason = deny ? VERDICT_DENIED : VERDICT_GRANTED;
    else if (held)
        reason = condition_check(&policy->conditions[held->condition], subject);
    assert_int_equal(found->reason, reason);
    assert_int_equal(found->line, first ? first->line : 0);
}

/* --- random policies --------------------------------------------------------------------------------------------- */

enum { N_REASONS = VERDICT_EXPIRED + 1 };

static void compare_all(const struct policy *policy, const struct subject *subject, size_t seen[static N_REASONS])
{
    static const char *const uuids[] = { UUID_1, UUID_2, "6b0d7b4e-52c6-4a2f-9d8e-000000000003" };

    for (size_t i = 0; i < sizeof vms / sizeof vms[0]; i++) {
        const char *text = PICK(uuids);
        struct uuid uuid;
        const struct vm vm = { .name = vms[i], .uuid = &uuid };
        assert_int_equal(uuid_parse(text, strlen(text), &uuid), 0);
        for (unsigned right = RIGHT_WATCH; right <= RIGHT_TAKEOVER; right <<= 1) {
            struct verdict verdict = decide_uuid(policy, subject, vms[i], text, (enum right)right);
            expect_as_without_index(policy, subject, &vm, (enum right)right, &verdict);
            seen[verdict.reason]++;
        }
    }
}

static void views_decide_as_their_policy_does(void **state)
{
    size_t seen[N_REASONS] = { 0 };

    (void)state;
    srand(7);
    for (int round = 0; round < 400; round++) {
        char *text = random_acl();
        struct policy *policy = load_text(text);
        for (int i = 0; i < 5; i++) {
            const char *member_of[5];
            size_t n = (size_t)rand() % 6;
            for (size_t g = 0; g < n; g++)
                member_of[g] = PICK(groups);
            struct subject subject = somebody(PICK(users), member_of, n);
            if (once_in(2))
                assert_int_equal(address_parse(once_in(2) ? "192.0.2.7" : "2001:db8::1", &subject.address), 0);
            compare_all(policy, &subject, seen);
        }
        policy_free(policy);
        free(text);
    }
    for (size_t i = 0; i < N_REASONS; i++)
        if (seen[i] < 100)
            fail_msg("reason %zu came up %zu times only", i, seen[i]);
}

/* --- the index --------------------------------------------------------------------------------------------------- */

static int by_hash(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Two users for whom rules about the VM "a" have the same hash: with this many there is always such a pair. */
static void collisions_of_hashes_grant_nothing(void **state)
{
    enum { N = 300000 };
    uint64_t *hashes = calloc(N, sizeof *hashes);
    struct rule rule = { .vm = { .bytes = (const uint8_t *)"a", .len = 1, .kind = PATTERN_LITERAL }, .rights = RIGHT_DISPLAY,
                         .condition = NO_CONDITION };
    struct policy *policy = load_text(""); /* for its file */
    char name[16];
    uint32_t number;
    size_t pairs = 0;

    (void)state;
    assert_non_null(hashes);
    for (uint32_t i = 0; i < N; i++) {
        snprintf(name, sizeof name, "user%u", i);
        assert_int_equal(policy_add_principal(policy, PRINCIPAL_USER, name, strlen(name), &number), 0);
        assert_int_equal(number, i);
        hashes[i] = (uint64_t)policy_exact_hash(i, PATTERN_LITERAL, map_hash("a", 1)) << 32 | i;
    }
    qsort(hashes, N, sizeof *hashes, by_hash);
    for (size_t i = 1; i < N; i++) {
        if (hashes[i] >> 32 != hashes[i - 1] >> 32)
            continue;
        rule.principal = (uint32_t)hashes[i];
        assert_int_equal(policy_add_rule(policy, &rule), 0);
        rule.vm.bytes = (const uint8_t *)"b"; /* so that the other has an exact rule at all */
        rule.principal = (uint32_t)hashes[i - 1];
        assert_int_equal(policy_add_rule(policy, &rule), 0);
        rule.vm.bytes = (const uint8_t *)"a";
        pairs++;
    }
    assert_true(pairs > 0);
    free(policy->by_principal);
    assert_int_equal(policy_index(policy), 0);
    for (size_t i = 0; i < policy->n_rules; i += 2) {
        const char *granted = (const char *)policy->principals[policy->rules[i].principal].bytes;
        const char *other = (const char *)policy->principals[policy->rules[i + 1].principal].bytes;
        struct subject subject = somebody(granted, NO_GROUPS);
        assert_true(decide(policy, &subject, "a", RIGHT_DISPLAY).allowed);
        subject.user = other;
        assert_false(decide(policy, &subject, "a", RIGHT_DISPLAY).allowed);
    }
    policy_free(policy);
    free(hashes);
}

/* --- a view ------------------------------------------------------------------------------------------------------ */

static const char acl[] = "[gate]\nidle = 30m\nmax-sessions = 3\n"
                          "[user alice]\ndisplay = a, lab-*, uuid:" UUID_1 "\ndeny = lab-x\n"
                          "[user bob]\ndisplay = secret\n"
                          "[group g]\nserial = lab-%u-[0-9]\nhours = Sun 08:00-09:00\n"
                          "[group h]\nserial = *\n"
                          "[vm b]\npower = @vm-%v\n[vm c]\npower = @vm-%v, bob, @h\nfrom = ::1\n";

static void encode(const struct subject *subject, void **ret, size_t *ret_len)
{
    struct policy *policy = load_text(acl);

    assert_int_equal(policy_view_encode(policy, subject, ret, ret_len), 0);
    policy_free(policy);
}

static struct policy *view_of(const struct subject *subject)
{
    struct policy *view;
    void *bytes;
    size_t len;

    encode(subject, &bytes, &len);
    assert_int_equal(policy_view_decode(bytes, len, &view), 0);
    free(bytes);
    return view;
}

static void a_view_is_for_one_subject(void **state)
{
    struct subject alice = somebody("alice", GROUPS("g", "vm-b"));
    struct subject bob = somebody("bob", GROUPS("h")), overflow = alice;
    struct policy *view = view_of(&alice);

    (void)state;
    assert_true(decide(view, &alice, "a", RIGHT_DISPLAY).allowed);
    assert_int_equal(decide(view, &bob, "a", RIGHT_DISPLAY).reason, VERDICT_NO_RULE);
    assert_int_equal(decide(view, &bob, "secret", RIGHT_DISPLAY).reason, VERDICT_NO_RULE);
    assert_true(decide(view, &alice, "b", RIGHT_POWER).allowed); /* by a group, which the view brings along */
    assert_int_equal(decide(view, &bob, "b", RIGHT_POWER).reason, VERDICT_NO_RULE);
    assert_false(policy_may_allow(view, &bob, NULL, RIGHT_DISPLAY));
    overflow.uid = 65534;
    assert_false(decide(view, &overflow, "a", RIGHT_DISPLAY).allowed);
    policy_free(view);
}

static void a_view_knows_groups_and_conditions_itself(void **state)
{
    struct subject alice = somebody("alice", GROUPS("g", "vm-b")), later = somebody("alice", GROUPS("h", "vm-c"));
    struct policy *view = view_of(&alice);

    (void)state;
    assert_int_equal(moment_parse("2026-11-22 08:30", &later.now), 0); /* within the hours by now */
    assert_int_equal(address_parse("::1", &later.address), 0);
    assert_true(decide(view, &later, "b", RIGHT_POWER).allowed);
    assert_int_equal(decide(view, &later, "c", RIGHT_POWER).reason, VERDICT_NO_RULE);
    struct verdict verdict = decide(view, &later, "lab-alice-1", RIGHT_SERIAL);
    assert_int_equal(verdict.reason, VERDICT_HOURS);
    assert_string_equal(verdict.text, "hours are Sun 08:00-09:00");
    assert_string_equal(verdict.file, "virtgate.ini");
    assert_int_equal(verdict.line, 10);
    policy_free(view);
}

static void a_view_holds_nothing_of_others(void **state)
{
    static const char *const foreign[] = { "bob", "secret", "::1", "vm-zzz" };
    struct subject alice = somebody("alice", GROUPS("g", "vm-zzz-", "unused")), nobody = alice;
    void *bytes;
    size_t len;

    (void)state;
    encode(&alice, &bytes, &len);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        assert_null(memmem(bytes, len, foreign[i], strlen(foreign[i])));
    assert_null(memmem(bytes, len, "unused", 6));
    free(bytes);

    nobody.uid = (uid_t)-1;
    encode(&nobody, &bytes, &len);
    assert_null(memmem(bytes, len, "alice", 5));
    free(bytes);
    struct policy *view = view_of(&nobody);
    assert_int_equal(policy_n_rules(view), 0);
    assert_false(decide(view, &alice, "a", RIGHT_DISPLAY).allowed);
    policy_free(view);
}

static void a_view_carries_the_settings(void **state)
{
    struct subject alice = somebody("alice", NO_GROUPS);
    struct policy *view = view_of(&alice);

    (void)state;
    assert_int_equal(policy_settings(view)->idle, 1800);
    assert_int_equal(policy_settings(view)->max_sessions, 3);
    assert_string_equal(policy_settings(view)->uri, "qemu:///system");
    policy_free(view);
}

static void groups_come_in_any_order(void **state)
{
    struct subject one = somebody("alice", GROUPS("vm-b", "g", "x")), other = somebody("alice", GROUPS("g", "g", "vm-b"));
    void *bytes, *others;
    size_t len, others_len;

    (void)state;
    encode(&one, &bytes, &len);
    encode(&other, &others, &others_len);
    assert_int_equal(len, others_len);
    assert_memory_equal(bytes, others, len);
    free(bytes);
    free(others);
}

static void expect_refused(const void *bytes, size_t len)
{
    struct policy *view = NULL;

    assert_int_equal(policy_view_decode(bytes, len, &view), -EINVAL);
    assert_null(view);
}

static void what_is_not_exactly_a_view_is_refused(void **state)
{
    struct subject alice = somebody("alice", GROUPS("g", "vm-b"));
    struct policy *view;
    size_t len, taken = 0;
    void *again, *bytes;
    char *changed;

    (void)state;
    encode(&alice, &bytes, &len);
    changed = malloc(len + 1);
    assert_non_null(changed);
    memcpy(changed, bytes, len);
    changed[len] = 0;
    expect_refused(changed, len + 1);
    expect_refused("", 0);
    for (size_t cut = 0; cut < len; cut++) {
        char *exact = malloc(cut + 1); /* so that a sanitizer sees a byte read too many */
        assert_non_null(exact);
        memcpy(exact, bytes, cut);
        expect_refused(exact, cut);
        free(exact);
    }
    /* Another byte makes another view or none. */
    for (size_t at = 0; at < len; at++) {
        for (unsigned flip = 1; flip < 256; flip++) {
            changed[at] = (char)(changed[at] ^ (char)flip);
            if (policy_view_decode(changed, len, &view) == 0) {
                struct subject whoever = { .user = view->user };
                size_t again_len;
                policy_rights(view, &whoever, &(struct vm){ .name = "lab-alice-7" });
                assert_int_equal(policy_view_encode(view, &whoever, &again, &again_len), 0);
                assert_int_equal(again_len, len);
                assert_memory_equal(again, changed, len);
                free(again);
                policy_free(view);
                taken++;
            }
            changed[at] = (char)(changed[at] ^ (char)flip);
        }
    }
    assert_true(taken > 0 && taken < len * 255);
    free(changed);
    free(bytes);
}

/* A view in which one byte, found by what stands there, is another. */
static void expect_refused_with(const char *found, size_t found_len, long offset, uint8_t byte)
{
    struct subject alice = somebody("alice", GROUPS("g", "vm-b"));
    uint8_t *at;
    void *bytes;
    size_t len;

    encode(&alice, &bytes, &len);
    at = memmem(bytes, len, found, found_len);
    assert_non_null(at);
    assert_int_not_equal(at[offset], byte);
    at[offset] = byte;
    expect_refused(bytes, len);
    free(bytes);
}

static void what_would_harm_in_a_view_is_refused(void **state)
{
    /* Where a rule's fields lie, seen from its pattern. */
    enum { RIGHTS = -22, PRINCIPAL = -21, CONDITION = -17, FILE_NUMBER = -13, KIND = -5 };
    const char *const uri = "qemu:///system";
    static const uint8_t wrong_reasons[] = { VERDICT_GRANTED, VERDICT_DENIED, VERDICT_NO_RULE, VERDICT_EXPIRED + 1, 255 };

    (void)state;
    expect_refused_with("virtgate view", 13, 14, '2');
    expect_refused_with(uri, 14, 14 + 7, 0x80);          /* idle below zero */
    expect_refused_with(uri, 14, 14 + 15, 0x80);         /* max-time */
    expect_refused_with(uri, 14, 14 + 16, 0);            /* no session at all */
    expect_refused_with(uri, 14, 14 + 17, 0xff);         /* too many */
    expect_refused_with(uri, 14, 3, '\0');
    expect_refused_with("virtgate.ini", 12, 5, '\0');
    for (size_t i = 0; i < sizeof wrong_reasons; i++)
        expect_refused_with("hours are", 9, -5, wrong_reasons[i]);
    expect_refused_with("lab-\1", 5, RIGHTS, 0x20 | RIGHT_DISPLAY);
    expect_refused_with("lab-\1", 5, RIGHTS, 0xff);
    expect_refused_with("lab-\1", 5, PRINCIPAL, 100);
    expect_refused_with("lab-\1", 5, CONDITION, 100);
    expect_refused_with("lab-\1", 5, FILE_NUMBER, 1);
    expect_refused_with("lab-\1", 5, KIND, PATTERN_UUID);
    expect_refused_with("lab-\1", 5, KIND, 3);
    expect_refused_with("lab-\1", 5, 4, 5);             /* no such step */
    expect_refused_with("lab-\1", 5, 4, STEP_SET);      /* cut short */
    expect_refused_with("lab-\4-\3\0\1", 9, 8, 200);    /* more ranges than there are bytes */
    expect_refused_with("vm-\4", 4, 3, STEP_ANY);       /* not in the name of a group */
    expect_refused_with("vm-\4", 4, -5, 4);             /* no such kind of principal */
    expect_refused_with("lab-x", 5, CONDITION, 0);       /* a deny is never held back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_decide_as_their_policy_does),
        cmocka_unit_test(a_view_is_for_one_subject),
        cmocka_unit_test(a_view_knows_groups_and_conditions_itself),
        cmocka_unit_test(a_view_holds_nothing_of_others),
        cmocka_unit_test(a_view_carries_the_settings),
        cmocka_unit_test(groups_come_in_any_order),
        cmocka_unit_test(what_is_not_exactly_a_view_is_refused),
        cmocka_unit_test(what_would_harm_in_a_view_is_refused),
        cmocka_unit_test(collisions_of_hashes_grant_nothing),
    };

    return cmocka_run_group_tests_name("policy_view", tests, NULL, NULL);
}
