/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/prompt.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "shell/gate.h"

#define LINE_SIZE 4096 /* a terminal gives no longer line (termios(3), canonical mode) */

static bool is_word(const char *line, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(line, word, len) == 0;
}

int prompt_run(int (*run)(const char *line, size_t len))
{
    static const char prompt[] = "virtgate> ";
    char line[LINE_SIZE];
    int status = EX_OK;

    io_write_all(STDERR_FILENO, "virtgate: type help for the commands, exit to leave\n", 52);
    for (;;) {
        io_write_all(STDERR_FILENO, prompt, sizeof prompt - 1);
        ssize_t n = read(STDIN_FILENO, line, sizeof line);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        size_t len = (size_t)n;
        if (line[len - 1] == '\n')
            len--;
        if (is_word(line, len, "exit") || is_word(line, len, "quit"))
            break;
        if (len > 0)
            status = run(line, len);
    }
    return status;
}
