/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

int why_set(char why[static COMMAND_WHY_SIZE], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, COMMAND_WHY_SIZE, format, args);
    va_end(args);
    return -EINVAL;
}

struct why_quote why_quote(const char *text)
{
    struct why_quote quote;

    text_escape(quote.text, sizeof quote.text, text, strlen(text));
    return quote;
}
