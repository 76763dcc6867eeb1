/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole reads and writes, and bounded numbers. */
#ifndef VG_BASE_IO_H
#define VG_BASE_IO_H

#include <stddef.h>
#include <stdint.h>

/* Writes all of it to a blocking descriptor. 0 or -errno. */
int io_write_all(int fd, const void *data, size_t len);

/* Reads exactly len bytes until end_ms of io_monotonic_ms(). 0, -ETIMEDOUT, -EPIPE at the end of the stream, -errno. */
int io_read_exactly(int fd, void *out, size_t len, int64_t end_ms);

/* Reads up to the end of the file, at most max bytes. 0, an allocated *ret (never NULL, one NUL after the data) and its
 * length; -EFBIG when there is more than max; -errno. */
int io_read_all(int fd, size_t max, char **ret, size_t *ret_len);

/* Reads a decimal number without sign, blanks or leading zeros, min <= n <= max. 0, -EINVAL or -ERANGE. */
int io_parse_number(const char *text, size_t len, uint64_t min, uint64_t max, uint64_t *ret);

/* Milliseconds of the clock that nobody can set. */
int64_t io_monotonic_ms(void);

#endif
