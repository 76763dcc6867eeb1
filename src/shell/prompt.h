/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The interactive shell: a terminal and no command. Lines as the terminal gives them; no editing, no history, no
 * completion, no file read. */
#ifndef VG_PROMPT_H
#define VG_PROMPT_H

#include <stddef.h>

/* Reads lines and calls run for each until the end of input, "exit" or "quit". Returns the status of the last one. */
int prompt_run(int (*run)(const char *line, size_t len));

#endif
