/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user's terminal while a serial console has it: raw, and given back on every way out. */
#ifndef VG_TERMINAL_H
#define VG_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Makes the terminal on standard input raw. 0; -ENOTTY when there is none. From here on, termination by HUP, INT, QUIT and
 * TERM sets *terminal_stop() instead of ending the process, so that terminal_restore() comes to run. */
int terminal_raw(void);

/* As it was before; input that was not read is thrown away: what a guest's terminal queries made the user's terminal type
 * must not be read as a command by whoever is next. */
void terminal_restore(void);

const volatile int *terminal_stop(void);

/* Escapes: "~." at the beginning of a line and Ctrl-] leave, "~~" there is one "~". */
struct terminal_escape {
    enum { LINE_START, IN_LINE, AFTER_TILDE } state; /* zero: at the beginning */
};

/* Takes the bytes just typed; true: leave after what is left of them. Grows them by one byte at most: a "~" that ended the
 * read before and turned out to be an ordinary one. */
bool terminal_filter(void *escape, char *data, size_t *len);

#endif
