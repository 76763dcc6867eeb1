/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As much of a VNC client (RFC 6143) as one picture needs: protocol 3.8, no authentication, Raw. The other side is not
 * trusted. */
#ifndef VG_CLIENT_RFB_H
#define VG_CLIENT_RFB_H

#include <stddef.h>
#include <stdint.h>

#include "client/say.h"

#define RFB_SIDE_MAX 16384
#define RFB_PIXELS_MAX (64U * 1024 * 1024)

struct rfb_picture {
    uint32_t width, height;
    unsigned char *rgb;     /* width * height * 3 bytes, row by row; to be freed */
};

/* Asks the server behind the connected socket for its whole screen, and waits until all of it was there, at most deadline_ms.
 * 0 and *ret; or EX_PROTOCOL, EX_UNAVAILABLE, EX_OSERR and why. */
int rfb_take_picture(int fd, int deadline_ms, struct rfb_picture *ret, char why[static WHY_SIZE]);

#endif
