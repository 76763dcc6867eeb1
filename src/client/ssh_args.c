/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/ssh_args.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "base/text.h"

struct parsing {
    struct ssh_args *args;
    const char *user, *port;
};

static int refuse(char why[static WHY_SIZE], const char *what, const char *word)
{
    char shown[100];

    text_escape(shown, sizeof shown, word, strlen(word));
    return why_say(why, EX_USAGE, "%s '%s'; virtgate ssh takes what libvirt and virt-viewer give to ssh", what, shown);
}

static bool begins(const char *text, const char *word)
{
    size_t len = strlen(word);

    return strncasecmp(text, word, len) == 0 && (text[len] == '=' || text[len] == ' ');
}

/* -o. Those that change nothing for a single command without terminal and forwarding are passed over. */
static int take_setting(struct parsing *parsing, const char *value, char why[static WHY_SIZE])
{
    static const char *const idle[] = {
        "ClearAllForwardings", "Compression", "ControlMaster", "ControlPath", "ControlPersist", "ForwardAgent", "ForwardX11",
        "LogLevel", "PermitLocalCommand", "RequestTTY", "ServerAliveCountMax", "ServerAliveInterval", "TCPKeepAlive", "Tunnel",
    };
    const char *of = value + strcspn(value, "= ");

    of += strspn(of, "= ");
    if (begins(value, "BatchMode")) {
        parsing->args->batch = strcasecmp(of, "yes") == 0;
        return 0;
    }
    if (begins(value, "StrictHostKeyChecking")) {
        parsing->args->remote.login.strict = of;
        return 0;
    }
    if (begins(value, "IdentityFile")) {
        parsing->args->remote.login.identity = of;
        return 0;
    }
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++)
        if (begins(value, idle[i]))
            return 0;
    return refuse(why, "unknown setting", value);
}

/* One option at argv[*at]: letters that stand alone, or one with a value, in the same word or in the next. */
static int take_option(struct parsing *parsing, int argc, char *const *argv, int *at, char why[static WHY_SIZE])
{
    const char *word = argv[*at];

    for (const char *letter = word + 1; *letter; letter++) {
        if (strchr("46CTaknqx", *letter))
            continue; /* no terminal, no agent, no X11: it never has them */
        if (*letter == 'V') {
            parsing->args->version = true;
            continue;
        }
        if (!strchr("Feilop", *letter))
            return refuse(why, "unknown option", word);
        const char *value = letter[1] ? letter + 1 : *at + 1 < argc ? argv[++*at] : NULL;
        if (!value || !*value)
            return refuse(why, "a value is missing after", word);
        switch (*letter) {
        case 'F':
            parsing->args->remote.login.config = value;
            return 0;
        case 'i':
            parsing->args->remote.login.identity = value;
            return 0;
        case 'l':
            parsing->user = value;
            return 0;
        case 'p':
            parsing->port = value;
            return 0;
        case 'o':
            return take_setting(parsing, value, why);
        default: /* -e: there is no terminal in which it could be typed */
            return 0;
        }
    }
    return 0;
}

static int make_host(const struct parsing *parsing, const char *host, char why[static WHY_SIZE])
{
    const char *user = parsing->user && !strchr(host, '@') ? parsing->user : "", *port = parsing->port ? parsing->port : "";
    bool bare6 = port[0] && !strchr(host, '[') && strchr(host, ':');
    int n = snprintf(parsing->args->host, sizeof parsing->args->host, "%s%s%s%s%s%s%s", user, user[0] ? "@" : "",
                     bare6 ? "[" : "", host, bare6 ? "]" : "", port[0] ? ":" : "", port);

    return n < (int)sizeof parsing->args->host ? 0 : refuse(why, "too long a host", host);
}

static int make_command(struct ssh_args *args, int n, char *const *words, char why[static WHY_SIZE])
{
    size_t len = 0;

    for (int i = 0; i < n && len < sizeof args->command; i++)
        len += (size_t)snprintf(args->command + len, sizeof args->command - len, "%s%s", i ? " " : "", words[i]);
    if (n == 0)
        return why_say(why, EX_USAGE, "expected a command behind the host: a gate has no shell; try virtgate list HOST");
    return len < sizeof args->command ? 0 : why_say(why, EX_USAGE, "the command is too long for a gate");
}

int ssh_args_parse(int argc, char *const *argv, struct ssh_args *ret, char why[static WHY_SIZE])
{
    struct parsing parsing = { .args = ret };
    int at, status = 0;
    bool only_words = false;

    memset(ret, 0, sizeof *ret);
    for (at = 1; at < argc && status == 0; at++) {
        if (!only_words && strcmp(argv[at], "--") == 0)
            only_words = true;
        else if (!only_words && argv[at][0] == '-' && argv[at][1])
            status = take_option(&parsing, argc, argv, &at, why);
        else
            break;
    }
    if (status || ret->version)
        return status;
    if (at >= argc)
        return why_say(why, EX_USAGE, "expected virtgate ssh [-l USER] [-p PORT] [-i FILE] [-T] [-e none] [--] HOST COMMAND");
    status = make_host(&parsing, argv[at], why);
    /* ssh(1) takes "--" behind the host too. */
    at += 1 + (at + 1 < argc && strcmp(argv[at + 1], "--") == 0);
    return status ? status : make_command(ret, argc - at, argv + at, why);
}
