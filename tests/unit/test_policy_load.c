/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading the ACL: every refusal with its file, line and message; then what is right. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "policy/policy_impl.h"
#include "test_policy.h"

/* --- inih's traps ------------------------------------------------------------------------------------------------ */

/* Each of these would grant or forget something if the line went to inih as it is. */

static char *repeat(char c, size_t n)
{
    static char text[512];

    assert_true(n < sizeof text);
    memset(text, c, n);
    text[n] = '\0';
    return text;
}

static void trap_long_line_is_cut(void **state)
{
    char text[600];

    (void)state;
    snprintf(text, sizeof text, "[user alice]\ndeny = %s\n", repeat('a', 192));
    refuses_text(text, 2, "a line of 199 bytes: expected at most 198");
    snprintf(text, sizeof text, "[user alice]\n#%s\n", repeat('a', 198));
    refuses_text(text, 2, "a line of 199 bytes");
    snprintf(text, sizeof text, "[user alice]\ndeny = %s\n", repeat('a', 191));
    policy_free(load_text(text));
}

static void trap_line_of_a_megabyte(void **state)
{
    const size_t len = 1 << 20;
    char *text = malloc(len + 64);

    (void)state;
    assert_non_null(text);
    memset(text, 'a', len + 64);
    memcpy(text, "[user alice]\n", 13);
    memcpy(text + len, "\ndisplay = b\n", 13);
    refuses_bytes(text, len + 13, 2, "expected at most 198");
    free(text);
}

static void trap_section_is_cut_at_49_bytes(void **state)
{
    char text[600];

    (void)state;
    snprintf(text, sizeof text, "[user %s]\ndisplay = a\n", repeat('a', 45));
    refuses_text(text, 1, "header of 50 bytes: expected at most 49");
    snprintf(text, sizeof text, "[user %s]\ndisplay = a\n", repeat('a', 44));
    assert_true(opens(text, repeat('a', 44), NO_GROUPS, "a"));
}

static void trap_key_is_cut_at_49_bytes(void **state)
{
    char text[600];

    (void)state;
    snprintf(text, sizeof text, "[user a]\n%s = a\n", repeat('k', 50));
    refuses_text(text, 2, "a key of 50 bytes: expected at most 49");
    snprintf(text, sizeof text, "[user a]\n%s = a\n", repeat('k', 49));
    refuses_text(text, 2, "unknown key");
}

static void trap_indented_line_continues_the_key(void **state)
{
    (void)state;
    refuses_text("[user alice]\ndisplay = a\n b\n", 3, "begins with a blank");
    refuses_text("[user alice]\ndisplay = a\n\tserial = b\n", 3, "begins with a blank");
    refuses_text(" [user alice]\n", 1, "begins with a blank");
    policy_free(load_text("[user alice]\n \t \ndisplay = a\n"));
}

static void trap_colon_is_an_equals_sign(void **state)
{
    (void)state;
    refuses_text("[user alice]\ndisplay: a\n", 2, "expected 'key = value'");
    refuses_text("[user alice]\ndisplay: a = b\n", 2, "not 'display: a'");
}

static void trap_bom_is_passed_over(void **state)
{
    (void)state;
    refuses_text("\xef\xbb\xbf[user alice]\ndisplay = a\n", 1, "byte order mark");
    refuses_text("[user alice]\ndisplay = \xef\xbb\xbf" "a\n", 2, "byte order mark");
}

static void trap_semicolon_cuts_the_value(void **state)
{
    (void)state;
    refuses_text("[user alice]\ndeny = a ;b\n", 2, "one blank before ';' is ambiguous");
    refuses_text("[user alice]\ndeny = a ; b\n", 2, "one blank before ';' is ambiguous");
    refuses_text("[user alice]\ndeny = ;b\n", 2, "one blank before ';' is ambiguous");
    refuses_text("[user alice]\ndeny = a;b\n", 2, "a name with ';' must stand within double quotes");
    refuses_text("[user alice]\ndeny =  ; all\n", 2, "empty place");
    assert_false(opens("[user alice]\ndeny = a  ;b\ndisplay = *\n", "alice", NO_GROUPS, "a"));
    assert_true(opens("[user alice]\ndeny = a\t; b, c\ndisplay = *\n", "alice", NO_GROUPS, "b"));
}

static void trap_semicolon_cuts_within_quotes(void **state)
{
    (void)state;
    refuses_text("[user alice]\ndeny = \"a ;b\"\n", 2, "';' after a blank within quotes");
    refuses_text("[user alice]\ndeny = \"a  ;b\"\n", 2, "';' after a blank within quotes");
    refuses_text("[user alice]\ndeny = \"a\t;b\"\n", 2, "';' after a blank within quotes");
    assert_true(opens("[user alice]\ndisplay = \"a;b\", c\n", "alice", NO_GROUPS, "a;b"));
}

static void trap_header_ends_at_the_first_bracket(void **state)
{
    (void)state;
    refuses_text("[vm lab-[0-9]]\ndisplay = a\n", 1, "ends at its first ']'");
    refuses_text("[user alice] display = a\n", 1, "ends at its first ']'");
    refuses_text("[user alice];\n", 1, "ends at its first ']'");
    refuses_text("[user alice] # a\n", 1, "ends at its first ']'");
    refuses_text("[user alice\n", 1, "expected ']'");
    refuses_text("[vm \"a ;b\"]\n", 1, "';' after a blank in a section's header");
    policy_free(load_text("[user alice] ; one blank will do\n"));
}

static void trap_empty_section_is_not_told(void **state)
{
    (void)state;
    refuses_text("[usr alice]\n", 1, "unknown section [usr alice]");
    refuses_text("[user alice]\n[user alice]\n", 2, "a second section [user alice]");
}

static void trap_errors_do_not_stop_it(void **state)
{
    static const unsigned lines[] = { 2, 3, 4, 7, 8 };
    struct folder *folder = *state;

    folder_write(folder, "acl.ini", "[user alice]\nfoo\nbar\n[usr a]\ndisplay = b\n[vm c]\nto-day = d\ndeny =\n");
    struct policy_errors errors = load_errors(folder, "acl.ini");
    assert_int_equal(errors.n, 5);
    for (size_t i = 0; i < errors.n; i++)
        assert_int_equal(errors.list[i].line, lines[i]);
    policy_errors_free(&errors);
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

static void refuses_bytes_that_are_not_plain_text(void **state)
{
    (void)state;
    refuses_text("[user alice]\r\ndisplay = a\r\n", 1, "the line ends in CR LF");
    refuses_text("# a\n[user alice]\ndisplay = a\r\nserial = b\r\n", 3, "CR LF");
    refuses_text("[user alice]\rdisplay = a\n", 1, "control character \\x0d");
    refuses_bytes("[user alice]\ndisplay = a\0b\n", 27, 2, "a NUL byte");
    refuses_bytes("[user alice]\n\0\n", 15, 2, "a NUL byte");
    refuses_text("[user alice]\ndisplay = a\x1b[m\n", 2, "control character \\x1b");
    refuses_text("[user alice]\ndisplay = a\vb\n", 2, "control character \\x0b");
    refuses_text("[user alice]\ndisplay = a\x7f\n", 2, "unseen character \\x7f");
    refuses_text("[user alice]\n# \xe2\x80\xae\n", 2, "unseen character \\xe2\\x80\\xae");
    refuses_text("[user alice]\ndisplay = b\xfcro\n", 2, "byte \\xfc is not UTF-8");
    refuses_text("[user alice]\ndisplay = a\xc0\xaf\n", 2, "byte \\xc0 is not UTF-8");
    refuses_text("[user alice]\ndisplay = \xed\xa0\x80\n", 2, "is not UTF-8");
    assert_true(opens("[user alice]\ndisplay = b\xc3\xbcro, \xc3\xa0", "alice", NO_GROUPS, "\xc3\xa0"));
}

/* --- sections and keys ------------------------------------------------------------------------------------------- */

struct refusal {
    const char *text;
    unsigned line;
    const char *part;
};

static void refuse_all(const struct refusal *refusals, size_t n)
{
    for (size_t i = 0; i < n; i++)
        refuses_text(refusals[i].text, refusals[i].line, refusals[i].part);
}
#define REFUSE_ALL(...)                                                                                               \
    refuse_all((const struct refusal[]){ __VA_ARGS__ },                                                               \
               sizeof((const struct refusal[]){ __VA_ARGS__ }) / sizeof(struct refusal))

static void refuses_wrong_headers(void **state)
{
    (void)state;
    REFUSE_ALL({ "[User alice]\n", 1, "unknown section [User alice]" },
               { "[\"user\" alice]\n", 1, "unknown section" },
               { "[]\n", 1, "unknown section []" },
               { "[include /etc/x]\n", 1, "unknown section" },
               { "[user]\n", 1, "expected [user NAME], not [user]" },
               { "[user alice bob]\n", 1, "expected [user NAME], not [user alice bob]" },
               { "[vm a b]\n", 1, "expected [vm PATTERN]" },
               { "[group  ]\n", 1, "expected [group NAME]" },
               { "[role]\n", 1, "expected [role NAME]" },
               { "[gate a]\n", 1, "expected [gate], not [gate a]" },
               { "[user a,b]\n", 1, "expected [user NAME]" },
               { "[user ,b]\n", 1, "expected a name before the comma" },
               { "[user \"alice]\n", 1, "a double quote without its partner" },
               { "[user \"\"]\n", 1, "a name between quotes is empty" },
               { "[user al\"ice\"]\n", 1, "a double quote can only begin and end a name" },
               { "[user \"al\"ice]\n", 1, "expected a comma or the end after the closing quote, not 'ice'" },
               { "[user a=b]\n", 1, "a name with '=' must stand within double quotes" },
               { "[user @students]\n", 1, "a group's section is [group students]" },
               { "[user *]\n", 1, "'*' cannot stand in the name of a user or group" },
               { "[group a?]\n", 1, "'?' cannot stand in the name" },
               { "[user %u]\n", 1, "'%' has no meaning here; write %% for a percent sign" },
               { "[vm lab-%v]\n", 1, "'%' has no meaning here" },
               { "[vm uuid:1]\n", 1, "expected uuid: and 32 hexadecimal digits" },
               { "[vm lab-[a]\n", 1, "'[' without ']'" },
               { "[role display]\ngrant = serial\n", 1, "a role cannot be called 'display'" },
               { "[role watch]\ngrant = serial\n", 1, "a role cannot be called 'watch'" },
               { "[role grant]\ngrant = serial\n", 1, "a role cannot be called 'grant'" },
               { "[role deny]\ngrant = serial\n", 1, "a role cannot be called 'deny'" },
               { "[role from]\ngrant = serial\n", 1, "a role cannot be called 'from'" },
               { "[role hours]\ngrant = serial\n", 1, "a role cannot be called 'hours'" },
               { "[role until]\ngrant = serial\n", 1, "a role cannot be called 'until'" },
               { "[role Operator]\ngrant = serial\n", 1, "expected a role's name of small letters" },
               { "[role 1st]\ngrant = serial\n", 1, "that begins with a letter, not '1st'" },
               { "[role operator]\n", 1, "expected grant = RIGHTS in [role operator]" });
}

static void refuses_a_second_section(void **state)
{
    struct folder *folder = *state;

    REFUSE_ALL({ "[gate]\n[gate]\n", 2, "a second section [gate]: expected one, and there is one in etc/virtgate.ini, line 1" },
               { "[user alice]\ndeny = a\n[user \"alice\"]\n", 3, "line 1" },
               { "[vm a*]\n[vm \"a*\"]\n", 2, "a second section" },
               { "[role a]\ngrant = power\n[role a]\ngrant = serial\n", 3, "a second section" });
    policy_free(load_text("[user a]\n[group a]\n[vm a]\n[role a]\ngrant = power\n"));
    mkdir(folder_path(folder, "virtgate.d"), 0755);
    folder_write(folder, "virtgate.ini", "\n[user alice]\n");
    folder_write(folder, "virtgate.d/a.ini", "[user alice]\n");
    expect_refusal(folder, "", "virtgate.d/a.ini", 1, "/virtgate.ini, line 2");
}

/* Each file may have settings, none is there twice. */
static void takes_settings_of_several_files(void **state)
{
    struct folder *folder = *state;
    struct policy_errors errors = { 0 };
    struct policy *policy;

    mkdir(folder_path(folder, "virtgate.d"), 0755);
    folder_write(folder, "virtgate.ini", "[gate]\nidle = 90s\n[user alice]\ndisplay = a\n");
    folder_write(folder, "virtgate.d/a.ini", "[gate]\nconfined = required\n");
    folder_write(folder, "virtgate.d/b.ini", "[user bob]\ndisplay = a\n[gate]\nmax-time = 8h\n");
    assert_int_equal(policy_load(folder_path(folder, ""), getuid(), &policy, &errors), 0);
    assert_int_equal(policy_settings(policy)->idle, 90);
    assert_int_equal(policy_settings(policy)->max_time, 8 * 3600);
    assert_true(policy_settings(policy)->confined);
    policy_free(policy);
    folder_write(folder, "virtgate.d/b.ini", "[gate]\nmax-time = 8h\n[gate]\n");
    expect_refusal(folder, "", "virtgate.d/b.ini", 3, "/virtgate.d/b.ini, line 1");
    folder_write(folder, "virtgate.d/b.ini", "[gate]\nmax-time = 8h\nidle = 1m\n");
    expect_refusal(folder, "", "virtgate.d/b.ini", 3, "/virtgate.ini, line 2");
    folder_write(folder, "virtgate.d/b.ini", "[gate]\nmax-time = 8h\nmax-time = 8h\n");
    expect_refusal(folder, "", "virtgate.d/b.ini", 3, "there is one in line 2");
}

static void refuses_wrong_keys(void **state)
{
    (void)state;
    REFUSE_ALL({ "display = a\n", 1, "expected a [section] before the first key" },
               { "[user a]\n= b\n", 2, "expected a key before '='" },
               { "[user a]\n=\n", 2, "expected a key before '='" },
               { "[user a]\nDisplay = b\n", 2, "expected a key of small letters, digits and '-' before '=', not 'Display'" },
               { "[user a]\ndisplay\n", 2, "expected 'key = value', a [section] or a comment" },
               { "[user a]\ndisplay = b\ndisplay = c\n", 3, "a second 'display' in this section: expected one, and there is one in line 2" },
               { "[gate]\nidle = 1m\nidle = 1m\n", 3, "a second 'idle'" },
               { "[user a]\noperator = b\n", 2, "unknown key 'operator': expected display, serial, power, takeover, deny" },
               { "[user a]\ngrant = b\n", 2, "unknown key 'grant'" },
               { "[vm a]\nidle = b\n", 2, "unknown key 'idle'" },
               { "[gate]\ndisplay = b\n", 2, "unknown key 'display': expected uri, idle, max-time, max-sessions or confined" },
               { "[role a]\ngrant = power\ndeny = b\n", 3, "unknown key 'deny': expected grant" },
               { "[user a]\nwatch = b\n", 2, "the right 'watch' is not yet available" },
               { "[vm a]\nwatch = b\n", 2, "the right 'watch' is not yet available" },
               { "[role a]\ngrant = display, watch\n", 2, "the right 'watch' is not yet available" },
               { "[role a]\ngrant = root\n", 2, "unknown right 'root': expected display, serial, power or takeover" },
               { "[role a]\ngrant = power\n[role b]\ngrant = a\n", 4, "unknown right 'a'" },
               { "[role a]\ngrant =\n", 2, "the list has an empty place" });
}

static void refuses_wrong_lists(void **state)
{
    (void)state;
    REFUSE_ALL({ "[user a]\ndisplay =\n", 2, "the list has an empty place, or nothing in it" },
               { "[user a]\ndisplay = b,\n", 2, "the list has an empty place" },
               { "[user a]\ndisplay = ,b\n", 2, "the list has an empty place" },
               { "[user a]\ndisplay = b,,c\n", 2, "the list has an empty place" },
               { "[user a]\ndisplay = b, \"\"\n", 2, "a name between quotes is empty" },
               { "[user a]\ndisplay = b c\n", 2, "expected a comma before 'c'" },
               { "[user a]\ndisplay = \"b\" c\n", 2, "expected a comma before 'c'" },
               { "[user a]\ndisplay = \"b\"c\n", 2, "after the closing quote, not 'c'" },
               { "[user a]\ndisplay = \"b\n", 2, "a double quote without its partner" },
               { "[user a]\ndisplay = b\"c\"\n", 2, "a double quote can only begin and end a name" },
               { "[user a]\ndisplay = b # c\n", 2, "before a comment behind a value two blanks and ';'" },
               { "[user a]\ndisplay = b, #c\n", 2, "a name with '#' must stand within double quotes" },
               { "[user a]\ndisplay = (b)\n", 2, "a name with '(' must stand" },
               { "[user a]\ndisplay = b\xe2\x80\x93" "c\n", 2, "a name with '\xe2\x80\x93' must stand" },
               { "[user a]\ndisplay = b\xef\xbc\x8c" "c\n", 2, "a name with '\xef\xbc\x8c' must stand" },
               { "[user a]\ndisplay = b\xc2\xa0" "c\n", 2, "must stand within double quotes" });
}

static void refuses_wrong_patterns(void **state)
{
    (void)state;
    REFUSE_ALL({ "[user a]\ndisplay = lab-%v\n", 2, "%v is known only in the lists of users and groups" },
               { "[user a]\ndisplay = lab-%x\n", 2, "expected %u or %% after '%'" },
               { "[user a]\ndisplay = lab-%\n", 2, "expected %u or %% after '%'" },
               { "[vm a]\ndisplay = %u\n", 2, "%u is known only in the patterns of [user NAME] and [group NAME]" },
               { "[vm a]\ndisplay = @%x\n", 2, "expected %v or %% after '%'" },
               { "[user a]\ndisplay = [a\n", 2, "'[' without ']'" },
               { "[user a]\ndisplay = []\n", 2, "'[' without ']'" },
               { "[user a]\ndisplay = [\n", 2, "'[' without ']'" },
               { "[user a]\ndisplay = [a\\\n", 2, "'[' without ']'" },
               { "[user a]\ndisplay = [a-\n", 2, "'[' without ']'" },
               { "[user a]\ndisplay = [[:alpha:]]\n", 2, "classes such as [:alpha:] are not known" },
               { "[user a]\ndisplay = [%u]\n", 2, "'%' cannot stand in brackets" },
               { "[user a]\ndisplay = [\xc3\xa0]\n", 2, "brackets can hold ASCII characters only" },
               { "[user a]\ndisplay = [z-a]\n", 2, "the range z-a runs backwards" },
               { "[user a]\ndisplay = a\\\n", 2, "a backslash at the end stands before nothing" },
               { "[user a]\ndisplay = uuid:*\n", 2, "expected uuid: and 32 hexadecimal digits as 8-4-4-4-12" },
               { "[user a]\ndisplay = uuid:6b0d7b4e-52c6-4a2f-9d8e-0123456789abc\n", 2, "expected uuid:" },
               { "[user a]\ndisplay = @students\n", 2, "expected a VM pattern, not '@students': groups are named in [vm PATTERN]" },
               { "[user a]\ndisplay = *, !b\n", 2, "expected a VM pattern, not '!b': use deny" },
               { "[vm a]\ndisplay = al*\n", 2, "'*' cannot stand in the name of a user or group" },
               { "[vm a]\ndisplay = @[a]\n", 2, "'[' cannot stand in the name of a user or group" },
               { "[vm a]\ndisplay = @\n", 2, "expected a user's name or @ and a group's name, not '@'" },
               { "[vm a]\ndisplay = !bob\n", 2, "to exclude somebody, use deny" },
               { "[vm a]\ndisplay = @\"b c\"\n", 2, "a double quote can only begin and end a name" });
}

static void refuses_wrong_settings(void **state)
{
    (void)state;
    REFUSE_ALL({ "[gate]\nidle = 30\n", 2, "expected a duration such as 90s, 30m, 8h or 2d" },
               { "[gate]\nidle = 0m\n", 2, "expected a duration" },
               { "[gate]\nidle = -1m\n", 2, "expected a duration" },
               { "[gate]\nidle = 1 m\n", 2, "expected a duration" },
               { "[gate]\nidle = 1w\n", 2, "expected a duration" },
               { "[gate]\nidle = 1000001s\n", 2, "expected a duration" },
               { "[gate]\nmax-time =\n", 2, "expected a duration" },
               { "[gate]\nmax-sessions = 0\n", 2, "expected a number from 1 to 10000" },
               { "[gate]\nmax-sessions = 10001\n", 2, "expected a number from 1 to 10000" },
               { "[gate]\nmax-sessions = 016\n", 2, "expected a number" },
               { "[gate]\nmax-sessions = none\n", 2, "expected a number" },
               { "[gate]\nconfined = yes\n", 2, "expected required or optional" },
               { "[gate]\nconfined = Required\n", 2, "expected required or optional" },
               { "[gate]\nuri = qemu+ext:///system?command=/bin/sh\n", 2, "expected a local driver's URI such as qemu:///system" },
               { "[gate]\nuri = qemu://other/system\n", 2, "expected a local driver's URI" },
               { "[gate]\nuri = /system\n", 2, "expected a local driver's URI" },
               { "[gate]\nuri = 1qemu:///system\n", 2, "expected a local driver's URI" },
               { "[gate]\nuri = qemu:///sys tem\n", 2, "expected a local driver's URI" },
               { "[gate]\nuri = qemu:///syst\xc3\xa8m\n", 2, "expected a local driver's URI" },
               { "[gate]\nuri =\n", 2, "expected a local driver's URI" });
}

static void refuses_wrong_conditions(void **state)
{
    (void)state;
    REFUSE_ALL({ "[user a]\nfrom = 192.0.2.1/24\n", 2, "'192.0.2.1/24' has bits set beyond its prefix: the network is 192.0.2.0/24" },
               { "[user a]\nfrom = 2001:db8::1/33\n", 2, "the network is 2001:db8::/33" },
               { "[user a]\nfrom = 192.0.2.0/33\n", 2, "expected a prefix length from 0 to 32 in '192.0.2.0/33'" },
               { "[user a]\nfrom = 2001:db8::/129\n", 2, "expected a prefix length from 0 to 128" },
               { "[user a]\nfrom = 192.0.2.0/\n", 2, "expected a prefix length" },
               { "[user a]\nfrom = 192.0.2.0/255.255.255.0\n", 2, "expected a prefix length" },
               { "[user a]\nfrom = ::ffff:192.0.2.0/120\n", 2, "is an IPv4 address in IPv6's form: write it as IPv4" },
               { "[user a]\nfrom = example.org\n", 2, "expected an address or a network such as 192.0.2.0/24 or 2001:db8::/32, not 'example.org'" },
               { "[user a]\nfrom = 192.0.2\n", 2, "expected an address or a network" },
               { "[user a]\nfrom = 192.0.2.0/24 198.51.100.0/24\n", 2, "expected a prefix length" },
               { "[user a]\nfrom = 0000:0000:0000:0000:0000:0000:0000:0000:0000:0000\n", 2, "expected an address" },
               { "[user a]\nfrom = 0000:0000:0000:0000:0000:0000:0000:0000:000000\n", 2, "expected an address" },
               { "[user a]\nfrom = ::1,\n", 2, "the list has an empty place" },
               { "[user a]\nfrom =\n", 2, "the list has an empty place" },
               { "[user a]\nhours = \n", 2, "the list has an empty place" },
               { "[user a]\nhours = 8:00-18:00\n", 2, "expected hours such as 08:00-18:00, Mon-Fri 08:00-18:00 or Sat 22:00-06:00, not '8:00-18:00'" },
               { "[user a]\nhours = mon 08:00-18:00\n", 2, "expected hours" },
               { "[user a]\nhours = Monday 08:00-18:00\n", 2, "expected hours" },
               { "[user a]\nhours = Mon-Fri\n", 2, "expected hours" },
               { "[user a]\nhours = Mon-Fry 08:00-18:00\n", 2, "expected hours" },
               { "[user a]\nhours = Mon08:00-18:00\n", 2, "expected hours" },
               { "[user a]\nhours = 24:00-08:00\n", 2, "expected hours" },
               { "[user a]\nhours = 08:00-24:01\n", 2, "expected hours" },
               { "[user a]\nhours = 08:60-18:00\n", 2, "expected hours" },
               { "[user a]\nhours = 08:00 - 18:00\n", 2, "expected hours" },
               { "[user a]\nhours = 08:00-18:00x\n", 2, "expected hours" },
               { "[user a]\nhours = 08:00-18:00, Sat\n", 2, "not 'Sat'" },
               { "[user a]\nuntil =\n", 2, "expected a date of the calendar such as 2027-01-31, or 2027-01-31 18:00, not ''" },
               { "[user a]\nuntil = 2026-02-30\n", 2, "expected a date of the calendar" },
               { "[user a]\nuntil = 2027-02-29\n", 2, "expected a date" },
               { "[user a]\nuntil = 2100-02-29\n", 2, "expected a date" },
               { "[user a]\nuntil = 2027-13-01\n", 2, "expected a date" },
               { "[user a]\nuntil = 2027-00-01\n", 2, "expected a date" },
               { "[user a]\nuntil = 2027-01-00\n", 2, "expected a date" },
               { "[user a]\nuntil = 1969-12-31\n", 2, "expected a date" },
               { "[user a]\nuntil = 27-01-31\n", 2, "expected a date" },
               { "[user a]\nuntil = 2027-01-31 24:00\n", 2, "expected a date" },
               { "[user a]\nuntil = 2027-01-31x\n", 2, "expected a date" });
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static void refuses_files_that_others_may_have_written(void **state)
{
    struct folder *folder = *state;

    folder_write(folder, "virtgate.ini", "");
    mkdir(folder_path(folder, "virtgate.d"), 0755);
    folder_write(folder, "virtgate.d/a.ini", "");
    policy_free(folder_load(folder, ""));

    chmod(folder_path(folder, "virtgate.ini"), 0664);
    expect_refusal(folder, "", "virtgate.ini", 0, "has mode 0664");
    chmod(folder_path(folder, "virtgate.ini"), 0644);
    chmod(folder_path(folder, "virtgate.d/a.ini"), 0646);
    expect_refusal(folder, "", "virtgate.d/a.ini", 0, "has mode 0646");
    chmod(folder_path(folder, "virtgate.d/a.ini"), 0644);
    chmod(folder_path(folder, "virtgate.d"), 0775);
    expect_refusal(folder, "", "virtgate.d", 0, "has mode 0775");
    chmod(folder_path(folder, "virtgate.d"), 0755);
    chmod(folder_path(folder, ""), 0777);
    expect_refusal(folder, "", "", 0, "has mode 0777");
    chmod(folder_path(folder, ""), 0755);
    policy_free(folder_load(folder, ""));
}

static void refuses_files_of_another_owner(void **state)
{
    struct folder *folder = *state;
    struct policy_errors errors = { 0 };
    struct policy *policy;

    folder_write(folder, "virtgate.ini", "");
    if (getuid() == 0) {
        assert_int_equal(chown(folder_path(folder, "virtgate.ini"), 12345, 0), 0);
        expect_refusal(folder, "virtgate.ini", "virtgate.ini", 0, "is owned by uid 12345");
        return;
    }
    assert_int_equal(policy_load(folder_path(folder, "virtgate.ini"), getuid() + 1, &policy, &errors), -EINVAL);
    assert_non_null(strstr(errors.list[0].message, "is owned by uid"));
    policy_errors_free(&errors);
}

static void refuses_links_and_odd_kinds(void **state)
{
    struct folder *folder = *state;

    folder_write(folder, "real.ini", "");
    assert_int_equal(symlink("real.ini", folder_path(folder, "virtgate.ini")), 0);
    expect_refusal(folder, "", "virtgate.ini", 0, "is a symbolic link");
    expect_refusal(folder, "virtgate.ini", "virtgate.ini", 0, "is a symbolic link");
    assert_int_equal(unlink(folder_path(folder, "virtgate.ini")), 0);
    expect_refusal(folder, "", "virtgate.ini", 0, "cannot be opened: No such file");

    folder_write(folder, "virtgate.ini", "");
    mkdir(folder_path(folder, "real.d"), 0755);
    folder_write(folder, "real.d/virtgate.ini", "");
    policy_free(folder_load(folder, "real.d"));
    assert_int_equal(symlink("real.d", folder_path(folder, "link.d")), 0);
    expect_refusal(folder, "link.d", "link.d", 0, "is a symbolic link");
    assert_int_equal(symlink("real.d", folder_path(folder, "virtgate.d")), 0);
    expect_refusal(folder, "", "virtgate.d", 0, "");
    assert_int_equal(unlink(folder_path(folder, "virtgate.d")), 0);
    folder_write(folder, "virtgate.d", "");
    expect_refusal(folder, "", "virtgate.d", 0, "cannot be opened");
    assert_int_equal(unlink(folder_path(folder, "virtgate.d")), 0);

    mkdir(folder_path(folder, "virtgate.d"), 0755);
    assert_int_equal(symlink("../real.ini", folder_path(folder, "virtgate.d/a.ini")), 0);
    expect_refusal(folder, "", "virtgate.d/a.ini", 0, "is a symbolic link");
    assert_int_equal(unlink(folder_path(folder, "virtgate.d/a.ini")), 0);
    mkdir(folder_path(folder, "virtgate.d/b.ini"), 0755);
    expect_refusal(folder, "", "virtgate.d/b.ini", 0, "expected a regular file");
    assert_int_equal(rmdir(folder_path(folder, "virtgate.d/b.ini")), 0);
    assert_int_equal(mkfifo(folder_path(folder, "virtgate.d/c.ini"), 0644), 0);
    expect_refusal(folder, "", "virtgate.d/c.ini", 0, "expected a regular file");
}

static void refuses_a_file_of_more_than_64_mib(void **state)
{
    struct folder *folder = *state;

    folder_write(folder, "virtgate.ini", "");
    assert_int_equal(truncate(folder_path(folder, "virtgate.ini"), (64 << 20) + 1), 0);
    expect_refusal(folder, "virtgate.ini", "virtgate.ini", 0, "is larger than 64 MiB");
}

static void reads_drop_ins_in_the_order_of_bytes(void **state)
{
    static const char *const names[] = { "10.ini", "9.ini", "B.ini", "a.ini", "\xc3\xa0.ini" };
    struct folder *folder = *state;
    char name[32];

    folder_write(folder, "virtgate.ini", "\n");
    mkdir(folder_path(folder, "virtgate.d"), 0755);
    for (size_t i = 0; i < 5; i++) { /* written in another order than read */
        snprintf(name, sizeof name, "virtgate.d/%s", names[(i * 3 + 2) % 5]);
        folder_write(folder, name, "[nonsense]\n");
    }
    folder_write(folder, "virtgate.d/.hidden.ini", "nonsense");
    folder_write(folder, "virtgate.d/.ini", "nonsense");
    folder_write(folder, "virtgate.d/a.ini~", "nonsense");
    folder_write(folder, "virtgate.d/a.ini.rpmnew", "nonsense");
    folder_write(folder, "virtgate.d/README", "nonsense");
    struct policy_errors errors = load_errors(folder, "");
    assert_int_equal(errors.n, 5);
    for (size_t i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "virtgate.d/%s", names[i]);
        assert_string_equal(errors.list[i].file, folder_path(folder, name));
        assert_int_equal(errors.list[i].line, 1);
    }
    policy_errors_free(&errors);
}

static void names_the_drop_in_in_the_verdict(void **state)
{
    struct folder *folder = *state;
    struct subject alice = somebody("alice", NO_GROUPS);

    folder_write(folder, "virtgate.ini", "[user alice]\noperator = a\n");
    mkdir(folder_path(folder, "virtgate.d"), 0755);
    folder_write(folder, "virtgate.d/20-roles.ini", "[role operator]\ngrant = display\n\n[vm b]\ndisplay = alice\n");
    struct policy *policy = folder_load(folder, "");
    struct verdict verdict = decide(policy, &alice, "a", RIGHT_DISPLAY);
    assert_string_equal(verdict.file, "virtgate.ini");
    assert_int_equal(verdict.line, 2);
    verdict = decide(policy, &alice, "b", RIGHT_DISPLAY);
    assert_string_equal(verdict.file, "20-roles.ini");
    assert_int_equal(verdict.line, 5);
    policy_free(policy);
    expect_refusal(folder, "virtgate.ini", "virtgate.ini", 2, "unknown key 'operator'"); /* that file alone */
}

static void gives_errors_in_order_and_not_too_many(void **state)
{
    struct folder *folder = *state;
    char text[4096] = "[user a]\nb-role = c\n";
    struct policy_errors errors;

    for (int i = 0; i < 98; i++)
        strcat(text, "x\n");
    folder_write(folder, "a.ini", text);
    errors = load_errors(folder, "a.ini");
    assert_int_equal(errors.n, 99);
    assert_int_equal(errors.list[0].line, 2); /* found last: roles are looked up at the end */
    assert_non_null(strstr(errors.list[98].message, "expected 'key = value'"));
    policy_errors_free(&errors);

    strcat(text, "x\n");
    folder_write(folder, "a.ini", text);
    errors = load_errors(folder, "a.ini");
    assert_int_equal(errors.n, POLICY_ERRORS_MAX);
    assert_non_null(strstr(errors.list[99].message, "expected 'key = value'"));
    policy_errors_free(&errors);

    strcat(text, "x\n");
    folder_write(folder, "a.ini", text);
    errors = load_errors(folder, "a.ini");
    assert_int_equal(errors.n, POLICY_ERRORS_MAX);
    assert_string_equal(errors.list[99].message, "there are more errors from here on");
    assert_int_equal(errors.list[99].line, 101);
    policy_errors_free(&errors);
}

/* --- what is right ----------------------------------------------------------------------------------------------- */

static void reads_the_settings(void **state)
{
    struct policy *policy = load_text("");
    const struct settings *settings = policy_settings(policy);

    (void)state;
    assert_string_equal(settings->uri, "qemu:///system");
    assert_int_equal(settings->idle, 0);
    assert_int_equal(settings->max_time, 0);
    assert_int_equal(settings->max_sessions, 16);
    assert_false(settings->confined);
    assert_int_equal(policy_n_rules(policy), 0);
    policy_free(policy);

    policy = load_text("[gate]\nuri = test:///default\nidle = 90s\nmax-time = 2d\nmax-sessions = 10000\nconfined = required\n");
    assert_true(policy_settings(policy)->confined && policy_settings(policy)->confined_is_set);
    settings = policy_settings(policy);
    assert_string_equal(settings->uri, "test:///default");
    assert_int_equal(settings->idle, 90);
    assert_int_equal(settings->max_time, 2 * 86400);
    assert_int_equal(settings->max_sessions, 10000);
    assert_true(settings->confined);
    policy_free(policy);

    policy = load_text("[gate]\nidle = none\nmax-time = 8h\n");
    assert_int_equal(policy_settings(policy)->idle, 0);
    assert_int_equal(policy_settings(policy)->max_time, 8 * 3600);
    policy_free(policy);
}

/* As it stands in the design. */
static const char example[] =
    "[gate]                       ; settings, all optional\n"
    "uri = qemu:///system\n"
    "idle = 30m\n"
    "max-time = 8h\n"
    "max-sessions = 16            ; per user\n"
    "\n"
    "[role operator]\n"
    "grant = display, serial, power\n"
    "\n"
    "[user alice]\n"
    "display = cards2, lab-*      ; right or role = VM patterns\n"
    "serial  = cards2\n"
    "from    = 192.0.2.0/24, 2001:db8::/32\n"
    "hours   = Mon-Fri 08:00-18:00\n"
    "until   = 2027-01-31\n"
    "\n"
    "[group students]\n"
    "operator = lab-%u-*          ; %u is the user's name\n"
    "deny     = lab-exam\n"
    "\n"
    "[vm lab-*]                   ; the same, seen from the VM\n"
    "display = @teachers, bob     ; right or role = users, @groups\n"
    "[vm *]\n"
    "display = @vm-%v             ; %v is the VM's name: membership in the directory's group vm-<name> is the grant\n";

static void loads_the_example(void **state)
{
    struct policy *policy = load_text(example);
    struct subject alice = somebody("alice", NO_GROUPS);
    struct subject carl = somebody("carl", GROUPS("students", "vm-web"));
    struct verdict verdict;

    (void)state;
    assert_int_equal(policy_n_rules(policy), 8);
    assert_int_equal(policy_settings(policy)->idle, 1800);
    assert_int_equal(address_parse("2001:db8::7", &alice.address), 0);
    verdict = decide(policy, &alice, "cards2", RIGHT_SERIAL); /* on a Saturday */
    assert_int_equal(verdict.reason, VERDICT_HOURS);
    assert_int_equal(verdict.line, 12);
    assert_int_equal(moment_parse("2026-11-23 10:00", &alice.now), 0);
    assert_true(decide(policy, &alice, "cards2", RIGHT_SERIAL).allowed);
    assert_true(decide(policy, &alice, "lab-exam", RIGHT_DISPLAY).allowed);
    assert_false(decide(policy, &alice, "lab-exam", RIGHT_SERIAL).allowed);
    assert_true(decide(policy, &carl, "lab-carl-1", RIGHT_POWER).allowed);
    assert_false(decide(policy, &carl, "lab-alice-1", RIGHT_POWER).allowed);
    verdict = decide(policy, &carl, "lab-exam", RIGHT_DISPLAY);
    assert_int_equal(verdict.reason, VERDICT_DENIED);
    assert_int_equal(verdict.line, 19);
    verdict = decide(policy, &carl, "web", RIGHT_DISPLAY);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.line, 24);
    assert_false(decide(policy, &carl, "web2", RIGHT_DISPLAY).allowed);
    policy_free(policy);
}

static void takes_what_looks_unusual(void **state)
{
    (void)state;
    assert_true(opens("# a\n; b\n\n[user\talice ]\t; c\ndisplay=a\n", "alice", NO_GROUPS, "a"));
    assert_true(opens("[user alice]\ndisplay \t= a ,\tb", "alice", NO_GROUPS, "b")); /* no line end */
    assert_true(opens("[user \"Alice Smith\"]\ndisplay = a\n", "Alice Smith", NO_GROUPS, "a"));
    assert_true(opens("[user DOM\\alice]\ndisplay = a\n", "DOM\\alice", NO_GROUPS, "a"));
    assert_true(opens("[user alice@ad.example]\ndisplay = a\n", "alice@ad.example", NO_GROUPS, "a"));
    assert_true(opens("[user 100%%]\ndisplay = 100%%-%u\n", "100%", NO_GROUPS, "100%-100%"));
    assert_true(opens("[vm a]\ndisplay = \"@domain users\"\n", "bob", GROUPS("domain users"), "a"));
    assert_true(opens("[vm a]\ndisplay = DOM\\bob, 5%%\n", "5%", NO_GROUPS, "a"));
    assert_true(opens("[vm \"a,b=c\"]\ndisplay = bob\n", "bob", NO_GROUPS, "a,b=c"));
    assert_true(opens("[vm 5%%]\ndisplay = bob\n", "bob", NO_GROUPS, "5%"));
    assert_true(opens("[user alice]\ndisplay = \"a=b\", \"#x\"\n", "alice", NO_GROUPS, "#x"));
}

/* What a caller can do that the file cannot. */
static void bounds_what_lines_cannot_exceed(void **state)
{
    const struct pattern_rules rules = { .glob = true };
    const char *at = repeat('a', 256);
    uint8_t bytes[PATTERN_SIZE];
    char why[WHY_SIZE];
    struct pattern pattern;
    struct word word;

    (void)state;
    assert_int_equal(pattern_compile(at, 256, &rules, bytes, &pattern, why), -EINVAL);
    assert_non_null(strstr(why, "a name of 256 bytes: at most 255"));
    assert_int_equal(word_parse(&at, &word, why), -EINVAL);
    assert_non_null(strstr(why, "a name of 256 bytes: at most 255"));
    at = repeat('a', 255);
    assert_int_equal(word_parse(&at, &word, why), 0);
    assert_int_equal(word.len, 255);
    /* The pattern that grows most. */
    memset(word.text, 'a', 255);
    word.text[0] = '[';
    word.text[254] = ']';
    assert_int_equal(pattern_compile(word.text, 255, &rules, bytes, &pattern, why), 0);
    assert_int_equal(pattern.len, 2 * 253 + 3);
    assert_true(pattern.len <= PATTERN_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trap_long_line_is_cut),
        cmocka_unit_test(trap_line_of_a_megabyte),
        cmocka_unit_test(trap_section_is_cut_at_49_bytes),
        cmocka_unit_test(trap_key_is_cut_at_49_bytes),
        cmocka_unit_test(trap_indented_line_continues_the_key),
        cmocka_unit_test(trap_colon_is_an_equals_sign),
        cmocka_unit_test(trap_bom_is_passed_over),
        cmocka_unit_test(trap_semicolon_cuts_the_value),
        cmocka_unit_test(trap_semicolon_cuts_within_quotes),
        cmocka_unit_test(trap_header_ends_at_the_first_bracket),
        cmocka_unit_test(trap_empty_section_is_not_told),
        FOLDER_TEST(trap_errors_do_not_stop_it),
        cmocka_unit_test(refuses_bytes_that_are_not_plain_text),
        cmocka_unit_test(refuses_wrong_headers),
        FOLDER_TEST(refuses_a_second_section),
        FOLDER_TEST(takes_settings_of_several_files),
        cmocka_unit_test(refuses_wrong_keys),
        cmocka_unit_test(refuses_wrong_lists),
        cmocka_unit_test(refuses_wrong_patterns),
        cmocka_unit_test(refuses_wrong_settings),
        cmocka_unit_test(refuses_wrong_conditions),
        FOLDER_TEST(refuses_files_that_others_may_have_written),
        FOLDER_TEST(refuses_files_of_another_owner),
        FOLDER_TEST(refuses_links_and_odd_kinds),
        FOLDER_TEST(refuses_a_file_of_more_than_64_mib),
        FOLDER_TEST(reads_drop_ins_in_the_order_of_bytes),
        FOLDER_TEST(names_the_drop_in_in_the_verdict),
        FOLDER_TEST(gives_errors_in_order_and_not_too_many),
        cmocka_unit_test(reads_the_settings),
        cmocka_unit_test(loads_the_example),
        cmocka_unit_test(takes_what_looks_unusual),
        cmocka_unit_test(bounds_what_lines_cannot_exceed),
    };

    return cmocka_run_group_tests_name("policy_load", tests, NULL, NULL);
}
