/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words and programs of setup. */
#ifndef VG_SETUP_SAY_H
#define VG_SETUP_SAY_H

/* A line on standard error, "virtgatectl: setup: ...". Returns code. */
int setup_say(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs a program by its path; what it says is passed on when it fails. EX_OK or EX_OSERR. */
int setup_run(const char *const argv[]);

#endif
