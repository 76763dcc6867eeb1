/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A real login, through a second sshd on a port of the loopback that has the host's configuration and PAM. */
#ifndef VG_SETUP_LOGIN_H
#define VG_SETUP_LOGIN_H

#define LOGIN_WHY_SIZE 300

struct login_probe {
    char folder[64];  /* with a key of the moment */
    int port;
    int pid;          /* of that sshd */
};

/* Starts it. 0, or -1 with a sentence. */
int login_start(struct login_probe *probe, char why[static LOGIN_WHY_SIZE]);

/* Logs in with ssh(1) and has a command run: ssh's exit status, with a sentence when that is not 0. */
int login_try(const struct login_probe *probe, const char *user, const char *command, char why[static LOGIN_WHY_SIZE]);

void login_stop(struct login_probe *probe);

#endif
