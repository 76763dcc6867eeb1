/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who logs in, and whether they may. Every stage asks anew: what one stage knew may be lost for the next, because sshd runs
 * some of them in processes that end (attacks E2, E3). */
#ifndef VG_PAM_GATE_H
#define VG_PAM_GATE_H

#include <security/pam_modules.h>
#include <stdbool.h>

#include "base/account.h"
#include "pam_options.h"
#include "policy/policy.h"

enum standing {
    STANDING_OTHER,   /* not under the gate, or a service that is not ours: nothing is done to them */
    STANDING_GATED,   /* a member of the gate's group, or an account whose login shell is the gate */
    STANDING_UNKNOWN, /* nobody knows; not root. They may be a gate user, so they are refused */
};

struct call {
    pam_handle_t *pamh;
    struct pam_options options;
    bool broken;            /* the options are: gate users are refused */
    bool served;            /* the service is one of the options */
    const char *service;
    struct account account; /* empty unless served */
    enum standing standing;
};

/* Logs what is wrong. To be ended by call_end(). */
void call_begin(struct call *call, pam_handle_t *pamh, int argc, const char **argv);
void call_end(struct call *call);

/* For the log of the service, authpriv; escaped as a whole. */
void call_log(const struct call *call, int priority, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* For the process that becomes the user: sshd has given it the user's groups, and the kernel knows them, whoever PAM_USER is
 * by now (attack E20) and whatever NSS says. Makes who has the gate's group a gate user. */
void call_ask_kernel(struct call *call);

/* PAM_RHOST where it is an address. A name is what a reverse lookup made of it (UseDNS), or anything at all. */
struct address call_address(const struct call *call);

/* True for a gate user who has any grant here and now, with the gate's settings; logs why not. */
bool call_may_enter(struct call *call, struct settings *ret);

#endif
