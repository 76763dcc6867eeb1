/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt.*: who may speak to libvirt, by speaking to it: connect, ask how to authenticate, do that, open. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/text.h"
#include "doctor/doctor.h"
#include "doctor/listeners.h"

#define FOLDER VG_LIBVIRT_RUNDIR

/* --- two calls of its protocol, no more than the question needs -------------------------------------------------- */

#define PROGRAM 0x20008086U
#define PROC_AUTH_LIST 66U
#define PROC_AUTH_POLKIT 70U
#define AUTH_NONE 0U
#define AUTH_POLKIT 2U
#define HEAD_WORDS 7 /* length, program, version, procedure, type, serial, status */

enum said { SAID_OPEN = 10, SAID_CLOSED, SAID_UNCLEAR };

/* Nobody took us, or nobody spoke, for as long as we had patience: that is no "no". */
static enum said silence(void)
{
    return errno == EAGAIN || errno == EINPROGRESS || errno == ETIMEDOUT ? SAID_UNCLEAR : SAID_CLOSED;
}

/* A call without arguments. SAID_OPEN: the reply with its header is in words, and *ok when it is no error. Who hangs up has
 * said no; so has a TLS port. */
static enum said call(int fd, uint32_t procedure, uint32_t words[static 64], bool *ok)
{
    const uint32_t head[HEAD_WORDS] = { htonl(sizeof head), htonl(PROGRAM), htonl(1), htonl(procedure), 0, htonl(1) };
    size_t have = 0, want = sizeof head;

    int r = io_write_all(fd, head, sizeof head);
    if (r < 0) {
        errno = -r;
        return silence();
    }
    while (have < want) {
        ssize_t n = read(fd, (char *)words + have, want - have);
        if (n <= 0)
            return n == 0 ? SAID_CLOSED : silence();
        have += (size_t)n;
        /* What is longer than the room is an error's text, and nothing is asked after that. */
        if (have >= sizeof *words && ntohl(words[0]) > want)
            want = ntohl(words[0]) < 64 * sizeof *words ? ntohl(words[0]) : 64 * sizeof *words;
    }
    *ok = words[HEAD_WORDS - 1] == 0;
    return SAID_OPEN;
}

/* May whoever made this connection go on? */
static enum said ask(int fd)
{
    uint32_t words[64] = { 0 };
    bool ok;
    enum said said = call(fd, PROC_AUTH_LIST, words, &ok);

    if (said != SAID_OPEN)
        return said;
    if (!ok || ntohl(words[HEAD_WORDS]) == 0)
        return SAID_UNCLEAR;
    switch (ntohl(words[HEAD_WORDS + 1])) {
    case AUTH_NONE:
        return SAID_OPEN;
    case AUTH_POLKIT:
        return call(fd, PROC_AUTH_POLKIT, words, &ok) != SAID_OPEN ? SAID_UNCLEAR : ok ? SAID_OPEN : SAID_CLOSED;
    default:
        return SAID_CLOSED; /* SASL: a password is asked for */
    }
}

static void set_patience(int fd)
{
    struct timeval five = { .tv_sec = 5 };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &five, sizeof five);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &five, sizeof five);
}

static int ask_unix(const void *arg)
{
    const struct sockaddr_un *name = arg;
    FD_AUTO fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return SAID_UNCLEAR;
    set_patience(fd);
    if (connect(fd, (const struct sockaddr *)name, sizeof *name) < 0)
        return (int)silence();
    return (int)ask(fd);
}

static int ask_tcp(const void *arg)
{
    const struct listener *listener = arg;
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(listener->port) };
    FD_AUTO fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return SAID_UNCLEAR;
    set_patience(fd);
    if (inet_pton(AF_INET, listener_reach(listener), &name.sin_addr) != 1)
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (const struct sockaddr *)&name, sizeof name) < 0)
        return (int)silence();
    return (int)ask(fd);
}

/* --- its sockets ------------------------------------------------------------------------------------------------- */

/* The daemon of libvirt-sock, virtqemud-sock and the like. */
static void daemon_of(const char *socket_name, char ret[static 64])
{
    int len = (int)strcspn(socket_name, "-");

    snprintf(ret, 64, "%.*s%s", len, socket_name, strncmp(socket_name, "libvirt-", 8) == 0 ? "d" : "");
}

/* For everybody. */
static void mend_socket(char *mend, size_t size, const char *path, bool is_readonly)
{
    char daemon[64];

    daemon_of(strrchr(path, '/') + 1, daemon);
    if (is_readonly)
        snprintf(mend, size, "virtgatectl setup");
    else if (doctor_has_systemd())
        snprintf(mend, size, "chmod 0770 %s; for good: SocketMode=0660 and SocketGroup=libvirt in %s.socket", path, daemon);
    else
        snprintf(mend, size, "chmod 0770 %s; for good: unix_sock_group = \"libvirt\" and unix_sock_rw_perms = \"0770\" in %s.conf",
                 path, daemon);
}

/* For one of the gate's users, who may what others may not. */
static void mend_member(char *mend, size_t size, const char *path, const struct member *member)
{
    char word[DOOR_WORD_SIZE];
    struct stat st;
    const struct group *group = stat(path, &st) == 0 ? getgrgid(st.st_gid) : NULL;

    snprintf(mend, size, "take %s out of what lets them connect", member->name);
    for (size_t i = 0; group && i < member->as.n_groups; i++)
        if (member->as.groups[i] == group->gr_gid)
            snprintf(mend, size, "gpasswd -d %s %s", door_word(word, member->name), group->gr_name);
}

static void examine_socket(struct door *door, const char *mend, const char *path, const struct probe_as *as,
                           const char *who)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    if (text_copy(name.sun_path, sizeof name.sun_path, path) < 0)
        return;
    switch (probe_do(as, ask_unix, &name)) {
    case SAID_OPEN:
        door_open(door, mend, "%s is open to %s", path, who);
        break;
    case SAID_CLOSED:
        break;
    default:
        door_unknown(door, mend, "%s takes connections of %s and then says nothing that is understood", path, who);
    }
}

static bool ends_with(const char *text, const char *tail)
{
    size_t n = strlen(text), len = strlen(tail);

    return n >= len && strcmp(text + n - len, tail) == 0;
}

static void examine_sockets(struct door *readonly, struct door *readwrite, const struct members *members)
{
    DIR *folder = opendir(FOLDER);
    const struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        char path[512], mend[DOOR_TEXT_SIZE];
        bool is_readonly = ends_with(entry->d_name, "-sock-ro");
        if (!is_readonly && !ends_with(entry->d_name, "-sock"))
            continue;
        snprintf(path, sizeof path, FOLDER "/%s", entry->d_name);
        struct door *door = is_readonly ? readonly : readwrite;
        mend_socket(mend, sizeof mend, path, is_readonly);
        examine_socket(door, mend, path, &probe_nobody, "every account of this host");
        for (size_t i = 0; i < members->n && door->state == DOOR_CLOSED; i++) {
            mend_member(mend, sizeof mend, path, &members->list[i]);
            examine_socket(door, mend, path, &members->list[i].as, members->list[i].name);
        }
    }
    if (folder)
        closedir(folder);
}

/* --- TCP --------------------------------------------------------------------------------------------------------- */

static void examine_port(struct door *door, const struct listener *listener, const char *name)
{
    char mend[DOOR_TEXT_SIZE];

    snprintf(mend, sizeof mend, "systemctl disable --now %s-tcp.socket; listen_tcp = 0 in %s.conf, or "
             "auth_tcp = \"sasl\"", name, name);
    switch (probe_do(&probe_nobody, ask_tcp, listener)) {
    case SAID_OPEN:
        door_open(door, mend, "%s serves everybody at %s port %u, without a password", name, listener->address,
                  listener->port);
        break;
    case SAID_CLOSED: /* also TLS, which ends such a conversation */
        break;
    default:
        door_unknown(door, mend, "%s at port %u says nothing that is understood", name, listener->port);
    }
}

static void visit(void *context, const struct process *process)
{
    ino_t *sockets;
    char line[512];

    if (!process->is_roots)
        return; /* called so by somebody */
    size_t n = process_sockets(process->pid, &sockets);

    for (int v6 = 0; v6 < 2; v6++) {
        FILE *table = fopen(v6 ? "/proc/net/tcp6" : "/proc/net/tcp", "re");
        while (table && fgets(line, sizeof line, table)) {
            struct listener listener;
            for (size_t i = 0; i < n && listener_of_tcp(line, v6, &listener); i++)
                if (sockets[i] == listener.inode)
                    examine_port(context, &listener, process->name);
        }
        if (table)
            fclose(table);
    }
    free(sockets);
}

void doors_libvirt(struct doors *doors, const struct members *members)
{
    static const char *const daemons[] = { "libvirtd", "virtproxyd", "virtqemud", NULL };
    struct door *readonly = door_add(doors, "libvirt.readonly",
                                     "no read-only socket in " FOLDER " serves uid 65534 or a gate's user");
    struct door *readwrite = door_add(doors, "libvirt.readwrite", "no other socket of libvirt there does");
    struct door *tcp = door_add(doors, "libvirt.tcp", "libvirt serves nobody by TCP without a password");

    examine_sockets(readonly, readwrite, members);
    process_each(daemons, visit, tcp);
}
