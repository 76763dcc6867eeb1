/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/rfb.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

enum { SECURITY_NONE = 1 };
enum { TO_SET_PIXEL_FORMAT = 0, TO_SET_ENCODINGS = 2, TO_REQUEST = 3 };
enum { FROM_UPDATE = 0, FROM_COLOURS = 1, FROM_BELL = 2, FROM_TEXT = 3 };

struct rfb {
    int fd;
    int64_t end_ms;
    struct rfb_picture picture;
    unsigned char *seen;    /* a byte for each pixel: was it sent */
    size_t missing;
};

/* --- bytes -------------------------------------------------------------------------------------------------------------- */

/* 0; -ETIMEDOUT, -EPIPE at the end of the stream, -errno. */
static int get(struct rfb *rfb, void *out, size_t len)
{
    return io_read_exactly(rfb->fd, out, len, rfb->end_ms);
}

static int put(struct rfb *rfb, const void *data, size_t len)
{
    return io_write_all(rfb->fd, data, len); /* a few bytes: they fit into any socket's buffer */
}

static int skip(struct rfb *rfb, uint64_t len)
{
    char rest[4096];
    int r = 0;

    for (; r == 0 && len > 0; len -= len < sizeof rest ? len : sizeof rest)
        r = get(rfb, rest, len < sizeof rest ? (size_t)len : sizeof rest);
    return r;
}

static uint32_t be16(const unsigned char *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t be32(const unsigned char *at)
{
    return be16(at) << 16 | be16(at + 2);
}

/* --- greeting ----------------------------------------------------------------------------------------------------------- */

/* The server says why it does not serve. */
static int refused(struct rfb *rfb, char why[static WHY_SIZE])
{
    unsigned char size[4];
    char text[200], shown[300];

    int r = get(rfb, size, 4);
    if (r < 0)
        return r;
    size_t len = be32(size) < sizeof text ? be32(size) : sizeof text;
    r = get(rfb, text, len);
    if (r < 0)
        return r;
    text_escape(shown, sizeof shown, text, len);
    return why_say(why, EX_UNAVAILABLE, "the display does not serve: %s", shown);
}

static int choose_security(struct rfb *rfb, char why[static WHY_SIZE])
{
    unsigned char n, types[255], choice = SECURITY_NONE, result[4];
    int r = get(rfb, &n, 1);

    if (r < 0)
        return r;
    if (n == 0)
        return refused(rfb, why);
    r = get(rfb, types, n);
    if (r < 0)
        return r;
    if (!memchr(types, SECURITY_NONE, n))
        return why_say(why, EX_UNAVAILABLE, "the display wants a password, which a screenshot cannot give; try virtgate view");
    r = put(rfb, &choice, 1);
    if (r == 0)
        r = get(rfb, result, 4);
    if (r < 0)
        return r;
    return be32(result) == 0 ? 0 : refused(rfb, why);
}

static int take_size(struct rfb *rfb, char why[static WHY_SIZE])
{
    unsigned char init[24];
    const unsigned char shared = 1;
    int r = put(rfb, &shared, 1);

    if (r == 0)
        r = get(rfb, init, sizeof init);
    if (r == 0)
        r = skip(rfb, be32(init + 20)); /* the name */
    if (r < 0)
        return r;
    uint32_t width = be16(init), height = be16(init + 2);
    if (width == 0 || height == 0 || width > RFB_SIDE_MAX || height > RFB_SIDE_MAX || (uint64_t)width * height > RFB_PIXELS_MAX)
        return why_say(why, EX_PROTOCOL, "the display says that it is %u x %u pixels large", width, height);
    rfb->picture.width = width;
    rfb->picture.height = height;
    rfb->missing = (size_t)width * height;
    rfb->picture.rgb = calloc(rfb->missing, 3);
    rfb->seen = calloc(rfb->missing, 1);
    return rfb->picture.rgb && rfb->seen ? 0 : -ENOMEM;
}

static int greet(struct rfb *rfb, char why[static WHY_SIZE])
{
    static const char version[] = "RFB 003.008\n";
    char theirs[12];
    int r = get(rfb, theirs, sizeof theirs);

    if (r < 0)
        return r;
    /* A newer server speaks 3.8 too; an older one has another greeting. */
    if (memcmp(theirs, version, 8) != 0 || memcmp(theirs + 8, version + 8, 3) < 0)
        return why_say(why, EX_PROTOCOL, "the display does not speak RFB 3.8; is it one of VNC?");
    r = put(rfb, version, 12);
    if (r == 0)
        r = choose_security(rfb, why);
    return r ? r : take_size(rfb, why);
}

/* --- picture ------------------------------------------------------------------------------------------------------------ */

/* 32 bits for a pixel: blue, green, red, and one that says nothing; Raw only; then the whole screen. */
static int ask(struct rfb *rfb)
{
    static const unsigned char format[20] = { TO_SET_PIXEL_FORMAT, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0 };
    static const unsigned char encodings[8] = { TO_SET_ENCODINGS, 0, 0, 1, 0, 0, 0, 0 };
    uint32_t w = rfb->picture.width, h = rfb->picture.height;
    const unsigned char request[10] = { TO_REQUEST, 0, 0, 0, 0, 0, (unsigned char)(w >> 8), (unsigned char)w,
                                        (unsigned char)(h >> 8), (unsigned char)h };
    int r = put(rfb, format, sizeof format);

    if (r == 0)
        r = put(rfb, encodings, sizeof encodings);
    return r == 0 ? put(rfb, request, sizeof request) : r;
}

static void set_pixels(struct rfb *rfb, size_t at, const unsigned char *bgrx, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++, at++, bgrx += 4) {
        unsigned char *rgb = rfb->picture.rgb + 3 * at;
        rgb[0] = bgrx[2];
        rgb[1] = bgrx[1];
        rgb[2] = bgrx[0];
        rfb->missing -= !rfb->seen[at];
        rfb->seen[at] = 1;
    }
}

static int take_rectangle(struct rfb *rfb, char why[static WHY_SIZE])
{
    unsigned char head[12], row[4 * 1024];
    int r = get(rfb, head, sizeof head);

    if (r < 0)
        return r;
    uint32_t x = be16(head), y = be16(head + 2), w = be16(head + 4), h = be16(head + 6);
    if (be32(head + 8) != 0 || x + w > rfb->picture.width || y + h > rfb->picture.height)
        return why_say(why, EX_PROTOCOL, "the display sent a rectangle that was not asked for");
    for (uint32_t line = 0; line < h; line++)
        for (uint32_t done = 0; done < w;) {
            uint32_t n = w - done < sizeof row / 4 ? w - done : sizeof row / 4;
            r = get(rfb, row, (size_t)n * 4);
            if (r < 0)
                return r;
            set_pixels(rfb, (size_t)(y + line) * rfb->picture.width + x + done, row, n);
            done += n;
        }
    return 0;
}

static int take_update(struct rfb *rfb, char why[static WHY_SIZE])
{
    unsigned char head[3];
    int r = get(rfb, head, sizeof head);

    for (uint32_t n = r == 0 ? be16(head + 1) : 0; r == 0 && n > 0; n--)
        r = take_rectangle(rfb, why);
    return r;
}

static int take_message(struct rfb *rfb, char why[static WHY_SIZE])
{
    unsigned char kind, head[7];
    int r = get(rfb, &kind, 1);

    if (r < 0)
        return r;
    switch (kind) {
    case FROM_UPDATE:
        return take_update(rfb, why);
    case FROM_BELL:
        return 0;
    case FROM_COLOURS:
        r = get(rfb, head, 5);
        return r == 0 ? skip(rfb, 6ULL * be16(head + 3)) : r;
    case FROM_TEXT:
        r = get(rfb, head, 7);
        return r == 0 ? skip(rfb, be32(head + 3)) : r;
    default:
        return why_say(why, EX_PROTOCOL, "the display sent a message of an unknown kind (%u)", kind);
    }
}

static int explain(int error, char why[static WHY_SIZE])
{
    switch (error) {
    case -ETIMEDOUT:
        return why_say(why, EX_UNAVAILABLE, "the display did not send its picture in time; try again");
    case -ENOMEM:
        return why_say(why, EX_OSERR, "this computer is short of memory");
    default:
        return why_say(why, EX_UNAVAILABLE, "the display's stream ended too early; try again");
    }
}

int rfb_take_picture(int fd, int deadline_ms, struct rfb_picture *ret, char why[static WHY_SIZE])
{
    struct rfb rfb = { .fd = fd, .end_ms = io_monotonic_ms() + deadline_ms };
    int r = greet(&rfb, why);

    if (r == 0)
        r = ask(&rfb);
    while (r == 0 && rfb.missing > 0)
        r = take_message(&rfb, why);
    free(rfb.seen);
    if (r == 0)
        *ret = rfb.picture;
    else
        free(rfb.picture.rgb);
    return r < 0 ? explain(r, why) : r;
}
