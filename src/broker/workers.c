/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "policy/policy.h"

#define AHEAD_MAX 16
#define REFILL_FIRST_USEC 40000 /* after a request: by then its session is open */
#define REFILL_NEXT_USEC 20000

struct workers {
    sd_event *event;
    sd_event_source *refill;
    const char *path;
    char uri[POLICY_URI_SIZE];
    unsigned ahead, n;
    struct worker waiting[AHEAD_MAX]; /* the oldest first */
};

/* The child's descriptor 3 is its socket; all others of ours are close-on-exec. It gets no environment: libvirt reads
 * LIBVIRT_*, XDG_* and HOME. */
static int spawn(const char *path, const char *uri, int socket, pid_t *ret_pid)
{
    char *argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t)uri, NULL }, *environment[] = { (char *)(uintptr_t)"LANG=C", NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    int error;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&none);
    sigfillset(&defaults);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, socket, 3);
    if (!error)
        error = posix_spawn(ret_pid, path, &actions, &attributes, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -error;
}

static int on_exit_of_worker(sd_event_source *source, const siginfo_t *info, void *context)
{
    (void)source;
    (void)info;
    (void)context;
    return 0; /* it is reaped; what its end means is learnt from its socket */
}

static int start_worker(struct workers *workers, struct worker *ret)
{
    struct worker worker = { .control = -1 };
    int pair[2], r;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    /* dup2(3, 3) would leave it close-on-exec. */
    if (pair[1] == 3) {
        int moved = fcntl(pair[1], F_DUPFD_CLOEXEC, 4);
        fd_close(&pair[1]);
        pair[1] = moved;
    }
    worker.control = pair[0];
    r = pair[1] < 0 ? -EMFILE : spawn(workers->path, workers->uri, pair[1], &pid);
    fd_close(&pair[1]);
    if (r == 0)
        r = sd_event_add_child(workers->event, &worker.child, pid, WEXITED, on_exit_of_worker, NULL);
    if (r >= 0)
        r = sd_event_source_set_child_process_own(worker.child, true);
    if (r >= 0)
        r = fd_set_nonblock(worker.control, 1);
    if (r < 0) {
        worker_dismiss(&worker);
        return r;
    }
    *ret = worker;
    return 0;
}

/* Not at once: the processor time that loading libvirt takes would be taken from the session just started. */
static void refill_later(struct workers *workers, uint64_t usec)
{
    int enabled = SD_EVENT_OFF;

    sd_event_source_get_enabled(workers->refill, &enabled);
    if (enabled != SD_EVENT_OFF)
        return; /* a steady stream of requests does not put it off for ever */
    sd_event_source_set_time_relative(workers->refill, usec);
    sd_event_source_set_enabled(workers->refill, SD_EVENT_ONESHOT);
}

static int on_refill(sd_event_source *source, uint64_t usec, void *context)
{
    struct workers *workers = context;

    (void)source;
    (void)usec;
    /* One at a time: whoever asks meanwhile is served first. */
    if (workers->n < workers->ahead && start_worker(workers, &workers->waiting[workers->n]) == 0)
        workers->n++;
    if (workers->n < workers->ahead)
        refill_later(workers, REFILL_NEXT_USEC);
    return 0;
}

int workers_new(sd_event *event, const char *path, const char *uri, unsigned ahead, struct workers **ret)
{
    struct workers *workers = calloc(1, sizeof *workers);
    int r;

    if (!workers)
        return -ENOMEM;
    workers->event = event;
    workers->path = path;
    text_copy(workers->uri, sizeof workers->uri, uri);
    workers->ahead = ahead < AHEAD_MAX ? ahead : AHEAD_MAX;
    r = sd_event_add_time_relative(event, &workers->refill, CLOCK_MONOTONIC, 0, 1000, on_refill, workers);
    if (r >= 0)
        r = sd_event_source_set_priority(workers->refill, SD_EVENT_PRIORITY_IDLE);
    if (r < 0) {
        workers_free(workers);
        return r;
    }
    *ret = workers;
    return 0;
}

static void let_go(struct workers *workers)
{
    while (workers->n > 0)
        worker_dismiss(&workers->waiting[--workers->n]);
}

void workers_set_uri(struct workers *workers, const char *uri)
{
    if (strcmp(workers->uri, uri) == 0)
        return;
    text_copy(workers->uri, sizeof workers->uri, uri);
    let_go(workers);
    refill_later(workers, REFILL_NEXT_USEC);
}

void workers_free(struct workers *workers)
{
    if (!workers)
        return;
    sd_event_source_disable_unref(workers->refill);
    let_go(workers);
    free(workers);
}

int workers_take(struct workers *workers, struct worker *ret)
{
    refill_later(workers, REFILL_FIRST_USEC);
    while (workers->n > 0) {
        *ret = workers->waiting[0];
        memmove(workers->waiting, workers->waiting + 1, --workers->n * sizeof workers->waiting[0]);
        /* One that died while it waited (killed, out of memory) has closed its end. */
        char byte;
        if (recv(ret->control, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
            return 0;
        worker_dismiss(ret);
    }
    return start_worker(workers, ret);
}

void worker_dismiss(struct worker *worker)
{
    fd_close(&worker->control);
    worker->child = sd_event_source_disable_unref(worker->child); /* kills and reaps what is left of it */
}
