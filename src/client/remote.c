/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "client/carrier.h"
#include "client/thread.h"
#include "client/through_ssh.h"

#define TRIES 3
#define LINES_MAX 64      /* connections to one host */

/* One connection and what runs on it. A host's limit is learnt from its first no: so many ran then. */
struct line {
    struct carrier *carrier;
    unsigned running, limit;
};

struct remote {
    struct login *login;
    const char *ssh;
    pthread_mutex_t lock;      /* of all below */
    struct line *line[LINES_MAX];
    size_t n_lines;
    unsigned limit;            /* of a connection of this host; 0: not known */
    unsigned n_opened;
};

static int say_why(struct remote_said *said, int status, const char *name, const char *why)
{
    int n = snprintf(said->text, sizeof said->text, "virtgate: %s: %s\n", name, why);

    said->len = (size_t)n < sizeof said->text ? (size_t)n : sizeof said->text - 1;
    return status;
}

int remote_new(const char *spec, const struct remote_options *options, struct remote **ret, struct remote_said *said)
{
    struct remote *remote = calloc(1, sizeof *remote);
    char why[WHY_SIZE] = "this computer is short of memory; try again";
    int status = EX_OSERR;

    said->len = 0;
    if (remote)
        status = login_new(spec, &options->login, &remote->login, why);
    /* Whatever this program cannot do with the configuration, ssh can. */
    if (remote && options->ssh && status == EX_CONFIG)
        status = login_new(spec, &(struct login_options){ .config = "none" }, &remote->login, why);
    if (status) {
        free(remote);
        return say_why(said, status, spec, why);
    }
    remote->ssh = options->ssh;
    pthread_mutex_init(&remote->lock, NULL);
    if (!remote->ssh)
        login_say_lacking(remote->login);
    *ret = remote;
    return 0;
}

/* --- connections ------------------------------------------------------------------------------------------------------ */

/* A connection with room, reserved for one command; NULL when a new one is needed. Under lock. */
static struct line *find_room(struct remote *remote)
{
    for (size_t i = 0; i < remote->n_lines; i++) {
        struct line *line = remote->line[i];
        if (!carrier_is_lost(line->carrier) && (!line->limit || line->running < line->limit))
            return line;
    }
    return NULL;
}

static int open_carrier(struct remote *remote, struct carrier **ret, char why[static WHY_SIZE])
{
    struct connection *connection = NULL;
    int status = connection_open(remote->login, &connection, why);

    if (status == 0 && carrier_start(connection, ret) < 0)
        status = why_say(why, EX_OSERR, "this computer is short of memory or threads; try again");
    return status;
}

static void drop_line(struct remote *remote, struct line *line)
{
    for (size_t i = 0; i < remote->n_lines; i++)
        if (remote->line[i] == line)
            remote->line[i] = remote->line[--remote->n_lines];
}

static void free_line(struct line *line)
{
    carrier_stop(line->carrier);
    free(line);
}

/* Connections that broke while nothing ran on them. */
static void drop_lost_lines(struct remote *remote)
{
    struct line *lost;

    do {
        lost = NULL;
        pthread_mutex_lock(&remote->lock);
        for (size_t i = 0; i < remote->n_lines && !lost; i++)
            if (remote->line[i]->running == 0 && carrier_is_lost(remote->line[i]->carrier))
                lost = remote->line[i];
        if (lost)
            drop_line(remote, lost);
        pthread_mutex_unlock(&remote->lock);
        if (lost)
            free_line(lost);
    } while (lost);
}

/* Adds a new connection for one command (or for none yet). */
static int add_line(struct remote *remote, unsigned running, struct line **ret, char why[static WHY_SIZE])
{
    struct line *line = calloc(1, sizeof *line);

    drop_lost_lines(remote);
    if (!line)
        return why_say(why, EX_OSERR, "this computer is short of memory; try again");
    int status = open_carrier(remote, &line->carrier, why);
    if (status) {
        free(line);
        return status;
    }
    pthread_mutex_lock(&remote->lock);
    remote->n_opened++;
    line->running = running;
    line->limit = remote->limit;
    bool room = remote->n_lines < LINES_MAX;
    if (room)
        remote->line[remote->n_lines++] = line;
    pthread_mutex_unlock(&remote->lock);
    if (!room) {
        free_line(line);
        return why_say(why, EX_TEMPFAIL, "%d connections are open already; close some", LINES_MAX);
    }
    *ret = line;
    return 0;
}

static int get_line(struct remote *remote, struct line **ret, char why[static WHY_SIZE])
{
    pthread_mutex_lock(&remote->lock);
    struct line *line = find_room(remote);
    if (line)
        line->running++;
    pthread_mutex_unlock(&remote->lock);
    if (!line)
        return add_line(remote, 1, ret, why);
    *ret = line;
    return 0;
}

static void learn_limit(struct remote *remote, struct line *line)
{
    line->limit = line->running;
    if (line->limit > 0) {
        remote->limit = line->limit;
        for (size_t i = 0; i < remote->n_lines; i++)
            remote->line[i]->limit = line->limit;
    }
}

/* Gives the line back; one that broke, or took nothing with nothing running on it, goes with its last user. */
static void put_line_back(struct remote *remote, struct line *line, enum carry_end end)
{
    pthread_mutex_lock(&remote->lock);
    line->running--;
    if (end == CARRY_FULL)
        learn_limit(remote, line);
    if (end == CARRY_LOST || (end == CARRY_FULL && line->running == 0))
        drop_line(remote, line);
    bool unused = line->running == 0;
    for (size_t i = 0; i < remote->n_lines; i++)
        unused &= remote->line[i] != line;
    pthread_mutex_unlock(&remote->lock);
    if (unused)
        free_line(line);
}

bool remote_is_connected(struct remote *remote)
{
    bool found = remote->ssh;

    pthread_mutex_lock(&remote->lock);
    for (size_t i = 0; i < remote->n_lines; i++)
        found |= !carrier_is_lost(remote->line[i]->carrier);
    pthread_mutex_unlock(&remote->lock);
    return found;
}

int remote_connect(struct remote *remote, struct remote_said *said)
{
    char why[WHY_SIZE];
    struct line *line;

    said->len = 0;
    if (remote_is_connected(remote))
        return 0;
    say_progress("%s: connecting", login_name(remote->login));
    int status = add_line(remote, 0, &line, why);
    return status ? say_why(said, status, login_name(remote->login), why) : 0;
}

/* --- commands --------------------------------------------------------------------------------------------------------- */

static int run_once(struct remote *remote, struct carry *carry, char why[static WHY_SIZE])
{
    struct line *line;
    int status = get_line(remote, &line, why);

    if (status)
        return status;
    carrier_run(line->carrier, carry);
    put_line_back(remote, line, carry->end);
    return 0;
}

static int run_by_libssh(struct remote *remote, const char *command, int in, int out, struct remote_said *said)
{
    struct carry carry = { .command = command, .in = in, .out = out };
    char why[WHY_SIZE];
    int status = 0;

    /* A host that takes no further command on a busy connection takes it on a new one. One that was not used for a while may
     * have been closed. */
    for (int tries = 0; tries < TRIES; tries++) {
        status = run_once(remote, &carry, why);
        if (status)
            return say_why(said, status, login_name(remote->login), why);
        if (carry.end == CARRY_ENDED || carry.began)
            break;
    }
    if (carry.end == CARRY_FULL)
        return say_why(said, EX_NOPERM, login_name(remote->login), "the host opens no session; ask its administrator");
    if (carry.end == CARRY_LOST) {
        snprintf(why, sizeof why, "the connection is lost (%.*s); try again", (int)carry.said_len, carry.said);
        return say_why(said, EX_UNAVAILABLE, login_name(remote->login), why);
    }
    memcpy(said->text, carry.said, carry.said_len < sizeof said->text ? carry.said_len : sizeof said->text);
    said->len = carry.said_len;
    if (carry.status < 0 && said->len == 0)
        return say_why(said, EX_UNAVAILABLE, login_name(remote->login), "the command ended without a word; try again");
    return carry.status < 0 ? EX_UNAVAILABLE : carry.status;
}

int remote_run(struct remote *remote, const char *command, int in, int out, struct remote_said *said)
{
    said->len = 0;
    if (!remote->ssh)
        return run_by_libssh(remote, command, in, out, said);
    int status = through_ssh(remote->ssh, login_spec(remote->login), command, in, out, said);
    return status < 0 ? say_why(said, EX_UNAVAILABLE, login_name(remote->login),
                                "the program of --ssh could not be started") : status;
}

struct reading {
    struct remote *remote;
    const char *command;
    struct remote_said *said;
    int in, out, status;
};

static void *run_reading(void *context)
{
    struct reading *reading = context;

    reading->status = remote_run(reading->remote, reading->command, reading->in, reading->out, reading->said);
    fd_close(&reading->out);
    return NULL;
}

int remote_read(struct remote *remote, const char *command, size_t max, char **ret, size_t *ret_len, struct remote_said *said)
{
    struct reading reading = { .remote = remote, .command = command, .said = said, .status = EX_OSERR };
    FD_AUTO none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pthread_t thread;
    char *data = NULL;
    int fds[2], r;

    said->len = 0;
    *ret = NULL;
    if (none < 0 || pipe2(fds, O_CLOEXEC) < 0)
        return say_why(said, EX_OSERR, login_name(remote->login), "this computer is short of descriptors; try again");
    reading.in = none;
    reading.out = fds[1];
    if (thread_start(&thread, run_reading, &reading) != 0) {
        fd_close(&fds[0]);
        fd_close(&fds[1]);
        return say_why(said, EX_OSERR, login_name(remote->login), "this computer is short of threads; try again");
    }
    r = io_read_all(fds[0], max, &data, ret_len);
    fd_close(&fds[0]); /* more than max: the command is cut */
    pthread_join(thread, NULL);
    if (reading.status == 0 && r == 0) {
        *ret = data;
        return 0;
    }
    if (r == 0)
        free(data);
    return reading.status ? reading.status
        : say_why(said, EX_PROTOCOL, login_name(remote->login), "the answer is too long to be one of the gate's");
}

const char *remote_name(const struct remote *remote)
{
    return login_name(remote->login);
}

unsigned remote_connections(struct remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    unsigned n = remote->n_opened;
    pthread_mutex_unlock(&remote->lock);
    return n;
}

void remote_free(struct remote *remote)
{
    if (!remote)
        return;
    for (size_t i = 0; i < remote->n_lines; i++)
        free_line(remote->line[i]);
    login_free(remote->login);
    free(remote);
}
