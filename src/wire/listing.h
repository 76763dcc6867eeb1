/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What list and info answer: records of named values in a sealed memory file. "key\0value\0", an empty key ends a record,
 * and a record without a value ends the listing: what was cut short is seen. */
#ifndef VG_WIRE_LISTING_H
#define VG_WIRE_LISTING_H

#include <stddef.h>
#include <stdio.h>

#define LISTING_MAX (8U << 20) /* bytes */

/* session's side: write to a stream, then make the file. */
void session_put_field(FILE *listing, const char *key, const char *value); /* key not empty */
void session_put_record_end(FILE *listing);
/* Ends the listing and makes it a sealed memory file. 0 and a descriptor of the caller's, or -errno. */
int session_seal_listing(const char *data, size_t len, int *ret_fd);

/* gate's side: walks a listing. One call of field for each field, record at each end of one. 0; -EPROTO for anything that
 * is not a whole listing (some calls may have been made by then). */
struct listing_reader {
    void (*field)(void *context, const char *key, const char *value);
    void (*record)(void *context);
    void *context;
};
int gate_read_listing(const char *data, size_t len, const struct listing_reader *reader);

#endif
