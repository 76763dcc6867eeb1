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

#define UUID "6b0d7b4e-52c6-4a2f-9d8e-0123456789ab"

static bool says(const char *why, const char *one_of)
{
    char list[256], *rest = NULL;

    snprintf(list, sizeof list, "%s", one_of);
    for (char *part = strtok_r(list, "|", &rest); part; part = strtok_r(NULL, "|", &rest))
        if (strstr(why, part))
            return true;
    return false;
}

/* Refused, and for one of the reasons in why_parts (separated by |). */
static void refused_bytes(const char *line, size_t len, const char *why_parts)
{
    char why[COMMAND_WHY_SIZE] = "";
    struct command command;

    if (command_parse(line, len, &command, why) == 0)
        fail_msg("accepted as %s: %s", command_kind_name(command.kind), line);
    if (!says(why, why_parts))
        fail_msg("'%s' does not say '%s': %.200s", why, why_parts, line);
    for (const char *at = why; *at; at++)
        assert_true(*at >= 0x20 && *at <= 0x7e);
}

static void refused(const char *line, const char *why_parts)
{
    refused_bytes(line, strlen(line), why_parts);
}

struct refusal {
    const char *line, *why;
};

static void all_refused(const struct refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        refused(cases[i].line, cases[i].why);
}

/* --- the lines of clients, changed in one place ------------------------------------------------------------------ */

#define LINE_SIZE 2048

static size_t count(const char *line, const char *what)
{
    size_t n = 0;

    for (; (line = strstr(line, what)); line += strlen(what))
        n++;
    return n;
}

static void replace(char out[static LINE_SIZE], const char *line, const char *what, size_t which, const char *with)
{
    const char *at = strstr(line, what);

    while (which-- > 0)
        at = strstr(at + strlen(what), what);
    assert_in_range(snprintf(out, LINE_SIZE, "%.*s%s%s", (int)(at - line), line, with, at + strlen(what)), 1,
                    LINE_SIZE - 1);
}

/* What a line says least times or more must agree: each place in turn is changed. if_has: only in lines with that. */
static const struct { const char *what, *with, *why; size_t least; const char *if_has; } disagreements[] = {
    { "5904", "5999", "two ports", 2, "" },
    { "5900", "5901", "two ports", 2, "" },
    { "5901", "5900", "two ports", 2, "" },
    { "5904", "05904", "expected a port", 1, "" },
    { "5900", "65536", "expected a port", 1, "" },
    { "5901", "0", "expected a port", 1, "" },
    { "127.0.0.1", "127.0.0.2", "two hosts", 2, "" },
    { "localhost", "127.0.0.1", "two hosts", 2, "" },
    { "192.0.2.10", "192.0.2.1", "two hosts", 2, "" },
    { "::1", "::2", "two hosts", 2, "" },
    { "fd00::10", "fd00::1", "two hosts", 2, "" },
    { "[::1]", "[::2]", "two hosts", 1, "" },
    { "[::1]", "[::1", "expected a host", 1, "" },
    { "/vnc.sock", "/spice.sock", "two sockets", 2, "" },
    { "/spice.sock", "/vnc.sock", "two sockets", 2, "" },
    { "sockvm.vnc", "other.vnc", "two sockets", 2, "" },
    { "UNIX-CONNECT:", "TCP:", "TCP:HOST:PORT", 1, "" },
    { "TCP:", "TCP4:", "expected TCP", 1, "" },
    { "TCP:", "UDP:", "expected TCP", 1, "" },
    { "TCP:", "EXEC:", "expected TCP", 1, "" },
    { "UNIX-CONNECT:", "UNIX-LISTEN:", "expected TCP", 1, "" },
    { "nc -U", "nc 127.0.0.1 5904; : ", "a socket", 1, "UNIX-CONNECT" },
    { "socat - ", "socat STDIO ", "socat: expected -", 1, "" },
    { "socat - ", "socat -v - ", "socat: expected -", 1, "" },
    { "-v socat", "-v sh", "command: expected", 1, "" },
    { "-v socat", "socat", "parentheses", 1, "(command" },
    { "nc ", "ncat ", "two programs", 2, "nc -q 2>&1" },
    { "'nc'", "'nc.openbsd'", "two programs", 2, "" },
    { "'netcat'", "'nc'", "two programs", 2, "" },
    { "/opt/netcat/bin/nc", "/tmp/nc", "two programs", 2, "" },
    { "/opt/nc x/nc", "/opt/ncxx/nc", "two programs", 2, "" },
    { "nc -4", "nc -6", "two address families", 2, "" },
    { "nc -4", "nc", "two address families", 2, "" },
    { "-r ", "", "read-only", 1, "-ro" },
    { "-sock-ro", "-sock", "read-only", 1, "-r " },
    { "virt-ssh-helper ", "virt-ssh-helper -r ", "read-only|which: expected", 1, "libvirt-sock; fi" },
    { "/libvirt-sock", "/vnc.sock", "asks for libvirt", 1, "virt-ssh-helper" },
    { "/libvirt-sock", "/libvirt-admin-sock", "for clients", 1, "" },
    { "/virtqemud-sock;", "/virtqemud-sock-ro;", "two sockets|read-only", 1, "virt-ssh-helper" },
    { "%2Fvirtqemud", "%2Fvirtlxcd", "two sockets", 1, " -U " },
    { "socket=%2Frun", "socket=run", "socket=", 1, "" },
    { "socket=%2Frun", "socket=%2", "socket=", 1, "" },
    { "-U /", "-U ", "absolute", 1, "" },
    { "-U /", "-U /./", "absolute", 1, "" },
    { "-U /", "-U //", "absolute", 1, "" },
    { "-U /", "-U /a/../", "absolute", 1, "" },
    { "-U ", "-u ", "once each", 1, "" },
    { "-U ", "-e /bin/sh -U ", "once each", 1, "" },
    { ":///", "://host/", "local URI", 1, "" },
    { ":///", "+ssh:///", "local URI", 1, "" },
    { "which virt-ssh-helper", "which sh", "which: expected", 1, "" },
    { "test $? = 0", "test $? = 1", "expected test", 1, "" },
    { "test $? = 0", "test -e /etc/shadow", "expected test", 1, "" },
    { "[ $? -eq 0 ]", "[ $? -ne 0 ]", "expected test", 1, "" },
    { "[ $? -eq 0 ]", "[ 0 -eq 0 ]", "expected test", 1, "" },
    { "[ $? -eq 0 ]", "true", "between if and then", 1, "" },
    { "requires an argument", "root", "grep: expected", 1, "" },
    { "grep ", "grep -f /etc/shadow ", "grep: expected", 1, "" },
    { "grep ", "sh ", "between if and then|sh: expected", 1, "" },
    { "/dev/null", "/dev/tcp", "redirection", 1, "" },
    { "/dev/null", "/dev/nullx", "redirection", 1, "" },
    { "2>&1", "2>&0", "redirection", 1, "" },
    { "2>&1", "2>&1>/dev/null", "redirection", 1, "" },
    { "2>&1", "2>&12", "redirection", 1, "" },
    { "2>&1", "2>/tmp/x", "redirection", 1, "" },
    { "2>&1", "&>/dev/null", "'&'", 1, "" },
    { "ARG=-q0", "ARG=-e", "once each", 1, "" },
    { "ARG=;", "ARG=\"127.0.0.1 22\";", "expected -U PATH", 1, "" },
    { "ARG=;", "BRG=;", "before it is set", 1, "" },
    { "ARG=;", "IFS=;", "assignment to one", 1, "" },
    { "$ARG", "$BRG", "before it is set", 1, "" },
    { "$ARG", "${ARG}", "'$'", 1, "" },
    { "$ARG", "$(id)", "'$'", 1, "" },
    { "$ARG", "`id`", "'`'", 1, "" },
    { "$ARG", "$ARG;", "found 0 words|-q", 1, "" },
    { "eval", "exec", "unknown command", 1, "" },
    { "eval \"$CMD\"", "eval \"$CMD;id\"", "whole word", 1, "" },
    { "5900\";", "5900;id\";", "nothing after", 1, "eval" },
    { "CMD=\"nc", "CMD=\"id; nc", "unknown command", 1, "eval" },
    { "CMD=\"", "CMD=\"eval ", "eval: expected", 1, "eval" },
    { "sh -c ", "sh -i -c ", "sh: expected", 1, "" },
    { "sh -c ", "bash -c ", "unknown command", 1, "" },
    { "fi", "if", "expected", 1, "then" },
    { "then", "do", "expected|unknown command", 1, "then" },
    { "else", "elif", "nothing after|unknown command", 1, "then" },
    { "if ", "while ", "expected|unknown command|in a test only", 1, "then" },
};

static void what_is_said_twice_must_agree(void **state)
{
    struct row rows[ROWS_MAX];
    size_t n = rows_read(rows);
    char line[LINE_SIZE];

    (void)state;
    for (size_t d = 0; d < sizeof disagreements / sizeof disagreements[0]; d++) {
        size_t tried = 0;
        for (size_t i = 0; i < n; i++) {
            size_t places = count(rows[i].line, disagreements[d].what);
            if (places < disagreements[d].least || !strstr(rows[i].line, disagreements[d].if_has))
                continue;
            for (size_t place = 0; place < places; place++, tried++) {
                replace(line, rows[i].line, disagreements[d].what, place, disagreements[d].with);
                refused(line, disagreements[d].why);
            }
        }
        if (tried == 0)
            fail_msg("no line says '%s'", disagreements[d].what);
    }
    rows_free(rows, n);
}

#define AFTER "nothing after|expected a command|expected ;|sh: expected"

static void nothing_may_be_added(void **state)
{
    static const struct refusal ends[] = {
        { "; id", AFTER }, { ";id", AFTER }, { "; nc 127.0.0.1 22", AFTER }, { " && id", "'&'" }, { "&&id", "'&'" },
        { " & id", "'&'" }, { "&", "'&'" }, { " || id", "expected" }, { "| sh", "expected" }, { " | sh", "expected" },
        { "> /tmp/x", "redirection" }, { " >/tmp/x", "redirection" }, { " >>/tmp/x", "redirection" },
        { " >/dev/null", "redirection|expected" }, { " < /etc/passwd", "'<'" }, { " <(id)", "'<'" },
        { " $(id)", "'$'" }, { "$(id)", "'$'" }, { " ${x}", "'$'" }, { " $x", "before it is set|" AFTER },
        { " `id`", "'`'" }, { "`id`", "'`'" }, { "\nid", "0x0a" }, { "\rid", "0x0d" }, { "\tid", "0x09" },
        { " x", "words|sh: expected|expected ;|unknown command|nothing after" },
        { " -e /bin/sh", "words|expected ;|sh: expected|a host|unknown|nothing after" }, { " #x", "'#'" },
        { " *", "'*'" }, { " ?", "'?'" }, { " ~", "'~'" }, { " {a,b}", "'{'" }, { " !", "'!'" }, { " ^a^b", "'^'" },
        { " \\", "backslash" }, { " '", "single quote" }, { " \"", "double quote" }, { ")", "expected" },
        { " (id)", "expected|parentheses" }, { "; fi", "nothing after|without if|expected" },
        { "; then", "nothing after|without if|expected" }, { " if", "expected|words|unknown command" },
    };
    static const struct refusal starts[] = {
        { "id; ", "unknown command" }, { "id;", "unknown command" }, { "id && ", "'&'" },
        { "id | ", "unknown command" }, { "PATH=/tmp ", "of its own" }, { "A=b ", "of its own" },
        { "IFS=x;", "assignment to one" }, { "exec ", "unknown command" }, { "env ", "unknown command" },
        { "sudo ", "unknown command" }, { "! ", "'!'" }, { "{ ", "'{'" }, { "(", "parentheses" },
        { ">/tmp/x ", "redirection" }, { ">/dev/null ", "expected a command" }, { "; ", "expected a command" },
        { "| ", "expected a command" }, { "$x ", "before it is set" },
        { "\\", "between|unknown command|without if|expected" }, { "`id`", "'`'" }, { "time ", "unknown command" },
        { "nc 127.0.0.1 22; ", "nothing after" }, { "\n", "0x0a" }, { "\xff", "0xff" },
    };
    struct row rows[ROWS_MAX];
    size_t n = rows_read(rows);
    char line[LINE_SIZE];

    (void)state;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(rows[i].line);
        bool string = rows[i].line[len - 1] == '\'' && strncmp(rows[i].line, "sh -c '", 7) == 0;
        for (size_t e = 0; e < sizeof ends / sizeof ends[0]; e++) {
            snprintf(line, sizeof line, "%s%s", rows[i].line, ends[e].line);
            refused(line, ends[e].why);
            snprintf(line, sizeof line, "%.*s%s'", (int)len - 1, rows[i].line, ends[e].line);
            if (string) /* within the quotes of sh -c */
                refused(line, ends[e].line[1] == '\'' ? "quote" : ends[e].why);
        }
        for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++) {
            if (starts[s].line[0] == '\\' && rows[i].line[0] != 'i')
                continue; /* \nc is nc; only a keyword is no longer one */
            snprintf(line, sizeof line, "%s%s", starts[s].line, rows[i].line);
            refused(line, starts[s].why);
            snprintf(line, sizeof line, "sh -c '%s%s", starts[s].line, rows[i].line + 7);
            if (string && starts[s].line[0] != '\\')
                refused(line, starts[s].why);
        }
    }
    rows_free(rows, n);
}

/* --- payloads ---------------------------------------------------------------------------------------------------- */

/* C1 to C9, C12 and C21 of the project's list of attacks on restricted shells. */
static void payloads_are_refused(void **state)
{
    static const struct refusal cases[] = {
        /* C1: a second line */
        { "console web1\nid", "0x0a at offset 12" }, { "console web1\rid", "0x0d" }, { "console web1\x0bid", "0x0b" },
        { "console web1\x0cid", "0x0c" }, { "console web1\x85id", "0x85" }, { "console web1\xe2\x80\xa8id", "0xe2" },
        /* C2: quotes */
        { "console \"web1\" 'x'", "alias" }, { "console 'web1'", "name" }, { "console \"web1\"", "name" },
        { "console 'web1", "name" }, { "console web1\\", "name" }, { "\"console\" web1", "unknown command" },
        { "'list'", "unknown command" }, { "l\\ist", "unknown command" }, { "list\\", "backslash" },
        /* C3: operators */
        { "list;id", "expected list" }, { "list;", "expected list" }, { "list|", "expected list" },
        { "list ; id", "expected list" }, { "list&&id", "expected list" },
        { "list && id", "expected list" }, { "list||id", "expected list" }, { "list || id", "expected list" },
        { "list|id", "expected list" }, { "list | id", "expected list" }, { "list&id", "expected list" },
        { "list & id", "expected list" }, { "list>x", "expected list" }, { "list > x", "expected list" },
        { "list<x", "expected list" }, { "list 2>&1", "expected list" }, { "display web1;id", "name" },
        { "display web1 ;id", "index" }, { "console web1 a&b", "alias" },
        /* C4: expansion */
        { "console $(id)", "name" }, { "console `id`", "name" }, { "console ${HOME}", "name" },
        { "console $HOME", "name" }, { "console $'a'", "name" }, { "console <(id)", "name" }, { "console ~", "name" },
        { "console {a,b}", "name" }, { "console *", "name" }, { "console ?", "name" }, { "console [ab]", "name" },
        { "display !!", "name" }, { "$(list)", "'$'" }, { "`list`", "'`'" }, { "$list", "before it is set" },
        { "l*", "'*'" },
        /* C5: functions and assignments */
        { "A=b console web1", "of its own" }, { "console () web1", "name" }, { "console() { id; }", "unknown command" },
        { "nc() { id; }", "found 0 words" }, { "PATH=/tmp list", "of its own" },
        { "BASH_ENV=/tmp/x; list", "assignment to one" }, { "A=b", "connects" }, { "A=$HOME; nc -U /x", "'$'" },
        { "A=`id`; nc -U /x", "'`'" }, { "A=\"`id`\"; nc -U /x", "'`'" },
        /* C6: separators */
        { "console  web1", "one blank" }, { " console web1", "one blank" }, { "console web1 ", "one blank" },
        { "console web1  serial0", "one blank" }, { "list ", "one blank" }, { " list", "one blank" },
        { "console\tweb1", "0x09" }, { "console\xc2\xa0web1", "0xc2" }, { "console", "one blank" },
        { "list --json x", "one blank" }, { "console web1 a b", "one blank" }, { "display a 1 2", "one blank" },
        { "info a b", "one blank" }, { "console --takeover a b c", "one blank" }, { "console --takeover", "one blank" },
        { "help me", "one blank" },
        /* C7: options */
        { "console --help", "name" }, { "console -h", "name" }, { "console --", "name" },
        { "console -oProxyCommand=x", "name" }, { "console --config=/x", "name" }, { "console --debugger", "name" },
        { "console -c", "name" }, { "console -", "name" }, { "console web1 --takeover", "alias" },
        { "console --force web1", "name" }, { "console --takeover -x", "name" }, { "list -a", "expected list" },
        { "list --json=1", "expected list" }, { "--help", "unknown command" }, { "-c id", "unknown command" },
        { "display --json web1", "index" }, { "console web1 -a", "alias" }, { "info --takeover web1", "one blank" },
        { "info web1 --json", "one blank" }, { "display web1 -1", "index" }, { "display web1 +1", "index" },
        { "display web1 01", "index" }, { "display web1 256", "index" }, { "display web1 1x", "index" },
        { "display web1 4294967296", "index" },
        /* C8: paths in the place of names */
        { "console ..", "name" }, { "console ../x", "name" }, { "console /etc/passwd", "name" },
        { "console a/../b", "name" }, { "console %2e%2e", "name" }, { "console .", "name" }, { "console .x", "name" },
        { "console web1 ../x", "alias" }, { "nc -U /run/libvirt/../x", "absolute" },
        { "nc -U /%2e%2e/x", "'%2e|absolute" }, { "nc -U /a/.", "absolute" }, { "nc -U /a/", "absolute" },
        { "nc -U /", "absolute" }, { "nc -U ''", "absolute" }, { "nc -U '/a b'", "absolute" },
        { "nc -U /a,fork", "absolute|','" }, { "socat - UNIX-CONNECT:/a,fork", "absolute|','" },
        { "nc -U /run/virtgate/broker.sock", "display/UUID" }, { "nc -U /run/virtgate/display", "display/UUID" },
        { "nc -U /run/virtgate/display/" UUID, "display/UUID" },
        { "nc -U /run/virtgate/display/" UUID "/256", "display/UUID" },
        { "nc -U /run/virtgate/display/" UUID "/0/0", "display/UUID" },
        { "nc -U /run/virtgate/" UUID "/0", "display/UUID" },
        { "nc -U /run/virtgate/display/" UUID "/00", "display/UUID" },
        { "nc -U /run/virtgate/display/web1/0", "display/UUID" },
        { "nc -U /run/libvirt/libvirt-admin-sock", "for clients" }, { "nc -U /x/virtqemud-admin-sock", "for clients" },
        { "nc -U /run/libvirt/virtlogd-sock", "for clients" },
        { "nc -U /run/libvirt/virtlockd-sock-ro", "for clients" },
        { "virt-ssh-helper 'qemu:///system?socket=/x/virtlogd-sock'", "socket=" },
        { "virt-ssh-helper 'qemu:///system?socket=/x/libvirt-sock&socket=/y/libvirt-sock'", "socket=" },
        { "virt-ssh-helper 'qemu:///system?socket=%2Fx%2F%2e%2e%2Flibvirt-sock'", "socket=" },
        { "virt-ssh-helper 'qemu:///system?socket=/libvirt-sock%00'", "socket=" },
        /* C9: nearly the same word */
        { "LIST", "unknown command" }, { "List", "unknown command" }, { "lists", "unknown command" },
        { "lis", "unknown command" }, { "console UUID:" UUID "x y z", "one blank" }, { "console uuid:", "name" },
        { "console uuid:" UUID "0", "name" }, { "console uuid:web1", "name" }, { "console uuid:{" UUID "}", "name" },
        { "nca 127.0.0.1 5904", "unknown command" }, { "/bin/sh 127.0.0.1 22", "unknown command" },
        { "ssh 127.0.0.1 22", "unknown command" }, { "nc.openbsd", "found 0 words" },
        /* C12: other names of descriptors and processes */
        { "console /dev/fd/0", "name" }, { "console /proc/self/fd/0", "name" }, { "console web1 /dev/fd/0", "alias" },
        { "nc -U /dev/fd/../x", "absolute" }, { "sh /dev/stdin", "sh: expected" }, { "sh -c", "sh: expected" },
        { "sh -c ''", "expected a command" }, { "sh -c ' '", "expected a command" }, { "sh", "sh: expected" },
        { "sh -c \"sh -c \\\"sh -c 'nc 127.0.0.1 5904'\\\"\"", "at most 2 times" },
        /* C21: bytes */
        { "console b\xc3\xbcro", "0xc3 at offset 9" }, { "console \xc0\xaf", "0xc0" },
        { "console a\xe2\x80\xae", "0xe2" }, { "console a\x7f", "0x7f" }, { "console a\x1b[0m", "0x1b" },
        { "console \xef\xbd\x81", "0xef" }, { "\xef\xbb\xbflist", "0xef" },
        /* a script of the known kind that does something else */
        { "if which virt-ssh-helper >/dev/null; then nc 127.0.0.1 5904; fi", "another does not" },
        { "which virt-ssh-helper", "connects" }, { "grep -q 'requires an argument'", "grep: expected" },
        { "nc -q", "| grep" }, { "nc -q 2>&1 | nc 127.0.0.1 5904", "no redirection" }, { "nc -q | nc -q", "| grep" },
        { "nc 127.0.0.1 5904 | grep -q 'requires an argument'", "no redirection" },
        { "nc 127.0.0.1 5904 >/dev/null", "redirection" }, { "nc 127.0.0.1 5904 2>&1", "redirection" },
        { "(nc 127.0.0.1 5904)", "parentheses" }, { "(command -v socat", "parentheses" },
        { "(command -v socat; id)", "parentheses" }, { "((command -v socat))", "expected a command" },
        { "test $? = 0; nc 127.0.0.1 5904", "after a probe" }, { "$? 127.0.0.1 5904", "in a test only" },
        { "socat - TCP:::1:5904", "brackets" }, { "socat - TCP:[::1:5904", "a host" },
        { "socat - TCP:127.0.0.1", "TCP:HOST:PORT" }, { "socat - TCP:5904", "TCP:HOST:PORT" },
        { "socat - 'TCP:127.0.0.1:5904,fork'", "a port" }, { "socat - TCP::5904", "a host" },
        { "socat - EXEC:/bin/sh", "expected TCP" }, { "socat EXEC:/bin/sh TCP:127.0.0.1:5904", "socat: expected -" },
        { "nc -- 127.0.0.1 5904", "once each" }, { "nc -127.0.0.1 5904", "once each" }, { "nc 127.0.0.1 -1", "a port" },
        { "virt-ssh-helper ''", "local URI" }, { "virt-ssh-helper", "found 0 words" },
        { "virt-ssh-helper -V", "local URI" }, { "virt-ssh-helper -r", "found 1 words|found 0" },
        { "virt-ssh-helper qemu+ssh:///system", "local URI" }, { "virt-ssh-helper qemu://other/system", "local URI" },
        { "virt-ssh-helper qemu:///system x", "found 2 words" }, { "C='nc * 5904'; $C", "no pattern" },
        { "C=; $C", "only empty variables" }, { "C='nc 127.0.0.1 5904'; \"$C\"", "unknown" },
        { "C='nc 127.0.0.1'; $C 5904; $C 5905", "nothing after" }, { "eval eval nc", "eval: expected" },
        { "eval 'eval nc'", "within eval" }, { "nc 127.0.0.1 5904;;", "nothing after" },
        { "A=b;;nc -U /x", "expected a command" }, { "if; then nc -U /x; fi", "expected a command" },
        { "if which virt-nc; then; nc -U /x; fi", "expected a command" }, { "then", "unknown command" },
        { "a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1;nc -U /x", "at most 8" }, { "22>/dev/null nc -U /x", "redirection" },
        { "if A=b; then nc -U /x; else nc -U /x; fi", "of its own" },
        { "A=b | grep -q 'requires an argument'", "of its own" }, { "A=b >/dev/null; nc -U /x", "of its own" },
        { "if which virt-nc; then C='which virt-nc'; else C='nc -U /x'; fi; $C; nc -U /x", "another does not" },
        { "which virt-nc | grep -q 'requires an argument'; nc -U /x", "no '" },
        { "nc -q | which virt-nc; nc -U /x", "no '" },
        { "if which virt-nc; then which virt-nc; else A=b; fi; test $? = 0; nc -U /x", "after a probe" },
        { "A='nc -U /x'; eval \"$A\" >/dev/null", "no redirection" },
        { "A='nc -U /x'; eval \"$A\" | grep -q x", "no redirection" },
        { "which virt-nc; test $? = 0 >/dev/null; nc -U /x", "expected test" },
        { "which virt-nc; test $? = 0 | grep -q 'requires an argument'; nc -U /x", "expected test" },
        { "A=5904;nc 127.0.0.1 \"$A- ", "whole word" }, { "''A=b; nc -U /x", "unknown command" },
        { "nc 127.0.0.1 $1", "whole word" }, { "A2345678901234567890123456789012=b; nc -U /x", "assignment to one" },
        { "socat - TCP:-x:5904", "a host" }, { "A=::1; sh -c 'nc $A 5904'", "before it is set" },
        { "sh -c 'A=b'", "that connects" }, { "'' -q | grep -q 'requires an argument'; '' -U /x", "program's name" },
        { "-x -q | grep -q 'requires an argument'; -x -U /x", "program's name" },
        { "if which virt-nc; then virt-ssh-helper xen:///; else virt-ssh-helper -r xen:///; fi", "two ways" },
        { "if which virt-nc; then virt-ssh-helper qemu:///system; else virt-ssh-helper xen:///; fi", "two ways" },
    };

    (void)state;
    all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void emptiness_is_refused(void **state)
{
    (void)state;
    refused("", "try help");
    refused(" ", "try help");
    refused("          ", "try help");
    refused_bytes("list\0", 5, "0x00 at offset 4");
    refused_bytes("\0list", 5, "0x00 at offset 0");
}

/* --- sizes (C22) ------------------------------------------------------------------------------------------------- */

/* n times part. */
static char *times(const char *part, size_t n)
{
    size_t len = strlen(part);
    char *text = malloc(len * n + 1);

    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        memcpy(text + len * i, part, len);
    text[len * n] = '\0';
    return text;
}

static void size_is_bounded(void **state)
{
    static const struct { const char *part; size_t n; const char *why; } cases[] = {
        { "a", 65536, "4096 bytes" }, { "a", 65537, "65536 bytes" }, { "a", 4096, "unknown command" },
        { "a", 4097, "4096 bytes" }, { "a ", 10000, "4096 bytes" }, { "a ", 2000, "64 words" },
        { "' '", 1300, "unknown command" }, { ";", 4096, "expected a command" }, { "a;", 2000, "unknown command" },
        { "A=b;", 1000, "64 words" }, { "if ", 1300, "none in a condition" }, { "(", 4096, "expected a command" },
        { "if which virt-nc;then ", 100, "at most 4 ifs" }, { "sh -c ", 600, "64 words" },
        { "which virt-nc;", 200, "16 commands" }, { "$a", 2000, "whole word" }, { "$a ", 1300, "64 words" },
        { "\\\\", 2048, "unknown command" }, { "'", 4095, "single quote" }, { "\"", 4095, "double quote" },
        { "\"$", 2000, "whole word" }, { "a=", 2048, "connects" }, { " ", 65536, "try help" },
        { "console ", 512, "one blank" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = times(cases[i].part, cases[i].n);
        refused(text, cases[i].why);
        free(text);
    }
}

static void variables_fill_no_more_than_their_room(void **state)
{
    char *text = times("b", 1300), line[LINE_SIZE];

    (void)state;
    snprintf(line, sizeof line, "A=%s; nc $A $A $A $A", text);
    refused(line, "4096 bytes with its variables");
    snprintf(line, sizeof line, "A='B=%s'; eval \"$A\"; eval \"$A\"; eval \"$A\"; eval \"$A\"; nc -U /x", text);
    refused(line, "values of the variables are too long");
    free(text);
}

static void fields_are_bounded(void **state)
{
    static const struct { const char *before; size_t most; const char *after, *why; } cases[] = {
        { "console ", COMMAND_NAME_SIZE - 1, "", "name" }, { "console a ", COMMAND_DEVICE_SIZE - 1, "", "alias" },
        { "nc ", COMMAND_HOST_SIZE - 1, " 1", "a host" }, { "nc -U /", COMMAND_PATH_SIZE - 2, "", "absolute" },
        { "virt-ssh-helper q:///", COMMAND_PATH_SIZE - 6, "", "511 bytes" },
        { "socat - TCP:", COMMAND_HOST_SIZE - 1, ":1", "a host" },
        { "socat - TCP:[", COMMAND_HOST_SIZE - 1, "]:1", "a host|TCP:HOST" },
    };
    char line[LINE_SIZE], why[COMMAND_WHY_SIZE];
    struct command command;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = times("a", cases[i].most + 1);
        snprintf(line, sizeof line, "%s%s%s", cases[i].before, text, cases[i].after);
        refused(line, cases[i].why);
        snprintf(line, sizeof line, "%s%s%s", cases[i].before, text + 1, cases[i].after);
        assert_int_equal(command_parse(line, strlen(line), &command, why), 0);
        free(text);
    }
}

static void values_of_variables_are_bounded(void **state)
{
    (void)state;
    refused("if which virt-nc;then A=1;else A=2;fi;if which virt-nc;then B=1;else if which virt-nc;then A=3;else "
            "if which virt-nc;then A=4;else A=5;fi;fi;fi;nc 127.0.0.1 $A", "more than 4 values");
    refused("if which virt-nc;then A=4;else A=5;fi; nc 127.0.0.1 $A", "two ports");
    refused("if which virt-nc;then A=4;B=a;else A=4;B=b;fi; nc $B $A", "two hosts");
    refused("A=4;nc 127.0.0.1 590$A", "whole word");
    refused("A=4;nc 127.0.0.1 \"590$A\"", "whole word");
    refused("A=4;nc 127.0.0.1 \"$A\"0", "whole word");
    refused("A=4;nc 127.0.0.1 \"$A", "whole word");
    refused("A=4;nc 127.0.0.1 $A''", "whole word");
}

/* --- chance ------------------------------------------------------------------------------------------------------ */

static uint32_t chance(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (*seed >> 8) % below;
}

/* Leaves out the characters that only quote, and blanks after a blank. */
static void unquote(char *out, const char *line)
{
    for (const char *start = out; *line; line++)
        if (!strchr("'\"\\[]", *line) && (*line != ' ' || out == start || out[-1] != ' '))
            *out++ = *line;
    *out = '\0';
}

static void mutate(char line[static LINE_SIZE], uint32_t *seed)
{
    static const char *const parts[] = {
        "'", "\"", "\\", ";", "|", "&", "$", "`", "(", ")", ">", "<", " ", "-r", "-ro", "-U ", "nc ", "sh -c ", "; fi",
        "$ARG", "$CMD", "127.0.0.2", "5999", "/x.sock", "else ", "if ", "then ", "ARG=", "-q", "eval ", "2>&1", "[",
        "]", "=", "0", "/",
    };
    char copy[LINE_SIZE];
    size_t len = strlen(line), at = chance(seed, (uint32_t)len), to = at + chance(seed, 12);

    if (to > len)
        to = len;
    snprintf(copy, sizeof copy, "%s", line);
    switch (chance(seed, 4)) {
    case 0: /* put in */
        snprintf(line, LINE_SIZE, "%.*s%s%.1500s", (int)at, copy,
                 parts[chance(seed, sizeof parts / sizeof parts[0])], copy + at);
        break;
    case 1: /* cut out */
        snprintf(line, LINE_SIZE, "%.*s%s", (int)at, copy, copy + to);
        break;
    case 2: /* say twice */
        snprintf(line, LINE_SIZE, "%.*s%.1500s", (int)to, copy, copy + at);
        break;
    default: /* another byte */
        line[at] = (char)(0x20 + chance(seed, 0x5f));
        break;
    }
}

static void expect_target_in(const struct command *command, const char *line)
{
    char plain[LINE_SIZE], want[COMMAND_HOST_SIZE + 16];

    unquote(plain, line);
    if (!strstr(plain, command->path) || !strstr(plain, command->uri) || !strstr(plain, command->host))
        fail_msg("target is not in: %s", line);
    if (command->target != BY_TCP)
        return;
    snprintf(want, sizeof want, "%s %u", command->host, command->port);
    bool found = strstr(plain, want);
    snprintf(want, sizeof want, "TCP:%s:%u", command->host, command->port);
    if (!found && !strstr(plain, want) && !strchr(line, '$'))
        fail_msg("%s is not in: %s", want, line);
}

static void chance_makes_no_other_target(void **state)
{
    struct row rows[ROWS_MAX];
    size_t n = rows_read(rows), accepted = 0;
    uint32_t seed = 20261121;

    (void)state;
    for (size_t i = 0; i < 200000; i++) {
        char line[LINE_SIZE], why[COMMAND_WHY_SIZE] = "";
        struct command command;
        snprintf(line, sizeof line, "%s", rows[chance(&seed, (uint32_t)n)].line);
        for (uint32_t m = chance(&seed, 3) + 1; m > 0 && line[0]; m--)
            mutate(line, &seed);
        if (command_parse(line, strlen(line), &command, why) < 0) {
            assert_true(why[0] >= ' ');
            continue;
        }
        accepted++;
        if (command.target != BY_NAME && command.target != BY_UUID)
            expect_target_in(&command, line);
    }
    assert_in_range(accepted, 1000, 100000);
    rows_free(rows, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_twice_must_agree),
        cmocka_unit_test(nothing_may_be_added),
        cmocka_unit_test(payloads_are_refused),
        cmocka_unit_test(emptiness_is_refused),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(variables_fill_no_more_than_their_room),
        cmocka_unit_test(fields_are_bounded),
        cmocka_unit_test(values_of_variables_are_bounded),
        cmocka_unit_test(chance_makes_no_other_target),
    };

    return cmocka_run_group_tests_name("command_refused", tests, NULL, NULL);
}
