/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands of a client's script come to. A script says most things several times (which program, which socket,
 * read-only or not), for whichever program the host turns out to have; a plan takes every command in turn and refuses
 * the first that contradicts an earlier one. So no half of a script can be shown to one check and meant for another. */
#ifndef VG_COMMAND_PLAN_H
#define VG_COMMAND_PLAN_H

#include "command/target.h"

#define PLAN_PROGRAM_SIZE 256

struct plan {                         /* starts as { 0 } */
    char program[PLAN_PROGRAM_SIZE];  /* nc, by whatever name; "" when not named yet */
    char family;                      /* '4', '6' or 0: nc's -4 or -6 */
    unsigned n_named;                 /* how often the program was named */
    bool has_end, named_by_netcat;    /* end is set; by nc, not only by socat */
    bool bare;                        /* socat's address had an IPv6 address without brackets */
    struct endpoint end;
    bool has_helper, helper_readonly;
    char uri[COMMAND_PATH_SIZE];
};

/* Arguments of nc, argv without the program's name. */
struct netcat {
    char family;
    bool probe;                       /* only -q was given, to see nc complain: there is no end */
    struct endpoint end;
};

int plan_read_netcat(size_t argc, const char *const *argv, struct netcat *ret, char why[static COMMAND_WHY_SIZE]);

/* Each adds one command to the plan; argv[0] is the program. 0, or -EINVAL and why. plan_add_netcat() says in
 * *ret_probe whether it was one. */
int plan_add_netcat(struct plan *plan, size_t argc, const char *const *argv, bool *ret_probe,
                    char why[static COMMAND_WHY_SIZE]);
int plan_add_socat(struct plan *plan, size_t argc, const char *const *argv, char why[static COMMAND_WHY_SIZE]);
int plan_add_helper(struct plan *plan, size_t argc, const char *const *argv, char why[static COMMAND_WHY_SIZE]);

/* The request of the whole script. */
int plan_finish(const struct plan *plan, struct command *ret, char why[static COMMAND_WHY_SIZE]);

#endif
