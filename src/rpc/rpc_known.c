/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/rpc_known.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t find(const struct rpc_known *known, const void *uuid)
{
    size_t i = 0;

    while (i < known->n && memcmp(known->list[i].uuid, uuid, sizeof known->list[i].uuid) != 0)
        i++;
    return i;
}

void rpc_known_free(struct rpc_known *known)
{
    while (known->n > 0)
        free(known->list[--known->n].name);
    free(known->list);
    known->list = NULL;
}

const char *rpc_known_name(const struct rpc_known *known, const void *uuid)
{
    size_t i = find(known, uuid);

    return i < known->n ? known->list[i].name : NULL;
}

int rpc_known_add(struct rpc_known *known, const void *uuid, const char *name)
{
    rpc_known_forget(known, uuid);
    if (known->n == RPC_KNOWN_MAX)
        rpc_known_free(known);
    /* A power of two: time to grow. */
    if ((known->n & (known->n - 1)) == 0) {
        size_t size = known->n ? 2 * known->n : 1;
        struct rpc_known_domain *list = realloc(known->list, size * sizeof *list);
        if (!list)
            return -ENOMEM;
        known->list = list;
    }
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    memcpy(known->list[known->n].uuid, uuid, sizeof known->list[0].uuid);
    known->list[known->n++].name = copy;
    return 0;
}

void rpc_known_forget(struct rpc_known *known, const void *uuid)
{
    size_t i = find(known, uuid);

    if (i == known->n)
        return;
    free(known->list[i].name);
    known->list[i] = known->list[--known->n];
}
