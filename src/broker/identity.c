/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define NSS_BUFFER (256 * 1024)
#define GROUPS_MAX 4096
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

static int look_up_name(struct identity *identity, gid_t *ret_gid, char *buffer)
{
    struct passwd entry, *found = NULL;
    int error;

    do
        error = getpwuid_r(identity->uid, &entry, buffer, NSS_BUFFER, &found);
    while (error == EINTR);
    if (error)
        return -error;
    if (!found || !entry.pw_name[0])
        return -ENOENT;
    if (text_copy(identity->name, sizeof identity->name, entry.pw_name) < 0)
        return -ENAMETOOLONG;
    *ret_gid = entry.pw_gid;
    /* The name must lead back to the uid: with two sources that disagree, the rules of a name would go to another uid. */
    do
        error = getpwnam_r(identity->name, &entry, buffer, NSS_BUFFER, &found);
    while (error == EINTR);
    if (error)
        return -error;
    return found && entry.pw_uid == identity->uid ? 0 : -ENOENT;
}

static int look_up_groups(struct identity *identity, gid_t gid, char *buffer)
{
    int n = GROUPS_MAX;
    gid_t *gids = calloc(GROUPS_MAX, sizeof *gids);
    int r = 0;

    if (!gids)
        return -ENOMEM;
    if (getgrouplist(identity->name, gid, gids, &n) < 0) {
        free(gids);
        return -E2BIG;
    }
    identity->group = calloc((size_t)n, sizeof *identity->group);
    if (!identity->group)
        r = -ENOMEM;
    for (int i = 0; r == 0 && i < n; i++) {
        struct group entry, *found = NULL;
        int error = getgrgid_r(gids[i], &entry, buffer, NSS_BUFFER, &found);
        if (error == EINTR) {
            i--;
        } else if (error || !found) {
            r = error ? -error : -ENOENT; /* a deny may hang on this group: without its name nothing is decided */
        } else {
            identity->group[identity->n_groups] = strdup(entry.gr_name);
            if (!identity->group[identity->n_groups])
                r = -ENOMEM;
            else
                identity->n_groups++;
        }
    }
    free(gids);
    return r;
}

static void *look_up(void *argument)
{
    struct identity *identity = argument;
    char *buffer = malloc(NSS_BUFFER);
    gid_t gid = 0;

    identity->error = buffer ? look_up_name(identity, &gid, buffer) : -ENOMEM;
    if (identity->error == 0)
        identity->error = look_up_groups(identity, gid, buffer);
    free(buffer);
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
    for (size_t i = 0; i < identity->n_groups; i++)
        if (strcmp(identity->group[i], group) == 0)
            return true;
    return false;
}

void identity_free(struct identity *identity)
{
    if (!identity)
        return;
    for (size_t i = 0; i < identity->n_groups; i++)
        free(identity->group[i]);
    free(identity->group);
    free(identity);
}
