/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is the host who it was before? A changed key ends it, whatever the configuration says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "client/login_impl.h"

struct host_key {
    char kind[40], fingerprint[sizeof ((struct login *)0)->host_key];
};

static int read_key(ssh_session session, struct host_key *ret)
{
    ssh_key key = NULL;
    unsigned char *hash = NULL;
    size_t len = 0;
    char *text = NULL;

    if (ssh_get_server_publickey(session, &key) == SSH_OK &&
        ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len) == SSH_OK)
        text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len);
    if (text) {
        snprintf(ret->kind, sizeof ret->kind, "%s", ssh_key_type_to_char(ssh_key_type(key)));
        snprintf(ret->fingerprint, sizeof ret->fingerprint, "%s", text);
    }
    ssh_string_free_char(text);
    ssh_clean_pubkey_hash(&hash);
    ssh_key_free(key);
    return text ? 0 : -EPROTO;
}

static const char *known_hosts_of(ssh_session session, char out[static 300])
{
    char *path = NULL;

    if (ssh_options_get(session, SSH_OPTIONS_KNOWNHOSTS, &path) != SSH_OK)
        return "~/.ssh/known_hosts";
    snprintf(out, 300, "%s", path);
    ssh_string_free_char(path);
    return out;
}

/* As known_hosts has it. */
static const char *known_name_of(const struct login *login, ssh_session session, char out[static 300])
{
    char *host = NULL;
    unsigned port = 22;

    ssh_options_get_port(session, &port);
    if (ssh_options_get(session, SSH_OPTIONS_HOST, &host) != SSH_OK)
        return login->spec.host;
    snprintf(out, 300, port == 22 ? "%s" : "'[%s]:%u'", host, port);
    ssh_string_free_char(host);
    return out;
}

static int changed(const struct login *login, ssh_session session, const struct host_key *key, char why[static WHY_SIZE])
{
    char name[300], file[300];

    return why_say(why, EX_PROTOCOL, "THE HOST'S KEY IS NOT THE ONE IT HAD. Somebody may be in between, and nothing was sent. It "
                   "shows %s %s. Ask its administrator; only if the change is confirmed: ssh-keygen -R %s -f %s",
                   key->kind, key->fingerprint, known_name_of(login, session, name), known_hosts_of(session, file));
}

/* Under ask_lock(). */
static int ask_person(struct login *login, const struct host_key *key, char why[static WHY_SIZE])
{
    char prompt[2 * ASK_SIZE], answer[ASK_SIZE];

    snprintf(prompt, sizeof prompt, "The key of host '%s' is not known here: %s %s. Is it the right one, as its administrator "
             "told you? (yes, no, or the fingerprint) ", login->name, key->kind, key->fingerprint);
    for (int tries = 0; tries < 3; tries++) {
        int r = login_ask(login, prompt, false, answer);
        if (r == -ENOTTY)
            return why_say(why, EX_PROTOCOL, "the host's key is not known here (%s %s), and there is nobody to ask; log in once "
                           "from a terminal, or put it into ~/.ssh/known_hosts", key->kind, key->fingerprint);
        if (r < 0 || strcasecmp(answer, "no") == 0)
            break;
        if (strcasecmp(answer, "yes") == 0 || strcmp(answer, key->fingerprint) == 0)
            return 0;
    }
    return why_say(why, EX_PROTOCOL, "not connected: nobody confirmed the host's key (%s %s)", key->kind, key->fingerprint);
}

static int meet(struct login *login, ssh_session session, const struct host_key *key, char why[static WHY_SIZE])
{
    int status = 0;

    if (login->config.strict == STRICT_YES)
        return why_say(why, EX_PROTOCOL, "the host's key is not known here (%s %s) and StrictHostKeyChecking is yes; put it into "
                       "~/.ssh/known_hosts", key->kind, key->fingerprint);
    ask_lock();
    if (strcmp(login->host_key, key->fingerprint) != 0) {
        if (login->config.strict == STRICT_ASK)
            status = ask_person(login, key, why);
        if (status == 0) {
            snprintf(login->host_key, sizeof login->host_key, "%s", key->fingerprint);
            if (login->config.strict != STRICT_NO && ssh_session_update_known_hosts(session) != SSH_OK)
                say_error(0, "%s: the host's key could not be written down, so it will be asked for again", login->name);
        }
    }
    ask_unlock();
    return status;
}

int hostkey_check(struct login *login, ssh_session session, char why[static WHY_SIZE])
{
    struct host_key key = { .kind = "" };

    if (read_key(session, &key) < 0)
        return why_say(why, EX_PROTOCOL, "the host has shown no key that could be read; nothing was sent");
    switch (ssh_session_is_known_server(session)) {
    case SSH_KNOWN_HOSTS_OK:
        return 0;
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER: /* one of another kind, while those that are known were not shown */
        return changed(login, session, &key, why);
    case SSH_KNOWN_HOSTS_UNKNOWN:
    case SSH_KNOWN_HOSTS_NOT_FOUND:
        return meet(login, session, &key, why);
    case SSH_KNOWN_HOSTS_ERROR:
    default:
        return why_say(why, EX_PROTOCOL, "known_hosts cannot be read (%s); nothing was sent", ssh_get_error(session));
    }
}
