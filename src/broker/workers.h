/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Session processes (virtgate-session), some started ahead: loading libvirt takes 12 ms, which no user should wait for.
 * Each serves one job and ends. */
#ifndef VG_WORKERS_H
#define VG_WORKERS_H

#include <systemd/sd-event.h>

struct worker {
    int control;            /* to the process, does not wait; closing it or its writing half ends the process */
    sd_event_source *child; /* the process itself; NULL: no worker */
};

struct workers;

/* path: of virtgate-session. ahead: how many wait for a job. 0 or -errno. */
int workers_new(sd_event *event, const char *path, unsigned ahead, struct workers **ret);
void workers_free(struct workers *workers);

/* Takes one: a waiting one, or a new one when all are taken. Its replacement is started when the broker has nothing else
 * to do. 0 or -errno; the worker is the caller's. SIGCHLD must be blocked. */
int workers_take(struct workers *workers, struct worker *ret);

/* Lets go of it: its socket is closed, and the process, if it has not ended yet, is killed. */
void worker_dismiss(struct worker *worker);

#endif
