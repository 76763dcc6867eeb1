/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VG_CLIENT_THREAD_H
#define VG_CLIENT_THREAD_H

#include <pthread.h>

/* A thread that takes no signals: they are for the main one, which waits for them. 0 or an error number. */
int thread_start(pthread_t *ret, void *(*run)(void *context), void *context);

#endif
