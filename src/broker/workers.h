/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Session processes (virtgate-session; filters: virtgate-rpc), some started ahead: loading libvirt takes 12 ms, which no user
 * should wait for.
 * Each serves one job and ends. */
#ifndef VG_WORKERS_H
#define VG_WORKERS_H

#include <systemd/sd-event.h>

struct worker {
    int control;            /* to the process, does not wait; closing it or its writing half ends the process */
    sd_event_source *child; /* the process itself; NULL: no worker */
};

struct workers;

/* path: of the program. uri: what a process connects to ahead of its job, if it does. ahead: how many wait for one. 0 or -errno. */
int workers_new(sd_event *event, const char *path, const char *uri, unsigned ahead, struct workers **ret);

/* Another uri: those that wait are let go, and others started. */
void workers_set_uri(struct workers *workers, const char *uri);
void workers_free(struct workers *workers);

/* Takes one: a waiting one, or a new one when all are taken. Its replacement is started a moment
 * later. 0 or -errno; the worker is the caller's. SIGCHLD must be blocked. */
int workers_take(struct workers *workers, struct worker *ret);

/* Lets go of it: its socket is closed, and the process, if it has not ended yet, is killed. */
void worker_dismiss(struct worker *worker);

#endif
