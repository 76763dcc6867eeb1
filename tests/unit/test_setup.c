/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where setup puts the module's lines, and how it shows what it changes. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup/pam_edit.h"

#define A "auth       optional     pam_virtgate.so # by virtgatectl setup\n"
#define C "account    required     pam_virtgate.so # by virtgatectl setup\n"
#define S "session    required     pam_virtgate.so # by virtgatectl setup\n"

static const struct {
    const char *text, *made;
} rows[] = {
    /* Debian's, in short */
    { "# PAM\n\n@include common-auth\naccount required pam_nologin.so\nsession required pam_loginuid.so\n@include x\n",
      "# PAM\n\n" A C "@include common-auth\naccount required pam_nologin.so\nsession required pam_loginuid.so\n" S
      "@include x\n" },
    { "-session\toptional /lib/security/pam_loginuid.so", A C "-session\toptional /lib/security/pam_loginuid.so\n" S },
    /* What is there stays. */
    { A C "session required pam_loginuid.so\n" S, A C "session required pam_loginuid.so\n" S },
    { "auth required pam_virtgate.so x\nsession required pam_loginuid.so\n",
      C "auth required pam_virtgate.so x\nsession required pam_loginuid.so\n" S },
    { "session required pam_virtgate.so\n", A C "session required pam_virtgate.so\n" },
    /* A comment is no line. */
    { "# auth optional pam_virtgate.so\nsession required pam_loginuid.so\n",
      "# auth optional pam_virtgate.so\n" A C "session required pam_loginuid.so\n" S },
    { "session required pam_loginuid.so\nsession required pam_env.so user_readenv=1 envfile=x\n",
      A C "session required pam_loginuid.so\n" S "session required pam_env.so user_readenv=0 envfile=x\n" },
    { "session required pam_loginuid.so\nsession required pam_env.so user_readenv=1",
      A C "session required pam_loginuid.so\n" S "session required pam_env.so user_readenv=0" },
    { "session required pam_loginuid.so\n# pam_env.so user_readenv=1\n",
      A C "session required pam_loginuid.so\n" S "# pam_env.so user_readenv=1\n" },
};

static void lines_stand_where_they_must(void **state)
{
    char *made, *again;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(pam_edit(rows[i].text, &made), 0);
        assert_string_equal(made, rows[i].made);
        assert_int_equal(pam_edit(made, &again), 0);
        assert_string_equal(again, made);
        free(made);
        free(again);
    }
    assert_int_equal(pam_edit("", &made), -EINVAL);
    assert_int_equal(pam_edit("auth required pam_unix.so\n#session required pam_loginuid.so\n", &made), -EINVAL);
}

static void changes_are_shown(void **state)
{
    static const struct {
        const char *old, *new, *shown;
    } diffs[] = {
        { "a\nb\nc\n", "a\nX\nb\nc\n", "--- f\n+++ f\n+X\n" },
        { "a\nb\n", "a\nB\n", "--- f\n+++ f\n-b\n+B\n" },
        { "a\n", "a\nb\n", "--- f\n+++ f\n+b\n" },
        { "a\nb\n", "b\n", "--- f\n+++ f\n-a\n" },
        { NULL, "a\nb", "--- f (is not there)\n+++ f\n+a\n+b\n" },
        { "", "a\n", "--- f\n+++ f\n+a\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof diffs / sizeof diffs[0]; i++) {
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);
        assert_non_null(out);
        print_diff(out, "f", diffs[i].old, diffs[i].new);
        fclose(out);
        assert_string_equal(text, diffs[i].shown);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_stand_where_they_must),
        cmocka_unit_test(changes_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
