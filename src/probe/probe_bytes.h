/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A message being put together: numbers of 32 bits, big end first, and strings as SSH (RFC 4251) and XDR (RFC 4506) write
 * them. When memory is short, it is remembered and the message stays what it was. */
#ifndef VG_PROBE_BYTES_H
#define VG_PROBE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t len;
    bool failed;
};

void bytes_raw(struct bytes *bytes, const void *data, size_t len);
void bytes_u32(struct bytes *bytes, uint32_t value);
void bytes_string(struct bytes *bytes, const void *data, size_t len);   /* SSH: not padded */
void bytes_text(struct bytes *bytes, const char *text);                 /* the same up to its NUL */
void bytes_xdr(struct bytes *bytes, const char *text);                  /* XDR: padded to four */
void bytes_free(struct bytes *bytes);

uint32_t bytes_get_u32(const uint8_t at[static 4]);

#endif
