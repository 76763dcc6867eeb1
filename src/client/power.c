/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sysexits.h>

#include "client/client.h"
#include "client/far.h"
#include "client/libvirt_rpc.h"

#define DEADLINE_MS 120000 /* a start may wait for storage */
#define HELPER "virt-ssh-helper qemu:///system"

static bool is_verb(const char *word)
{
    for (const char *const *verb = libvirt_rpc_verbs; *verb; verb++)
        if (strcmp(*verb, word) == 0)
            return true;
    return false;
}

static int press(struct remote *remote, const char *verb, const char *vm)
{
    struct far far;
    char why[WHY_SIZE];

    if (far_start(&far, remote, HELPER))
        return EX_OSERR;
    int status = libvirt_rpc_power(far.near, DEADLINE_MS, verb, vm, why);
    far_end(&far);
    /* What the gate said is why there was no answer. */
    if (status && far.status && far.said.len > 0)
        return client_said(far.status, &far.said);
    if (status)
        return say_error(status, "%s: %s", remote_name(remote), why);
    say_progress("%s: %s: done", vm, verb);
    return EX_OK;
}

int client_power(const struct options *options, size_t n, const char *const *argv)
{
    char command[CLIENT_COMMAND_SIZE];
    int status;

    (void)n;
    if (!is_verb(argv[0]))
        return say_error(EX_USAGE, "expected start, shutdown, reboot, reset, off, suspend or resume, not '%.40s'", argv[0]);
    status = client_command(command, "info", NULL, 1, argv + 2); /* the name alone: it is checked as for all others */
    if (status)
        return status;
    struct remote *remote = client_reach(options, argv[1], &status);
    if (!remote)
        return status;
    status = press(remote, argv[0], argv[2]);
    remote_free(remote);
    return status;
}
