/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command/plan.h"

#include <string.h>

#include "base/io.h"
#include "base/text.h"
#include "command/why.h"

#define LINGER_MAX 86400 /* seconds of nc -q; read, then ignored: the relay ends when the stream does */

/* --- nc ---------------------------------------------------------------------------------------------------------- */

static bool is_known_netcat(const char *program)
{
    static const char *const names[] = { "nc", "netcat", "nc.openbsd", "nc.traditional", "ncat", "virtgate-shell" };
    const char *slash = strrchr(program, '/'), *base = slash ? slash + 1 : program;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(base, names[i]) == 0)
            return true;
    return false;
}

static int read_operands(bool unix_socket, size_t argc, const char *const *argv, struct netcat *ret,
                         char why[static COMMAND_WHY_SIZE])
{
    if (unix_socket && argc == 1)
        return target_path(argv[0], &ret->end, why);
    if (!unix_socket && argc == 2)
        return target_tcp(argv[0], argv[1], &ret->end, why);
    return why_set(why, "nc: expected -U PATH or HOST PORT, found %zu words", argc);
}

/* Reads -q's number of seconds, in the same word or the next. */
static int read_linger(size_t *at, size_t argc, const char *const *argv, char why[static COMMAND_WHY_SIZE])
{
    const char *number = argv[*at] + 2;
    uint64_t seconds;

    if (!number[0] && *at + 1 < argc)
        number = argv[++*at];
    if (io_parse_number(number, strlen(number), 0, LINGER_MAX, &seconds) < 0)
        return why_set(why, "nc: expected a number of seconds after -q, not '%s'", why_quote(number).text);
    return 0;
}

int plan_read_netcat(size_t argc, const char *const *argv, struct netcat *ret, char why[static COMMAND_WHY_SIZE])
{
    struct netcat nc = { 0 };
    bool linger = false, unix_socket = false;
    size_t at = 0;

    for (; at < argc && argv[at][0] == '-'; at++) {
        const char *option = argv[at];
        if ((strcmp(option, "-4") == 0 || strcmp(option, "-6") == 0) && !nc.family) {
            nc.family = option[1];
        } else if (strcmp(option, "-U") == 0 && !unix_socket) {
            unix_socket = true;
        } else if (strcmp(option, "-q") == 0 && at + 1 == argc && !linger && !unix_socket) {
            nc.probe = true;
        } else if (strncmp(option, "-q", 2) == 0 && !linger) {
            linger = true;
            int r = read_linger(&at, argc, argv, why);
            if (r < 0)
                return r;
        } else {
            return why_set(why, "nc: expected -4, -6, -q N or -U once each, not '%s'", why_quote(option).text);
        }
    }
    int r = nc.probe ? 0 : read_operands(unix_socket, argc - at, argv + at, &nc, why);
    if (r < 0)
        return r;
    *ret = nc;
    return 0;
}

/* --- agreement --------------------------------------------------------------------------------------------------- */

static int name_program(struct plan *plan, const char *program, char family, char why[static COMMAND_WHY_SIZE])
{
    if (plan->n_named == 0) {
        if (!program[0] || program[0] == '-' || text_copy(plan->program, sizeof plan->program, program) < 0)
            return why_set(why, "'%s' is not a program's name", why_quote(program).text);
        plan->family = family;
    } else if (strcmp(plan->program, program) != 0) {
        return why_set(why, "the command names two programs, '%s' and '%s'", why_quote(plan->program).text,
                       why_quote(program).text);
    } else if (plan->family != family) {
        return why_set(why, "the command asks nc for two address families");
    }
    plan->n_named++;
    return 0;
}

static int name_end(struct plan *plan, const struct endpoint *end, char why[static COMMAND_WHY_SIZE])
{
    if (plan->has_end)
        return target_agree(&plan->end, end, why);
    plan->end = *end;
    plan->has_end = true;
    return 0;
}

int plan_add_netcat(struct plan *plan, size_t argc, const char *const *argv, bool *ret_probe,
                    char why[static COMMAND_WHY_SIZE])
{
    struct netcat nc;
    int r = plan_read_netcat(argc - 1, argv + 1, &nc, why);

    if (r < 0 && !is_known_netcat(argv[0]) && strcmp(argv[0], plan->program) != 0)
        return why_set(why, "unknown command '%s'; try help", why_quote(argv[0]).text);
    if (r < 0)
        return r;
    r = name_program(plan, argv[0], nc.family, why);
    if (r == 0 && !nc.probe) {
        r = name_end(plan, &nc.end, why);
        plan->named_by_netcat = true;
    }
    *ret_probe = nc.probe;
    return r;
}

int plan_add_socat(struct plan *plan, size_t argc, const char *const *argv, char why[static COMMAND_WHY_SIZE])
{
    static const char tcp[] = "TCP:", socket[] = "UNIX-CONNECT:";
    struct endpoint end;
    bool bare = false;
    int r;

    if (argc != 3 || strcmp(argv[1], "-") != 0)
        return why_set(why, "socat: expected - and one address, found %zu words", argc - 1);
    if (strncmp(argv[2], tcp, strlen(tcp)) == 0)
        r = target_host_port(argv[2] + strlen(tcp), &end, &bare, why);
    else if (strncmp(argv[2], socket, strlen(socket)) == 0)
        r = target_path(argv[2] + strlen(socket), &end, why);
    else
        r = why_set(why, "socat: expected TCP:HOST:PORT or UNIX-CONNECT:PATH, not '%s'", why_quote(argv[2]).text);
    if (r < 0)
        return r;
    plan->bare |= bare;
    return name_end(plan, &end, why);
}

int plan_add_helper(struct plan *plan, size_t argc, const char *const *argv, char why[static COMMAND_WHY_SIZE])
{
    bool readonly = argc > 1 && strcmp(argv[1], "-r") == 0;

    if (argc != (readonly ? 3U : 2U))
        return why_set(why, "virt-ssh-helper: expected [-r] URI, found %zu words", argc - 1);
    const char *uri = argv[argc - 1];
    if (plan->has_helper && (strcmp(plan->uri, uri) != 0 || plan->helper_readonly != readonly))
        return why_set(why, "the command calls virt-ssh-helper in two ways");
    if (text_copy(plan->uri, sizeof plan->uri, uri) < 0)
        return why_set(why, "virt-ssh-helper: the URI is longer than %d bytes", COMMAND_PATH_SIZE - 1);
    plan->has_helper = true;
    plan->helper_readonly = readonly;
    return 0;
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

/* The helper and the socket of the other half, when there is one. */
static int finish_helper(const struct plan *plan, struct command *command, char why[static COMMAND_WHY_SIZE])
{
    if (plan->has_end && command->kind != COMMAND_RPC)
        return why_set(why, "one half of the command asks for libvirt, the other for '%s'",
                       why_quote(plan->end.tcp ? plan->end.host : plan->end.path).text);
    if (plan->has_end && command->readonly != plan->helper_readonly)
        return why_set(why, "one half of the command is read-only, the other is not (-r and -ro go together)");
    command->kind = COMMAND_RPC;
    command->readonly = plan->helper_readonly;
    return target_uri(plan->uri, command, why);
}

int plan_finish(const struct plan *plan, struct command *ret, char why[static COMMAND_WHY_SIZE])
{
    struct command command = { 0 };
    int r = 0;

    if (plan->n_named == 1 && !is_known_netcat(plan->program))
        return why_set(why, "unknown command '%s'; try help", why_quote(plan->program).text);
    if (plan->bare && !plan->named_by_netcat)
        return why_set(why, "socat: expected brackets around an IPv6 address");
    if (plan->has_end)
        r = target_resolve(&plan->end, &command, why);
    if (r == 0 && plan->has_helper)
        r = finish_helper(plan, &command, why);
    if (r == 0)
        *ret = command;
    return r;
}
