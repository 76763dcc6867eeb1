/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "setup/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "doctor/probe.h"

int setup_say(int code, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("virtgatectl: setup: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

int setup_run(const char *const argv[])
{
    static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    char *said = NULL;
    int status = probe_run(argv, env, NULL, &said);

    if (status != 0)
        setup_say(0, "%s %s: %s", argv[0], argv[1], status < 0 ? strerror(-status) : said[0] ? said : "failed");
    free(said);
    return status == 0 ? EX_OK : EX_OSERR;
}
