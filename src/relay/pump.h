/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One direction of a relay: bytes from one descriptor to another, without waiting. Through a pipe with splice(2), so that
 * they are not copied into this process, where both ends can do that; through a buffer where not. */
#ifndef VG_PUMP_H
#define VG_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUMP_SIZE (64U * 1024)

struct pump {
    int from, to;
    int pipe[2];             /* -1 without splice */
    char *data;              /* without splice: PUMP_SIZE bytes, and one for the filter */
    size_t at, held;         /* bytes taken from `from` that `to` has not got yet, from data + at */
    bool ended;              /* `from` has no more */
    uint64_t total;          /* bytes that reached `to` */
    bool from_waits, to_waits; /* it would wait (a terminal): touched once, and only after poll(2) said so */
    /* Looks at the bytes just read, and may change, shorten or grow them by one; only without splice. True: stop after
     * them. */
    bool (*filter)(void *context, char *data, size_t *len);
    void *context;
    bool stopped;            /* filter said so */
};

/* With a filter there is no splice. 0 or -errno. */
int pump_open(struct pump *pump, int from, int to);
void pump_close(struct pump *pump);

/* Moves what can be moved without waiting; readable, writable: what poll(2) said of from and to. 0; or -errno of the writing side: -EPIPE when nobody reads. Errors of the
 * reading side are its end. */
int pump_move(struct pump *pump, bool readable, bool writable);

/* What to poll for: POLLIN on from, POLLOUT on to. */
bool pump_wants_input(const struct pump *pump);
bool pump_wants_output(const struct pump *pump);

/* Everything that came has been handed on, and no more will come. */
bool pump_done(const struct pump *pump);

#endif
