/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/through_ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "client/ask.h"
#include "client/ssh_start.h"

#define SSH_FAILED 255

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
    struct ssh_words words;
    int err[2], status = 0, r = ssh_words_init(&words, ssh);
    pid_t pid;

    if (r < 0)
        return r;
    ssh_words_add(&words, "-T");
    if (!ask_allowed())
        ssh_words_add(&words, "-oBatchMode=yes");
    ssh_words_add_host(&words, spec);
    ssh_words_add(&words, command);
    if (pipe2(err, O_CLOEXEC) < 0) {
        r = -errno;
        ssh_words_clear(&words);
        return r;
    }
    r = ssh_start(&words, in, out, err[1], &pid);
    fd_close(&err[1]);
    if (r == 0) {
        read_said(err[0], said);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    fd_close(&err[0]);
    ssh_words_clear(&words);
    if (r < 0)
        return r;
    if (!WIFEXITED(status) || WEXITSTATUS(status) == SSH_FAILED)
        return EX_UNAVAILABLE;
    return WEXITSTATUS(status);
}
