/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A command on a host as a socket here. */
#ifndef VG_CLIENT_FAR_H
#define VG_CLIENT_FAR_H

#include <pthread.h>

#include "client/remote.h"

struct far {
    int near;                 /* the command's input and output; the caller's to use, and far_end()'s to close */
    int status;               /* of the command, after far_end() */
    struct remote_said said;
    /* --- */
    struct remote *remote;
    const char *command;
    int other;
    pthread_t thread;
};

/* 0; or EX_OSERR after a line. command is kept until far_end(). */
int far_start(struct far *far, struct remote *remote, const char *command);

/* Hangs up, and waits until the command is over. */
void far_end(struct far *far);

#endif
