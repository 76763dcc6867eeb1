/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What list and info show on standard output. Names of domains are escaped: they are other people's text. */
#ifndef VG_PRINT_H
#define VG_PRINT_H

#include <stdbool.h>
#include <stddef.h>

/* data: a listing (wire/listing.h) of len bytes. 0 or -EPROTO; -EIO: standard output takes no more. */
int print_list(const char *data, size_t len, bool as_json);
int print_info(const char *data, size_t len, bool as_json);

void print_help(void);
void print_version(void);

#endif
