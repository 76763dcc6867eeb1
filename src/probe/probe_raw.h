/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages that libssh cannot send, by way of the system's ssh(1): run as a master (-M -N), it takes unencrypted channel
 * messages over its control socket and passes them on to the host as they are (OpenSSH's PROTOCOL.mux, "proxy mode").
 * Any channel type, any channel request, NULs included; of global requests only the forwardings. */
#ifndef VG_PROBE_RAW_H
#define VG_PROBE_RAW_H

#include "probe/probe.h"
#include "probe/probe_bytes.h"

struct raw_channel {
    uint32_t local, remote;
    struct answer answer;    /* what the host sent on it so far */
};

enum raw_reply {
    RAW_YES,
    RAW_NO,
    RAW_LOST,      /* the host ended the connection */
    RAW_SILENT,    /* no answer in time */
    RAW_STUCK,     /* ssh(1) did not pass it on */
};

/* The login by ssh(1), made if there is none; NULL with the finding set to unknown. */
struct raw *raw_login(struct probe *probe, struct finding *finding);
void raw_close(struct raw *raw);

/* CHANNEL_OPEN of that type with those bytes behind. With RAW_NO the reason and text of the refusal. */
enum raw_reply raw_open(struct probe *probe, const char *type, const struct bytes *more, struct raw_channel *ret,
                        uint32_t *ret_reason, char text[static PROBE_SEEN_SIZE]);

/* A session, asked for again while the one before may not have ended yet. Text as above. */
enum raw_reply raw_session(struct probe *probe, struct raw_channel *ret, char text[static PROBE_SEEN_SIZE]);

/* The same behind a login. False with the finding set when there is none, or was refused. */
bool raw_session_to_ask_in(struct probe *probe, struct raw_channel *ret, enum raw_reply *ret_reply, struct finding *finding);

/* CHANNEL_REQUEST that wants an answer. */
enum raw_reply raw_request(struct probe *probe, struct raw_channel *channel, const char *name, const struct bytes *more);

/* The same right behind a first one, whose answer is not waited for; RAW_STUCK if the first is refused. */
enum raw_reply raw_request_behind(struct probe *probe, struct raw_channel *channel, const char *first,
                                  const struct bytes *of_first, const char *name, const struct bytes *more);

/* Waits for the first bytes of its output, or its end: only then is there a process that a signal could reach. RAW_YES, or why
 * not. */
enum raw_reply raw_first_output(struct probe *probe, struct raw_channel *channel);

/* Sends text and reads until proof, a line of the gate's, the end or the time is up. Without a text: ends what goes to it, and
 * reads until proof, the end or the time is up. */
void raw_read(struct probe *probe, struct raw_channel *channel, const char *text, const char *proof);

void raw_close_channel(struct probe *probe, struct raw_channel *channel);

/* streamlocal-forward@openssh.com, taken back at once when it was granted. */
enum raw_reply raw_listen_socket(struct probe *probe, const char *path);

/* Did ssh(1) hear the host say that, in a debug message? */
bool raw_heard(struct probe *probe, const char *text);

/* What a reply other than RAW_YES and RAW_NO means. */
void raw_judge_silence(enum raw_reply reply, struct finding *finding);

#endif
