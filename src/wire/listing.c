/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"

void session_put_field(FILE *listing, const char *key, const char *value)
{
    fwrite(key, 1, strlen(key) + 1, listing);
    fwrite(value, 1, strlen(value) + 1, listing);
}

void session_put_record_end(FILE *listing)
{
    putc('\0', listing);
}

int session_seal_listing(const char *data, size_t len, int *ret_fd)
{
    int fd = memfd_create("virtgate-listing", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r;

    if (fd < 0)
        return -errno;
    r = io_write_all(fd, data, len);
    if (r == 0)
        r = io_write_all(fd, "", 1); /* the empty record */
    /* Sealed: whoever gets this descriptor can neither change it for another reader nor make it grow. */
    if (r == 0 && (lseek(fd, 0, SEEK_SET) < 0 ||
                   fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0))
        r = -errno;
    if (r < 0) {
        fd_close(&fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

/* The string at *at, which moves behind its terminator; NULL when there is none. */
static const char *next_string(const char **at, const char *end)
{
    const char *string = *at, *stop = memchr(string, '\0', (size_t)(end - string));

    if (!stop)
        return NULL;
    *at = stop + 1;
    return string;
}

int gate_read_listing(const char *data, size_t len, const struct listing_reader *reader)
{
    const char *at = data, *end = data + len;
    size_t fields = 0;

    for (;;) {
        const char *key = next_string(&at, end);
        if (!key)
            return -EPROTO;
        if (*key) {
            const char *value = next_string(&at, end);
            if (!value)
                return -EPROTO;
            reader->field(reader->context, key, value);
            fields++;
        } else if (fields > 0) {
            reader->record(reader->context);
            fields = 0;
        } else {
            return at == end ? 0 : -EPROTO;
        }
    }
}
