/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions to the person at the terminal, one at a time also from several threads. On /dev/tty, as standard input and
 * output may be a stream. */
#ifndef VG_CLIENT_ASK_H
#define VG_CLIENT_ASK_H

#include <stdbool.h>
#include <stddef.h>

#define ASK_SIZE 512

/* With allowed false, nobody is asked from now on (--batch; a terminal that a console has). */
void ask_init(bool allowed);
bool ask_allowed(void);

/* Whoever goes through several questions holds this, so that another host's do not come between. */
void ask_lock(void);
void ask_unlock(void);

/* Under ask_lock(). Writes prompt, each of its lines escaped, and reads one line; with secret it is not shown while typed. 0 and
 * the line without its end; -ENOTTY when there is nobody to ask; -ECANCELED for the end of input or Ctrl-C. A signal that ends
 * the program puts the terminal back first. */
int ask_line(const char *prompt, bool secret, char ret[static ASK_SIZE]);

#endif
