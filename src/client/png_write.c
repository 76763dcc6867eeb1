/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/png_write.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* The whole PNG in memory; NULL when there is none to be had. */
static void *make(const struct rfb_picture *picture, size_t *ret_len)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = picture->width, .height = picture->height, .format = PNG_FORMAT_RGB,
    };
    png_alloc_size_t len = 0;
    void *data;

    if (!png_image_write_to_memory(&image, NULL, &len, 0, picture->rgb, 0, NULL))
        return NULL;
    data = malloc(len);
    if (data && !png_image_write_to_memory(&image, data, &len, 0, picture->rgb, 0, NULL)) {
        free(data);
        return NULL;
    }
    *ret_len = len;
    return data;
}

static int write_out(FILE *out, const void *data, size_t len)
{
    bool good = out && fwrite(data, 1, len, out) == len && fflush(out) == 0;

    if (out && out != stdout)
        good = fclose(out) == 0 && good;
    return good ? 0 : errno ? -errno : -EIO;
}

/* By another name first. */
static int write_file(const char *path, const void *data, size_t len)
{
    char beside[4200];
    mode_t mask = umask(0);
    int fd, r;

    umask(mask);
    if ((size_t)snprintf(beside, sizeof beside, "%s.XXXXXX", path) >= sizeof beside)
        return -ENAMETOOLONG;
    fd = mkstemp(beside);
    if (fd < 0)
        return -errno;
    fchmod(fd, 0666 & ~mask);
    FILE *out = fdopen(fd, "w");
    r = write_out(out, data, len);
    if (!out)
        close(fd);
    if (r == 0 && rename(beside, path) < 0)
        r = -errno;
    if (r < 0)
        unlink(beside);
    return r;
}

int png_write_picture(const char *path, const struct rfb_picture *picture, char why[static WHY_SIZE])
{
    size_t len = 0;
    void *data = make(picture, &len);

    if (!data)
        return why_say(why, EX_OSERR, "the picture cannot be made: this computer is short of memory");
    int r = strcmp(path, "-") == 0 ? write_out(stdout, data, len) : write_file(path, data, len);
    free(data);
    return r < 0 ? why_say(why, EX_CANTCREAT, "%.300s cannot be written: %s", path, strerror(-r)) : 0;
}
