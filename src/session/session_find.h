/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From what a user asked for to one domain that the user may use so, or to a refusal. */
#ifndef VG_SESSION_FIND_H
#define VG_SESSION_FIND_H

#include "policy/policy.h"
#include "session/virt_open.h"

struct command;

struct finding {
    struct virt_domain domain; /* set when 0 was returned, and with -EACCES when there is such a domain */
    unsigned index;            /* of the display */
    struct verdict verdict;    /* of the domain, or of nothing found */
};

/* 0: found and allowed; -EACCES: not the user's, or not there (the user is told the same in either case);
 * -EIO: libvirtd does not answer. The caller releases finding->domain in every case. */
int session_find(struct virt *virt, const struct policy *view, const struct subject *subject,
                 const struct command *command, enum right right, struct finding *finding);

#endif
