/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Deciding: each reason for a no, then each reason for a yes. decide() asks the view of the subject as well. */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy_impl.h"
#include "test_policy.h"

static void expect_verdict(struct verdict verdict, enum verdict_reason reason, unsigned line, const char *text)
{
    assert_int_equal(verdict.reason, reason);
    assert_int_equal(verdict.allowed, reason == VERDICT_GRANTED);
    assert_int_equal(verdict.line, line);
    assert_string_equal(verdict.text, text);
    if (line == 0)
        assert_null(verdict.file);
}

/* The verdict about alice's display of the VM a, by a text. */
static void alice_gets(const char *text, const char *address, const char *now, enum verdict_reason reason, unsigned line,
                       const char *why)
{
    struct policy *policy = load_text(text);
    struct subject alice = somebody("alice", NO_GROUPS);

    if (address)
        assert_int_equal(address_parse(address, &alice.address), 0);
    if (now)
        assert_int_equal(moment_parse(now, &alice.now), 0);
    expect_verdict(decide(policy, &alice, "a", RIGHT_DISPLAY), reason, line, why);
    policy_free(policy);
}

/* --- no ---------------------------------------------------------------------------------------------------------- */

static void nothing_is_granted_unless_written(void **state)
{
    (void)state;
    alice_gets("", NULL, NULL, VERDICT_NO_RULE, 0, "no rule grants it");
    alice_gets("[user alice]\n", NULL, NULL, VERDICT_NO_RULE, 0, "no rule grants it");
    alice_gets("[user alice]\nserial = a\n", NULL, NULL, VERDICT_NO_RULE, 0, "no rule grants it");
    alice_gets("[user bob]\ndisplay = *\n", NULL, NULL, VERDICT_NO_RULE, 0, "no rule grants it");
    alice_gets("[group alice]\ndisplay = *\n", NULL, NULL, VERDICT_NO_RULE, 0, "no rule grants it");
}

static void deny_wins_over_every_grant(void **state)
{
    (void)state;
    alice_gets("[user alice]\ndisplay = a\ndeny = a\n", NULL, NULL, VERDICT_DENIED, 3, "a deny forbids it");
    alice_gets("[vm a]\ndeny = alice\n[user alice]\ndisplay = *\n[vm *]\ndisplay = alice\n", NULL, NULL, VERDICT_DENIED, 2,
               "a deny forbids it");
    alice_gets("[user alice]\ndisplay = a\ndeny = [!b]\n", NULL, NULL, VERDICT_DENIED, 3, "a deny forbids it");
    alice_gets("[vm *]\ndisplay = alice\ndeny = %v, alice\n", NULL, NULL, VERDICT_DENIED, 3, "a deny forbids it");
    assert_false(opens("[group g]\ndeny = a\n[user alice]\ndisplay = *\n", "alice", GROUPS("g"), "a"));
    assert_true(opens("[group g]\ndeny = a\n[user alice]\ndisplay = *\n", "alice", GROUPS("h"), "a"));
}

static void deny_holds_whatever_the_conditions(void **state)
{
    (void)state;
    alice_gets("[user alice]\ndisplay = a\n[vm a]\ndeny = alice\nuntil = 2000-01-01\nhours = 00:00-00:01\nfrom = ::1\n", NULL,
               NULL, VERDICT_DENIED, 4, "a deny forbids it");
}

static void until_ends_a_grant(void **state)
{
    const char *day = "[user alice]\ndisplay = a\nuntil = 2027-01-31\n";
    const char *minute = "[user alice]\ndisplay = a\nuntil = 2027-01-31 18:00\n";

    (void)state;
    alice_gets(day, NULL, "2027-01-31 23:59", VERDICT_GRANTED, 2, "granted");
    alice_gets(day, NULL, "2027-02-01 00:00", VERDICT_EXPIRED, 2, "until 2027-01-31 is past");
    alice_gets(day, NULL, "2028-01-01 00:00", VERDICT_EXPIRED, 2, "until 2027-01-31 is past");
    alice_gets(day, NULL, "2026-12-31 23:59", VERDICT_GRANTED, 2, "granted");
    alice_gets(minute, NULL, "2027-01-31 17:59", VERDICT_GRANTED, 2, "granted");
    alice_gets(minute, NULL, "2027-01-31 18:00", VERDICT_EXPIRED, 2, "until 2027-01-31 18:00 is past");
    alice_gets("[user alice]\ndisplay = a\nuntil = 2028-02-29\n", NULL, NULL, VERDICT_GRANTED, 2, "granted");
}

static void hours_hold_a_grant_back(void **state)
{
    const char *work = "[user alice]\ndisplay = a\nhours = Mon-Fri 08:00-18:00\n";
    const char *no = "hours are Mon-Fri 08:00-18:00";

    (void)state;
    alice_gets(work, NULL, "2026-11-20 08:00", VERDICT_GRANTED, 2, "granted"); /* a Friday */
    alice_gets(work, NULL, "2026-11-20 17:59", VERDICT_GRANTED, 2, "granted");
    alice_gets(work, NULL, "2026-11-20 18:00", VERDICT_HOURS, 2, no);
    alice_gets(work, NULL, "2026-11-20 07:59", VERDICT_HOURS, 2, no);
    alice_gets(work, NULL, "2026-11-21 10:00", VERDICT_HOURS, 2, no);
    alice_gets(work, NULL, "2026-11-22 10:00", VERDICT_HOURS, 2, no);
    alice_gets(work, NULL, "2026-11-23 10:00", VERDICT_GRANTED, 2, "granted");
}

static bool in_hours(const char *hours, const char *now)
{
    struct moment moment;
    struct span span;

    assert_int_equal(span_parse(hours, strlen(hours), &span), 0);
    assert_int_equal(moment_parse(now, &moment), 0);
    return span_holds(&span, &moment);
}

static void hours_pass_midnight_and_the_weeks_end(void **state)
{
    struct moment broken = { .weekday = 77 };
    struct span span = { .days = 0x7f, .end = 1440 };

    (void)state;
    /* 2026-11-21 is a Saturday. */
    assert_true(in_hours("Sat 22:00-06:00", "2026-11-21 22:00"));
    assert_true(in_hours("Sat 22:00-06:00", "2026-11-22 05:59"));
    assert_false(in_hours("Sat 22:00-06:00", "2026-11-22 06:00"));
    assert_false(in_hours("Sat 22:00-06:00", "2026-11-21 05:00"));
    assert_false(in_hours("Sat 22:00-06:00", "2026-11-22 23:00"));
    assert_true(in_hours("Sun 22:00-06:00", "2026-11-23 05:59"));
    assert_true(in_hours("Fri-Mon 08:00-09:00", "2026-11-20 08:30"));
    assert_true(in_hours("Fri-Mon 08:00-09:00", "2026-11-22 08:30"));
    assert_true(in_hours("Fri-Mon 08:00-09:00", "2026-11-23 08:30"));
    assert_false(in_hours("Fri-Mon 08:00-09:00", "2026-11-24 08:30"));
    assert_false(in_hours("Fri-Mon 08:00-09:00", "2026-11-19 08:30"));
    assert_true(in_hours("00:00-24:00", "2026-11-21 23:59"));
    assert_true(in_hours("00:00-24:00", "2026-11-21 00:00"));
    assert_true(in_hours("Sat\t18:00-24:00", "2026-11-21 23:59"));
    assert_false(in_hours("Sat 18:00-24:00", "2026-11-22 00:00"));
    assert_false(in_hours("Sat 18:00-00:00", "2026-11-22 00:00"));
    assert_true(in_hours("Sat 12:00-12:00", "2026-11-22 11:59"));
    assert_false(in_hours("Sat 12:00-12:00", "2026-11-22 12:00"));
    assert_false(span_holds(&span, &broken));
}

static void from_holds_a_grant_back(void **state)
{
    const char *text = "[user alice]\ndisplay = a\nfrom = 192.0.2.0/23, 2001:db8::/33\n";

    (void)state;
    alice_gets(text, NULL, NULL, VERDICT_ADDRESS_UNKNOWN, 2,
               "from is 192.0.2.0/23, 2001:db8::/33 and the address is not known");
    alice_gets(text, "192.0.1.255", NULL, VERDICT_ADDRESS, 2,
               "from is 192.0.2.0/23, 2001:db8::/33 and the address is 192.0.1.255");
    alice_gets(text, "192.0.4.0", NULL, VERDICT_ADDRESS, 2, "from is 192.0.2.0/23, 2001:db8::/33 and the address is 192.0.4.0");
    alice_gets(text, "2001:db8:8000::", NULL, VERDICT_ADDRESS, 2,
               "from is 192.0.2.0/23, 2001:db8::/33 and the address is 2001:db8:8000::");
    alice_gets(text, "192.0.2.0", NULL, VERDICT_GRANTED, 2, "granted");
    alice_gets(text, "192.0.3.255", NULL, VERDICT_GRANTED, 2, "granted");
    alice_gets(text, "2001:db8:7fff:ffff::1", NULL, VERDICT_GRANTED, 2, "granted");
    alice_gets(text, "::ffff:192.0.2.7", NULL, VERDICT_GRANTED, 2, "granted");
    alice_gets("[user alice]\ndisplay = a\nfrom = 192.0.2.7\n", "192.0.2.7", NULL, VERDICT_GRANTED, 2, "granted");
    alice_gets("[user alice]\ndisplay = a\nfrom = 0.0.0.0/0\n", "2001:db8::1", NULL, VERDICT_ADDRESS, 2,
               "from is 0.0.0.0/0 and the address is 2001:db8::1");
    /* All of IPv6 does not hold IPv4, whose bits would be found in it. */
    alice_gets("[user alice]\ndisplay = a\nfrom = ::/0\n", "192.0.2.7", NULL, VERDICT_ADDRESS, 2,
               "from is ::/0 and the address is 192.0.2.7");
}

static void a_long_list_is_cut_in_the_sentence(void **state)
{
    char text[256] = "[user alice]\ndisplay = a\nfrom = 192.0.2.1";
    struct policy *policy;
    struct subject alice = somebody("alice", NO_GROUPS);

    (void)state;
    for (int i = 0; i < 16; i++)
        strcat(text, ",192.0.2.1");
    policy = load_text(text);
    struct verdict verdict = decide(policy, &alice, "a", RIGHT_DISPLAY);
    assert_non_null(strstr(verdict.text, "... and the address is not known"));
    policy_free(policy);
}

static void the_most_telling_reason_is_given(void **state)
{
    (void)state;
    /* expired before hours before address; the first rule before the others; a grant of another section helps. */
    alice_gets("[user alice]\ndisplay = a\nfrom = ::1\nhours = Sun 08:00-09:00\nuntil = 2026-01-01\n", NULL, NULL,
               VERDICT_EXPIRED, 2, "until 2026-01-01 is past");
    alice_gets("[user alice]\ndisplay = a\nfrom = ::1\nhours = Sun 08:00-09:00\n", NULL, NULL, VERDICT_HOURS, 2,
               "hours are Sun 08:00-09:00");
    alice_gets("[vm a]\ndisplay = alice\nfrom = ::1\n[user alice]\ndisplay = a\nuntil = 2026-01-01\n", NULL, NULL,
               VERDICT_ADDRESS_UNKNOWN, 2, "from is ::1 and the address is not known");
    alice_gets("[vm a]\ndisplay = alice\nfrom = ::1\n[user alice]\ndisplay = a\n", NULL, NULL, VERDICT_GRANTED, 5, "granted");
    alice_gets("[vm a]\ndisplay = alice\nfrom = ::1\n[user alice]\ndeny = a\n", NULL, NULL, VERDICT_DENIED, 5,
               "a deny forbids it");
    alice_gets("[vm ?]\ndisplay = bob, alice\n[user alice]\ndisplay = a\n[vm a]\ndisplay = alice\n", NULL, NULL, VERDICT_GRANTED,
               2, "granted");
}

static void nobody_is_never_allowed(void **state)
{
    struct policy *policy = load_text("[user alice]\ndisplay = *\n[vm *]\ndisplay = %v, nobody, @%v\n");
    struct subject alice = somebody("alice", GROUPS("a", "")), changed;
    static const uid_t overflow[] = { (uid_t)-1, 65534 };
    const char *why = "the account is not one that a rule can name";

    (void)state;
    assert_true(decide(policy, &alice, "a", RIGHT_DISPLAY).allowed);
    for (size_t i = 0; i < 2; i++) {
        changed = alice;
        changed.uid = overflow[i];
        expect_verdict(decide(policy, &changed, "a", RIGHT_DISPLAY), VERDICT_NO_RULE, 0, why);
        assert_int_equal(policy_rights(policy, &changed, &(struct vm){ .name = "a" }), 0);
        assert_false(policy_may_allow(policy, &changed, "a", RIGHT_DISPLAY));
        assert_false(policy_may_allow(policy, &changed, NULL, RIGHT_DISPLAY));
        assert_false(policy_may_allow_any(policy, &changed, NULL));
    }
    changed = alice;
    changed.user = NULL;
    expect_verdict(decide(policy, &changed, "a", RIGHT_DISPLAY), VERDICT_NO_RULE, 0, why);
    changed.user = "";
    expect_verdict(decide(policy, &changed, "a", RIGHT_DISPLAY), VERDICT_NO_RULE, 0, why);
    assert_false(policy_may_allow(policy, &changed, NULL, RIGHT_DISPLAY));
    changed.user = "root";
    changed.uid = 0;
    changed.n_groups = 0;
    expect_verdict(decide(policy, &changed, "a", RIGHT_DISPLAY), VERDICT_NO_RULE, 0, "no rule grants it");
    expect_verdict(decide(policy, &alice, "", RIGHT_DISPLAY), VERDICT_NO_RULE, 0, "a VM without a name");
    expect_verdict(decide(policy, &alice, NULL, RIGHT_DISPLAY), VERDICT_NO_RULE, 0, "a VM without a name");
    assert_false(policy_may_allow(policy, &alice, "", RIGHT_DISPLAY));
    assert_false(policy_may_allow_any(policy, &alice, ""));
    policy_free(policy);
}

static void what_is_not_one_right_is_not_granted(void **state)
{
    struct policy *policy = load_text("[role all]\ngrant = display, serial, power, takeover\n[user alice]\nall = *\n");
    struct subject alice = somebody("alice", NO_GROUPS);
    static const unsigned wrong[] = { 0, RIGHT_ALL, RIGHT_DISPLAY | RIGHT_SERIAL, 1 << 5, 1U << 31 };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(decide(policy, &alice, "a", (enum right)wrong[i]).reason, VERDICT_NO_RULE);
    policy_free(policy);
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static void names_match_as_a_whole_or_not_at_all(void **state)
{
    static const char *const others[] = { "web", "web10", "web1 ", "WEB1", "Web1", "web1\t", " web1", "xweb1", "web1\n" };
    const char *text = "[user alice]\ndisplay = web1\n[vm web1]\ndisplay = @ops\n";

    (void)state;
    assert_true(opens(text, "alice", NO_GROUPS, "web1"));
    assert_true(opens(text, "x", GROUPS("ops"), "web1"));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(opens(text, "alice", NO_GROUPS, others[i]));
        assert_false(opens(text, "x", GROUPS("ops"), others[i]));
    }
    static const char *const people[] = { "alice-bob", "alic", "alicee", "Alice", "ALICE", "alice ", "lice", "bob-alice" };
    for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
        assert_false(opens(text, people[i], NO_GROUPS, "web1"));
        assert_false(opens(text, "x", GROUPS(people[i]), "web1"));
    }
    static const char *const groups[] = { "op", "opss", "Ops", "@ops", "devops" };
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        assert_false(opens(text, "x", GROUPS(groups[i]), "web1"));
    assert_false(opens("[vm web1]\ndisplay = @alice\n", "alice", NO_GROUPS, "web1"));
    assert_false(opens("[vm web1]\ndisplay = alice\n", "x", GROUPS("alice"), "web1"));
}

static void composed_and_decomposed_letters_differ(void **state)
{
    (void)state;
    assert_true(opens("[user alice]\ndisplay = caf\xc3\xa9\n", "alice", NO_GROUPS, "caf\xc3\xa9"));
    assert_false(opens("[user alice]\ndisplay = caf\xc3\xa9\n", "alice", NO_GROUPS, "cafe\xcc\x81"));
}

static void percent_u_is_inserted_as_it_is(void **state)
{
    const char *group = "[group g]\ndisplay = lab-%u-*\n";

    (void)state;
    assert_true(opens(group, "alice", GROUPS("g"), "lab-alice-1"));
    assert_true(opens(group, "alice", GROUPS("g"), "lab-alice-"));
    assert_false(opens(group, "alice", GROUPS("g"), "lab-alice"));
    assert_false(opens(group, "alice", GROUPS("g"), "lab-bob-1"));
    assert_false(opens(group, "alice", NO_GROUPS, "lab-alice-1"));
    /* A user whose name is a pattern is that name. */
    assert_false(opens(group, "*", GROUPS("g"), "lab-alice-1"));
    assert_true(opens(group, "*", GROUPS("g"), "lab-*-1"));
    assert_false(opens(group, "?????", GROUPS("g"), "lab-alice-1"));
    assert_false(opens(group, "[a-z]*", GROUPS("g"), "lab-alice-1"));
    assert_false(opens(group, "\\*", GROUPS("g"), "lab-*-1"));
    assert_false(opens(group, "%u", GROUPS("g"), "lab-alice-1"));
    assert_true(opens("[group g]\ndisplay = %u, %u%%%u\n", "a", GROUPS("g"), "a%a"));
    assert_false(opens("[group g]\ndisplay = %u, %u%%%u\n", "a", GROUPS("g"), "a%b"));
    assert_true(opens("[group g]\ndisplay = *%u*%u?\n", "ab", GROUPS("g"), "xabab-ab1"));
    assert_true(opens("[user alice]\ndisplay = lab-%u\n", "alice", NO_GROUPS, "lab-alice"));
    assert_true(opens("[user alice]\ndisplay = lab-%u-?\n", "alice", NO_GROUPS, "lab-alice-1"));
    assert_false(opens("[group g]\ndeny = *%u*\ndisplay = *\n", "alice", GROUPS("g"), "lab-alice-1"));
}

static void percent_v_makes_membership_the_grant(void **state)
{
    const char *text = "[vm *]\ndisplay = @vm-%v\n";

    (void)state;
    assert_true(opens(text, "alice", GROUPS("x", "vm-web"), "web"));
    assert_false(opens(text, "alice", GROUPS("x", "vm-web"), "web1"));
    assert_false(opens(text, "alice", GROUPS("vm-web1", "vm-we", "vm-", "vm", "web"), "web"));
    assert_false(opens(text, "vm-web", NO_GROUPS, "web"));
    assert_false(opens(text, "alice", GROUPS("vm-*"), "web"));
    assert_true(opens(text, "alice", GROUPS("vm-*"), "*"));
    assert_true(opens("[vm *]\ndisplay = %v\n", "web", NO_GROUPS, "web"));
    assert_false(opens("[vm *]\ndisplay = %v\n", "x", GROUPS("web"), "web"));
    assert_true(opens("[vm *]\ndisplay = @%v-%v%%\n", "x", GROUPS("web-web%"), "web"));
    assert_false(opens("[vm *]\ndisplay = @%v-%v\n", "x", GROUPS("web-wab"), "web"));
    assert_false(opens("[vm lab-*]\ndisplay = @vm-%v\n", "x", GROUPS("vm-web"), "web"));
    assert_true(opens("[vm lab-*]\ndisplay = @vm-%v\n", "x", GROUPS("vm-lab-1"), "lab-1"));
    assert_false(opens("[vm *]\ndeny = @no-%v\ndisplay = alice\n", "alice", GROUPS("no-web"), "web"));
    assert_true(opens("[vm *]\ndeny = @no-%v\ndisplay = alice\n", "alice", GROUPS("no-web"), "web2"));
}

static void uuids_name_a_vm_whatever_it_is_called(void **state)
{
    const char *right = "6b0d7b4e-52c6-4a2f-9d8e-0123456789ab", *wrong = "6b0d7b4e-52c6-4a2f-9d8e-0123456789ac";
    struct policy *policy = load_text("[user alice]\ndisplay = uuid:6B0D7B4E-52C6-4A2F-9D8E-0123456789AB\n"
                                      "[vm uuid:6b0d7b4e-52c6-4a2f-9d8e-0123456789ac]\nserial = @vm-%v\ndeny = mallory\n");
    struct subject alice = somebody("alice", GROUPS("vm-a"));
    struct subject mallory = somebody("mallory", NO_GROUPS);

    (void)state;
    assert_true(decide_uuid(policy, &alice, "a", right, RIGHT_DISPLAY).allowed);
    assert_false(decide_uuid(policy, &alice, "a", wrong, RIGHT_DISPLAY).allowed);
    assert_false(decide(policy, &alice, "a", RIGHT_DISPLAY).allowed);
    assert_false(decide(policy, &alice, "uuid:6b0d7b4e-52c6-4a2f-9d8e-0123456789ab", RIGHT_DISPLAY).allowed);
    assert_true(decide_uuid(policy, &alice, "a", wrong, RIGHT_SERIAL).allowed);
    assert_false(decide_uuid(policy, &alice, "b", wrong, RIGHT_SERIAL).allowed);
    assert_int_equal(decide_uuid(policy, &mallory, "b", wrong, RIGHT_SERIAL).reason, VERDICT_DENIED);
    policy_free(policy);
    assert_true(opens("[user alice]\ndisplay = uuid\\:x\n", "alice", NO_GROUPS, "uuid:x"));
}

static void globs_match_bytes(void **state)
{
    const char *text = "[user alice]\ndisplay = lab-*, ?at, [!a-c]x, [a-c]y, \\*, []-]z, [^0-9]?, \\@a, [\\]]q\n";
    static const char *const yes[] = { "lab-", "lab-1", "lab-/.x", "cat", "dx", "by", "*", "]z", "-z", "aa", "@a", "]q" };
    static const char *const no[] = { "lab", "xlab-1", "aat1", ("\xc3\xa9" "at"), "y", "9a", "az1", ".lab-" };

    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!opens(text, "alice", NO_GROUPS, yes[i]))
            fail_msg("%s is not matched", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (opens(text, "alice", NO_GROUPS, no[i]))
            fail_msg("%s is matched", no[i]);
    assert_false(opens("[user alice]\ndisplay = \\*\n", "alice", NO_GROUPS, "\\*"));
    assert_false(opens("[user alice]\ndisplay = \\*\n", "alice", NO_GROUPS, "a"));
}

/* A random text of few letters, so that many match. */
static void random_text(char *out, const char *letters, size_t max)
{
    size_t len = (size_t)rand() % max, n = strlen(letters);

    for (size_t i = 0; i < len; i++)
        out[i] = letters[(size_t)rand() % n];
    out[len] = '\0';
}

static void globs_agree_with_fnmatch(void **state)
{
    const struct pattern_rules rules = { .glob = true };
    uint8_t bytes[PATTERN_SIZE];
    char text[16], name[12], why[WHY_SIZE];
    struct pattern pattern;
    int matched = 0, compared = 0;

    (void)state;
    srand(1);
    for (int i = 0; i < 300000; i++) {
        random_text(text, "aab**?[]!-\\", sizeof text);
        random_text(name, "aab-]\\!", sizeof name);
        if (pattern_compile(text, strlen(text), &rules, bytes, &pattern, why) < 0)
            continue; /* what fnmatch takes otherwise */
        bool mine = pattern.kind == PATTERN_PROGRAM
                        ? pattern_match(pattern.bytes, pattern.len, name, strlen(name), "", 0)
                        : pattern.len == strlen(name) && memcmp(pattern.bytes, name, pattern.len) == 0;
        bool theirs = fnmatch(text, name, 0) == 0;
        assert_true(pattern.kind != PATTERN_PROGRAM || pattern_valid(pattern.bytes, pattern.len, false));
        if (mine != theirs)
            fail_msg("'%s' on '%s': %d, fnmatch says %d", text, name, mine, theirs);
        matched += mine;
        compared++;
    }
    assert_true(compared > 50000 && matched > 2000);
}

static void programs_from_elsewhere_are_checked(void **state)
{
    static const struct { const char *bytes; size_t len; bool valid, flat; } programs[] = {
        { "abc\t", 4, true, true },        { "\4-\4", 3, true, true },         { "", 0, true, true },
        { "\1", 1, true, false },          { "\2a", 2, true, false },          { "\3\0\1az", 5, true, false },
        { "\3\1\2azAZx", 8, true, false }, { "\3\0\0", 3, true, false },      { "\3", 1, false, false },
        { "\3\0", 2, false, false },       { "\3\0\1a", 4, false, false },     { "\3\0\2azA", 6, false, false },
        { "\3\2\1az", 5, false, false },   { "\0", 1, false, false },          { "a\5", 2, false, false },
        { "\x1f", 1, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        const uint8_t *bytes = (const uint8_t *)programs[i].bytes;
        assert_int_equal(pattern_valid(bytes, programs[i].len, false), programs[i].valid);
        assert_int_equal(pattern_valid(bytes, programs[i].len, true), programs[i].flat);
    }
}

/* --- rights ------------------------------------------------------------------------------------------------------ */

static void display_includes_watch_and_nothing_else(void **state)
{
    struct policy *policy = load_text("[role most]\ngrant = serial, takeover\n[user alice]\ndisplay = a\nmost = b\n");
    struct subject alice = somebody("alice", NO_GROUPS);

    (void)state;
    assert_int_equal(policy_rights(policy, &alice, &(struct vm){ .name = "a" }), RIGHT_DISPLAY | RIGHT_WATCH);
    assert_int_equal(policy_rights(policy, &alice, &(struct vm){ .name = "b" }), RIGHT_SERIAL | RIGHT_TAKEOVER);
    assert_int_equal(policy_rights(policy, &alice, &(struct vm){ .name = "c" }), 0);
    assert_true(decide(policy, &alice, "a", RIGHT_WATCH).allowed);
    policy_free(policy);
}

static void rights_have_names(void **state)
{
    enum right right;
    char text[64];

    (void)state;
    assert_int_equal(right_parse("takeover", &right), 0);
    assert_int_equal(right, RIGHT_TAKEOVER);
    assert_int_equal(right_parse("Display", &right), -EINVAL);
    assert_string_equal(right_name(RIGHT_WATCH), "watch");
    assert_null(right_name((enum right)(RIGHT_WATCH | RIGHT_DISPLAY)));
    rights_format(RIGHT_ALL, ", ", text, sizeof text);
    assert_string_equal(text, "watch, display, serial, power, takeover");
    rights_format(0, ", ", text, sizeof text);
    assert_string_equal(text, "");
    rights_format(RIGHT_DISPLAY | RIGHT_POWER, ",", text, 10);
    assert_string_equal(text, "display,p");
}

/* --- may allow --------------------------------------------------------------------------------------------------- */

static bool may(const char *text, const char *const *groups, size_t n_groups, const char *name)
{
    struct policy *policy = load_text(text);
    struct subject alice = somebody("alice", groups, n_groups);
    bool so = policy_may_allow(policy, &alice, name, RIGHT_DISPLAY);

    policy_free(policy);
    return so;
}

#define UUID_1 "uuid:6b0d7b4e-52c6-4a2f-9d8e-000000000001"
#define UUID_2 "uuid:6b0d7b4e-52c6-4a2f-9d8e-000000000002"

static void says_when_there_is_no_hope_for_a_name(void **state)
{
    (void)state;
    assert_false(may("", NO_GROUPS, "a"));
    assert_true(may("[user alice]\ndisplay = a\n", NO_GROUPS, "a"));
    assert_false(may("[user alice]\ndisplay = a\n", NO_GROUPS, "b"));
    assert_false(may("[user alice]\nserial = a\n", NO_GROUPS, "a"));
    assert_false(may("[user alice]\ndisplay = a\ndeny = a\n", NO_GROUPS, "a"));
    assert_false(may("[user alice]\ndisplay = a\nuntil = 2000-01-01\n", NO_GROUPS, "a"));
    /* A uuid that is granted could be this VM's, unless the name or that uuid is denied. */
    assert_true(may("[user alice]\ndisplay = " UUID_1 "\n", NO_GROUPS, "b"));
    assert_false(may("[user alice]\ndisplay = " UUID_1 "\ndeny = b\n", NO_GROUPS, "b"));
    assert_false(may("[user alice]\ndisplay = " UUID_1 "\ndeny = " UUID_1 "\n", NO_GROUPS, "b"));
    assert_true(may("[user alice]\ndisplay = " UUID_1 "\ndeny = " UUID_2 "\n", NO_GROUPS, "b"));
    assert_true(may("[user alice]\ndisplay = b\ndeny = " UUID_2 "\n", NO_GROUPS, "b"));
    assert_true(may("[vm " UUID_1 "]\ndisplay = @vm-%v\n", GROUPS("vm-b"), "b"));
    assert_false(may("[vm " UUID_1 "]\ndisplay = @vm-%v\n", GROUPS("vm-c"), "b"));
    assert_false(may("[user alice]\ndisplay = " UUID_1 "\nfrom = ::1\n", NO_GROUPS, "b"));
}

static void says_when_there_is_no_hope_at_all(void **state)
{
    (void)state;
    assert_false(may("", NO_GROUPS, NULL));
    assert_false(may("[user bob]\ndisplay = *\n", NO_GROUPS, NULL));
    assert_false(may("[user alice]\nserial = *\n", NO_GROUPS, NULL));
    assert_true(may("[user alice]\ndisplay = x*\n", NO_GROUPS, NULL));
    assert_true(may("[group g]\ndisplay = a\n", GROUPS("g"), NULL));
    assert_true(may("[user alice]\ndisplay = " UUID_1 "\n", NO_GROUPS, NULL));
    assert_true(may("[vm *]\ndisplay = @vm-%v\n", GROUPS("vm-a"), NULL));
    assert_false(may("[vm *]\ndisplay = @vm-%v\n", GROUPS("vm-"), NULL));
    assert_false(may("[vm *]\ndisplay = @vm-%v\ndeny = @no-%v\n", GROUPS("vm-a", "no-a"), NULL));
    assert_true(may("[vm *]\ndisplay = @vm-%v\ndeny = @no-%v\n", GROUPS("vm-a", "no-b"), NULL));
    assert_false(may("[user alice]\ndisplay = *\nuntil = 2000-01-01\n", NO_GROUPS, NULL));
    assert_false(may("[user alice]\ndisplay = a, x*, " UUID_1 "\ndeny = *\n", NO_GROUPS, NULL));
    assert_false(may("[user alice]\ndisplay = a, x*, " UUID_1 "\ndeny = ***\n", NO_GROUPS, NULL));
    assert_false(may("[user alice]\ndisplay = a, b, " UUID_1 "\ndeny = ?, " UUID_1 "\n", NO_GROUPS, NULL));
}

/* --- time and addresses ------------------------------------------------------------------------------------------ */

static void moments_know_their_weekday(void **state)
{
    struct moment parsed, local;
    char text[32];
    struct tm tm;

    (void)state;
    for (time_t t = 86399; t < 4102444800; t += 86400 * 3 + 3601) {
        assert_int_equal(moment_at(t, &local), 0);
        assert_non_null(localtime_r(&t, &tm));
        assert_true(strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm) > 0);
        assert_int_equal(moment_parse(text, &parsed), 0);
        assert_memory_equal(&parsed, &local, sizeof parsed);
        assert_int_equal(parsed.weekday, (tm.tm_wday + 6) % 7);
    }
    assert_int_equal(moment_parse("2026-11-21T10:01", &parsed), 0);
    assert_int_equal(parsed.minute, 601);
    assert_int_equal(parsed.weekday, 5);
    assert_int_equal(moment_parse("2026-11-21", &parsed), -EINVAL);
    assert_int_equal(moment_parse("2026-11-21 10:01:00", &parsed), -EINVAL);
    assert_int_equal(moment_parse("2026-11-31 10:01", &parsed), -EINVAL);
    assert_int_equal(moment_parse("2026-11-21 24:00", &parsed), -EINVAL);
    assert_int_equal(moment_parse("", &parsed), -EINVAL);
    assert_true(moment_at((time_t)LLONG_MAX, &local) < 0);
}

static void addresses_have_one_form(void **state)
{
    struct address address;

    (void)state;
    assert_int_equal(address_parse("::ffff:192.0.2.7", &address), 0);
    assert_int_equal(address.family, AF_INET);
    assert_int_equal(ntohl(address.v4.s_addr), 0xc0000207);
    assert_int_equal(address_parse("2001:db8::1", &address), 0);
    assert_int_equal(address.family, AF_INET6);
    assert_int_equal(address_parse("192.0.2.0/24", &address), -EINVAL);
    assert_int_equal(address_parse("192.0.2.07", &address), -EINVAL);
    assert_int_equal(address_parse("fe80::1%eth0", &address), -EINVAL);
    assert_int_equal(address_parse("UNKNOWN", &address), -EINVAL);
    assert_int_equal(address_parse("", &address), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_granted_unless_written),
        cmocka_unit_test(deny_wins_over_every_grant),
        cmocka_unit_test(deny_holds_whatever_the_conditions),
        cmocka_unit_test(until_ends_a_grant),
        cmocka_unit_test(hours_hold_a_grant_back),
        cmocka_unit_test(hours_pass_midnight_and_the_weeks_end),
        cmocka_unit_test(from_holds_a_grant_back),
        cmocka_unit_test(a_long_list_is_cut_in_the_sentence),
        cmocka_unit_test(the_most_telling_reason_is_given),
        cmocka_unit_test(nobody_is_never_allowed),
        cmocka_unit_test(what_is_not_one_right_is_not_granted),
        cmocka_unit_test(names_match_as_a_whole_or_not_at_all),
        cmocka_unit_test(composed_and_decomposed_letters_differ),
        cmocka_unit_test(percent_u_is_inserted_as_it_is),
        cmocka_unit_test(percent_v_makes_membership_the_grant),
        cmocka_unit_test(uuids_name_a_vm_whatever_it_is_called),
        cmocka_unit_test(globs_match_bytes),
        cmocka_unit_test(globs_agree_with_fnmatch),
        cmocka_unit_test(programs_from_elsewhere_are_checked),
        cmocka_unit_test(display_includes_watch_and_nothing_else),
        cmocka_unit_test(rights_have_names),
        cmocka_unit_test(says_when_there_is_no_hope_for_a_name),
        cmocka_unit_test(says_when_there_is_no_hope_at_all),
        cmocka_unit_test(moments_know_their_weekday),
        cmocka_unit_test(addresses_have_one_form),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
