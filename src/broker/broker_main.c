/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtgated: the broker. As root it makes its socket and then becomes VG_BROKER_USER for good; started by systemd as that
 * account it is given its socket. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "broker/broker.h"
#include "broker/listener.h"
#include "confine/confine.h"

static const char usage[] =
    "usage: virtgated [-f] [-c PATH]\n"
    "  -f       stay in the foreground, and log to standard error as well\n"
    "  -c PATH  the ACL: a file, or a folder with virtgate.ini and virtgate.d (default " VG_SYSCONFDIR ")\n";

/* What whoever starts us by hand has open is not for us, nor for the session processes. */
static int close_inherited(void)
{
    int n = sd_listen_fds(0);

    return close_range(SD_LISTEN_FDS_START + (n > 0 ? (unsigned)n : 0), ~0U, 0) < 0 ? -errno : 0;
}

static int get_listener(int *ret_fd, char why[static LISTENER_WHY_SIZE])
{
    int r = listener_from_systemd(ret_fd, why);

    if (r != -ENOENT)
        return r;
    if (geteuid() != 0) {
        snprintf(why, LISTENER_WHY_SIZE, "expected a socket from systemd, or to be started as root");
        return -EPERM;
    }
    return listener_make(VG_RUNDIR, VG_GATE_GROUP, ret_fd, why);
}

int main(int argc, char *argv[])
{
    struct broker_options options = { .config = VG_SYSCONFDIR, .session_path = VG_SESSION_PATH, .rpc_path = VG_RPC_PATH,
                                       .listener = -1 };
    char why[LISTENER_WHY_SIZE] = "";
    bool foreground = false;
    int option, r;

    while ((option = getopt(argc, argv, "fc:h")) != -1) {
        switch (option) {
        case 'f':
            foreground = true;
            break;
        case 'c':
            options.config = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return EX_OK;
        default:
            fputs(usage, stderr);
            return EX_USAGE;
        }
    }
    if (optind != argc) {
        fputs(usage, stderr);
        return EX_USAGE;
    }
    umask(077);
    r = close_inherited();
    log_open("virtgated", foreground);
    if (r < 0) {
        log_say(LOG_CRIT, "cannot close what was left open: %s", strerror(-r));
        return EX_OSERR;
    }
    r = get_listener(&options.listener, why);
    if (r < 0) {
        log_say(LOG_CRIT, "no socket: %s", why[0] ? why : strerror(-r));
        return r == -EPERM ? EX_NOPERM : EX_OSERR;
    }
    if (geteuid() == 0 && (r = confine_become(VG_BROKER_USER)) < 0) {
        log_say(LOG_CRIT, "cannot become %s: %s", VG_BROKER_USER, strerror(-r));
        return EX_NOUSER;
    }
    if ((r = confine_self()) < 0) {
        log_say(LOG_CRIT, "cannot give up powers: %s", strerror(-r));
        return EX_OSERR;
    }
    if (!foreground && !getenv("NOTIFY_SOCKET") && daemon(0, 0) < 0) {
        log_say(LOG_CRIT, "cannot go to the background: %s", strerror(errno));
        return EX_OSERR;
    }
    return broker_run(&options);
}
