/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's uuid: 16 bytes, in writing 8-4-4-4-12 hexadecimal digits (RFC 9562). */
#ifndef VG_BASE_UUID_H
#define VG_BASE_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_TEXT_SIZE 37 /* with the terminator */

struct uuid {
    uint8_t byte[16];
};

/* Reads exactly the 36 characters of the written form, either case. 0 or -EINVAL. */
int uuid_parse(const char *text, size_t len, struct uuid *ret);

/* Writes the form with small letters. */
void uuid_format(const struct uuid *uuid, char out[static UUID_TEXT_SIZE]);

bool uuid_equal(const struct uuid *a, const struct uuid *b);

#endif
