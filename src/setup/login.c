/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "setup/login.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "doctor/probe.h"

#define LOGIN_SECONDS 60 /* a directory may be slow */

static const char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL };

static int free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    FD_AUTO fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) < 0 || getsockname(fd, (struct sockaddr *)&at,
        &len) < 0)
        return -1;
    return ntohs(at.sin_port);
}

/* What ssh-keygen or ssh said, its last line, which has the reason. */
static void last_line(char *why, const char *what, const char *said)
{
    size_t len = said ? strlen(said) : 0;

    while (len > 0 && said[len - 1] == '\n')
        len--;
    size_t start = len;
    while (start > 0 && said[start - 1] != '\n')
        start--;
    snprintf(why, LOGIN_WHY_SIZE, "%s: %.*s", what, (int)(len - start), said ? said + start : "");
}

/* Somebody else may have taken the port by now, and say yes to every login: only who has the key of the moment is believed. */
static int know_host(const struct login_probe *probe, char *why)
{
    char path[96];

    snprintf(path, sizeof path, "%s/key.pub", probe->folder);
    char *key = probe_read(path);
    snprintf(path, sizeof path, "%s/known", probe->folder);
    FILE *known = key ? fopen(path, "we") : NULL;
    bool written = known && fprintf(known, "probe %s", key) > 0;
    if (known && fclose(known) == EOF)
        written = false;
    free(key);
    if (!written)
        snprintf(why, LOGIN_WHY_SIZE, "%s cannot be written", path);
    return written ? 0 : -1;
}

static int make_key(const struct login_probe *probe, char *why)
{
    char key[96], *said = NULL;
    const char *const argv[] = { "/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, NULL };

    snprintf(key, sizeof key, "%s/key", probe->folder);
    int status = probe_run(argv, environment, NULL, &said);
    if (status != 0)
        last_line(why, "ssh-keygen", said);
    free(said);
    return status == 0 ? know_host(probe, why) : -1;
}

/* Its own group of keys, and root may come with one: the rest is as the host has it. The first host key is ours. */
static void run_sshd(const struct login_probe *probe)
{
    char port[16], keys[128], host[128];
    char program[] = "/usr/sbin/sshd", name[] = "-D", p[] = "-p", o[] = "-o";
    char listen[] = "ListenAddress=127.0.0.1", root[] = "PermitRootLogin=prohibit-password", pid[] = "PidFile=none";
    char strict[] = "StrictModes=no", pubkey[] = "PubkeyAuthentication=yes", methods[] = "AuthenticationMethods=any";
    char *argv[] = { program, name, p, port, o, listen, o, root, o, pid, o, strict, o, pubkey, o, methods, o, keys, o,
                     host, NULL };
    char *env[] = { NULL };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    snprintf(port, sizeof port, "%d", probe->port);
    snprintf(keys, sizeof keys, "AuthorizedKeysFile=%s/key.pub", probe->folder);
    snprintf(host, sizeof host, "HostKey=%s/key", probe->folder);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        _exit(126);
    execve(program, argv, env);
    _exit(127);
}

static int wait_for_sshd(const struct login_probe *probe, char *why)
{
    for (int i = 0; i < 1200; i++) {
        if (probe_tcp(NULL, "127.0.0.1", (uint16_t)probe->port) == PROBE_REACHED)
            return 0;
        poll(NULL, 0, 25);
    }
    snprintf(why, LOGIN_WHY_SIZE, "an sshd with this configuration does not come up; sshd -t may say why");
    return -1;
}

int login_start(struct login_probe *probe, char why[static LOGIN_WHY_SIZE])
{
    *probe = (struct login_probe){ .folder = "/run/virtgate-setup.XXXXXX", .port = free_port() };
    if (probe->port < 0 || !mkdtemp(probe->folder) || chmod(probe->folder, 0755) < 0) {
        probe->folder[0] = '\0';
        snprintf(why, LOGIN_WHY_SIZE, "a folder in /run, or a port, cannot be had");
        return -1;
    }
    if (make_key(probe, why) < 0)
        return -1;
    probe->pid = fork();
    if (probe->pid == 0)
        run_sshd(probe);
    if (probe->pid < 0) {
        snprintf(why, LOGIN_WHY_SIZE, "a process for sshd cannot be had");
        return -1;
    }
    return wait_for_sshd(probe, why);
}

int login_try(const struct login_probe *probe, const char *user, const char *command, char why[static LOGIN_WHY_SIZE])
{
    char key[96], port[16], target[128], known[128], *said = NULL;
    const char *const argv[] = {
        "/usr/bin/ssh", "-F", "none", "-T", "-i", key, "-p", port, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o",
        "StrictHostKeyChecking=yes", "-o", known, "-o", "GlobalKnownHostsFile=none", "-o", "HostKeyAlias=probe", "-o",
        "HostKeyAlgorithms=ssh-ed25519", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=30",
        "--", target, command, NULL,
    };

    snprintf(key, sizeof key, "%s/key", probe->folder);
    snprintf(port, sizeof port, "%d", probe->port);
    snprintf(known, sizeof known, "UserKnownHostsFile=%s/known", probe->folder);
    snprintf(target, sizeof target, "%s@127.0.0.1", user);
    int status = probe_run_within(LOGIN_SECONDS, argv, environment, NULL, &said);
    if (status != 0) {
        char what[100];
        snprintf(what, sizeof what, "a login of %s fails (%d)", user, status);
        last_line(why, what, said);
    }
    free(said);
    return status;
}

void login_stop(struct login_probe *probe)
{
    static const char *const files[] = { "key", "key.pub", "known" };
    char path[96];

    if (probe->pid > 0) {
        kill(probe->pid, SIGTERM);
        waitpid(probe->pid, NULL, 0);
    }
    for (size_t i = 0; probe->folder[0] && i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", probe->folder, files[i]);
        unlink(path);
    }
    if (probe->folder[0])
        rmdir(probe->folder);
}
