/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host.*: the lock on displays' ports, the kernel, the broker, the clock. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "doctor/doctor.h"
#include "host/qemu_conf.h"

/* --- the host lock, by a listener of our own where a display's could be ------------------------------------------ */

static int listen_at(const char *host, uint16_t port)
{
    bool v6 = strchr(host, ':') != NULL;
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct sockaddr *at = (const struct sockaddr *)&v4;
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (v6)
        at = (const struct sockaddr *)&six;
    if (fd >= 0 && (bind(fd, at, v6 ? sizeof six : sizeof v4) < 0 || listen(fd, 4) < 0))
        fd_close(&fd);
    return fd;
}

static void examine_range(struct door *door, const char *host, struct port_range range)
{
    /* A unit that is active already, though its table is gone, is not started again. */
    const char *mend = doctor_has_systemd() ? "systemctl enable virtgate-firewall; systemctl restart virtgate-firewall"
                                            : "virtgatectl firewall on";

    for (unsigned port = range.last; port >= range.first && port + 100 > range.last; port--) {
        FD_AUTO fd = listen_at(host, (uint16_t)port);
        if (fd < 0)
            continue; /* somebody's display, perhaps: displays.loopback tries it */
        if (probe_tcp(NULL, host, (uint16_t)port) != PROBE_REACHED)
            door_unknown(door, "look for rules that refuse root as well: nft list ruleset",
                         "not even root reaches %s port %u", host, port);
        else if (probe_tcp(&probe_nobody, host, (uint16_t)port) != PROBE_REFUSED)
            door_open(door, mend, "every account of this host reaches %s port %u, where a display may come to be", host,
                      port);
        return;
    }
}

static void examine_firewall(struct door *door)
{
    char why[QEMU_CONF_WHY_SIZE];
    struct qemu_conf conf;

    if (qemu_conf_read(&conf, why) < 0) {
        door_open(door, "mend " QEMU_CONF, QEMU_CONF ": %s", why);
        return;
    }
    examine_range(door, "127.0.0.1", conf.display);
    examine_range(door, "127.0.0.1", conf.websocket);
    examine_range(door, "::1", conf.display);
    examine_range(door, "::1", conf.websocket);
    if (doctor_has_systemd() && access("/etc/systemd/system/multi-user.target.wants/virtgate-firewall.service", F_OK) < 0)
        door_unknown(door, "systemctl enable virtgate-firewall", "it is on, and will not be after the next start");
}

/* --- the kernel -------------------------------------------------------------------------------------------------- */

static void examine_kernel(struct door *door)
{
    unsigned action = SECCOMP_RET_ERRNO;

#ifdef SYS_landlock_create_ruleset
    /* No attributes, and the flag that asks for the version. */
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1)
#endif
        door_open(door, "boot a kernel with CONFIG_SECURITY_LANDLOCK and lsm=...,landlock",
                  "this kernel has no Landlock, by which virtgate confines itself");
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
        door_open(door, "boot a kernel with CONFIG_SECCOMP_FILTER", "this kernel has no seccomp filters");
}

/* --- the broker, asked by a user of the gate --------------------------------------------------------------------- */

int doctor_ask_gate(const struct members *members, char **ret)
{
    static const char *const argv[] = { VG_SHELL_PATH, NULL }, *const env[] = { "SSH_ORIGINAL_COMMAND=list", NULL };
    int status = probe_run(argv, env, &members->list[0].as, ret);

    if (status >= 0)
        (*ret)[strcspn(*ret, "\n")] = '\0';
    return status;
}

static void examine_broker(struct door *door, const struct members *members)
{
    char *output = NULL;

    if (members->n == 0) {
        door_unknown(door, "put somebody into group " VG_GATE_GROUP, "there is nobody to ask it as");
        return;
    }
    int status = doctor_ask_gate(members, &output);
    if (status != EX_OK && status != EX_NOPERM)
        door_unknown(door, "systemctl enable --now virtgated.socket virtgated.service; its log says why it ended",
                     "asked by %s, the gate answers: %s", members->list[0].name,
                     status < 0 ? strerror(-status) : output);
    free(output);
}

/* --- the clock: hours and until go by it ------------------------------------------------------------------------- */

static void examine_clock(struct door *door)
{
    struct timex now = { 0 };
    int state = adjtimex(&now);
    bool synchronized = state >= 0 && state != TIME_ERROR && !(now.status & STA_UNSYNC);

    /* systemd-timesyncd leaves word in a file; others tell the kernel. */
    if (!synchronized && access("/run/systemd/timesync/synchronized", F_OK) < 0)
        door_unknown(door, "run a time service: chrony, systemd-timesyncd, ntpd",
                     "the clock is not synchronised, and hours and until of the ACL go by it");
}

void doors_host(struct doors *doors, const struct members *members)
{
    struct door *firewall = door_add(doors, "host.firewall", "uid 65534 is refused where displays will be, root is not");
    struct door *kernel = door_add(doors, "host.kernel", "Landlock and seccomp are there");
    struct door *broker = door_add(doors, "host.broker", "virtgated answers a user of the gate");
    struct door *clock = door_add(doors, "host.clock", "the clock is synchronised");

    examine_firewall(firewall);
    examine_kernel(kernel);
    examine_broker(broker, members);
    examine_clock(clock);
}
