/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* displays.*: what QEMU's processes listen on, tried as an account that may nothing. */
#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/doctor.h"
#include "doctor/listeners.h"
#include "host/lock.h"
#include "host/qemu_conf.h"

struct found {
    struct door *loopback, *public, *sockets, *monitor;
    uid_t qemu;                       /* root, if none is known */
    struct qemu_conf conf;            /* the ports that the host lock closes by itself */
    struct lock outside;              /* those of running machines that it does not */
};

/* Which ports a machine has that the host lock has to be told of. */
static void note_port(struct found *found, uint16_t port)
{
    const struct port_range *d = &found->conf.display, *w = &found->conf.websocket;

    if ((port < d->first || port > d->last) && (port < w->first || port > w->last))
        lock_add_ports(&found->outside, (struct port_range){ port, port });
}

/* All of them at once: with one alone the next would be open. */
static void mend_ports(const struct found *found)
{
    struct door *door = found->loopback;
    size_t n;

    if (door->state == DOOR_CLOSED)
        return;
    n = (size_t)snprintf(door->mend, sizeof door->mend, "virtgatectl firewall on");
    for (size_t i = 0; i < found->outside.n_ports && n + 32 < sizeof door->mend; i++) {
        const struct port_range *range = &found->outside.ports[i];
        n += (size_t)snprintf(door->mend + n, sizeof door->mend - n, "%s%u", i ? "," : " --ports ", range->first);
        if (range->last != range->first)
            n += (size_t)snprintf(door->mend + n, sizeof door->mend - n, "-%u", range->last);
    }
}

static bool is_of(const struct listener *listener, const ino_t *sockets, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sockets[i] == listener->inode)
            return true;
    return false;
}

static void examine_tcp(struct found *found, const struct qemu *qemu, const struct listener *listener)
{
    if (!listener_is_loopback(listener))
        door_open(found->public, "in the machine's XML: <listen type='none'/> for its display, or 127.0.0.1",
                  "%s listens on %s port %u, which other hosts can reach", qemu->name, listener->address,
                  listener->port);
    if (qemu->gdb_port == listener->port) {
        door_open(found->monitor, "take -gdb (or -s) out of the machine's XML",
                  "the debugger's port of %s is %u: whoever connects has the machine's memory", qemu->name,
                  listener->port);
        return;
    }
    note_port(found, listener->port);
    switch (probe_tcp(&probe_nobody, listener_reach(listener), listener->port)) {
    case PROBE_REACHED:
        door_open(found->loopback, "", "port %u of %s takes connections of every account of this host",
                  listener->port, qemu->name);
        break;
    case PROBE_UNCLEAR:
        door_unknown(found->loopback, "", "port %u of %s neither takes nor refuses a connection", listener->port,
                     qemu->name);
        break;
    case PROBE_REFUSED:
        break;
    }
}

static void each_tcp(struct found *found, const struct qemu *qemu, const ino_t *sockets, size_t n, bool v6)
{
    FILE *table = fopen(v6 ? "/proc/net/tcp6" : "/proc/net/tcp", "re");
    char line[512];

    while (table && fgets(line, sizeof line, table)) {
        struct listener listener;
        if (listener_of_tcp(line, v6, &listener) && is_of(&listener, sockets, n))
            examine_tcp(found, qemu, &listener);
    }
    if (table)
        fclose(table);
}

static void each_unix(struct found *found, const struct qemu *qemu, const ino_t *sockets, size_t n)
{
    FILE *table = fopen("/proc/net/unix", "re");
    char line[512], mend[DOOR_TEXT_SIZE], word[DOOR_WORD_SIZE];

    while (table && fgets(line, sizeof line, table)) {
        struct listener listener;
        line[strcspn(line, "\n")] = '\0';
        if (!listener_of_unix(line, &listener) || !is_of(&listener, sockets, n) ||
            probe_unix(&probe_nobody, listener.path, listener.type) == PROBE_REFUSED)
            continue;
        if (listener.path[0] == '@') {
            snprintf(mend, sizeof mend, "in the XML of %s: a socket with a path", qemu->name);
        } else {
            char *slash = strrchr(listener.path, '/');
            *slash = '\0';
            snprintf(mend, sizeof mend, "chmod o-x %s", door_word(word, listener.path));
            *slash = '/';
        }
        door_open(found->sockets, mend, "every account of this host can connect to %s of %s", listener.path,
                  qemu->name);
    }
    if (table)
        fclose(table);
}

/* libvirtd notes the process of each machine, whatever account its XML has it run under. */
static bool is_noted(pid_t pid)
{
    DIR *folder = opendir(VG_LIBVIRT_RUNDIR "/qemu");
    const struct dirent *entry;
    bool found = false;

    while (folder && !found && (entry = readdir(folder))) {
        char path[512];
        size_t len = strlen(entry->d_name);
        if (len < 4 || strcmp(entry->d_name + len - 4, ".pid") != 0)
            continue;
        snprintf(path, sizeof path, VG_LIBVIRT_RUNDIR "/qemu/%s", entry->d_name);
        char *text = probe_read(path);
        found = text && strtol(text, NULL, 10) == pid;
        free(text);
    }
    if (folder)
        closedir(folder);
    return found;
}

static uid_t qemu_account(const struct qemu_conf *conf)
{
    static const char *const usual[] = { "libvirt-qemu", "qemu", NULL };
    const struct passwd *account = NULL;

    if (conf->user[0]) {
        account = getpwnam(conf->user);
        return account ? account->pw_uid : (uid_t)strtoul(conf->user + (conf->user[0] == '+'), NULL, 10);
    }
    for (size_t i = 0; !account && usual[i]; i++)
        account = getpwnam(usual[i]);
    return account ? account->pw_uid : 0;
}

/* A QEMU of an ordinary account (qemu:///session, or any program of such a name) is that account's own business: what it
 * listens on opens nothing of this host's, and must not keep doctor busy or red. */
static void visit(void *context, const struct process *process)
{
    struct found *found = context;
    struct qemu qemu;
    ino_t *sockets;

    if (process->uid != 0 && process->uid != found->qemu && !is_noted(process->pid))
        return;
    size_t n = process_sockets(process->pid, &sockets);
    qemu_of_cmdline(process->cmdline, process->len, &qemu);
    if (qemu.has_tcp_monitor)
        door_open(found->monitor, "take the monitor out of the machine's XML, or put it on a socket in the file system",
                  "%s has a monitor on TCP (%s)", qemu.name, qemu.monitor);
    each_tcp(found, &qemu, sockets, n, false);
    each_tcp(found, &qemu, sockets, n, true);
    each_unix(found, &qemu, sockets, n);
    free(sockets);
}

void doors_displays(struct doors *doors)
{
    static const char *const names[] = { "qemu-system-", "qemu-kvm", "kvm", NULL };
    char why[QEMU_CONF_WHY_SIZE];
    struct found found = {
        .loopback = door_add(doors, "displays.loopback", "no port of a running machine is open to uid 65534"),
        .public = door_add(doors, "displays.public", "no running machine listens where other hosts can reach it"),
        .sockets = door_add(doors, "displays.sockets", "no socket of a running machine is open to uid 65534"),
        .monitor = door_add(doors, "displays.monitor", "no running machine has a monitor or a debugger on TCP"),
    };

    /* What is wrong with the file is for host.firewall to say. */
    if (qemu_conf_read(&found.conf, why) < 0)
        qemu_conf_parse("", 0, &found.conf, why);
    found.qemu = qemu_account(&found.conf);
    process_each(names, visit, &found);
    mend_ports(&found);
}
