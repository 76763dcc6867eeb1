/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an answer of the host's means. Pure. */
#ifndef VG_PROBE_JUDGE_H
#define VG_PROBE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/probe_result.h"

#define ANSWER_SIZE 32768

/* What came of a session: a command, a shell, a subsystem. */
struct answer {
    bool opened;     /* there was a session to ask in; if not, why says so */
    bool refused;    /* the request itself */
    bool lost;       /* the host ended the connection */
    bool ended;      /* the session came to its end */
    int status;      /* exit status, or -1 */
    size_t enough;   /* bytes of out after which the rest is of no interest; 0: all are wanted */
    size_t out_len, err_len;
    char out[ANSWER_SIZE], err[ANSWER_SIZE];  /* their beginnings; a NUL behind the last byte, others may be among them */
    char why[PROBE_SEEN_SIZE];
};

/* What is seen of a connection that the host ended. It is closed only if the next login shows that the host is still there. */
#define SEEN_LOST "the host ended the connection"

#define ANSWER_NONE { .status = -1 }

/* Keeps what there is room for. */
void answer_add(struct answer *answer, bool is_err, const void *data, size_t len);

/* The gate's own line ("virtgate: ...") in the answer, or NULL; *ret_len without its end. */
const char *answer_gate_line(const struct answer *answer, size_t *ret_len);

/* True if text is among what came, on either stream. */
bool answer_holds(const struct answer *answer, const char *text);

/* Did anything but the gate answer? The gate says a line and ends with a status that is not 0. With a proof, that or a good end
 * is taken for a shell that ran it; without one, every answer that is not the gate's refusal is. */
void judge_answer(const struct answer *answer, const char *proof, struct finding *finding);

/* A subsystem's: of what it says on standard error sshd passes nothing on, and one that says nothing else and ends badly has
 * refused. */
void judge_subsystem(const struct answer *answer, struct finding *finding);

/* A display's or console's stream: any byte of it is an open door. */
void judge_stream(const struct answer *answer, struct finding *finding);

/* A list of machines, as a table or as JSON, that must not have that name in it. */
void judge_names(const struct answer *answer, const char *name, struct finding *finding);

/* --- a channel that was asked for ---------------------------------------------------------------------------------- */

enum asked { ASKED_TCP, ASKED_OTHER };

#define OPEN_PROHIBITED 1      /* RFC 4254, 5.1 */
#define OPEN_CONNECT_FAILED 2

/* sshd says "connect failed" of a port only after it has tried: then forwarding is open and nobody listens there, unless the
 * kernel (Landlock, seccomp) kept sshd's own process from it. */
void judge_refused_channel(enum asked asked, uint32_t reason, const char *text, struct finding *finding);

/* Takes apart libssh's "Channel opening failure: channel 43 error (1) open failed". False if it is not that. */
bool judge_libssh_refusal(const char *message, uint32_t *ret_reason, const char **ret_text);

/* --- libvirt's protocol -------------------------------------------------------------------------------------------- */

/* The code of a reply's error; 0 is none. What is refused and what does not exist is closed; every other error is libvirtd's
 * own, which had to see the call first. */
void judge_rpc_reply(int code, const char *message, struct finding *finding);

#endif
