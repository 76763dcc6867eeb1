/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, void *(*run)(void *context), void *context)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}
