/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgated: one thread that waits for everything (sd-event), and for each connection a struct connection that goes
 *
 *     REQUEST  -> IDENTITY -> OUTCOME        -> LIVE              -> ENDING
 *     claims      uid's       the session       stream runs,         a serial session's process
 *     are read    account     process opens     broker can cut it    brings its last numbers
 *
 * and ends at any point when the client goes, breaks the protocol or takes too long. */
#ifndef VG_BROKER_H
#define VG_BROKER_H

#include <stdint.h>

#include <systemd/sd-event.h>

#include "broker/identity.h"
#include "broker/limit.h"
#include "broker/workers.h"
#include "policy/policy.h"
#include "wire/login.h"
#include "wire/outcome.h"
#include "wire/peer.h"
#include "wire/request.h"

#define BROKER_CONNECTIONS_MAX 4096
#define BROKER_CONNECTIONS_BESIDE 8 /* of one uid, beside its sessions: those that list, or have not asked yet */
#define BROKER_REQUEST_USEC 5000000ULL   /* for a client to say what it wants */
#define BROKER_ANSWER_USEC 30000000ULL   /* for NSS and libvirtd to answer */
#define BROKER_ENDING_USEC 5000000ULL    /* for a session process to end by itself */
#define BROKER_TICK_USEC 2000000ULL      /* how often live sessions are looked at: time limits, hours, until */

enum connection_state { WANT_REQUEST, WANT_IDENTITY, WANT_OUTCOME, LIVE, ENDING };

struct broker;

struct connection {
    struct broker *broker;
    struct connection *next, *previous;
    enum connection_state state;
    char id[17];                /* for the log: 64 random bits */
    int fd;                     /* to virtgate-shell */
    struct peer peer;
    sd_event_source *on_fd, *on_peer, *on_time, *on_control, *on_held;
    struct request request;
    bool has_login;
    struct login login;         /* what PAM knew of it */
    uintptr_t identity_number;  /* of the question that was asked of NSS */
    struct identity *identity;  /* from its answer on */
    struct worker worker;
    struct outcome opened;      /* from LIVE on: domain, right, rule */
    int held;                   /* the copy of a display's stream or of a connection to libvirt; -1 for a serial console */
    void *view;                 /* of a connection to libvirt: what its filter decides by */
    size_t view_len;
    struct report bytes;
    int64_t opened_ms, active_ms;
    bool started;               /* a start was logged, an end is owed */
    const char *end_reason;     /* for the log; the first one counts */
};

struct broker {
    sd_event *event;
    const char *config;         /* path of the ACL */
    struct policy *policy;
    struct workers *workers;
    struct workers *filters;    /* the same for virtgate-rpc */
    struct limit limit;
    struct connection *connections;
    unsigned n_connections, connections_max;
    uintptr_t identity_numbers;
    sd_event_source *tick;
    int listener;
};

struct broker_options {
    const char *config;
    const char *session_path, *rpc_path;
    int listener;               /* taken over, also on failure */
};

/* Loads the ACL, serves until SIGTERM or SIGINT. Returns the exit status. */
int broker_run(const struct broker_options *options);

/* Reads the ACL again: all of it, or the old one stays. 0, or -EINVAL with the first error in why (the log has all). */
int broker_reload(struct broker *broker, char why[static VERDICT_TEXT_SIZE]);

/* Writes every error to the log. */
void broker_log_errors(const struct policy_errors *errors);

#endif
