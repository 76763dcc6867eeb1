/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system's ssh as a child. No shell is used. */
#ifndef VG_CLIENT_SSH_START_H
#define VG_CLIENT_SSH_START_H

#include <sys/types.h>

#include "client/host_spec.h"

#define SSH_WORDS_MAX 60

struct ssh_words {
    size_t n;
    const char *word[SSH_WORDS_MAX + 1];  /* the caller's, but for those of ssh itself */
    char *text, port[8];
};

/* ssh: a program and its arguments, blanks between them. 0, -EINVAL, -E2BIG or -ENOMEM. */
int ssh_words_init(struct ssh_words *words, const char *ssh);
void ssh_words_clear(struct ssh_words *words);

/* One word more; there is room for 24 behind ssh's own. */
void ssh_words_add(struct ssh_words *words, const char *word);

/* [-l USER] [-p PORT] -- HOST */
void ssh_words_add_host(struct ssh_words *words, const struct host_spec *spec);

/* With these as its standard input, output and error. 0 and its process, or -errno. */
int ssh_start(const struct ssh_words *words, int in, int out, int err, pid_t *ret_pid);

#endif
