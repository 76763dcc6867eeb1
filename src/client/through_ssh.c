/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/through_ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"

#define WORDS_MAX 40
#define SSH_FAILED 255

extern char **environ;

/* ssh's own words, then: -T [-l USER] [-p PORT] -- HOST COMMAND */
static int make_words(char *ssh, const struct host_spec *spec, const char *command, char port[static 8],
                      const char *words[static WORDS_MAX])
{
    size_t n = 0;
    char *rest = NULL;

    for (char *word = strtok_r(ssh, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (n > WORDS_MAX - 10)
            return -E2BIG;
        words[n++] = word;
    }
    if (n == 0)
        return -EINVAL;
    words[n++] = "-T";
    if (spec->user[0]) {
        words[n++] = "-l";
        words[n++] = spec->user;
    }
    if (spec->port) {
        snprintf(port, 8, "%u", spec->port);
        words[n++] = "-p";
        words[n++] = port;
    }
    words[n++] = "--";
    words[n++] = spec->host;
    words[n++] = command;
    words[n] = NULL;
    return 0;
}

/* This program ignores SIGPIPE, and its threads take no signals; its children shall be as if started by a shell. */
static int spawn(const char *const *words, int in, int out, int err, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults, none;
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    r = posix_spawnp(ret_pid, words[0], &actions, &attributes, (char *const *)(uintptr_t)words, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -r;
}

/* Until its end, also what does not fit. */
static void read_said(int fd, struct remote_said *said)
{
    char rest[512];
    ssize_t n;

    do {
        size_t room = sizeof said->text - said->len;
        n = read(fd, room ? said->text + said->len : rest, room ? room : sizeof rest);
        if (n > 0 && room)
            said->len += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
}

int through_ssh(const char *ssh, const struct host_spec *spec, const char *command, int in, int out, struct remote_said *said)
{
    const char *words[WORDS_MAX];
    char port[8], *copy = strdup(ssh);
    int err[2], status = 0, r = copy ? make_words(copy, spec, command, port, words) : -ENOMEM;
    pid_t pid;

    if (r == 0 && pipe2(err, O_CLOEXEC) < 0)
        r = -errno;
    if (r < 0) {
        free(copy);
        return r;
    }
    r = spawn(words, in, out, err[1], &pid);
    fd_close(&err[1]);
    if (r == 0) {
        read_said(err[0], said);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    fd_close(&err[0]);
    free(copy);
    if (r < 0)
        return r;
    if (!WIFEXITED(status) || WEXITSTATUS(status) == SSH_FAILED)
        return EX_UNAVAILABLE;
    return WEXITSTATUS(status);
}
