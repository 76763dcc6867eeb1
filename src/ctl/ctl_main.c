/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/ctl.h"

#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct {
    const char *name, *usage;
    const char *options;     /* letters of the options that it takes, see below */
    int (*run)(const struct ctl *ctl);
} subcommands[] = {
    { "check", "check [--config PATH] [--json]", "Cj", ctl_check },
    { "adduser", "adduser NAME", "", ctl_adduser },
    { "deluser", "deluser NAME", "", ctl_deluser },
    { "doctor", "doctor [--json]", "j", ctl_doctor },
    { "explain", "explain USER VM [RIGHT] [--groups A,B] [--from ADDRESS] [--at TIME] [--uuid UUID]\n"
      "                   [--config PATH] [--json]\n"
      "       virtgatectl explain --command STRING [--json]", "Cjgfauc", ctl_explain },
    { "firewall", "firewall on [--allow USER,@GROUP] [--ports PORTS] [--dry-run] | off | show", "Apn", ctl_firewall },
    { "kick", "kick SESSION...", "", ctl_kick },
    { "reload", "reload [--json]", "j", ctl_reload },
    { "setup", "setup [--dry-run] [--undo]", "nU", ctl_setup },
    { "who", "who [--json]", "j", ctl_who },
};

static const struct option options[] = {
    { "allow", required_argument, NULL, 'A' },   { "at", required_argument, NULL, 'a' },
    { "command", required_argument, NULL, 'c' }, { "config", required_argument, NULL, 'C' },
    { "dry-run", no_argument, NULL, 'n' },       { "from", required_argument, NULL, 'f' },
    { "groups", required_argument, NULL, 'g' },  { "help", no_argument, NULL, 'h' },
    { "json", no_argument, NULL, 'j' },          { "ports", required_argument, NULL, 'p' },
    { "undo", no_argument, NULL, 'U' },
    { "uuid", required_argument, NULL, 'u' },    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

#define N_SUBCOMMANDS (sizeof subcommands / sizeof subcommands[0])
#define N_OPTIONS (sizeof options / sizeof options[0] - 1)

int ctl_usage_error(const struct ctl *ctl, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "virtgatectl: %s%s", ctl->name ? ctl->name : "", ctl->name ? ": " : "");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("; see virtgatectl --help\n", stderr);
    return EX_USAGE;
}

static int help(void)
{
    for (size_t i = 0; i < N_SUBCOMMANDS; i++)
        printf("%s virtgatectl %s\n", i == 0 ? "usage:" : "      ", subcommands[i].usage);
    return EX_OK;
}

/* Where the option's value goes. */
static void set_option(struct ctl *ctl, int letter)
{
    const struct { char letter; const char **value; } values[] = {
        { 'a', &ctl->at }, { 'A', &ctl->allow }, { 'c', &ctl->command }, { 'C', &ctl->config },
        { 'f', &ctl->from }, { 'g', &ctl->groups }, { 'p', &ctl->ports }, { 'u', &ctl->uuid },
    };

    if (letter == 'j')
        ctl->json = true;
    if (letter == 'n')
        ctl->dry_run = true;
    if (letter == 'U')
        ctl->undo = true;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (values[i].letter == letter)
            *values[i].value = optarg;
}

/* Reads the options, wherever they stand, and notes in given[] which ones came. -1, or the exit code when that is
 * all there is to do. */
static int read_options(int argc, char *argv[], struct ctl *ctl, bool given[static N_OPTIONS])
{
    int letter, index = 0;

    while ((letter = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (letter == 'h')
            return help();
        if (letter == 'V')
            return puts("virtgatectl " PACKAGE_VERSION) < 0 ? EX_IOERR : EX_OK;
        if (letter == '?')
            return EX_USAGE; /* getopt has said why */
        given[index] = true;
        set_option(ctl, letter);
    }
    return -1;
}

static int run(struct ctl *ctl, const bool given[static N_OPTIONS])
{
    size_t i = 0;

    while (i < N_SUBCOMMANDS && strcmp(subcommands[i].name, ctl->name) != 0)
        i++;
    if (i == N_SUBCOMMANDS)
        return ctl_usage_error(ctl, "there is no such subcommand");
    for (size_t o = 0; o < N_OPTIONS; o++)
        if (given[o] && !strchr(subcommands[i].options, options[o].val))
            return ctl_usage_error(ctl, "there is no --%s here", options[o].name);
    return subcommands[i].run(ctl);
}

int main(int argc, char *argv[])
{
    bool given[N_OPTIONS] = { false };
    struct ctl ctl = { 0 };
    int code = read_options(argc, argv, &ctl, given);

    if (code >= 0)
        return code;
    if (optind == argc)
        return ctl_usage_error(&ctl, "expected a subcommand");
    ctl.name = argv[optind];
    ctl.argc = argc - optind - 1;
    ctl.argv = argv + optind + 1;
    code = run(&ctl, given);
    return fflush(stdout) == EOF || ferror(stdout) ? EX_IOERR : code;
}
