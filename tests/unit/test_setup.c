/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where setup puts the module's lines, and how it shows what it changes. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup/libvirt_edit.h"
#include "setup/pam_edit.h"

#define A "auth       optional     pam_virtgate.so # by virtgatectl setup\n"
#define C "account    required     pam_virtgate.so # by virtgatectl setup\n"
#define L "session    required     pam_loginuid.so # by virtgatectl setup\n"
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
    /* No pam_loginuid: it comes with ours, wherever an included file may have it. */
    { "@include common-auth\n@include common-session\n", A C L S "@include common-auth\n@include common-session\n" },
    { "auth required pam_unix.so\n#session required pam_loginuid.so\n",
      A C L S "auth required pam_unix.so\n#session required pam_loginuid.so\n" },
    { "auth required pam_unix.so", A C L S "auth required pam_unix.so" },
    /* libpam takes CR for a part of the name, and so it is another module's. */
    { "session required pam_loginuid.so\r\n", A C L S "session required pam_loginuid.so\r\n" },
    /* Lines that go on; a comment does not. */
    { "session required pam_loginuid.so \\\n require_auditd\nsession optional x\n",
      A C "session required pam_loginuid.so \\\n require_auditd\n" S "session optional x\n" },
    { "session \\\n required \\\n pam_loginuid.so\n", A C "session \\\n required \\\n pam_loginuid.so\n" S },
    { "# a \\\nsession required pam_loginuid.so # b \\\nx\n",
      "# a \\\n" A C "session required pam_loginuid.so # b \\\n" S "x\n" },
    { "session [success=ok \\\n default=bad] pam_loginuid.so\n",
      A C "session [success=ok \\\n default=bad] pam_loginuid.so\n" S },
    /* Not ours, by its name or place. */
    { "auth required pam_unix.so pam_virtgate.so\nauth required xpam_virtgate.so\nauth required pam_virtgate.so.bak\n"
      "session required pam_loginuid.so\n",
      A C "auth required pam_unix.so pam_virtgate.so\nauth required xpam_virtgate.so\nauth required pam_virtgate.so.bak\n"
      "session required pam_loginuid.so\n" S },
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
    assert_int_equal(pam_edit("# nothing\n\n", &made), -EINVAL);
}

static void libvirts_lines(void **state)
{
#define G "unix_sock_group = \"libvirt\" # by virtgatectl setup\n"
#define M "unix_sock_ro_perms = \"0770\" # by virtgatectl setup\n"
    static const struct {
        const char *text, *made;
    } confs[] = {
        { "", G M },
        { "# unix_sock_ro_perms = \"0700\"\nx = 1", "# unix_sock_ro_perms = \"0700\"\nx = 1\n" G M },
        { "unix_sock_group = \"virt\"\n", "unix_sock_group = \"virt\"\n" M },
        { "unix_sock_ro_perms=\"0777\"\nx = 1\n", M "x = 1\n" G },
        { "unix_sock_group=\"a\"\nunix_sock_ro_perms = \"0777\"", "unix_sock_group=\"a\"\n" M },
        /* The first is libvirt's. */
        { "unix_sock_group = \"a\"\nunix_sock_ro_perms = \"0777\"\nunix_sock_ro_perms = \"0700\"\n",
          "unix_sock_group = \"a\"\n" M "unix_sock_ro_perms = \"0700\"\n" },
        { "unix_sock_group = \"a\"\nunix_sock_ro_perms = '0750'", "unix_sock_group = \"a\"\nunix_sock_ro_perms = '0750'" },
        { "unix_sock_group = \"a\"\nunix_sock_ro_perms = 0700\n", "unix_sock_group = \"a\"\n" M },
        { "unix_sock_group = \"a\"\nunix_sock_ro_perms = \"0701\"\n", "unix_sock_group = \"a\"\n" M },
        { "unix_sock_ro_perms_x = \"0777\"\n", "unix_sock_ro_perms_x = \"0777\"\n" G M },
    };
    char *made, *again;

    (void)state;
    for (size_t i = 0; i < sizeof confs / sizeof confs[0]; i++) {
        assert_int_equal(libvirt_edit(confs[i].text, &made), 0);
        assert_string_equal(made, confs[i].made);
        assert_int_equal(libvirt_edit(made, &again), 0);
        assert_string_equal(again, made);
        free(made);
        free(again);
    }
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
        cmocka_unit_test(libvirts_lines),
        cmocka_unit_test(changes_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
