/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/text.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool may_ask = true;

void ask_init(bool allowed)
{
    may_ask = allowed;
}

bool ask_allowed(void)
{
    return may_ask;
}

void ask_lock(void)
{
    pthread_mutex_lock(&lock);
}

void ask_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* --- a signal while the terminal shows nothing -------------------------------------------------------------------------- */

static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
#define N_ENDING (sizeof ending / sizeof ending[0])

static struct {
    int tty;
    struct termios before;
    struct sigaction was[N_ENDING];
} asking; /* under the lock; read by on_signal() while the handlers are there */

/* The thread that asks may be another one than this. The signal comes again once it is let through, and then ends the program
 * as if nobody had caught it. */
static void on_signal(int number)
{
    struct sigaction action = { .sa_handler = SIG_DFL };

    tcsetattr(asking.tty, TCSANOW, &asking.before);
    sigaction(number, &action, NULL);
    raise(number);
}

/* Those that the program catches or ignores anyway stay as they are. */
static void catch_signals(int tty, const struct termios *before)
{
    struct sigaction action = { .sa_handler = on_signal };

    sigfillset(&action.sa_mask);
    asking.tty = tty;
    asking.before = *before;
    for (size_t i = 0; i < N_ENDING; i++)
        if (sigaction(ending[i], NULL, &asking.was[i]) == 0 && asking.was[i].sa_handler == SIG_DFL)
            sigaction(ending[i], &action, NULL);
}

static void leave_signals(void)
{
    for (size_t i = 0; i < N_ENDING; i++)
        if (asking.was[i].sa_handler == SIG_DFL)
            sigaction(ending[i], &asking.was[i], NULL);
}

/* --- questions ------------------------------------------------------------------------------------------------------------ */

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

/* A question may have several lines, as those that list the ways to confirm a login. */
static void show(int tty, const char *prompt)
{
    char shown[4 * ASK_SIZE];

    for (size_t len; *prompt; prompt += len) {
        len = strcspn(prompt, "\n");
        size_t n = len > 0 && prompt[len - 1] == '\r' ? len - 1 : len;
        io_write_all(tty, shown, text_escape(shown, sizeof shown, prompt, n));
        if (prompt[len]) {
            io_write_all(tty, "\n", 1);
            len++;
        }
    }
}

int ask_line(const char *prompt, bool secret, char ret[static ASK_SIZE])
{
    struct termios before;

    if (!may_ask)
        return -ENOTTY;
    FD_AUTO tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0 || tcgetattr(tty, &before) < 0)
        return -ENOTTY;
    catch_signals(tty, &before);
    hide(tty, &before, secret);
    show(tty, prompt);
    int r = read_answer(tty, ret);
    if (secret || r < 0)
        io_write_all(tty, "\n", 1);
    tcsetattr(tty, TCSAFLUSH, &before);
    leave_signals();
    return r;
}
