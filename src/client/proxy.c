/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Standard input and output to a display, for viewers that start a program of the user's choice. */
#include <sysexits.h>
#include <unistd.h>

#include "client/client.h"

int client_proxy(const struct options *options, size_t n, const char *const *argv)
{
    char command[CLIENT_COMMAND_SIZE];
    struct remote_said said;
    int status;

    if (isatty(STDOUT_FILENO))
        return say_error(EX_USAGE, "a display is for a viewer, not for a terminal; try virtgate view");
    status = client_command(command, "display", NULL, n - 1, argv + 1);
    if (status)
        return status;
    struct remote *remote = client_reach(options, argv[0], &status);
    if (!remote)
        return status;
    status = client_said(remote_run(remote, command, STDIN_FILENO, STDOUT_FILENO, &said), &said);
    remote_free(remote);
    return status;
}
