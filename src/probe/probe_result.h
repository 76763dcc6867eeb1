/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What has been found of each door, as data. Printing is probe_print.c's. */
#ifndef VG_PROBE_RESULT_H
#define VG_PROBE_RESULT_H

#include <stdbool.h>
#include <stddef.h>

#define PROBE_SEEN_SIZE 256

enum verdict {
    VERDICT_CLOSED,
    VERDICT_OPEN,
    VERDICT_UNKNOWN,         /* not tried, or no answer: never taken for closed */
    VERDICT_NOT_APPLICABLE,  /* no sshd opens this: only said of a host that is meant to be open */
    VERDICT_WORKS,           /* what was expected to be granted is */
    VERDICT_FAILS,
};

struct finding {
    enum verdict verdict;
    char seen[PROBE_SEEN_SIZE];  /* bytes of the host's among them: to be escaped before anybody sees them */
};

/* Sets it; a text that does not fit is cut. */
void finding_set(struct finding *finding, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct result {
    const char *id;  /* a literal */
    char *tried;
    struct finding finding;
};

struct results {
    struct result *list;
    size_t n;
};

/* Takes ownership of tried, also on failure; NULL counts as one. 0 or -ENOMEM. */
int results_add(struct results *results, const char *id, char *tried, const struct finding *finding);
void results_free(struct results *results);

const char *verdict_name(enum verdict verdict);
size_t results_count(const struct results *results, enum verdict verdict);

/* How a probe ends that came to its end: none of sysexits.h, whose codes say that there was none. */
enum probe_status {
    PROBE_WELL = 0,     /* every door is closed, and what was expected works */
    PROBE_OPEN = 1,     /* one is open */
    PROBE_UNKNOWN = 2,  /* none is open, and of one nothing is known */
    PROBE_FAILS = 3,    /* all are closed, and what was expected does not work */
};

/* An enum probe_status, the first of OPEN, UNKNOWN and FAILS that fits. Of a host that is meant to be open (against_open):
 * PROBE_WELL only if every door is open or not applicable, PROBE_OPEN if one is closed: the probe could not tell. No door at all
 * is never PROBE_WELL. */
int results_status(const struct results *results, bool against_open);

#endif
