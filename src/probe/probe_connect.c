/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/probe_connect.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"

/* --- [user@]host[:port] -------------------------------------------------------------------------------------------- */

int probe_host_parse(const char *spec, char *buffer, size_t size, struct probe_host *ret)
{
    struct probe_host host = *ret;
    char *at, *colon;
    uint64_t port;

    if (strlen(spec) >= size)
        return -EINVAL;
    strcpy(buffer, spec);
    at = strrchr(buffer, '@');
    if (at) {
        *at = '\0';
        host.user = buffer;
        buffer = at + 1;
    }
    host.host = buffer;
    colon = strrchr(buffer, ':');
    if (*buffer == '[') {
        char *end = strchr(buffer, ']');

        if (!end || (end[1] != '\0' && end[1] != ':'))
            return -EINVAL;
        colon = end[1] ? end + 1 : NULL;
        *end = '\0';
        host.host = buffer + 1;
    } else if (colon && strchr(buffer, ':') != colon) {
        colon = NULL;   /* an address of IPv6 */
    }
    if (colon) {
        *colon = '\0';
        if (io_parse_number(colon + 1, strlen(colon + 1), 1, 65535, &port) < 0)
            return -EINVAL;
        host.port = (unsigned)port;
    }
    /* ssh(1) is given both as words. */
    if (!*host.host || *host.host == '-' || (host.user && (!*host.user || *host.user == '-')))
        return -EINVAL;
    *ret = host;
    return 0;
}

/* --- libssh -------------------------------------------------------------------------------------------------------- */

static bool set_options(ssh_session session, const struct probe_host *host)
{
    long seconds = (host->timeout_ms + 999) / 1000;

    return ssh_options_set(session, SSH_OPTIONS_HOST, host->host) == SSH_OK
        && (!host->user || ssh_options_set(session, SSH_OPTIONS_USER, host->user) == SSH_OK)
        && ssh_options_parse_config(session, NULL) == SSH_OK
        && (!host->port || ssh_options_set(session, SSH_OPTIONS_PORT, &host->port) == SSH_OK)
        && (!host->known_hosts || ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, host->known_hosts) == SSH_OK)
        && (!host->identity || ssh_options_set(session, SSH_OPTIONS_ADD_IDENTITY, host->identity) == SSH_OK)
        && ssh_options_set(session, SSH_OPTIONS_TIMEOUT, &seconds) == SSH_OK;
}

/* What cannot be told from another host's answers proves nothing about this one. */
static bool is_known(ssh_session session, char *why, size_t size)
{
    enum ssh_known_hosts_e state = ssh_session_is_known_server(session);

    if (state == SSH_KNOWN_HOSTS_OK)
        return true;
    if (state == SSH_KNOWN_HOSTS_CHANGED || state == SSH_KNOWN_HOSTS_OTHER)
        snprintf(why, size, "the host's key is not the one that is known; this may be another host");
    else if (state == SSH_KNOWN_HOSTS_ERROR)
        snprintf(why, size, "known_hosts: %s", ssh_get_error(session));
    else
        snprintf(why, size, "the host's key is not known; log in once by ssh, or name a file of it with --known-hosts");
    return false;
}

ssh_session probe_connect(const struct probe_host *host, char *why, size_t why_size)
{
    ssh_session session = ssh_new();

    if (!session || !set_options(session, host))
        snprintf(why, why_size, "%s", session ? ssh_get_error(session) : "out of memory");
    else if (ssh_connect(session) != SSH_OK)
        snprintf(why, why_size, "%s", ssh_get_error(session));
    else if (!is_known(session, why, why_size))
        ;
    else if (ssh_userauth_publickey_auto(session, NULL, NULL) != SSH_AUTH_SUCCESS)
        snprintf(why, why_size, "no login: %s", ssh_get_error(session));
    else
        return session;
    probe_disconnect(session);
    return NULL;
}

void probe_disconnect(ssh_session session)
{
    if (!session)
        return;
    ssh_disconnect(session);
    ssh_free(session);
}

/* --- ssh(1) -------------------------------------------------------------------------------------------------------- */

struct words {
    char *texts;
    char **argv;
    size_t used, n;
};

static void add(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct words *words, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(words->texts + words->used, PROBE_SSH_TEXT - words->used, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= PROBE_SSH_TEXT - words->used || words->n == PROBE_SSH_WORDS)
        return;     /* ssh(1) will say what it misses */
    words->argv[words->n++] = words->texts + words->used;
    words->used += (size_t)len + 1;
}

size_t probe_ssh_words(const struct probe_host *host, char texts[static PROBE_SSH_TEXT], char *argv[static PROBE_SSH_WORDS])
{
    struct words words = { .texts = texts, .argv = argv };

    add(&words, "-oBatchMode=yes");
    add(&words, "-oStrictHostKeyChecking=yes");
    add(&words, "-oClearAllForwardings=yes");
    add(&words, "-oForwardAgent=no");
    add(&words, "-oForwardX11=no");
    add(&words, "-oPermitLocalCommand=no");
    add(&words, "-oConnectTimeout=%d", (host->timeout_ms + 999) / 1000);
    if (host->known_hosts)
        add(&words, "-oUserKnownHostsFile=%s", host->known_hosts);
    if (host->identity)
        add(&words, "-i%s", host->identity);
    if (host->port)
        add(&words, "-p%u", host->port);
    if (host->user)
        add(&words, "-l%s", host->user);
    add(&words, "--");
    add(&words, "%s", host->host);
    return words.n;
}
