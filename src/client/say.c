/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

#define LINE_SIZE (WHY_SIZE + 600)

static bool with_progress;

void say_init(bool progress_wanted)
{
    with_progress = progress_wanted && isatty(STDERR_FILENO);
}

/* One write, so that lines of several threads do not mix. */
__attribute__((format(printf, 1, 0)))
static void put_line(const char *format, va_list args)
{
    char text[LINE_SIZE], line[LINE_SIZE + 16];

    vsnprintf(text, sizeof text, format, args);
    int len = snprintf(line, sizeof line, "virtgate: %s\n", text);
    io_write_all(STDERR_FILENO, line, (size_t)len);
}

void say_progress(const char *format, ...)
{
    va_list args;

    if (!with_progress)
        return;
    va_start(args, format);
    put_line(format, args);
    va_end(args);
}

int say_error(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_line(format, args);
    va_end(args);
    return status;
}

size_t say_harmless(char out[static SAY_LINE_SIZE], const char *text, size_t len)
{
    /* What the gate escaped has backslashes in it, which are not to be doubled. */
    if (len >= SAY_LINE_SIZE || !text_is_plain(text, len))
        return text_escape(out, SAY_LINE_SIZE, text, len);
    memcpy(out, text, len);
    out[len] = '\0';
    return len;
}

void say_others(const char *text, size_t len)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;
        size_t shown = n > 0 && text[n - 1] == '\r' ? n - 1 : n;
        char line[SAY_LINE_SIZE + 1];
        size_t used = say_harmless(line, text, shown);
        line[used] = '\n';
        io_write_all(STDERR_FILENO, line, used + 1);
        text += n + (end != NULL);
        len -= n + (end != NULL);
    }
}

int why_say(char why[static WHY_SIZE], int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, WHY_SIZE, format, args);
    va_end(args);
    return status;
}
