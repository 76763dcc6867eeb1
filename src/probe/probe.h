/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgate probe: logs in as a user of the gate and tries every door from outside.
 *
 * A door is a row of a table: what is tried, and the function that tries it. Each doors_*.c has one family of them. It is
 * never harmful: what turns out to be open is closed again at once, calls that would change a machine are made in a form that
 * libvirtd itself must reject, commands only read, and the rate of logins is bounded.
 *
 * Three means, in this order: libssh; the system's ssh(1) as a master that passes on messages which libssh cannot send
 * (probe_raw.h); neither, and then the door is unknown. */
#ifndef VG_PROBE_H
#define VG_PROBE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/connection.h"
#include "probe/probe_judge.h"
#include "probe/probe_result.h"

struct raw;

/* A machine that is not the user's, as far as the caller has told. */
struct other {
    const char *name, *uuid, *port, *path;
    bool runs;
};

struct probe_options {
    struct login *login;     /* how libssh gets there */
    const struct login_options *config;  /* that the login was made with, for ssh(1) */
    const char *ssh;         /* ssh(1): a program and its arguments, blanks between them */
    struct other other;
    const char *expect;      /* a machine that is the user's, whose console is to be opened; or NULL */
    const char *only;        /* a pattern of fnmatch(3), with FNM_EXTMATCH, for the doors' names; or NULL */
    bool against_open;
    int login_pause_ms;      /* at least so long from one login to the next */
    int answer_ms;           /* how long an answer is waited for */
    int64_t max_ms;          /* for all of it */
    const volatile sig_atomic_t *stop;  /* when it is set, nothing more is tried */
    void (*told)(void *context, const struct result *result);   /* as each is found */
    void *context;
};

struct probe {
    const struct probe_options *options;
    struct connection *connection;
    ssh_session session;     /* the connection's: libssh's login, made when it is needed; NULL before and when it is over */
    ssh_event event;
    struct raw *raw;         /* ssh's, likewise */
    bool is_stuck;           /* libssh's login gives no answers any more: the next door gets another */
    int64_t last_login, end;
    char gone[WHY_SIZE];     /* why there is no login any more: nothing is tried from then on; "" */
    char no_raw[PROBE_SEEN_SIZE];  /* why ssh(1) gets none, after so many tries */
    unsigned raw_failed;
};

struct door {
    const char *id;
    const char *tried;       /* for a person; %n %u %p %s stand for what is known of the other machine,
                              * %r for its running. NULL: the text */
    void (*try)(struct probe *probe, const struct door *door, struct finding *finding);
    const char *text, *more;
    long number, number2;
    const char *never;       /* why a sshd may leave it closed even if it is open to everything */
};

struct family {
    const struct door *doors;
    size_t n;
};

#define FAMILY(list) { (list), sizeof (list) / sizeof *(list) }

extern const struct family family_forward, family_listen, family_session, family_channel, family_commands, family_size,
    family_rpc, family_display;

/* Is there a door whose name the pattern fits? */
bool probe_has(const char *only);

/* Tries them all. 0; or a status of sysexits.h and why: there is no login at all, or no memory. */
int probe_run(const struct probe_options *options, struct results *results, char why[static WHY_SIZE]);

/* Does --expect's machine open? */
void probe_expect(struct probe *probe, struct finding *finding);

/* --- helpers for the doors ----------------------------------------------------------------------------------------- */

/* Keeps the pause between logins. */
void probe_pause(struct probe *probe);

/* Is a signal there, or the time up? */
bool probe_is_over(const struct probe *probe);

/* probe->session is logged in afterwards. 0; or a status of sysexits.h and why. */
int probe_connect(struct probe *probe, char why[static WHY_SIZE]);

/* probe->session, logged in, with a few tries if the host is out of reach; NULL with the finding set to unknown. */
ssh_session probe_session(struct probe *probe, struct finding *finding);

/* For who cannot know what is left of the login. */
void probe_drop_session(struct probe *probe);

/* A session channel. sshd may not have seen the end of the one before yet, of which the gate permits one: asked again for a
 * while. NULL with answer->why or lost set. */
ssh_channel probe_channel(struct probe *probe, struct answer *answer);

/* Reads until the session ends, proof comes or the time is up. Frees the channel; a session that has not ended takes its
 * login with it. */
void probe_read(struct probe *probe, ssh_channel channel, const char *proof, struct answer *answer);

/* The same for a while, and the channel stays. */
void probe_read_some(struct probe *probe, ssh_channel channel, const char *proof, int ms, struct answer *answer);

/* Was a request granted, by what libssh returned for it? If not: did sshd refuse it, is the login gone, or did nobody answer?
 * libssh's last error alone does not tell; it may be of an earlier request. */
bool probe_granted(struct probe *probe, int r, struct answer *answer);

/* Runs a command, on a terminal if wanted. */
void probe_exec(struct probe *probe, const char *command, bool tty, const char *input, const char *proof, struct answer *answer);

/* So many of that letter. NULL: no memory. The caller's to free. */
char *probe_many(char letter, size_t n);

/* text with %n, %u, %p and %s replaced by what is known of the other machine, %r by nothing if it runs; %% is
 * %. NULL with the finding set to unknown if that was not told. The caller's to free. */
char *probe_fill_in(const struct probe *probe, const char *text, struct finding *finding);

#endif
