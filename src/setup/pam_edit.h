/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lines of pam_virtgate.so in a PAM file of sshd's, and what changed in a file. Pure. */
#ifndef VG_SETUP_PAM_EDIT_H
#define VG_SETUP_PAM_EDIT_H

#include <stdio.h>

/* The text with the module's three lines in it: first of auth, first of account, behind pam_loginuid.so (which begins the
 * audit session that the session line needs; where the file has none, one comes with it); and with user_readenv=1 taken
 * back, by which a login reads a file of the user's. What is there already stays as it is. 0 and *ret, the caller's; -EINVAL
 * when there is no rule at all; -ENOMEM. */
int pam_edit(const char *text, char **ret);

/* Prints the lines by which new differs from old, as diff -U0 would, under the file's name. An old of NULL is a file that
 * is not there. */
void print_diff(FILE *out, const char *name, const char *old, const char *new);

#endif
