/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <string.h>
#include <sysexits.h>

#include "unit.h"

#include "client/ssh_args.h"

#define PARSE(...) parse((const char *const[]){ "ssh", __VA_ARGS__, NULL })

static struct ssh_args args;
static char why[WHY_SIZE];

static int parse(const char *const *argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return ssh_args_parse(argc, (char *const *)(uintptr_t)argv, &args, why);
}

/* As libvirt 9 and virt-viewer 11 call it. */
static void takes_the_forms_of_clients(void **state)
{
    (void)state;
    assert_int_equal(PARSE("-p", "2222", "-l", "alice", "-i", "/key", "-T", "-o", "BatchMode=yes", "-e", "none", "-o",
                           "StrictHostKeyChecking=no", "--", "lab", "sh -c 'which x'"), 0);
    assert_string_equal(args.host, "alice@lab:2222");
    assert_string_equal(args.command, "sh -c 'which x'");
    assert_string_equal(args.remote.login.identity, "/key");
    assert_string_equal(args.remote.login.strict, "no");
    assert_true(args.batch);
    assert_int_equal(PARSE("-l", "alice", "lab", "sh", "-c", "'nc -U /x'"), 0);
    assert_string_equal(args.command, "sh -c 'nc -U /x'");
    assert_int_equal(PARSE("-p22", "-lbob", "::1", "list"), 0);
    assert_string_equal(args.host, "bob@[::1]:22");
    assert_int_equal(PARSE("-l", "bob", "alice@lab", "--", "list"), 0);
    assert_string_equal(args.host, "alice@lab");
    assert_string_equal(args.command, "list");
    assert_int_equal(PARSE("-V"), 0);
    assert_true(args.version);
}

static void refuses_what_would_open_more(void **state)
{
    static const char *const rows[] = { "-L1:b:2", "-R1:b:2", "-D1", "-Wb:2", "-w0", "-A", "-X", "-Y", "-t", "-N", "-J", "-S", "-M", "-f",
                                        "-oProxyCommand=x", "-oLocalForward=1 b:2", "-oForward", "--help", "-é" };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (PARSE(rows[i], "lab", "list") != EX_USAGE)
            fail_msg("taken: %s", rows[i]);
    assert_int_equal(PARSE("lab"), EX_USAGE);
    assert_int_equal(PARSE("-l"), EX_USAGE);
    assert_int_equal(PARSE("-l", "alice"), EX_USAGE);
    assert_int_equal(PARSE("--"), EX_USAGE);
}

static void bounds_the_command(void **state)
{
    static char word[SSH_ARGS_COMMAND_SIZE + 1];

    (void)state;
    memset(word, 'x', sizeof word - 1);
    assert_int_equal(PARSE("lab", word), EX_USAGE);
    word[SSH_ARGS_COMMAND_SIZE - 1] = '\0';
    assert_int_equal(PARSE("lab", word), 0);
    assert_int_equal(PARSE("lab", word, "y"), EX_USAGE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_forms_of_clients),
        cmocka_unit_test(refuses_what_would_open_more),
        cmocka_unit_test(bounds_the_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
