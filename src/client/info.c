/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "client/client.h"

#define INFO_MAX (256U * 1024)

/* The host's answer is text of the gate's, which has escaped what is in it; a host that is none is not trusted with the
 * terminal. */
static int print_lines(const char *text, size_t len)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;
        char line[SAY_LINE_SIZE];
        say_harmless(line, text, n);
        printf("%s\n", line);
        n += n < len;
        text += n;
        len -= n;
    }
    return fflush(stdout) ? EX_IOERR : EX_OK;
}

int client_info(const struct options *options, size_t n, const char *const *argv)
{
    char command[CLIENT_COMMAND_SIZE], *text;
    struct remote_said said;
    size_t len;
    int status = client_command(command, "info", options->json ? "--json" : NULL, n - 1, argv + 1);

    if (status)
        return status;
    struct remote *remote = client_reach(options, argv[0], &status);
    if (!remote)
        return status;
    status = remote_read(remote, command, INFO_MAX, &text, &len, &said);
    client_said(status, &said);
    if (status == 0)
        status = print_lines(text, len);
    free(text);
    remote_free(remote);
    return status;
}
