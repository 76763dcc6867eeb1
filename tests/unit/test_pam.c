/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of pam_virtgate.so that need no PAM. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pam_options.h"

/* --- options ----------------------------------------------------------------------------------------------------- */

static int parse(const char *words, struct pam_options *ret, char why[static OPTIONS_WHY_SIZE])
{
    static char text[1024];
    const char *argv[16];
    int argc = 0;

    snprintf(text, sizeof text, "%s", words);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return pam_options_parse(argc, argv, ret, why);
}

static void no_options(void **state)
{
    char why[OPTIONS_WHY_SIZE];
    struct pam_options options;

    (void)state;
    assert_int_equal(parse("", &options, why), 0);
    assert_string_equal(options.group, VG_GATE_GROUP);
    assert_string_equal(options.config, VG_SYSCONFDIR);
    assert_string_equal(options.hide_except, "libvirt");
    assert_false(options.hide);
    assert_true(pam_options_serve(&options, "sshd"));
    assert_false(pam_options_serve(&options, "cron"));
    assert_false(pam_options_serve(&options, ""));
    assert_false(pam_options_serve(&options, "sshd2"));
    assert_false(pam_options_serve(&options, "ssh"));
}

static void all_options(void **state)
{
    char why[OPTIONS_WHY_SIZE], name[OPTION_NAME_SIZE];
    struct pam_options options;

    (void)state;
    assert_int_equal(parse("services=sshd,sshd2 group=consoles hide hide-except=adm,ops config=/srv/acl", &options, why), 0);
    assert_string_equal(options.group, "consoles");
    assert_string_equal(options.config, "/srv/acl");
    assert_true(options.hide);
    assert_true(pam_options_serve(&options, "sshd") && pam_options_serve(&options, "sshd2"));
    assert_false(pam_options_serve(&options, "sshd,sshd2") || pam_options_serve(&options, "su"));
    const char *at = options.hide_except;
    assert_true(pam_options_next(&at, name));
    assert_string_equal(name, "adm");
    assert_true(pam_options_next(&at, name));
    assert_string_equal(name, "ops");
    assert_false(pam_options_next(&at, name));
}

static void mistakes_leave_no_gap(void **state)
{
    static const char *const wrong[] = {
        "debug", "gruop=consoles", "group=", "group=a,b", "group", "services=", "services=a,,b", "services=a,",
        "service=sshd", "hide=yes", "hide hide", "group=a group=a", "hide-except=adm", "hide hide-except=", "config=acl",
        "config=", "HIDE", "hide hide-except=adm services=cron debug",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char why[OPTIONS_WHY_SIZE] = "";
        struct pam_options options;
        assert_int_equal(parse(wrong[i], &options, why), -EINVAL);
        assert_true(why[0]);
        /* Not even a service that was not listed gets past. */
        assert_true(pam_options_serve(&options, "sshd") && pam_options_serve(&options, "anything"));
        assert_true(options.group[0] && options.config[0]);
    }
}

static void long_names(void **state)
{
    char why[OPTIONS_WHY_SIZE], text[OPTION_NAME_SIZE + 16] = "group=";
    struct pam_options options;

    (void)state;
    memset(text + 6, 'g', OPTION_NAME_SIZE - 1);
    assert_int_equal(parse(text, &options, why), 0);
    text[6 + OPTION_NAME_SIZE - 1] = 'g';
    assert_int_equal(parse(text, &options, why), -EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_options),
        cmocka_unit_test(all_options),
        cmocka_unit_test(mistakes_leave_no_gap),
        cmocka_unit_test(long_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
