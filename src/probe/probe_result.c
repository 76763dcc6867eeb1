/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/probe_result.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void finding_set(struct finding *finding, enum verdict verdict, const char *format, ...)
{
    va_list args;

    finding->verdict = verdict;
    va_start(args, format);
    vsnprintf(finding->seen, sizeof finding->seen, format, args);
    va_end(args);
}

int results_add(struct results *results, const char *id, char *tried, const struct finding *finding)
{
    struct result *list;

    if (!tried)
        return -ENOMEM;
    list = reallocarray(results->list, results->n + 1, sizeof *list);
    if (!list) {
        free(tried);
        return -ENOMEM;
    }
    results->list = list;
    list[results->n++] = (struct result){ .id = id, .tried = tried, .finding = *finding };
    return 0;
}

void results_free(struct results *results)
{
    for (size_t i = 0; i < results->n; i++)
        free(results->list[i].tried);
    free(results->list);
    *results = (struct results){ 0 };
}

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {
        [VERDICT_CLOSED] = "closed", [VERDICT_OPEN] = "OPEN", [VERDICT_UNKNOWN] = "unknown",
        [VERDICT_NOT_APPLICABLE] = "n/a", [VERDICT_WORKS] = "works", [VERDICT_FAILS] = "FAILS",
    };

    return names[verdict];
}

size_t results_count(const struct results *results, enum verdict verdict)
{
    size_t n = 0;

    for (size_t i = 0; i < results->n; i++)
        n += results->list[i].finding.verdict == verdict;
    return n;
}

int results_status(const struct results *results, bool against_open)
{
    size_t bad = results_count(results, against_open ? VERDICT_CLOSED : VERDICT_OPEN);
    size_t fails = results_count(results, VERDICT_FAILS);
    size_t good = results_count(results, VERDICT_WORKS) + results_count(results, against_open ? VERDICT_OPEN : VERDICT_CLOSED);

    if (against_open)
        good += results_count(results, VERDICT_NOT_APPLICABLE);
    if (bad)
        return PROBE_OPEN;
    if (!results->n || good + fails < results->n)
        return PROBE_UNKNOWN;
    return fails ? PROBE_FAILS : PROBE_WELL;
}
