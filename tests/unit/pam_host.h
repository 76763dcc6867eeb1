/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host for pam_virtgate.so without root: the module and libpam, which are the real ones, find the functions of libc that
 * pam_host.c has in the place of libc's. */
#ifndef VG_PAM_HOST_H
#define VG_PAM_HOST_H

#include <stdbool.h>
#include <sys/types.h>

#define HOST_GROUP "virtgate-users"
#define HOST_GROUP_GID 54321U /* nobody's who runs tests */

struct pam_host {
    char folder[64];       /* of the test's own; the records of logins are in FOLDER/login */
    unsigned session;      /* the audit session of this process; 0: none */
    unsigned parent;       /* that of its parent */
    int nss_error;         /* of every question to NSS about groups */
    bool nameless;         /* no number of a group leads to a name */
    unsigned long n_calls; /* of malloc and the like, while they are counted */
    unsigned long fail_at; /* this one finds no memory; 0: none does not */
    bool fail_on;          /* nor do those that follow */
    bool counted;
    char log[8192];        /* what went to syslog */
};

extern struct pam_host host;

#endif
