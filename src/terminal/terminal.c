/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "terminal/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_RIGHT_BRACKET 0x1d

static struct termios before;
static bool is_raw, at_exit;
static volatile int stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void catch_signals(void (*handler)(int))
{
    static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
    struct sigaction action = { .sa_handler = handler };

    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

int terminal_raw(void)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return -errno;
    stop = 0;
    catch_signals(on_signal);
    if (!at_exit)
        at_exit = atexit(terminal_restore) == 0;
    raw = before;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
        return -errno;
    is_raw = true;
    return 0;
}

void terminal_restore(void)
{
    if (!is_raw)
        return;
    is_raw = false;
    tcflush(STDIN_FILENO, TCIFLUSH);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    catch_signals(SIG_DFL);
}

const volatile int *terminal_stop(void)
{
    return &stop;
}

/* One byte: how many bytes of out it becomes (0-2), or -1 to leave. */
static int escape_byte(struct terminal_escape *escape, char byte, char out[static 2])
{
    bool after_tilde = escape->state == AFTER_TILDE;

    if (byte == CTRL_RIGHT_BRACKET || (after_tilde && byte == '.'))
        return -1;
    if (escape->state == LINE_START && byte == '~') {
        escape->state = AFTER_TILDE;
        return 0; /* held back until the next byte says what it was */
    }
    escape->state = byte == '\r' || byte == '\n' ? LINE_START : IN_LINE;
    if (after_tilde && byte != '~') {
        out[0] = '~';
        out[1] = byte;
        return 2;
    }
    out[0] = byte;
    return 1;
}

bool terminal_filter(void *context, char *data, size_t *len)
{
    struct terminal_escape *escape = context;
    size_t used = 0, in = *len;
    char out[2];

    for (size_t at = 0; at < in; at++) {
        int n = escape_byte(escape, data[at], out);
        if (n < 0) {
            *len = used;
            return true;
        }
        /* A held tilde comes from an earlier byte, so that the output is behind the input unless it came in an earlier
         * read: then one byte is moved out of the way. */
        if (used + (size_t)n > at + 1) {
            memmove(data + at + 2, data + at + 1, in - at - 1);
            at++;
            in++;
        }
        memcpy(data + used, out, (size_t)n);
        used += (size_t)n;
    }
    *len = used;
    return false;
}
