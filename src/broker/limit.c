/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/limit.h"

bool limit_allows(struct limit *limit, uid_t uid, int64_t now_ms, unsigned *ret_suppressed)
{
    size_t at = uid % LIMIT_SLOTS;
    double tokens = limit->slot[at].tokens;

    if (limit->slot[at].last_ms == 0)
        tokens = LIMIT_BURST;
    else
        tokens += (double)(now_ms - limit->slot[at].last_ms) * LIMIT_PER_SECOND / 1000.0;
    if (tokens > LIMIT_BURST)
        tokens = LIMIT_BURST;
    limit->slot[at].last_ms = now_ms;
    if (tokens < 1) {
        limit->slot[at].tokens = tokens;
        limit->slot[at].suppressed++;
        return false;
    }
    limit->slot[at].tokens = tokens - 1;
    *ret_suppressed = limit->slot[at].suppressed;
    limit->slot[at].suppressed = 0;
    return true;
}
