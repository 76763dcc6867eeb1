/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/io.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int io_write_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int io_read_exactly(int fd, void *out, size_t len, int64_t end_ms)
{
    char *at = out;

    while (len > 0) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        int64_t left = end_ms - io_monotonic_ms();
        int ready = left > 0 ? poll(&wait, 1, left < INT_MAX ? (int)left : INT_MAX) : 0;
        if (ready == 0)
            return -ETIMEDOUT;
        ssize_t n = ready < 0 ? -1 : read(fd, at, len);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int io_read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
    size_t size = 4096, len = 0;
    char *data = malloc(size);

    if (!data)
        return -ENOMEM;
    for (;;) {
        ssize_t n = read(fd, data + len, size - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = errno;
            free(data);
            return -error;
        }
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > max) {
            free(data);
            return -EFBIG;
        }
        if (len == size - 1) {
            char *grown = realloc(data, size *= 2);
            if (!grown) {
                free(data);
                return -ENOMEM;
            }
            data = grown;
        }
    }
    data[len] = '\0';
    *ret = data;
    *ret_len = len;
    return 0;
}

int io_parse_number(const char *text, size_t len, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    if (len == 0 || (len > 1 && text[0] == '0'))
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return -ERANGE;
        n = n * 10 + digit;
    }
    if (n < min || n > max)
        return -ERANGE;
    *ret = n;
    return 0;
}

int64_t io_monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
