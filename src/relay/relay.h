/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Carries a user's standard input and output to a stream and back. Knows no policy. */
#ifndef VG_RELAY_H
#define VG_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum relay_end {
    RELAY_STREAM_ENDED, /* the other side ended, and all it sent has been handed on */
    RELAY_USER_ENDED,   /* nobody reads the user's output any more */
    RELAY_STOPPED,      /* the filter stopped it */
    RELAY_SIGNAL,       /* *stop became true */
    RELAY_CONTROL,      /* watch said so */
    RELAY_FAILED,
};

struct relay {
    int in, out;        /* the user's; may be the same open socket, or a terminal */
    int stream;
    int control;        /* watched beside, -1 for none */
    /* Called when control is readable or has ended. True: end now; else go on, without control when *drop is set. */
    bool (*watch)(void *context, bool *drop);
    /* From the user to the stream, see pump.h; NULL for none. */
    bool (*filter)(void *context, char *data, size_t *len);
    /* Called about once a second while bytes move. */
    void (*report)(void *context, uint64_t to_user, uint64_t from_user);
    void *context;
    const volatile int *stop; /* set by a signal handler; NULL for none */
};

struct relay_totals {
    uint64_t to_user, from_user;
};

/* The end of the user's input closes the writing half of the stream, and what still comes is handed on; the end of the
 * stream, once handed on, ends it all at once, whatever the user is doing. Descriptors are put back as they were. */
enum relay_end relay_run(const struct relay *relay, struct relay_totals *ret_totals);

#endif
