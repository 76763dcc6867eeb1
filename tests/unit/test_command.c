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

/* --- the same, written another way ------------------------------------------------------------------------------- */

#define NC_PROBE "nc -q 2>&1 | grep \"requires an argument\" >/dev/null 2>&1"
#define UUID "6b0d7b4e-52c6-4a2f-9d8e-0123456789ab"

static struct command parsed(const char *line)
{
    char why[COMMAND_WHY_SIZE] = "";
    struct command command;

    if (command_parse(line, strlen(line), &command, why) < 0)
        fail_msg("%s: %s", why, line);
    return command;
}

static void reads_structure_not_spelling(void **state)
{
    static const char *const tcp[] = {
        "nc 127.0.0.1 5904", "'nc' 127.0.0.1 5904", "\"nc\" '127.0.0.1' \"5904\"", "n\\c 127.0.0.1 59'04'",
        "  nc   127.0.0.1  5904  ", "nc 127.0.0.1 5904;", "/usr/bin/nc.openbsd 127.0.0.1 5904",
        "ncat -4 127.0.0.1 5904",
        "netcat -q0 127.0.0.1 5904", "nc -q 0 127.0.0.1 5904", "nc.traditional -6 -q 5 127.0.0.1 5904",
        "virtgate-shell 127.0.0.1 5904", "socat - TCP:127.0.0.1:5904", "socat - TCP:[127.0.0.1]:5904",
        "if command -v socat>/dev/null 2>&1;then socat - TCP:127.0.0.1:5904;else nc 127.0.0.1 5904;fi",
        "if (command -v socat >/dev/null) ; then socat - 'TCP:127.0.0.1:5904' ; else nc 127.0.0.1 5904 ; fi ;",
        "if ( command -v socat ) 1> /dev/null; then nc 127.0.0.1 5904; else socat - TCP:127.0.0.1:5904; fi",
        "sh -c \"if (command -v socat) >/dev/null 2>&1; then socat - TCP:127.0.0.1:5904; else nc 127.0.0.1 5904; fi\"",
        "sh -c \"sh -c 'nc 127.0.0.1 5904'\"",
        "if " NC_PROBE "; then X=-q0; else X=; fi; nc $X 127.0.0.1 5904",
        "X=; if " NC_PROBE "; then X='-q 0'; fi; nc $X 127.0.0.1 5904",
        NC_PROBE "; if test \"$?\" = 0; then _c9=\"nc -q 0 127.0.0.1 5904\"; else _c9='nc 127.0.0.1 5904'; fi; "
                 "eval \"$_c9\"",
        NC_PROBE "; if [ $? = 0 ]; then C='nc -q0 127.0.0.1 5904'; else C='nc 127.0.0.1 5904'; fi; $C",
        "C=nc; $C -q 2>&1 | grep -q 'requires an argument'; $C 127.0.0.1 5904",
        "weird -q 2>&1 | grep -q 'requires an argument'; weird 127.0.0.1 5904",
    };

    (void)state;
    for (size_t i = 0; i < sizeof tcp / sizeof tcp[0]; i++) {
        struct command command = parsed(tcp[i]);
        assert_int_equal(command.target, BY_TCP);
        assert_string_equal(command.host, "127.0.0.1");
        assert_int_equal(command.port, 5904);
    }
}

static void kind_comes_from_the_target(void **state)
{
    static const struct {
        const char *line;
        enum command_kind kind;
        enum command_target target;
        bool readonly;
    } cases[] = {
        { "nc -U /x/libvirt-sock", COMMAND_RPC, BY_NOTHING, false },
        { "nc -U /x/virtqemud-sock-ro", COMMAND_RPC, BY_NOTHING, true },
        { "nc -U /x/virtstoraged-sock", COMMAND_RPC, BY_NOTHING, false },
        { "socat - UNIX-CONNECT:/run/libvirt/libvirt-sock-ro", COMMAND_RPC, BY_NOTHING, true },
        { "nc -U /libvirt-sock/vnc", COMMAND_DISPLAY, BY_SOCKET, false },
        { "nc -U /x/virt-manager.vnc", COMMAND_DISPLAY, BY_SOCKET, false },
        { "nc -U /x/a-ro", COMMAND_DISPLAY, BY_SOCKET, false },
        { "nc -U /run/virtgate/display/" UUID "/1", COMMAND_DISPLAY, BY_UUID, false },
        { "nc -U " VG_RUNDIR "/display/" UUID "/1", COMMAND_DISPLAY, BY_UUID, false },
        { "virt-ssh-helper -r qemu:///system", COMMAND_RPC, BY_NOTHING, true },
        { "virt-ssh-helper 'qemu:///system?socket=%2fx%2flibvirt-sock-ro'", COMMAND_RPC, BY_NOTHING, true },
        { "virt-ssh-helper 'qemu:///system?a=b&socket=%2Fx%2Flibvirt-sock'", COMMAND_RPC, BY_NOTHING, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct command command = parsed(cases[i].line);
        assert_int_equal(command.kind, cases[i].kind);
        assert_int_equal(command.target, cases[i].target);
        assert_int_equal(command.readonly, cases[i].readonly);
        if (command.target == BY_UUID) {
            char uuid[UUID_TEXT_SIZE];
            uuid_format(&command.uuid, uuid);
            assert_string_equal(uuid, UUID);
            assert_int_equal(command.index, 1);
            assert_string_equal(command.path, "");
        }
    }
}

/* --- virtgate's own verbs ---------------------------------------------------------------------------------------- */

static void expect_same(const struct command *a, const struct command *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->target, b->target);
    assert_int_equal(a->json, b->json);
    assert_int_equal(a->readonly, b->readonly);
    assert_int_equal(a->takeover, b->takeover);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->port, b->port);
    assert_true(uuid_equal(&a->uuid, &b->uuid));
    assert_memory_equal(a->vm, b->vm, sizeof a->vm);
    assert_memory_equal(a->host, b->host, sizeof a->host);
    assert_memory_equal(a->path, b->path, sizeof a->path);
    assert_memory_equal(a->uri, b->uri, sizeof a->uri);
    assert_memory_equal(a->device, b->device, sizeof a->device);
}

static void reads_its_own_verbs(void **state)
{
    static const struct { const char *line; struct command want; } cases[] = {
        { "help", { .kind = COMMAND_HELP } }, { "version", { .kind = COMMAND_VERSION } },
        { "list", { .kind = COMMAND_LIST } }, { "list --json", { .kind = COMMAND_LIST, .json = true } },
        { "info web1", { .kind = COMMAND_INFO, .target = BY_NAME, .vm = "web1" } },
        { "info --json web1", { .kind = COMMAND_INFO, .target = BY_NAME, .json = true, .vm = "web1" } },
        { "display web1", { .kind = COMMAND_DISPLAY, .target = BY_NAME, .vm = "web1" } },
        { "display web1 255", { .kind = COMMAND_DISPLAY, .target = BY_NAME, .index = 255, .vm = "web1" } },
        { "display WEB_1.a+b-c@d:e 0", { .kind = COMMAND_DISPLAY, .target = BY_NAME, .vm = "WEB_1.a+b-c@d:e" } },
        { "console 7", { .kind = COMMAND_CONSOLE, .target = BY_NAME, .vm = "7" } },
        { "console web1 serial0", { .kind = COMMAND_CONSOLE, .target = BY_NAME, .vm = "web1", .device = "serial0" } },
        { "console --takeover web1", { .kind = COMMAND_CONSOLE, .target = BY_NAME, .takeover = true, .vm = "web1" } },
        { "console --takeover web1 _a-B",
          { .kind = COMMAND_CONSOLE, .target = BY_NAME, .takeover = true, .vm = "web1", .device = "_a-B" } },
        { "console uuid:01020304-0506-0708-090a-0b0c0d0e0f10",
          { .kind = COMMAND_CONSOLE, .target = BY_UUID,
            .uuid = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } } } },
        { "console list", { .kind = COMMAND_CONSOLE, .target = BY_NAME, .vm = "list" } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct command command = parsed(cases[i].line);
        expect_same(&command, &cases[i].want);
    }
}

static void names_of_machines_are_narrow(void **state)
{
    static const char *const good[] = { "a", "0", "_", "@a", "+a", ":a", "uuid", "Uuid:x", "a-", "a..b" };
    static const char *const bad[] = {
        "", "-", "--help", ".", "..", ".a", "uuid:", "uuid:x", "a b", "a/b", "a;b", "a%b", "a*", "a\n", "a\x7f",
        "b\xc3\xbcro", "a,b", "a=b", "a\"b", "$a", "~a", "[a]", "a\\b",
    };
    char name[COMMAND_NAME_SIZE + 1];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(command_is_vm_name(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(command_is_vm_name(bad[i], strlen(bad[i])));
    assert_false(command_is_vm_name("a\0b", 3));
    memset(name, 'a', sizeof name);
    assert_true(command_is_vm_name(name, COMMAND_NAME_SIZE - 1));
    assert_false(command_is_vm_name(name, COMMAND_NAME_SIZE));
}

static void kinds_have_words(void **state)
{
    (void)state;
    assert_string_equal(command_kind_name(COMMAND_HELP), "help");
    assert_string_equal(command_kind_name(COMMAND_VERSION), "version");
    assert_string_equal(command_kind_name(COMMAND_LIST), "list");
    assert_string_equal(command_kind_name(COMMAND_INFO), "info");
    assert_string_equal(command_kind_name(COMMAND_DISPLAY), "display");
    assert_string_equal(command_kind_name(COMMAND_CONSOLE), "console");
    assert_string_equal(command_kind_name(COMMAND_RPC), "rpc");
}

/* --- in the place of nc ------------------------------------------------------------------------------------------ */

static void stands_in_for_netcat(void **state)
{
    static const char *const tcp[] = { "-4", "-q", "0", "::1", "65535" }, *const display[] = { "-q1", "-U", "/x.sock" },
                             *const rpc[] = { "-U", "/var/run/libvirt/libvirt-sock-ro" };
    char why[COMMAND_WHY_SIZE];
    struct command command;

    (void)state;
    assert_int_equal(command_from_netcat(5, tcp, &command, why), 0);
    expect_same(&command, &(struct command){ .kind = COMMAND_DISPLAY, .target = BY_TCP, .host = "::1", .port = 65535 });
    assert_int_equal(command_from_netcat(3, display, &command, why), 0);
    expect_same(&command, &(struct command){ .kind = COMMAND_DISPLAY, .target = BY_SOCKET, .path = "/x.sock" });
    assert_int_equal(command_from_netcat(2, rpc, &command, why), 0);
    expect_same(&command, &(struct command){ .kind = COMMAND_RPC, .readonly = true,
                                             .path = "/var/run/libvirt/libvirt-sock-ro" });
}

static void netcat_has_no_other_arguments(void **state)
{
    static const struct { size_t argc; const char *argv[6]; const char *why; } cases[] = {
        { 0, { NULL }, "found 0 words" },
        { 1, { "-q" }, "after -q" },
        { 1, { "127.0.0.1" }, "found 1 words" },
        { 3, { "127.0.0.1", "5904", "x" }, "found 3 words" },
        { 2, { "127.0.0.1", "0" }, "a port" },
        { 2, { "127.0.0.1", "65536" }, "a port" },
        { 2, { "127.0.0.1", "05904" }, "a port" },
        { 2, { "127.0.0.1", "5904-5906" }, "a port" },
        { 2, { "127.0.0.1", "vnc" }, "a port" },
        { 2, { "a b", "5904" }, "a host" },
        { 2, { "", "5904" }, "a host" },
        { 2, { "a\x1b[0m", "5904" }, "a\\x1b[0m" },
        { 1, { "-U" }, "found 0 words" },
        { 3, { "-U", "/a", "/b" }, "found 2 words" },
        { 3, { "-U", "-U", "/a" }, "once each" },
        { 3, { "-4", "-6", "::1" }, "once each" },
        { 5, { "-q", "0", "-q0", "-U", "/a" }, "once each" },
        { 4, { "-q", "-1", "a", "1" }, "seconds" },
        { 4, { "-q", "86401", "a", "1" }, "seconds" },
        { 3, { "-qx", "a", "1" }, "seconds" },
        { 3, { "-e", "/bin/sh", "a" }, "once each" },
        { 3, { "-l", "127.0.0.1", "5904" }, "once each" },
        { 2, { "-U", "a.sock" }, "absolute" },
        { 2, { "-U", "/a/../b" }, "absolute" },
        { 2, { "-U", "/a\xc3\xbc" }, "absolute" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char why[COMMAND_WHY_SIZE] = "";
        struct command command;
        if (command_from_netcat(cases[i].argc, cases[i].argv, &command, why) == 0 || !strstr(why, cases[i].why))
            fail_msg("%zu: '%s', not '%s'", i, why, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_every_known_client),
        cmocka_unit_test(reads_structure_not_spelling),
        cmocka_unit_test(kind_comes_from_the_target),
        cmocka_unit_test(reads_its_own_verbs),
        cmocka_unit_test(names_of_machines_are_narrow),
        cmocka_unit_test(kinds_have_words),
        cmocka_unit_test(stands_in_for_netcat),
        cmocka_unit_test(netcat_has_no_other_arguments),
    };

    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
