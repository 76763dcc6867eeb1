/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VG_CLIENT_PNG_WRITE_H
#define VG_CLIENT_PNG_WRITE_H

#include "client/rfb.h"

/* Writes the picture to a file, which has it whole or is as it was; "-" is standard output. 0; or EX_CANTCREAT and why. */
int png_write_picture(const char *path, const struct rfb_picture *picture, char why[static WHY_SIZE]);

#endif
