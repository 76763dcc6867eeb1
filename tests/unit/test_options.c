/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <string.h>
#include <sysexits.h>

#include "unit.h"

#include "client/options.h"

#define PARSE(options, why, ...) parse((const char *const[]){ "virtgate", __VA_ARGS__, NULL }, options, why)

static int parse(const char *const *argv, struct options *options, char why[static WHY_SIZE])
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return options_parse(argc, (char *const *)(uintptr_t)argv, options, why);
}

static void takes_options_anywhere(void **state)
{
    struct options options;
    char why[WHY_SIZE];

    (void)state;
    assert_int_equal(PARSE(&options, why, "-q", "view", "-F", "none", "lab", "--viewer=remote-viewer %u",
                           "cards2", "--ssh", "ssh -v"), 0);
    assert_int_equal(options.n_words, 3);
    assert_string_equal(options.word[2], "cards2");
    assert_true(options.quiet);
    assert_string_equal(options.remote.login.config, "none");
    assert_string_equal(options.remote.ssh, "ssh -v");
    assert_string_equal(options.viewer, "remote-viewer %u");
    assert_int_equal(options.given, OPTION_VIEWER);
    assert_int_equal(PARSE(&options, why, "probe", "lab", "--other-port", "5904", "--as-json", "--other-runs"), 0);
    assert_string_equal(options.probe.other_port, "5904");
    assert_true(options.probe.json && options.probe.other_runs && !options.probe.against_open && !options.json);
    assert_int_equal(options.given, OPTION_PROBE);
    assert_int_equal(options_check(&options, "list", OPTION_JSON, why), EX_USAGE);
    assert_int_equal(PARSE(&options, why, "info", "--", "lab", "--json"), 0);
    assert_false(options.json);
    assert_string_equal(options.word[2], "--json");
}

static void refuses_what_it_does_not_know(void **state)
{
    struct options options;
    char why[WHY_SIZE];

    (void)state;
    assert_int_equal(PARSE(&options, why, "list", "--jso"), EX_USAGE); /* no abbreviations */
    assert_int_equal(PARSE(&options, why, "list", "--json=yes"), EX_USAGE);
    assert_int_equal(PARSE(&options, why, "list", "-x"), EX_USAGE);
    assert_int_equal(PARSE(&options, why, "list", "-qq"), EX_USAGE);
    assert_int_equal(PARSE(&options, why, "list", "--ssh"), EX_USAGE);
    assert_int_equal(PARSE(&options, why, "list", "--ssh="), EX_USAGE);
    assert_int_equal(PARSE(&options, why, "list", "--ssh", ""), EX_USAGE);
    assert_int_equal(PARSE(&options, why, "list", "lab", "--viewer", "x"), 0);
    assert_int_equal(options_check(&options, "list", OPTION_JSON | OPTION_WATCH, why), EX_USAGE);
    assert_string_equal(why, "list takes no --viewer; try virtgate --help");
    assert_int_equal(options_check(&options, "view", OPTION_VIEWER, why), 0);
}

static void bounds_the_number_of_words(void **state)
{
    const char *argv[WORDS_MAX_COUNT + 3] = { "virtgate" };
    struct options options;
    char why[WHY_SIZE];

    (void)state;
    for (size_t i = 1; i <= WORDS_MAX_COUNT; i++)
        argv[i] = "lab";
    assert_int_equal(parse(argv, &options, why), 0);
    argv[WORDS_MAX_COUNT + 1] = "lab";
    assert_int_equal(parse(argv, &options, why), EX_USAGE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_options_anywhere),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(bounds_the_number_of_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
