/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages between virtgate's processes are one fixed-size structure each, on one machine: no length ever comes from the
 * wire. Strings are char arrays: terminated within the array and zero from there to its end, so that a message has
 * exactly one form and nothing hides behind a terminator. */
#ifndef VG_WIRE_FIELD_H
#define VG_WIRE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline bool field_is_zero(const void *field, size_t size)
{
    const unsigned char *byte = field;

    for (size_t i = 0; i < size; i++)
        if (byte[i])
            return false;
    return true;
}

static inline bool field_is_string(const char *field, size_t size)
{
    size_t len = strnlen(field, size);

    return len < size && field_is_zero(field + len, size - len);
}

/* A string of visible ASCII, or empty. */
static inline bool field_is_word(const char *field, size_t size)
{
    if (!field_is_string(field, size))
        return false;
    for (; *field; field++)
        if (*field < 0x21 || *field > 0x7e)
            return false;
    return true;
}

/* For the arrays of a structure: FIELD_OK(word, message->path). */
#define FIELD_OK(kind, array) field_is_##kind((array), sizeof(array))

#endif
