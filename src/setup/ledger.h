/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What setup did beside changing files, so that undo takes back that and nothing else: one line each, written before the
 * deed is done. And the lock, by which there is one setup at a time. */
#ifndef VG_SETUP_LEDGER_H
#define VG_SETUP_LEDGER_H

#include <stddef.h>

#define LEDGER_DIR VG_STATEDIR "/setup"

/* Makes the folder, and takes the lock for as long as the descriptor lives. It, or -EWOULDBLOCK when another process has the
 * lock, or -errno. */
int ledger_lock(void);

/* "folder /etc/x". A line that is there already is not written again. 0 or -errno. */
int ledger_note(const char *kind, const char *what);

/* How many lines there are. */
size_t ledger_length(void);

/* Calls visit for each line behind the first from_line, the last one first; a line for which it returns 0 is taken out. */
void ledger_take_back(size_t from_line, int (*visit)(void *context, const char *kind, const char *what), void *context);

#endif
