/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In the place of ssh, for programs that only know how to call that. */
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/client.h"
#include "client/ssh_args.h"

/* Quiet: who calls this shows what comes on standard error to its user, and takes it for what went wrong. */
int client_ssh(int argc, char *const *argv)
{
    static struct ssh_args args;
    struct options options = { .quiet = true };
    struct remote_said said;
    char why[WHY_SIZE];
    int status = ssh_args_parse(argc, argv, &args, why);

    if (status)
        return say_error(status, "%s", why);
    if (args.version) { /* some callers ask whether there is an ssh */
        fprintf(stderr, "virtgate " PACKAGE_VERSION "\n");
        return EX_OK;
    }
    say_init(false);
    ask_init(!args.batch);
    options.remote = args.remote;
    struct remote *remote = client_reach(&options, args.host, &status);
    if (!remote)
        return status;
    status = client_said(remote_run(remote, args.command, STDIN_FILENO, STDOUT_FILENO, &said), &said);
    remote_free(remote);
    return status;
}
