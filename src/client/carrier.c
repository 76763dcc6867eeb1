/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop waits on the connection and on the descriptors of all its channels at once. libssh may read from the network in
 * almost every call, and what it reads for another channel nobody would look at before the next wait: so libssh tells by
 * callback that something came (struct channel.noted), and with one of these open the loop does not wait. */
#include "client/carrier.h"

#include <errno.h>
#include <libssh/callbacks.h>
#include <libssh/server.h> /* ssh_send_keepalive() */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/text.h"
#include "client/thread.h"

#define CHANNELS_MAX 64
#define BUFFER_SIZE (32U * 1024)
#define LAST_WORDS_MS 5000
#define STARTING_MS 20 /* an answer may have been read in another channel's call */

struct buffer {
    char data[BUFFER_SIZE];
    size_t at, held;
};

struct channel {
    struct carry *carry;
    ssh_channel ssh;
    struct ssh_channel_callbacks_struct callbacks;
    enum { OPENING, ASKING, RUNNING, OVER } state;
    struct buffer up, down;
    bool out_is_socket;
    bool noted;        /* libssh has something for this channel */
    bool in_ended, up_closed, down_ended, down_closed;
    bool in_ready, out_ready, out_gone; /* what poll(2) said */
    int64_t leave_ms;  /* nobody is there any more: when not to wait for the host's last words; 0 for none */
};

struct carrier {
    struct connection *connection;
    ssh_session session;
    ssh_event event;
    pthread_t thread;
    pthread_mutex_t lock;   /* of waiting and stop */
    pthread_cond_t over;
    int wake;               /* eventfd */
    bool stop;
    atomic_bool lost;
    char why[200];          /* why it was lost */
    int64_t ask_ms;         /* when to ask the host whether it is there, unless it says something before */
    unsigned unanswered;    /* how often it was asked since it said something */
    struct channel *waiting[CHANNELS_MAX], *running[CHANNELS_MAX];
    size_t n_waiting, n_running;
};

/* --- one channel --------------------------------------------------------------------------------------------------- */

static int on_data(ssh_session session, ssh_channel ssh, void *data, uint32_t len, int is_stderr, void *userdata)
{
    struct channel *channel = userdata;

    (void)session;
    (void)ssh;
    (void)data;
    (void)len;
    (void)is_stderr;
    channel->noted = true;
    return 0; /* it stays with libssh until there is room for it */
}

static void on_event(ssh_session session, ssh_channel ssh, void *userdata)
{
    struct channel *channel = userdata;

    (void)session;
    (void)ssh;
    channel->noted = true;
}

static void finish(struct channel *channel, enum carry_end end)
{
    channel->carry->end = end;
    channel->state = OVER;
}

static void open_channel(struct carrier *carrier, struct channel *channel)
{
    if (!channel->ssh) {
        channel->ssh = ssh_channel_new(carrier->session);
        if (!channel->ssh) {
            finish(channel, CARRY_FULL);
            return;
        }
        channel->callbacks = (struct ssh_channel_callbacks_struct){
            .userdata = channel, .channel_data_function = on_data, .channel_eof_function = on_event,
            .channel_close_function = on_event,
        };
        ssh_callbacks_init(&channel->callbacks);
        ssh_set_channel_callbacks(channel->ssh, &channel->callbacks);
    }
    int rc = ssh_channel_open_session(channel->ssh);
    if (rc == SSH_OK)
        channel->state = ASKING;
    else if (rc != SSH_AGAIN)
        finish(channel, CARRY_FULL);
}

static void ask_for_command(struct channel *channel)
{
    int rc = ssh_channel_request_exec(channel->ssh, channel->carry->command);

    if (rc == SSH_OK) {
        channel->state = RUNNING;
        channel->carry->began = true;
        channel->noted = true;
    } else if (rc != SSH_AGAIN) {
        channel->carry->status = -1;
        finish(channel, CARRY_ENDED);
    }
}

/* A descriptor that would wait (a terminal, a pipe that others share) is touched once after each poll(2), and given no more
 * than it takes without waiting. */
static ssize_t read_some(int fd, char *data, size_t size)
{
    ssize_t n = recv(fd, data, size, MSG_DONTWAIT);

    return n < 0 && errno == ENOTSOCK ? read(fd, data, size) : n;
}

static ssize_t write_some(int fd, const char *data, size_t len)
{
    ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    return n < 0 && errno == ENOTSOCK ? write(fd, data, len < 512 ? len : isatty(fd) ? 512 : len < PIPE_BUF ? len : PIPE_BUF) : n;
}

static bool would_wait(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* From the user's side into the channel. Never more is read than the host takes at once, so that a command that does not
 * read does not fill this program's memory. */
static void move_up(struct channel *channel)
{
    struct buffer *up = &channel->up;

    uint32_t window = ssh_channel_window_size(channel->ssh);
    if (up->held == 0 && channel->in_ready && !channel->in_ended && window > 0) {
        ssize_t n = read_some(channel->carry->in, up->data, window < BUFFER_SIZE ? window : BUFFER_SIZE);
        channel->in_ready = false;
        if (n == 0 || (n < 0 && !would_wait()))
            channel->in_ended = true;
        up->at = 0;
        up->held = n > 0 ? (size_t)n : 0;
    }
    if (up->held > 0 && !channel->down_ended) {
        int n = ssh_channel_write(channel->ssh, up->data + up->at, (uint32_t)up->held);
        if (n < 0)
            up->held = 0; /* the host's side is closing; what it still says is carried on */
        up->at += n > 0 ? (size_t)n : 0;
        up->held -= n > 0 ? (size_t)n : 0;
    }
    if (channel->in_ended && up->held == 0 && !channel->up_closed) {
        channel->up_closed = true;
        ssh_channel_send_eof(channel->ssh);
    }
}

static void take_said(struct channel *channel)
{
    struct carry *carry = channel->carry;
    char rest[1024];
    int n;

    do {
        size_t room = sizeof carry->said - carry->said_len;
        n = ssh_channel_read_nonblocking(channel->ssh, room ? carry->said + carry->said_len : rest,
                                         (uint32_t)(room ? room : sizeof rest), 1);
        if (n > 0 && room)
            carry->said_len += (size_t)n;
    } while (n > 0);
}

/* From the channel to the user's side. */
static void move_down(struct channel *channel)
{
    struct buffer *down = &channel->down;

    if (down->held == 0 && channel->noted) {
        channel->noted = false;
        int n = ssh_channel_read_nonblocking(channel->ssh, down->data, BUFFER_SIZE, 0);
        down->at = 0;
        down->held = n > 0 ? (size_t)n : 0;
        if (n > 0)
            channel->noted = true; /* look again: there may be more, or the end behind it */
        take_said(channel);
        channel->down_ended = n <= 0 && (ssh_channel_is_eof(channel->ssh) || ssh_channel_is_closed(channel->ssh));
    }
    if (down->held > 0 && channel->out_ready) {
        ssize_t n = write_some(channel->carry->out, down->data + down->at, down->held);
        channel->out_ready = false;
        channel->out_gone |= n < 0 && !would_wait();
        down->at += n > 0 ? (size_t)n : 0;
        down->held -= n > 0 ? (size_t)n : 0;
    }
}

static void run_channel(struct channel *channel)
{
    move_up(channel);
    move_down(channel);
    if (channel->down_ended && channel->down.held == 0 && !channel->down_closed) {
        channel->down_closed = true;
        shutdown(channel->carry->out, SHUT_WR); /* of a socket: whoever reads sees the end */
    }
    bool closed = ssh_channel_is_closed(channel->ssh);
    /* Who has read to the end and hung up still wants to know how it ended; a host that closes nothing is not waited for. */
    if (channel->out_gone && channel->down_closed && !channel->leave_ms)
        channel->leave_ms = io_monotonic_ms() + LAST_WORDS_MS;
    bool left = channel->out_gone && (!channel->down_closed || io_monotonic_ms() >= channel->leave_ms);
    if ((channel->down_closed && closed) || left) {
        take_said(channel);
        channel->carry->status = closed ? connection_status_of(channel->ssh) : 0;
        finish(channel, CARRY_ENDED);
    }
}

static void step(struct carrier *carrier, struct channel *channel)
{
    if (channel->state == OPENING)
        open_channel(carrier, channel);
    if (channel->state == ASKING)
        ask_for_command(channel);
    if (channel->state == RUNNING)
        run_channel(channel);
}

/* --- all of them ---------------------------------------------------------------------------------------------------- */

static void give_back(struct carrier *carrier, struct channel *channel)
{
    if (channel->ssh) {
        ssh_remove_channel_callbacks(channel->ssh, &channel->callbacks);
        /* One that was refused has no number on the other side; libssh 0.10 would close channel 0 there, which is another. */
        if (ssh_channel_is_open(channel->ssh))
            ssh_channel_close(channel->ssh);
        ssh_channel_free(channel->ssh);
        channel->ssh = NULL;
    }
    pthread_mutex_lock(&carrier->lock);
    channel->carry = NULL; /* carrier_run() waits for this */
    pthread_cond_broadcast(&carrier->over);
    pthread_mutex_unlock(&carrier->lock);
}

static void step_all(struct carrier *carrier)
{
    size_t left = 0;

    for (size_t i = 0; i < carrier->n_running; i++)
        step(carrier, carrier->running[i]);
    for (size_t i = 0; i < carrier->n_running; i++) {
        struct channel *channel = carrier->running[i];
        if (channel->state == OVER)
            give_back(carrier, channel);
        else
            carrier->running[left++] = channel;
    }
    carrier->n_running = left;
}

static void end_running(struct carrier *carrier)
{
    for (size_t i = 0; i < carrier->n_running; i++) {
        struct carry *carry = carrier->running[i]->carry;
        text_copy(carry->said, sizeof carry->said, carrier->why);
        carry->said_len = strlen(carry->said);
        finish(carrier->running[i], CARRY_LOST);
        give_back(carrier, carrier->running[i]);
    }
    carrier->n_running = 0;
}

static void lose(struct carrier *carrier, const char *why)
{
    carrier->lost = true;
    text_escape(carrier->why, sizeof carrier->why, why, strlen(why));
    end_running(carrier);
}

/* --- is it still there? --------------------------------------------------------------------------------------------- */

/* The way may end without a word: a computer that was switched off, a router that forgot. TCP notices that of its own socket
 * alone (dial.c), and behind a ProxyJump there is another one. */
static void heard(struct carrier *carrier)
{
    carrier->unanswered = 0;
    carrier->ask_ms = io_monotonic_ms() + connection_alive(carrier->connection)->interval_ms;
}

static bool has_news(const struct carrier *carrier)
{
    for (size_t i = 0; i < carrier->n_running; i++)
        if (carrier->running[i]->noted)
            return true;
    return false;
}

/* How often it was asked counts, and not how long it is ago: this program itself may have been stopped meanwhile. */
static void ask_whether_there(struct carrier *carrier)
{
    const struct connection_alive *alive = connection_alive(carrier->connection);
    char why[80];

    if (io_monotonic_ms() < carrier->ask_ms)
        return;
    if (carrier->unanswered == alive->count) {
        snprintf(why, sizeof why, "the host has not answered for %u seconds",
                 (unsigned)alive->interval_ms / 1000 * (alive->count + 1));
        lose(carrier, why);
        return;
    }
    /* The first takes the answer to the one before from libssh, if there is one; the second sends, unless there is none. */
    ssh_send_keepalive(carrier->session);
    ssh_send_keepalive(carrier->session);
    carrier->unanswered++;
    carrier->ask_ms = io_monotonic_ms() + alive->interval_ms;
}

/* --- the loop --------------------------------------------------------------------------------------------------------- */

/* True while there is something to do for it. */
static bool take_new(struct carrier *carrier)
{
    pthread_mutex_lock(&carrier->lock);
    while (carrier->n_waiting > 0 && carrier->n_running < CHANNELS_MAX)
        carrier->running[carrier->n_running++] = carrier->waiting[--carrier->n_waiting];
    bool stop = carrier->stop;
    pthread_mutex_unlock(&carrier->lock);
    return !stop || carrier->n_running > 0;
}

struct waits {
    struct pollfd fd[2 + 2 * CHANNELS_MAX];
    int ms;
};

static void add_channel(const struct channel *channel, bool sending, struct waits *waits, struct pollfd at[static 2])
{
    const struct carry *carry = channel->carry;
    bool running = channel->state == RUNNING;
    bool wants = running && !channel->in_ended && channel->up.held == 0 && !sending && ssh_channel_window_size(channel->ssh) > 0;
    bool gives = running && channel->down.held > 0;

    at[0] = (struct pollfd){ .fd = wants ? carry->in : -1, .events = POLLIN };
    /* Also with nothing to give: whether anybody still reads. Not a socket whose end was not read yet, which would only say
     * so again and again. */
    bool watch = running && (channel->in_ended || !channel->out_is_socket) && !channel->out_gone;
    if (channel->leave_ms && waits->ms != 0)
        waits->ms = STARTING_MS * 5;
    at[1] = (struct pollfd){ .fd = gives || watch ? carry->out : -1, .events = gives ? POLLOUT : 0 };
    if (!running)
        waits->ms = waits->ms < 0 ? STARTING_MS : waits->ms;
    else if ((channel->noted && channel->down.held == 0) || (channel->up.held > 0 && !sending))
        waits->ms = channel->noted && channel->down.held == 0 ? 0 : waits->ms < 0 ? STARTING_MS : waits->ms;
}

static void wait_for_work(struct carrier *carrier)
{
    struct waits waits = { .ms = -1 };
    int flags = ssh_get_poll_flags(carrier->session);
    bool sending = flags & SSH_WRITE_PENDING;
    size_t n = 2;

    waits.fd[0] = (struct pollfd){ .fd = carrier->wake, .events = POLLIN };
    waits.fd[1] = (struct pollfd){ .fd = ssh_get_fd(carrier->session), .events = (short)(POLLIN | (sending ? POLLOUT : 0)) };
    for (size_t i = 0; i < carrier->n_running; i++, n += 2)
        add_channel(carrier->running[i], sending, &waits, waits.fd + n);
    int64_t left = carrier->ask_ms - io_monotonic_ms();
    if (waits.ms < 0 || waits.ms > left)
        waits.ms = left > 0 ? (int)left : 0;
    if (poll(waits.fd, n, waits.ms) < 0)
        return;
    if (waits.fd[1].revents & POLLIN || has_news(carrier))
        heard(carrier);
    for (size_t i = 0; i < carrier->n_running; i++) {
        struct channel *channel = carrier->running[i];
        const struct pollfd *at = waits.fd + 2 + 2 * i;
        channel->in_ready |= at[0].revents != 0;
        channel->out_ready |= (at[1].revents & POLLOUT) != 0;
        channel->out_gone |= (at[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
    }
    if (waits.fd[0].revents) {
        eventfd_t count;
        eventfd_read(carrier->wake, &count);
    }
}

static void *loop(void *context)
{
    struct carrier *carrier = context;

    heard(carrier);
    while (take_new(carrier)) {
        if (carrier->lost)
            end_running(carrier); /* whoever came since */
        else if (ssh_event_dopoll(carrier->event, 0) == SSH_ERROR || !ssh_is_connected(carrier->session))
            lose(carrier, ssh_get_error(carrier->session));
        else
            step_all(carrier);
        if (!carrier->lost)
            ask_whether_there(carrier);
        if (!carrier->lost) {
            wait_for_work(carrier);
            continue;
        }
        /* Whoever comes now is told so at once. */
        struct pollfd wait = { .fd = carrier->wake, .events = POLLIN };
        eventfd_t count;
        if (poll(&wait, 1, -1) > 0)
            eventfd_read(carrier->wake, &count);
    }
    return NULL;
}

/* --- outside of the thread -------------------------------------------------------------------------------------------- */

static void free_carrier(struct carrier *carrier)
{
    if (carrier->event) {
        ssh_event_remove_session(carrier->event, carrier->session);
        ssh_event_free(carrier->event);
    }
    connection_close(carrier->connection);
    fd_close(&carrier->wake);
    free(carrier);
}

int carrier_start(struct connection *connection, struct carrier **ret)
{
    struct carrier *carrier = calloc(1, sizeof *carrier);

    if (!carrier) {
        connection_close(connection);
        return -ENOMEM;
    }
    carrier->connection = connection;
    carrier->session = connection_session(connection);
    carrier->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    carrier->event = ssh_event_new();
    pthread_mutex_init(&carrier->lock, NULL);
    pthread_cond_init(&carrier->over, NULL);
    ssh_set_blocking(carrier->session, 0);
    if (carrier->wake < 0 || !carrier->event || ssh_event_add_session(carrier->event, carrier->session) != SSH_OK ||
        thread_start(&carrier->thread, loop, carrier) != 0) {
        free_carrier(carrier);
        return -ENOMEM;
    }
    *ret = carrier;
    return 0;
}

void carrier_run(struct carrier *carrier, struct carry *carry)
{
    struct channel *channel = calloc(1, sizeof *channel);
    bool taken = false;
    struct stat st;

    carry->end = CARRY_FULL;
    carry->began = false;
    carry->status = -1;
    carry->said_len = 0;
    if (!channel)
        return;
    channel->carry = carry;
    channel->out_is_socket = fstat(carry->out, &st) == 0 && S_ISSOCK(st.st_mode);
    pthread_mutex_lock(&carrier->lock);
    if (carrier->n_waiting < CHANNELS_MAX) {
        carrier->waiting[carrier->n_waiting++] = channel;
        eventfd_write(carrier->wake, 1);
        taken = true;
    }
    while (taken && channel->carry)
        pthread_cond_wait(&carrier->over, &carrier->lock);
    pthread_mutex_unlock(&carrier->lock);
    free(channel);
}

bool carrier_is_lost(const struct carrier *carrier)
{
    return carrier->lost;
}

void carrier_stop(struct carrier *carrier)
{
    if (!carrier)
        return;
    pthread_mutex_lock(&carrier->lock);
    carrier->stop = true;
    eventfd_write(carrier->wake, 1);
    pthread_mutex_unlock(&carrier->lock);
    pthread_join(carrier->thread, NULL);
    free_carrier(carrier);
}
