/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/fd.h"
#include "shell/shell.h"

/* What whoever started us blocked or ignored must not keep us alive or deaf. */
static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* fails for KILL, STOP and libc's own */
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int main(int argc, char *argv[])
{
    const char *original;

    if (fd_settle_standard() < 0)
        return EX_OSERR;
    reset_signals();
    /* The one thing taken from the environment; the rest is not there for any library to read. */
    original = getenv("SSH_ORIGINAL_COMMAND");
    if (original)
        original = strdup(original);
    clearenv();
    return shell_run(argc, (const char *const *)argv, original);
}
