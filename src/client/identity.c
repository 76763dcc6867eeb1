/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private keys in files, opened once for all connections of a login. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/login_impl.h"

#define TRIES 3

int login_ask(const struct login *login, const char *prompt, bool secret, char ret[static ASK_SIZE])
{
    return login->config.batch ? -ENOTTY : ask_line(prompt, secret, ret);
}

struct opening {
    const struct login *login;
    const char *path;
    bool asked, gave_up;
};

/* libssh wants a passphrase. */
static int give_passphrase(const char *libssh_says, char *buf, size_t size, int echo, int verify, void *userdata)
{
    struct opening *opening = userdata;
    char prompt[ASK_SIZE], answer[ASK_SIZE];

    (void)libssh_says;
    (void)echo;
    (void)verify;
    opening->asked = true;
    snprintf(prompt, sizeof prompt, "Passphrase of the key %s: ", opening->path);
    int r = login_ask(opening->login, prompt, true, answer);
    size_t len = r == 0 ? strlen(answer) : 0;
    opening->gave_up = r < 0 || len == 0 || len >= size;
    if (!opening->gave_up)
        memcpy(buf, answer, len + 1);
    explicit_bzero(answer, sizeof answer);
    return opening->gave_up ? -1 : 0;
}

static ssh_key open_key(const struct login *login, const char *path)
{
    struct opening opening = { .login = login, .path = path };
    ssh_key key = NULL;

    for (int tries = 0; tries < TRIES; tries++) {
        opening.asked = false;
        if (ssh_pki_import_privkey_file(path, NULL, give_passphrase, &opening, &key) == SSH_OK)
            return key;
        if (!opening.asked || opening.gave_up)
            break;
    }
    return NULL;
}

ssh_key login_private_key(struct login *login, const char *path)
{
    ssh_key key = NULL;
    size_t i;

    ask_lock();
    for (i = 0; i < login->n_keys; i++)
        if (strcmp(login->key[i].path, path) == 0)
            break;
    if (i == login->n_keys && i < LOGIN_KEYS_MAX) {
        login->key[i].path = strdup(path);
        login->key[i].key = open_key(login, path);
        login->n_keys += login->key[i].path != NULL;
    }
    if (i < login->n_keys && login->key[i].key)
        key = ssh_key_dup(login->key[i].key);
    ask_unlock();
    return key;
}
