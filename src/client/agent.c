/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A message is its length in four bytes, and then a byte that says what it is. */
#include "client/agent.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/text.h"
#include "client/thread.h"

#define MESSAGE_MAX (256U * 1024)

enum { ASK_FOR_KEYS = 11, KEYS = 12 };

struct message {
    uint32_t len;
    unsigned char data[4 + MESSAGE_MAX];   /* with the length before it */
};

static uint32_t be32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_be32(unsigned char *at, uint32_t value)
{
    for (int i = 3; i >= 0; i--, value >>= 8)
        at[i] = (unsigned char)value;
}

static int receive(int fd, struct message *message)
{
    int r = io_read_exactly(fd, message->data, 4, INT64_MAX);

    if (r < 0)
        return r;
    message->len = be32(message->data);
    if (message->len == 0 || message->len > MESSAGE_MAX)
        return -EPROTO;
    return io_read_exactly(fd, message->data + 4, message->len, INT64_MAX);
}

static int pass_on(int fd, struct message *message)
{
    put_be32(message->data, message->len);
    return io_write_all(fd, message->data, 4 + (size_t)message->len);
}

/* Is this what the blob is in base64? */
static bool is_base64_of(const char *text, const unsigned char *blob, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (strlen(text) != (len + 2) / 3 * 4)
        return false;
    for (size_t at = 0; at < len; at += 3, text += 4) {
        size_t n = len - at < 3 ? len - at : 3;
        uint32_t bits = (uint32_t)blob[at] << 16 | (n > 1 ? (uint32_t)blob[at + 1] << 8 : 0) | (n > 2 ? blob[at + 2] : 0);
        for (size_t i = 0; i < 4; i++)
            if (text[i] != (i <= n ? digits[bits >> (18 - 6 * i) & 63] : '='))
                return false;
    }
    return true;
}

static bool is_seen(const struct agent *agent, const unsigned char *blob, size_t len)
{
    for (size_t i = 0; i < agent->n_keys; i++)
        if (is_base64_of(agent->key[i], blob, len))
            return true;
    return false;
}

/* The length of the string at that place with its own four bytes; 0: it does not end in the message. */
static size_t string_at(const struct message *message, size_t at)
{
    size_t end = 4 + (size_t)message->len;

    if (end - at < 4 || be32(message->data + at) > end - at - 4)
        return 0;
    return 4 + (size_t)be32(message->data + at);
}

/* Takes the keys that are not to be seen out of the agent's list. */
static int pick_keys(const struct agent *agent, struct message *message)
{
    unsigned char *data = message->data;
    size_t at = 9, kept = 9;
    uint32_t n, left = 0;

    if (message->len < 5)
        return -EPROTO;
    for (n = be32(data + 5); n > 0; n--) {
        size_t key = string_at(message, at), comment = key ? string_at(message, at + key) : 0;
        if (!comment)
            return -EPROTO;
        if (is_seen(agent, data + at + 4, key - 4)) {
            memmove(data + kept, data + at, key + comment);
            kept += key + comment;
            left++;
        }
        at += key + comment;
    }
    put_be32(data + 5, left);
    message->len = (uint32_t)kept - 4;
    return 0;
}

static void *run(void *context)
{
    struct agent *agent = context;
    struct message *message = malloc(sizeof *message);
    int r = message ? 0 : -ENOMEM;

    while (r == 0) {
        bool wants_keys;
        r = receive(agent->far, message);
        wants_keys = r == 0 && message->data[4] == ASK_FOR_KEYS;
        if (r == 0)
            r = pass_on(agent->agent, message);
        if (r == 0)
            r = receive(agent->agent, message);
        if (r == 0 && wants_keys && message->data[4] == KEYS)
            r = pick_keys(agent, message);
        if (r == 0)
            r = pass_on(agent->far, message);
    }
    shutdown(agent->far, SHUT_RDWR);
    free(message);
    return NULL;
}

void agent_show(struct agent *agent, ssh_key key)
{
    char *text = NULL;

    if (agent->n_keys < AGENT_KEYS_MAX && ssh_pki_export_pubkey_base64(key, &text) == SSH_OK) {
        agent->key[agent->n_keys] = strdup(text);
        agent->n_keys += agent->key[agent->n_keys] != NULL;
    }
    ssh_string_free_char(text);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (text_copy(address.sun_path, sizeof address.sun_path, path) < 0)
        return -ENAMETOOLONG;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    fd_close(&fd);
    return -error;
}

int agent_start(struct agent *agent, ssh_session session, const char *path)
{
    int pair[2] = { -1, -1 }, r = -ENOENT;

    agent->far = -1;
    agent->agent = path ? connect_to(path) : -ENOENT;
    if (agent->agent < 0)
        return agent->agent;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
        agent->far = pair[0];
        r = ssh_set_agent_socket(session, pair[1]) == SSH_OK ? 0 : -EIO; /* the session's from here on */
    }
    if (r == 0)
        r = -thread_start(&agent->thread, run, agent);
    if (r < 0) {
        fd_close(&agent->agent);
        fd_close(&agent->far);
    }
    return r;
}

void agent_stop(struct agent *agent)
{
    /* Also one that waits for the user to confirm. */
    shutdown(agent->far, SHUT_RDWR);
    shutdown(agent->agent, SHUT_RDWR);
    pthread_join(agent->thread, NULL);
    fd_close(&agent->agent);
    fd_close(&agent->far);
}

void agent_clear(struct agent *agent)
{
    for (size_t i = 0; i < agent->n_keys; i++)
        free(agent->key[i]);
    agent->n_keys = 0;
}
