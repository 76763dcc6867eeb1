/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Goes through a client's script without running it: takes both branches of every `if`, keeps for each variable all the
 * values that it may have, and adds every command that would connect to a plan (plan.h), which must agree with all the
 * others. Every way through the script must end in exactly one of them. */
#ifndef VG_COMMAND_SHELL_WALK_H
#define VG_COMMAND_SHELL_WALK_H

#include "command/plan.h"

/* 0 and the request, or -EINVAL and why. Time in proportion to the text, some 60 KiB of stack. */
int shell_walk(const char *text, struct command *ret, char why[static COMMAND_WHY_SIZE]);

#endif
