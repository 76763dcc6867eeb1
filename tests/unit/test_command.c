/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "command/command.h"
#include "test_command_rows.h"

/* --- what clients send ------------------------------------------------------------------------------------------- */

/* The word of the command line that follows mark, of the last such place. */
static void word_after(const char *line, const char *mark, char *out, size_t size)
{
    const char *at = NULL;

    for (const char *next = line; (next = strstr(next, mark)); next += strlen(mark))
        at = next + strlen(mark);
    size_t n = at ? strcspn(at, " ;'\"") : 0;
    assert_true(n < size);
    memcpy(out, at ? at : "", n);
    out[n] = '\0';
}

static void expect_rpc(const struct row *row, const struct command *command)
{
    char path[COMMAND_PATH_SIZE], uri[COMMAND_PATH_SIZE], quoted[COMMAND_PATH_SIZE];

    word_after(row->line, " -U ", path, sizeof path);
    word_after(row->line, "-r '", uri, sizeof uri);
    if (!uri[0])
        word_after(row->line, "virt-ssh-helper '", uri, sizeof uri);
    word_after(row->line, "'''\\''qemu", quoted, sizeof quoted);
    if (quoted[0])
        snprintf(uri, sizeof uri, "qemu%.500s", quoted);
    uri[strcspn(uri, "\\")] = '\0';
    assert_int_equal(command->kind, COMMAND_RPC);
    assert_int_equal(command->target, BY_NOTHING);
    assert_int_equal(command->readonly, strcmp(row->kind, "rpc-ro") == 0);
    assert_string_equal(command->path, path);
    assert_string_equal(command->uri, uri);
}

/* "nc HOST PORT" is in every one of these, whatever else is. */
static void expect_tcp(const struct row *row, const struct command *command)
{
    char half[COMMAND_HOST_SIZE + 64];

    assert_int_equal(command->kind, COMMAND_DISPLAY);
    assert_int_equal(command->target, BY_TCP);
    assert_string_equal(command->path, "");
    snprintf(half, sizeof half, "nc %s %u", command->host, command->port);
    assert_non_null(strstr(row->line, half));
    assert_true(strlen(command->host) >= 3);
    assert_true(command->port >= 5900 && command->port <= 5904);
}

static void expect_unix(const struct row *row, const struct command *command)
{
    char path[COMMAND_PATH_SIZE];

    word_after(row->line, " -U ", path, sizeof path);
    assert_int_equal(command->kind, COMMAND_DISPLAY);
    assert_int_equal(command->target, BY_SOCKET);
    assert_string_equal(command->path, path);
    assert_string_equal(command->host, "");
}

static void understands_every_known_client(void **state)
{
    static const struct { const char *kind; void (*expect)(const struct row *, const struct command *); } kinds[] = {
        { "rpc-rw", expect_rpc }, { "rpc-ro", expect_rpc }, { "tcp", expect_tcp }, { "unix", expect_unix },
    };
    struct row rows[ROWS_MAX];
    size_t n = rows_read(rows), known = 0;

    (void)state;
    assert_int_equal(n, 65);
    for (size_t i = 0; i < n; i++) {
        char why[COMMAND_WHY_SIZE] = "";
        struct command command;
        if (command_parse(rows[i].line, strlen(rows[i].line), &command, why) < 0)
            fail_msg("%s: %s", why, rows[i].line);
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
            if (strcmp(rows[i].kind, kinds[k].kind) == 0) {
                kinds[k].expect(&rows[i], &command);
                known++;
            }
    }
    assert_int_equal(known, 65);
    rows_free(rows, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_every_known_client),
    };

    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
