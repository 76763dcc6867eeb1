/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The findings for a person and for a program. */
#ifndef VG_PROBE_PRINT_H
#define VG_PROBE_PRINT_H

#include <stdio.h>

#include "probe/probe_result.h"

/* One line: verdict, door, what was tried, what was seen. Nothing of it acts on a terminal. */
void probe_print_line(FILE *out, const char *id, const char *tried, const struct finding *finding);

/* {"host", "ok", "counts": {...}, "doors": [{"id", "verdict", "tried", "seen"}]} */
void probe_print_json(FILE *out, const char *host, const struct results *results, bool against_open);

#endif
