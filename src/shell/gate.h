/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shell's end of the connection to the broker. */
#ifndef VG_GATE_H
#define VG_GATE_H

#include "wire/reply.h"
#include "wire/request.h"

struct gate_answer {
    struct reply reply;
    int connection; /* stays open while a session lives; the caller's */
    int fd;         /* with REPLY_STREAM and REPLY_LISTING, else -1; the caller's */
};

/* Asks and waits for the answer. 0; or a status of sysexits.h, after one line on standard error. */
int gate_ask(const struct request *request, struct gate_answer *ret);

/* For a client that refused by itself: so that the log has it. Says nothing, waits at most a moment. */
void gate_tell_refusal(const struct request *request);

/* What came with a REPLY_LISTING, whole (wire/listing.h). 0 and an allocated *ret, or -errno. */
int gate_take_listing(const struct gate_answer *answer, char **ret, size_t *ret_len);

void gate_answer_close(struct gate_answer *answer);

/* Byte counts so far, for the log and for idle sessions. */
void gate_report(int connection, uint64_t to_user, uint64_t from_user);

/* The broker said something while a session ran, or went: the end's line to standard error. Returns the status; 0 for a
 * session that simply is over. */
int gate_read_end(int connection);

/* "virtgate: line\n" to standard error, at most 300 bytes. Returns status. */
int gate_complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
