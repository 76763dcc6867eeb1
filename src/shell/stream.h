/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session: the user's standard input and output on the stream that the broker gave. */
#ifndef VG_STREAM_H
#define VG_STREAM_H

#include <stdbool.h>

#include "shell/gate.h"

/* Carries until either side ends or the broker ends it. With as_console and a terminal on standard input the terminal is
 * raw meanwhile, and has escapes. Returns a status of sysexits.h. */
int stream_carry(struct gate_answer *answer, bool as_console);

#endif
