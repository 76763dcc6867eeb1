/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a host answers to virtgate: the first byte says what it is read as, a display or libvirt's protocol. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "client/libvirt_rpc.h"
#include "client/rfb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

/* A descriptor on which the other side has said this and hung up; it does not read. */
static int said(const uint8_t *data, size_t size, int *ret_other)
{
    int pair[2];

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    *ret_other = pair[1];
    if (size > 65536)
        size = 65536; /* what a socket holds without a reader */
    must(send(pair[1], data, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size || size == 0);
    shutdown(pair[1], SHUT_WR);
    return pair[0];
}

static void read_display(int fd)
{
    struct rfb_picture picture = { .rgb = NULL };
    char why[WHY_SIZE] = "";

    if (rfb_take_picture(fd, 10000, &picture, why) == 0)
        must(picture.rgb && picture.width > 0 && picture.height > 0);
    else
        must(why[0] && memchr(why, '\0', sizeof why) && text_is_plain(why, strlen(why)));
    free(picture.rgb);
}

static void read_libvirt(int fd)
{
    char why[WHY_SIZE] = "";

    if (libvirt_rpc_power(fd, 10000, "start", "cards2", why) != 0)
        must(why[0] && memchr(why, '\0', sizeof why) && text_is_plain(why, strlen(why)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd, other;

    if (size == 0)
        return 0;
    fd = said(data + 1, size - 1, &other);
    if (data[0] == 'd')
        read_display(fd);
    else
        read_libvirt(fd);
    close(fd);
    close(other);
    return 0;
}
