/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A viewer makes one connection for VNC and four or more for SPICE. Each is a thread that waits for its command on the host;
 * the bytes are carried by the connection's own thread (carrier.h). */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "client/listen.h"
#include "client/thread.h"
#include "client/view.h"
#include "client/viewer.h"

#define INFO_MAX (256U * 1024)
#define GUESTS_MAX 60      /* connections of the viewer at one time */
#define VIEWER_ENDS_MS 5000
#define SHORT_OF_FDS_MS 200

extern char **environ;

struct guest {
    struct view *view;
    pthread_t thread;
    int fd;                /* -1: the place is free, once joined */
    bool taken, ended;
};

struct view {
    struct remote *remote;
    const char *command;
    struct listening listening;
    pthread_mutex_t lock;  /* of guest and failed */
    struct guest guest[GUESTS_MAX];
    int failed;            /* the last status of a connection that came to nothing */
    pid_t viewer;          /* 0: none is started */
    int signals;
};

/* --- the viewer's connections --------------------------------------------------------------------------------------------- */

static void *serve(void *context)
{
    struct guest *guest = context;
    struct view *view = guest->view;
    struct remote_said said;
    int status = remote_run(view->remote, view->command, guest->fd, guest->fd, &said);

    client_said(0, &said);
    pthread_mutex_lock(&view->lock);
    if (status)
        view->failed = status;
    fd_close(&guest->fd);
    guest->ended = true;
    pthread_mutex_unlock(&view->lock);
    return NULL;
}

/* A free place; those whose connection has ended become free here. Under lock. */
static struct guest *find_place(struct view *view)
{
    struct guest *found = NULL;

    for (size_t i = 0; i < GUESTS_MAX; i++) {
        struct guest *guest = &view->guest[i];
        if (guest->taken && guest->ended) {
            pthread_join(guest->thread, NULL); /* its last step was to say so */
            *guest = (struct guest){ .fd = -1 };
        }
        if (!guest->taken)
            found = guest;
    }
    return found;
}

static void admit(struct view *view)
{
    int fd = listen_accept(&view->listening);

    if (fd == -EPERM)
        say_error(0, "somebody else on this computer tried to see the display, and was turned away");
    if (fd == -EMFILE || fd == -ENFILE)
        poll(NULL, 0, SHORT_OF_FDS_MS); /* it waits there still */
    if (fd < 0)
        return;
    pthread_mutex_lock(&view->lock);
    struct guest *guest = find_place(view);
    if (guest) {
        *guest = (struct guest){ .view = view, .fd = fd, .taken = true };
        if (thread_start(&guest->thread, serve, guest) != 0) {
            *guest = (struct guest){ .fd = -1 };
            guest = NULL;
        }
    }
    pthread_mutex_unlock(&view->lock);
    if (!guest)
        fd_close(&fd);
}

static void end_all(struct view *view)
{
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        struct guest *guest = &view->guest[i];
        pthread_mutex_lock(&view->lock);
        if (guest->taken && guest->fd >= 0)
            shutdown(guest->fd, SHUT_RDWR);
        pthread_mutex_unlock(&view->lock);
        if (guest->taken)
            pthread_join(guest->thread, NULL);
    }
}

/* --- the viewer ----------------------------------------------------------------------------------------------------------- */

/* With the signals that this program waits for as they were. */
static int start_viewer(struct view *view, const struct viewer *viewer, const char *type, const sigset_t *before)
{
    const char *words[VIEWER_WORDS_MAX];
    char text[VIEWER_TEXT_SIZE];
    posix_spawnattr_t attributes;
    sigset_t defaults;

    if (viewer_words(viewer, type, &view->listening, text, words) < 0)
        return say_error(EX_USAGE, "the command of --viewer has too many words, or none");
    posix_spawnattr_init(&attributes);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setsigmask(&attributes, before);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    int r = posix_spawnp(&view->viewer, words[0], NULL, &attributes, (char *const *)(uintptr_t)words, environ);
    posix_spawnattr_destroy(&attributes);
    if (r == 0)
        return EX_OK;
    view->viewer = 0;
    return say_error(EX_UNAVAILABLE, "the viewer '%.100s' could not be started: %s", words[0], strerror(r));
}

/* Its status, if it has ended; -1 while it runs. */
static int viewer_status(struct view *view)
{
    int status;

    if (!view->viewer || waitpid(view->viewer, &status, WNOHANG) != view->viewer)
        return -1;
    view->viewer = 0;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return say_error(EX_SOFTWARE, "the viewer was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
}

/* Until the viewer ends or a signal asks to. */
static int wait_for_end(struct view *view)
{
    struct pollfd wait[2] = { { .fd = view->listening.fd, .events = POLLIN }, { .fd = view->signals, .events = POLLIN } };
    struct signalfd_siginfo info;

    for (;;) {
        if (poll(wait, 2, -1) < 0 && errno != EINTR)
            return say_error(EX_OSERR, "poll: %s", strerror(errno));
        if (wait[0].revents)
            admit(view);
        if (!wait[1].revents || read(view->signals, &info, sizeof info) != sizeof info)
            continue;
        int status = viewer_status(view);
        if (status >= 0)
            return status ? status : EX_OK;
        if (info.ssi_signo == SIGCHLD)
            continue;
        if (view->viewer)
            kill(view->viewer, SIGTERM);
        return EX_OK;
    }
}

/* One that was asked to end; after a while it is not asked any more. */
static void reap(struct view *view)
{
    struct pollfd wait = { .fd = view->signals, .events = POLLIN };
    int64_t end_ms = io_monotonic_ms() + VIEWER_ENDS_MS, left;
    struct signalfd_siginfo info;

    while (view->viewer && waitpid(view->viewer, NULL, WNOHANG) == 0) {
        left = end_ms - io_monotonic_ms();
        if (left <= 0) {
            kill(view->viewer, SIGKILL);
            waitpid(view->viewer, NULL, 0);
            return;
        }
        if (poll(&wait, 1, (int)left) > 0 && read(view->signals, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD)
            end_ms = 0; /* whoever asks twice does not want to wait */
    }
}

/* --- all of it -------------------------------------------------------------------------------------------------------------- */

static int open_place(struct view *view, const char *type, const struct viewer *viewer, const char *address)
{
    char why[WHY_SIZE], uri[200];
    int status = address ? listen_loopback(address, &view->listening, why)
               : viewer->by_path ? listen_private(&view->listening, why)
                                 : listen_loopback("127.0.0.1:0", &view->listening, why);

    if (status)
        return say_error(status, "%s", why);
    viewer_uri(type, &view->listening, uri);
    if (address)
        say_error(0, "%s is for your viewer, until Ctrl-C", uri);
    else
        say_progress("%s: showing it with %.*s", remote_name(view->remote), (int)strcspn(viewer->text, " "), viewer->text);
    return 0;
}

static int run(struct view *view, const char *type, const struct viewer *viewer, const struct options *options,
               const sigset_t *before)
{
    int status = open_place(view, type, viewer, options->listen);

    if (status == 0 && viewer->text[0])
        status = start_viewer(view, viewer, type, before);
    if (status == 0)
        status = wait_for_end(view);
    listen_close(&view->listening);
    reap(view);
    /* A connection that is being made is waited for; whoever does not want to may send another signal. */
    pthread_sigmask(SIG_SETMASK, before, NULL);
    end_all(view);
    /* The viewer cannot say that the gate has refused. */
    return view->failed ? view->failed : status;
}

int view_run(struct remote *remote, const char *command, const char *type, const struct options *options)
{
    struct view *view = calloc(1, sizeof *view);
    struct viewer viewer = { .by_path = false };
    sigset_t signals, before;
    char why[WHY_SIZE];
    int status = 0;

    if (!view)
        return say_error(EX_OSERR, "this computer is short of memory");
    *view = (struct view){ .remote = remote, .command = command, .listening = { .fd = -1 } };
    for (size_t i = 0; i < GUESTS_MAX; i++)
        view->guest[i].fd = -1;
    pthread_mutex_init(&view->lock, NULL);
    if (!options->listen || options->viewer)
        status = viewer_choose(options->viewer, type, &viewer, why);
    if (status) {
        free(view);
        return say_error(status, "%s", why);
    }
    sigemptyset(&signals);
    for (const int *number = (const int[]){ SIGCHLD, SIGHUP, SIGINT, SIGTERM, 0 }; *number; number++)
        sigaddset(&signals, *number);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    view->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    status = view->signals < 0 ? say_error(EX_OSERR, "this computer is short of descriptors")
        : run(view, type, &viewer, options, &before);
    fd_close(&view->signals);
    free(view);
    return status;
}

/* "vnc" or "spice" of the display with that index; NULL when the machine has none for this user. */
static const char *type_of(const json_t *info, const char *index)
{
    const json_t *displays = json_object_get(info, "displays"), *display;
    size_t i;

    json_array_foreach(displays, i, display) {
        const json_t *number = json_object_get(display, "index");
        char text[24];
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
        if (json_is_integer(number) && strcmp(text, index) == 0)
            return json_string_value(json_object_get(display, "type"));
    }
    return NULL;
}

/* What the display is; asked before a viewer is started, whose window would only say that the connection ended. */
static int find_type(struct remote *remote, const char *vm, const char *index, char out[static 16])
{
    char command[CLIENT_COMMAND_SIZE], *text = NULL;
    json_t *info = NULL;
    struct remote_said said;
    size_t len = 0;
    int status = client_command(command, "info", "--json", 1, &vm);

    if (status)
        return status;
    status = remote_read(remote, command, INFO_MAX, &text, &len, &said);
    client_said(0, &said);
    if (status == 0 && !(info = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL)))
        status = say_error(EX_PROTOCOL, "%s: the answer is not a gate's", remote_name(remote));
    const char *type = info ? type_of(info, index) : NULL;
    if (type && (strcmp(type, "vnc") == 0 || strcmp(type, "spice") == 0))
        snprintf(out, 16, "%s", type);
    else if (status == 0)
        status = say_error(EX_UNAVAILABLE, "%s: '%s' has no display %s that you may see; try virtgate info",
                           remote_name(remote), vm, index);
    json_decref(info);
    free(text);
    return status;
}

int client_view(const struct options *options, size_t n, const char *const *argv)
{
    char command[CLIENT_COMMAND_SIZE], type[16];
    int status = client_command(command, "display", NULL, n - 1, argv + 1);

    if (status)
        return status;
    if (options->screenshot && (options->viewer || options->listen))
        return say_error(EX_USAGE, "--screenshot takes no viewer");
    struct remote *remote = client_reach(options, argv[0], &status);
    if (!remote)
        return status;
    say_progress("%s: waiting for '%s'", argv[0], argv[1]);
    status = find_type(remote, argv[1], n > 2 ? argv[2] : "0", type);
    if (status == 0 && options->screenshot && strcmp(type, "vnc") != 0)
        status = say_error(EX_UNAVAILABLE, "%s: a screenshot is made of VNC displays, and this is one of SPICE",
                           remote_name(remote));
    if (status == 0)
        status = options->screenshot ? screenshot_take(remote, command, options->screenshot)
            : view_run(remote, command, type, options);
    remote_free(remote);
    return status;
}
