/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/outcome.h"

#include <errno.h>

#include "wire/field.h"

int broker_check_outcome(const struct outcome *outcome, unsigned n_fds)
{
    if (!FIELD_OK(string, outcome->vm) || !FIELD_OK(string, outcome->rule) || !FIELD_OK(string, outcome->reason) ||
        outcome->has_uuid > 1 || outcome->status > 255)
        return -EPROTO;
    if (outcome->right && !right_name((enum right)outcome->right))
        return -EPROTO;
    switch (outcome->kind) {
    case OUTCOME_OPENED:
        if (!outcome->right)
            return !outcome->has_uuid && !outcome->vm[0] && n_fds == 1 ? 0 : -EPROTO;
        return outcome->has_uuid && n_fds == (outcome->right == RIGHT_DISPLAY) ? 0 : -EPROTO;
    case OUTCOME_CALLED:
        return outcome->right && n_fds == 0 ? 0 : -EPROTO;
    case OUTCOME_REFUSED:
    case OUTCOME_ANSWERED:
    case OUTCOME_ENDED:
        return n_fds == 0 ? 0 : -EPROTO;
    }
    return -EPROTO;
}
