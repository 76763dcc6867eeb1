/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the client says on standard error, one line at a time, whole lines also from several threads. */
#ifndef VG_CLIENT_SAY_H
#define VG_CLIENT_SAY_H

#include <stdbool.h>
#include <stddef.h>

#define WHY_SIZE 512 /* one sentence that says what is wrong and what to do next */

/* Progress is for a person: said when standard error is a terminal; wanted is false with --quiet. */
void say_init(bool progress_wanted);

/* "virtgate: ...\n", for a person only. */
void say_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "virtgate: ...\n". Returns status. */
int say_error(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define SAY_LINE_SIZE 4096

/* One line of somebody else's as it can be shown: as it is, unless something in it would act on the terminal. Its length. */
size_t say_harmless(char out[static SAY_LINE_SIZE], const char *text, size_t len);

/* Text of another program's standard error, line by line as it is, but for what would act on the terminal. */
void say_others(const char *text, size_t len);

/* Writes the sentence into why, cut when long. Returns status. */
int why_say(char why[static WHY_SIZE], int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
