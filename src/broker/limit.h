/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many refusals of one account are written to the log: a client that asks ten thousand times a second must not fill
 * the disk, nor push other records out. */
#ifndef VG_LIMIT_H
#define VG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LIMIT_BURST 100     /* records at once: more than a person or a script makes by mistake */
#define LIMIT_PER_SECOND 20 /* and then */
#define LIMIT_SLOTS 256

struct limit {
    struct {
        int64_t last_ms;
        double tokens;
        unsigned suppressed;
    } slot[LIMIT_SLOTS];    /* by uid; uids that share one share its allowance */
};

/* May this be written? When true, *ret_suppressed says how many were not since the last that was. */
bool limit_allows(struct limit *limit, uid_t uid, int64_t now_ms, unsigned *ret_suppressed);

#endif
