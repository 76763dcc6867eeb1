/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgatectl: what its subcommands share. Each subcommand is one file and one row of the table in ctl_main.c. */
#ifndef VG_CTL_H
#define VG_CTL_H

#include <stdbool.h>
#include <stdio.h>

#include "policy/policy.h"

/* The command line, all subcommands together. What was not given is NULL. */
struct ctl {
    const char *name;        /* of the subcommand */
    int argc;                /* the words after it that are no options */
    char **argv;
    bool json;
    const char *config;
    const char *groups, *from, *at, *uuid, *command;
    bool dry_run, undo;
    const char *allow, *ports;
};

/* Each returns the program's exit code (sysexits.h). */
int ctl_adduser(const struct ctl *ctl);
int ctl_check(const struct ctl *ctl);
int ctl_deluser(const struct ctl *ctl);
int ctl_doctor(const struct ctl *ctl);
int ctl_explain(const struct ctl *ctl);
int ctl_explain_command(const struct ctl *ctl);
int ctl_firewall(const struct ctl *ctl);
int ctl_kick(const struct ctl *ctl);
int ctl_reload(const struct ctl *ctl);
int ctl_who(const struct ctl *ctl);
int ctl_setup(const struct ctl *ctl);

/* One line on standard error: "virtgatectl: NAME: ...". Returns EX_USAGE. */
int ctl_usage_error(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Where the policy is: --config, or the built-in folder. */
const char *ctl_config(const struct ctl *ctl);

/* Loads the policy; every error of it goes out, a line each to errors_to (line 0: the file as a whole), or with --json as
 * an object on standard output, as `check --json` prints it. EX_OK and *ret, or the exit code: EX_CONFIG, EX_OSERR. */
int ctl_load_policy(const struct ctl *ctl, FILE *errors_to, struct policy **ret);

#endif
