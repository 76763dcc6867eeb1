/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "unit.h"

#include "client/viewer.h"

static const struct listening by_path = { .fd = -1, .path = "/run/x/display" }, by_port = { .fd = -1, .port = 5999 };

static void assert_words(const char *command, const char *type, const struct listening *listening, const char *expected)
{
    const char *words[VIEWER_WORDS_MAX];
    char text[VIEWER_TEXT_SIZE], why[WHY_SIZE], joined[VIEWER_TEXT_SIZE] = "";
    struct viewer viewer;

    assert_int_equal(viewer_choose(command, type, &viewer, why), 0);
    assert_int_equal(viewer_words(&viewer, type, listening, text, words), 0);
    for (size_t i = 0; words[i]; i++) {
        strcat(joined, i ? "|" : "");
        strcat(joined, words[i]);
    }
    assert_string_equal(joined, expected);
}

static void each_viewer_gets_what_it_understands(void **state)
{
    (void)state;
    assert_words("remote-viewer", "spice", &by_path, "remote-viewer|spice+unix:///run/x/display");
    assert_words("/opt/bin/remote-viewer", "vnc", &by_port, "/opt/bin/remote-viewer|vnc://127.0.0.1:5999");
    assert_words("vncviewer", "vnc", &by_port, "vncviewer|127.0.0.1::5999");
    assert_words("gvncviewer", "vnc", &by_port, "gvncviewer|127.0.0.1:99");
    assert_words("remote-viewer -f", "spice", &by_port, "remote-viewer|-f|spice://127.0.0.1:5999");
    assert_words("x -p %p  %% y", "vnc", &by_port, "x|-p|5999|%|y");
}

static void only_who_can_gets_a_path(void **state)
{
    struct viewer viewer;
    char why[WHY_SIZE];

    (void)state;
    assert_int_equal(viewer_choose("remote-viewer", "spice", &viewer, why), 0);
    assert_true(viewer.by_path);
    assert_int_equal(viewer_choose("remote-viewer", "vnc", &viewer, why), 0);
    assert_false(viewer.by_path);
    assert_int_equal(viewer_choose("other", "spice", &viewer, why), 0);
    assert_false(viewer.by_path);
}

static void says_what_to_install(void **state)
{
    struct viewer viewer;
    char why[WHY_SIZE];

    (void)state;
    setenv("PATH", "/nonexistent", 1);
    assert_int_equal(viewer_choose(NULL, "spice", &viewer, why), EX_UNAVAILABLE);
    assert_non_null(strstr(why, "install virt-viewer"));
}

static void bounds_words_and_text(void **state)
{
    const char *words[VIEWER_WORDS_MAX];
    char long_one[VIEWER_TEXT_SIZE + 1], text[VIEWER_TEXT_SIZE], why[WHY_SIZE];
    struct viewer viewer;

    (void)state;
    memset(long_one, 'x', VIEWER_TEXT_SIZE);
    long_one[VIEWER_TEXT_SIZE] = '\0';
    assert_int_equal(viewer_choose(long_one, "vnc", &viewer, why), EX_USAGE);
    memset(long_one, 0, sizeof long_one);
    for (size_t i = 0; i < VIEWER_WORDS_MAX; i++)
        strcat(long_one, "x ");
    assert_int_equal(viewer_choose(long_one, "vnc", &viewer, why), 0);
    assert_true(viewer_words(&viewer, "vnc", &by_port, text, words) < 0);
    for (size_t i = 0; i < 100; i++)
        strcpy(long_one + 2 * i, "%u");
    assert_int_equal(viewer_choose(long_one, "vnc", &viewer, why), 0);
    assert_true(viewer_words(&viewer, "vnc", &by_port, text, words) < 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_viewer_gets_what_it_understands),
        cmocka_unit_test(only_who_can_gets_a_path),
        cmocka_unit_test(bounds_words_and_text),
        cmocka_unit_test(says_what_to_install),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
