/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words behind pam_virtgate.so in a file of /etc/pam.d. Pure: points into argv, knows no account. */
#ifndef VG_PAM_OPTIONS_H
#define VG_PAM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_WHY_SIZE 160
#define OPTION_NAME_SIZE 256

struct pam_options {
    const char *config;      /* the ACL: a file or a folder */
    const char *group;       /* whose members are under the gate */
    const char *services;    /* a list with commas; NULL: all */
    const char *hide_except; /* a list of groups */
    bool hide;               /* libvirt's sockets, from ordinary shell accounts */
};

/* 0; or -EINVAL, and why. What was understood until then is in *ret all the same, for every service: a mistake in these
 * words must not be what leaves a gate user without the gate. */
int pam_options_parse(int argc, const char *const argv[], struct pam_options *ret, char why[static OPTIONS_WHY_SIZE]);

bool pam_options_serve(const struct pam_options *options, const char *service);

/* The next name of a list; *at starts at the list and is NULL after its last name. False: there is none. */
bool pam_options_next(const char **at, char name[static OPTION_NAME_SIZE]);

#endif
