/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/client.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "client/ask.h"
#include "command/command.h"

static const struct client_verb {
    const char *name, *usage;
    size_t min, max;       /* words behind the name */
    unsigned options;
    int (*run)(const struct options *options, size_t n, const char *const *argv);
} verbs[] = {
    { "console", "console HOST VM [DEVICE] [--reconnect] [--takeover]", 2, 3, OPTION_RECONNECT | OPTION_TAKEOVER,
      client_console },
    { "info", "info HOST VM [--json]", 2, 2, OPTION_JSON, client_info },
    { "list", "list HOST... [--json] [--watch]", 1, WORDS_MAX_COUNT, OPTION_JSON | OPTION_WATCH, client_list },
    { "power", "power start|shutdown|reboot|reset|off|suspend|resume HOST VM", 3, 3, 0, client_power },
    { "probe", "probe HOST [--as-json] [--expect VM] [--other VM ...] [--only PATTERN] [--against-open-sshd] ...", 1, 1,
      OPTION_PROBE, client_probe },
    { "proxy", "proxy HOST VM [INDEX]", 2, 3, 0, client_proxy },
    { "view", "view HOST VM [INDEX] [--viewer CMD] [--listen 127.0.0.1:PORT] [--screenshot FILE.png]", 2, 3,
      OPTION_VIEWER | OPTION_LISTEN | OPTION_SCREENSHOT, client_view },
};

static int print_help(void)
{
    printf("virtgate: the screens and consoles of virtual machines behind a gate\n\n");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        printf("    virtgate %s\n", verbs[i].usage);
    printf("    virtgate ssh ...        as libvirt's ?command= and virt-viewer call ssh\n\n"
           "HOST is [user@]host[:port], or a Host of ~/.ssh/config. VM is a name, or uuid:UUID.\n"
           "  -F, --config FILE      in place of ~/.ssh/config; none for no such file\n"
           "  -i, --identity FILE    a key to be tried first\n"
           "  --ssh COMMAND          go through that ssh, with all of its configuration\n"
           "  --batch                ask nothing\n"
           "  -q, --quiet            no progress\n");
    return fflush(stdout) ? EX_IOERR : EX_OK;
}

static int print_version(void)
{
    printf("virtgate " PACKAGE_VERSION " (libssh %s)\n", ssh_version(0));
    return fflush(stdout) ? EX_IOERR : EX_OK;
}

static int run_verb(const struct options *options)
{
    char why[WHY_SIZE];

    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        const struct client_verb *verb = &verbs[i];
        size_t n = options->n_words - 1;
        if (strcmp(options->word[0], verb->name) != 0)
            continue;
        if (n < verb->min || n > verb->max)
            return say_error(EX_USAGE, "expected virtgate %s", verb->usage);
        if (options_check(options, verb->name, verb->options, why))
            return say_error(EX_USAGE, "%s", why);
        return verb->run(options, n, options->word + 1);
    }
    return say_error(EX_USAGE, "unknown command '%.60s'; try virtgate --help", options->word[0]);
}

int client_run(int argc, char *const *argv)
{
    struct options options;
    char why[WHY_SIZE];

    /* The words of an ssh's command line are its own. */
    if (argc > 1 && strcmp(argv[1], "ssh") == 0)
        return client_ssh(argc - 1, argv + 1);
    if (options_parse(argc, argv, &options, why))
        return say_error(EX_USAGE, "%s", why);
    if (options.help)
        return print_help();
    if (options.version)
        return print_version();
    if (options.n_words == 0)
        return say_error(EX_USAGE, "expected a command such as list HOST; try virtgate --help");
    say_init(!options.quiet);
    ask_init(!options.batch);
    return run_verb(&options);
}

/* --- what the commands share ------------------------------------------------------------------------------------------ */

int client_command(char out[static CLIENT_COMMAND_SIZE], const char *verb, const char *option, size_t n, const char *const *argv)
{
    struct command parsed;
    char why[COMMAND_WHY_SIZE];
    size_t len = (size_t)snprintf(out, CLIENT_COMMAND_SIZE, "%s%s%s", verb, option ? " " : "", option ? option : "");

    for (size_t i = 0; i < n; i++)
        if (strchr(argv[i], ' ')) /* it would be two words there */
            return say_error(EX_USAGE, "expected a virtual machine's name without blanks; uuid:UUID names any machine");
    for (size_t i = 0; i < n && len < CLIENT_COMMAND_SIZE; i++)
        len += (size_t)snprintf(out + len, CLIENT_COMMAND_SIZE - len, " %s", argv[i]);
    if (len >= CLIENT_COMMAND_SIZE)
        return say_error(EX_USAGE, "%s: the name is too long", verb);
    return command_parse(out, len, &parsed, why) < 0 ? say_error(EX_USAGE, "%s", why) : 0;
}

int client_said(int status, const struct remote_said *said)
{
    say_others(said->text, said->len);
    return status;
}

struct remote *client_reach(const struct options *options, const char *host, int *ret_status)
{
    struct remote *remote = NULL;
    struct remote_said said;

    *ret_status = remote_new(host, &options->remote, &remote, &said);
    if (*ret_status == 0)
        *ret_status = remote_connect(remote, &said);
    if (*ret_status == 0)
        return remote;
    client_said(*ret_status, &said);
    remote_free(remote);
    return NULL;
}
