/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What PAM knew of a login, for the broker: a file of root's in LOGIN_FOLDER, named by the kernel's audit session id, which
 * every process of the login has (/proc/PID/sessionid), and which only root could change. Pure. */
#ifndef VG_WIRE_LOGIN_H
#define VG_WIRE_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/policy.h"

#define LOGIN_FOLDER VG_RUNDIR "/login"
#define LOGIN_TEXT_SIZE 1024
#define LOGIN_WORD_SIZE 128
#define LOGIN_NO_SESSION UINT32_MAX     /* what the kernel says of a process without one */

struct login {
    uint32_t session;
    uid_t uid;
    struct address address;      /* of the client; AF_UNSPEC: not known */
    uint16_t port;               /* 0: not known */
    char key[LOGIN_WORD_SIZE];   /* SHA256:... as ssh-keygen -l shows it, or the method's name; "": not known */
    char service[LOGIN_WORD_SIZE];
    int64_t time;
    pid_t pid;                   /* sshd's process for this login; with its start time, since numbers come back */
    uint64_t started;            /* proc(5), /proc/PID/stat, field 22 */
    bool confined;               /* the user's process was, before anything of the user's ran in it */
};

/* 0 and the length, or -EINVAL: a word of it is empty, too long, or not made of visible ASCII. */
int login_encode(const struct login *login, char out[static LOGIN_TEXT_SIZE], size_t *ret_len);

/* Takes exactly what login_encode() made, with or without the mark; anything else is -EINVAL. */
int login_decode(const char *text, size_t len, struct login *ret);

/* The last bytes of an encoded login may be replaced by these, in one write: it is confined. */
#define LOGIN_CONFINED_MARK "confined yes\n"
#define LOGIN_MARK_LEN (sizeof LOGIN_CONFINED_MARK - 1)

#endif
