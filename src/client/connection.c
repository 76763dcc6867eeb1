/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "client/login_impl.h"

#define TIMEOUT_MS 15000
#define ALIVE_S 15
#define ALIVE_COUNT 3
#define SYSTEM_CONFIG "/etc/ssh/ssh_config"

struct connection {
    ssh_session session;
    struct connection_alive alive;
};

/* --- login -------------------------------------------------------------------------------------------------------- */

static int find_home(struct login *login)
{
    struct passwd entry, *found = NULL;
    char text[4096];

    /* As ssh(1) and libssh: not by HOME. */
    if (getpwuid_r(getuid(), &entry, text, sizeof text, &found) == 0 && found)
        return text_copy(login->home, sizeof login->home, found->pw_dir);
    return text_copy(login->home, sizeof login->home, getenv("HOME") ? getenv("HOME") : "/");
}

static int read_files(struct login *login, const char *file, FILE *flat, char why[static SSH_CONFIG_WHY_SIZE])
{
    struct ssh_config *config = &login->config;
    const char *home = login->home, *host = login->spec.host;
    char path[4200];
    int r;

    if (file)
        return strcmp(file, "none") == 0 ? 0 : ssh_config_read(config, file, FILE_NAMED, home, host, flat, why);
    snprintf(path, sizeof path, "%s/.ssh/config", home);
    r = ssh_config_read(config, path, FILE_OWN, home, host, flat, why);
    return r < 0 ? r : ssh_config_read(config, SYSTEM_CONFIG, FILE_USUAL, home, host, flat, why);
}

/* The lines for libssh, which reads files only, go into one that has no name. */
static int read_config(struct login *login, const char *file, char why[static SSH_CONFIG_WHY_SIZE])
{
    FILE *flat;
    int fd, r;

    login->flat = memfd_create("ssh_config", MFD_CLOEXEC);
    fd = login->flat < 0 ? -1 : fcntl(login->flat, F_DUPFD_CLOEXEC, 3);
    flat = fd < 0 ? NULL : fdopen(fd, "w");
    if (!flat) {
        fd_close(&fd);
        return -ENOMEM;
    }
    r = read_files(login, file, flat, why);
    return fclose(flat) != 0 && r == 0 ? -EIO : r;
}

static int fill(struct login *login, const char *spec, const struct login_options *options, char why[static WHY_SIZE])
{
    if (host_spec_parse(spec, &login->spec, why) < 0)
        return EX_USAGE;
    snprintf(login->name, sizeof login->name, "%s", spec);
    if (find_home(login) < 0 || (options->identity && !(login->identity = strdup(options->identity))))
        return why_say(why, EX_OSERR, "this computer is short of memory; try again");
    if (options->strict)
        ssh_config_set(&login->config, "StrictHostKeyChecking", options->strict);
    char file_why[SSH_CONFIG_WHY_SIZE] = "";
    int r = read_config(login, options->config, file_why);
    if (r < 0)
        return why_say(why, EX_CONFIG, "the ssh configuration cannot be read: %s", file_why[0] ? file_why : strerror(-r));
    if (login->config.refused[0])
        return why_say(why, EX_CONFIG, "%s in your ssh configuration is not known to this program and must not be passed over; "
                       "use --ssh ssh", login->config.refused);
    return 0;
}

int login_new(const char *spec, const struct login_options *options, struct login **ret, char why[static WHY_SIZE])
{
    struct login *login = calloc(1, sizeof *login);

    if (!login)
        return why_say(why, EX_OSERR, "this computer is short of memory; try again");
    login->flat = -1;
    int status = fill(login, spec, options, why);
    if (status)
        login_free(login);
    else
        *ret = login;
    return status;
}

void login_free(struct login *login)
{
    if (!login)
        return;
    for (size_t i = 0; i < login->n_keys; i++) {
        free(login->key[i].path);
        ssh_key_free(login->key[i].key);
    }
    ssh_config_clear(&login->config);
    free(login->identity);
    fd_close(&login->flat);
    explicit_bzero(login, sizeof *login);
    free(login);
}

const char *login_name(const struct login *login)
{
    return login->name;
}

const struct host_spec *login_spec(const struct login *login)
{
    return &login->spec;
}

void login_say_lacking(const struct login *login)
{
    if (login->config.unread[0])
        say_error(0, "%s: %s cannot be read and does not count; try chmod u+r", login->name, login->config.unread);
    if (login->config.lacking[0])
        say_error(0, "%s: your ssh configuration has %s, which this program does not know; with --ssh ssh it counts", login->name,
                  login->config.lacking);
}

/* --- connection --------------------------------------------------------------------------------------------------- */

int login_timeout_ms(const struct login *login)
{
    return login->config.timeout_ms ? login->config.timeout_ms : TIMEOUT_MS;
}

static int parse_config(const struct login *login, ssh_session session)
{
    char path[40];

    snprintf(path, sizeof path, "/proc/self/fd/%d", login->flat);
    if (ssh_options_parse_config(session, path) < 0)
        return -EINVAL;
    /* What to do with a key that is not known is decided in hostkey.c. With "no", libssh takes a changed one as well. */
    return ssh_options_set(session, SSH_OPTIONS_STRICTHOSTKEYCHECK, &(int){ 1 });
}

/* The user before the configuration, which may have a Match for it; the port after, as the configuration would replace it. */
static int set_options(const struct login *login, ssh_session session)
{
    long timeout = login_timeout_ms(login) / 1000;
    unsigned port = login->spec.port;

    if (ssh_options_set(session, SSH_OPTIONS_HOST, login->spec.host) < 0 ||
        (login->spec.user[0] && ssh_options_set(session, SSH_OPTIONS_USER, login->spec.user) < 0) ||
        ssh_options_set(session, SSH_OPTIONS_TIMEOUT, &timeout) < 0 ||
        ssh_options_set(session, SSH_OPTIONS_NODELAY, &(int){ 1 }) < 0 || parse_config(login, session) < 0)
        return -EINVAL;
    return port && ssh_options_set(session, SSH_OPTIONS_PORT, &port) < 0 ? -EINVAL : 0;
}

static bool has_proxy(ssh_session session)
{
    char *command = NULL;
    bool has = ssh_options_get(session, SSH_OPTIONS_PROXYCOMMAND, &command) == SSH_OK && strcasecmp(command, "none") != 0;

    ssh_string_free_char(command);
    return has;
}

/* A socket of our own, unless only libssh knows how to get there. */
static int dial_for(const struct login *login, ssh_session session, char why[static WHY_SIZE])
{
    char *host = NULL;
    unsigned port = 22;
    int fd = -1, status;

    if (login->config.binds || has_proxy(session) || ssh_options_get(session, SSH_OPTIONS_HOST, &host) != SSH_OK)
        return 0;
    ssh_options_get_port(session, &port);
    status = dial(host, port, login_timeout_ms(login), &fd, why);
    ssh_string_free_char(host);
    if (status)
        return status;
    if (ssh_options_set(session, SSH_OPTIONS_FD, &fd) == SSH_OK)
        return 0; /* the session's from here on */
    fd_close(&fd);
    return why_say(why, EX_SOFTWARE, "libssh does not take a socket");
}

static int complain(ssh_session session, int status, const char *what, const char *next, char why[static WHY_SIZE])
{
    const char *error = ssh_get_error(session);
    char shown[200];

    text_escape(shown, sizeof shown, error, strlen(error));
    return why_say(why, status, "%s: %s; %s", what, shown, next);
}

static int reach(struct login *login, ssh_session session, char why[static WHY_SIZE])
{
    if (set_options(login, session) < 0)
        return complain(session, EX_CONFIG, "the ssh configuration is not understood", "see whether --ssh ssh does", why);
    int status = dial_for(login, session, why);
    if (status)
        return status;
    if (ssh_connect(session) != SSH_OK)
        return complain(session, EX_UNAVAILABLE, "no connection", "is it a host with sshd, and is the way there open?", why);
    status = hostkey_check(login, session, why);
    if (status)
        return status;
    if (!atomic_flag_test_and_set(&login->told))
        say_progress("%s: authenticating", login->name);
    return auth_run(login, session, why);
}

int connection_open(struct login *login, struct connection **ret, char why[static WHY_SIZE])
{
    struct connection *connection = calloc(1, sizeof *connection);

    if (connection)
        connection->session = ssh_new();
    if (!connection || !connection->session) {
        free(connection);
        return why_say(why, EX_OSERR, "this computer is short of memory; try again");
    }
    connection->alive.interval_ms = (login->config.alive_s ? login->config.alive_s : ALIVE_S) * 1000;
    connection->alive.count = login->config.alive_count ? login->config.alive_count : ALIVE_COUNT;
    int status = reach(login, connection->session, why);
    if (status)
        connection_close(connection);
    else
        *ret = connection;
    return status;
}

ssh_session connection_session(struct connection *connection)
{
    return connection->session;
}

const struct connection_alive *connection_alive(const struct connection *connection)
{
    return &connection->alive;
}

int connection_status_of(ssh_channel channel)
{
#if LIBSSH_VERSION_INT >= SSH_VERSION_INT(0, 11, 0)
    uint32_t status = UINT32_MAX;

    return ssh_channel_get_exit_state(channel, &status, NULL, NULL) == SSH_OK ? (int)status : -1;
#else
    return ssh_channel_get_exit_status(channel);
#endif
}

void connection_close(struct connection *connection)
{
    if (!connection)
        return;
    ssh_disconnect(connection->session);
    ssh_free(connection->session);
    free(connection);
}
