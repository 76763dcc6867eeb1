/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sentence of a refusal. */
#ifndef VG_COMMAND_WHY_H
#define VG_COMMAND_WHY_H

#include "command/command.h"

/* Writes the sentence, cut at COMMAND_WHY_SIZE, and returns -EINVAL. Client text goes in through why_quote() only. */
int why_set(char why[static COMMAND_WHY_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));

#define WHY_QUOTE_SIZE 44 /* two of them and a sentence fit into COMMAND_WHY_SIZE */

struct why_quote {
    char text[WHY_QUOTE_SIZE];
};

/* Client text, escaped (base/text.h) and cut, for a "%s" of why_set(). */
struct why_quote why_quote(const char *text);

#endif
