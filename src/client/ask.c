/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/text.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool may_ask = true;

void ask_init(bool allowed)
{
    may_ask = allowed;
}

void ask_lock(void)
{
    pthread_mutex_lock(&lock);
}

void ask_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* Ctrl-C arrives as a byte and ends the question, so that the terminal is put back before the program ends. */
static void hide(int tty, const struct termios *before, bool secret)
{
    struct termios quiet = *before;

    quiet.c_lflag &= ~(tcflag_t)ISIG;
    quiet.c_cc[VEOL] = 0x03;
    if (secret)
        quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    tcsetattr(tty, TCSAFLUSH, &quiet);
}

static int read_answer(int tty, char ret[static ASK_SIZE])
{
    ssize_t n;

    do
        n = read(tty, ret, ASK_SIZE - 1);
    while (n < 0 && errno == EINTR);
    if (n <= 0 || memchr(ret, 0x03, (size_t)n))
        return -ECANCELED;
    ret[n] = '\0';
    ret[strcspn(ret, "\r\n")] = '\0';
    return 0;
}

int ask_line(const char *prompt, bool secret, char ret[static ASK_SIZE])
{
    char shown[4 * ASK_SIZE];
    struct termios before;

    if (!may_ask)
        return -ENOTTY;
    FD_AUTO tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0 || tcgetattr(tty, &before) < 0)
        return -ENOTTY;
    hide(tty, &before, secret);
    io_write_all(tty, shown, text_escape(shown, sizeof shown, prompt, strlen(prompt)));
    int r = read_answer(tty, ret);
    if (secret || r < 0)
        io_write_all(tty, "\n", 1);
    tcsetattr(tty, TCSAFLUSH, &before);
    return r;
}
