/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STACK_SIZE (512 * 1024)

static int answers[2] = { -1, -1 };
static atomic_int n_asked;

int identity_prepare(int *ret_answers)
{
    if (pipe2(answers, O_CLOEXEC) < 0)
        return -errno;
    if (fcntl(answers[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    *ret_answers = answers[0];
    return 0;
}

static void *look_up(void *argument)
{
    struct identity *identity = argument;

    identity->error = account_of_uid(identity->uid, &identity->account);
    if (identity->error == 0)
        identity->error = account_name_groups(&identity->account);
    /* A pointer is less than PIPE_BUF, so it goes whole; the pipe holds more than IDENTITY_ASKED_MAX of them. */
    if (write(answers[1], &identity, sizeof identity) != (ssize_t)sizeof identity)
        abort();
    return NULL;
}

int identity_ask(uid_t uid, void *context)
{
    struct identity *identity;
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int error;

    if (atomic_load(&n_asked) >= IDENTITY_ASKED_MAX)
        return -EAGAIN;
    identity = calloc(1, sizeof *identity);
    if (!identity)
        return -ENOMEM;
    identity->uid = uid;
    identity->context = context;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, look_up, identity);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error) {
        free(identity);
        return -error;
    }
    atomic_fetch_add(&n_asked, 1);
    return 0;
}

struct identity *identity_next(void)
{
    struct identity *identity;

    if (read(answers[0], &identity, sizeof identity) != (ssize_t)sizeof identity)
        return NULL;
    atomic_fetch_sub(&n_asked, 1);
    return identity;
}

bool identity_is_in(const struct identity *identity, const char *group)
{
    const struct account *account = &identity->account;

    for (size_t i = 0; i < account->n_groups; i++)
        if (strcmp(account->group[i], group) == 0)
            return true;
    return false;
}

void identity_free(struct identity *identity)
{
    if (!identity)
        return;
    account_free(&identity->account);
    free(identity);
}
