/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "unit.h"

#include "terminal/terminal.h"

/* Types chunks (one after the other, as reads give them); returns true when it left. */
static bool type(const char *const *chunk, size_t n, char *out)
{
    struct terminal_escape escape = { 0 };
    char data[64];

    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(chunk[i]);
        memcpy(data, chunk[i], len);
        bool leave = terminal_filter(&escape, data, &len);
        strncat(out, data, len);
        if (leave)
            return true;
    }
    return false;
}

#define TYPE(out, ...) type((const char *const[]){ __VA_ARGS__ }, \
                            sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), out)

static void tilde_dot_leaves_at_the_beginning_of_a_line(void **state)
{
    char out[128];

    (void)state;
    assert_true(TYPE(out, "~."));
    assert_string_equal(out, "");
    assert_true(TYPE(out, "ls\r~.more"));
    assert_string_equal(out, "ls\r");
    assert_true(TYPE(out, "ls\r", "~", "."));
    assert_false(TYPE(out, "ls ~."));
    assert_string_equal(out, "ls ~.");
    assert_false(TYPE(out, "~~."));
    assert_string_equal(out, "~.");
}

static void a_tilde_that_was_held_is_given_back(void **state)
{
    char out[128];

    (void)state;
    assert_false(TYPE(out, "~x"));
    assert_string_equal(out, "~x");
    assert_false(TYPE(out, "~", "xyz"));
    assert_string_equal(out, "~xyz");
    assert_false(TYPE(out, "a\r~", "\r~", "bc"));
    assert_string_equal(out, "a\r~\r~bc");
    assert_false(TYPE(out, "~", "~", "."));
    assert_string_equal(out, "~.");
}

static void ctrl_bracket_leaves_anywhere(void **state)
{
    char out[128];

    (void)state;
    assert_true(TYPE(out, "abc\x1d" "def"));
    assert_string_equal(out, "abc");
    assert_true(TYPE(out, "\xc3", "\x1d"));
    assert_string_equal(out, "\xc3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tilde_dot_leaves_at_the_beginning_of_a_line),
        cmocka_unit_test(a_tilde_that_was_held_is_given_back),
        cmocka_unit_test(ctrl_bracket_leaves_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
