/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/ssh_start.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM 24 /* that others add */

extern char **environ;

int ssh_words_init(struct ssh_words *words, const char *ssh)
{
    char *rest = NULL;

    *words = (struct ssh_words){ .text = strdup(ssh) };
    if (!words->text)
        return -ENOMEM;
    for (char *word = strtok_r(words->text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (words->n == SSH_WORDS_MAX - ROOM) {
            ssh_words_clear(words);
            return -E2BIG;
        }
        ssh_words_add(words, word);
    }
    if (words->n > 0)
        return 0;
    ssh_words_clear(words);
    return -EINVAL;
}

void ssh_words_clear(struct ssh_words *words)
{
    free(words->text);
    words->text = NULL;
}

void ssh_words_add(struct ssh_words *words, const char *word)
{
    if (words->n == SSH_WORDS_MAX)
        abort();
    words->word[words->n++] = word;
}

void ssh_words_add_host(struct ssh_words *words, const struct host_spec *spec)
{
    if (spec->user[0]) {
        ssh_words_add(words, "-l");
        ssh_words_add(words, spec->user);
    }
    if (spec->port) {
        snprintf(words->port, sizeof words->port, "%u", spec->port);
        ssh_words_add(words, "-p");
        ssh_words_add(words, words->port);
    }
    ssh_words_add(words, "--");
    ssh_words_add(words, spec->host);
}

/* This program ignores SIGPIPE, and its threads take no signals; its children shall be as if started by a shell. */
int ssh_start(const struct ssh_words *words, int in, int out, int err, pid_t *ret_pid)
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
    r = posix_spawnp(ret_pid, words->word[0], &actions, &attributes, (char *const *)(uintptr_t)words->word, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -r;
}
