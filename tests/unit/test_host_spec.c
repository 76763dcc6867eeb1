/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "unit.h"

#include "client/host_spec.h"

static void reads_what_a_person_types(void **state)
{
    static const struct { const char *text, *user, *host; uint16_t port; } rows[] = {
        { "lab", "", "lab", 0 },
        { "alice@lab", "alice", "lab", 0 },
        { "alice@lab:2222", "alice", "lab", 2222 },
        { "lab.example.com:1", "", "lab.example.com", 1 },
        { "lab:65535", "", "lab", 65535 },
        { "alice@example.com@lab", "alice@example.com", "lab", 0 },
        { "127.0.0.1:22", "", "127.0.0.1", 22 },
        { "::1", "", "::1", 0 },
        { "fe80::1%eth0", "", "fe80::1%eth0", 0 },
        { "[::1]", "", "::1", 0 },
        { "bob@[fe80::1%eth0]:2022", "bob", "fe80::1%eth0", 2022 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct host_spec spec;
        char why[HOST_SPEC_WHY_SIZE];
        assert_int_equal(host_spec_parse(rows[i].text, &spec, why), 0);
        assert_string_equal(spec.user, rows[i].user);
        assert_string_equal(spec.host, rows[i].host);
        assert_int_equal(spec.port, rows[i].port);
    }
}

/* Among them what a ProxyCommand of the user's would hand to a shell. */
static void refuses_the_rest(void **state)
{
    static const char *const rows[] = {
        "", "@", "alice@", "@lab", "-lab", "-oProxyCommand=x", "alice@-lab", "-alice@lab", "lab:", "lab:0", "lab:65536",
        "lab:022",
        "lab:ssh", "lab:-1", "[::1", "::1]", "[::1]22", "[]", "[]:22", "la b", "lab;id", "$(id)", "`id`@lab", "a'b@lab", "lab\n",
        "lab/x", "ali ce@lab", "l\303\244b", "a\\b@lab", "lab|x", "lab&", "lab\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct host_spec spec;
        char why[HOST_SPEC_WHY_SIZE] = "";
        if (host_spec_parse(rows[i], &spec, why) != -EINVAL)
            fail_msg("taken: %s", rows[i]);
        assert_ptr_equal(strstr(why, "expected [user@]host[:port], not '"), why);
        assert_null(strchr(why, '\n'));
    }
}

static void bounds_lengths(void **state)
{
    char text[600], why[HOST_SPEC_WHY_SIZE];
    struct host_spec spec;

    (void)state;
    memset(text, 'a', sizeof text);
    text[255] = '\0';
    assert_int_equal(host_spec_parse(text, &spec, why), 0);
    text[255] = 'a';
    text[256] = '\0';
    assert_int_equal(host_spec_parse(text, &spec, why), -EINVAL);
    text[127] = '@';
    assert_int_equal(host_spec_parse(text, &spec, why), 0);
    text[127] = 'a';
    text[128] = '@';
    assert_int_equal(host_spec_parse(text, &spec, why), -EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_a_person_types),
        cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(bounds_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
