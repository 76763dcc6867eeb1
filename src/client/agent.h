/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A part of the user's ssh-agent. libssh 0.10 offers a host all keys that the agent has, and IdentitiesOnly says which. */
#ifndef VG_CLIENT_AGENT_H
#define VG_CLIENT_AGENT_H

#include <libssh/libssh.h>
#include <pthread.h>

#define AGENT_KEYS_MAX 64

struct agent {
    int agent, far;              /* the user's; what libssh is at the other end of */
    pthread_t thread;
    size_t n_keys;
    char *key[AGENT_KEYS_MAX];   /* those to be seen, in base64 */
};

/* One more key to be seen; agent starts as { 0 }. */
void agent_show(struct agent *agent, ssh_key key);

/* The session's agent is the one that listens at path (NULL: none), of whose keys those above are seen. 0 or -errno. */
int agent_start(struct agent *agent, ssh_session session, const char *path);

/* Ends what was started. The session has no agent any more. */
void agent_stop(struct agent *agent);

void agent_clear(struct agent *agent);

#endif
