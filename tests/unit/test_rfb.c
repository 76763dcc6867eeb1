/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "unit.h"

#include "client/rfb.h"

#define LITERAL(text) text, sizeof text - 1
#define GREETING "RFB 003.008\n\1\1\0\0\0\0"
/* 2 x 2; the format, which is asked for anew; a name of 1 byte */
#define INIT "\0\2\0\2" "pixel format...." "\0\0\0\1n"
#define RECTANGLE(x, y, w, h, encoding) "\0" x "\0" y "\0" w "\0" h "\0\0\0" encoding

static char why[WHY_SIZE];
static char sent[200];    /* by the client */
static size_t n_sent;

/* What the client makes of a server that says this and hangs up. */
static int picture_of(const char *said, size_t len, struct rfb_picture *picture)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(pair[1], said, len), (ssize_t)len);
    shutdown(pair[1], SHUT_WR);
    why[0] = '\0';
    int status = rfb_take_picture(pair[0], 10000, picture, why);
    close(pair[0]);
    ssize_t n = read(pair[1], sent, sizeof sent);
    n_sent = n > 0 ? (size_t)n : 0;
    close(pair[1]);
    return status;
}

static void takes_a_picture_in_pieces(void **state)
{
    static const unsigned char expected[12] = { 3, 2, 1, 6, 5, 4, 9, 8, 7, 'c', 'b', 'a' };
    struct rfb_picture picture;

    (void)state;
    /* A bell, colours, text, then two updates of which the second has the last row. */
    assert_int_equal(picture_of(LITERAL(GREETING INIT "\2" "\1\0\0\0\0\1rgbrgb" "\3\0\0\0\0\0\0\2hi"
                                        "\0\0\0\1" RECTANGLE("\0", "\0", "\2", "\1", "\0") "\1\2\3x\4\5\6x"
                                        "\0\0\0\2" RECTANGLE("\0", "\1", "\1", "\1", "\0") "\7\10\11x"
                                        RECTANGLE("\1", "\1", "\1", "\1", "\0") "abcx"), &picture), 0);
    assert_int_equal(picture.width, 2);
    assert_int_equal(picture.height, 2);
    assert_memory_equal(picture.rgb, expected, sizeof expected);
    free(picture.rgb);
    assert_memory_equal(sent, "RFB 003.008\n\1\1", 14);
    assert_int_equal(n_sent, 14 + 20 + 8 + 10);
}

static void a_pixel_that_came_twice_is_one(void **state)
{
    struct rfb_picture picture;

    (void)state;
    assert_int_equal(picture_of(LITERAL(GREETING INIT "\0\0\0\2" RECTANGLE("\0", "\0", "\2", "\1", "\0") "abcxabcx"
                                        RECTANGLE("\0", "\0", "\2", "\1", "\0") "abcxabcx"), &picture), EX_UNAVAILABLE);
}

static void refuses_what_was_not_asked_for(void **state)
{
    static const struct { const char *said; size_t len; int status; const char *why; } rows[] = {
        { LITERAL(""), EX_UNAVAILABLE, "ended too early" },
        { LITERAL("REDQ........"), EX_PROTOCOL, "RFB 3.8" },
        { LITERAL("RFB 003.003\n"), EX_PROTOCOL, "RFB 3.8" },
        { LITERAL("RFB 003.008\n\0\0\0\0\4no\x1b!"), EX_UNAVAILABLE, "does not serve: no\\x1b!" },
        { LITERAL("RFB 003.008\n\1\2"), EX_UNAVAILABLE, "wants a password" },
        { LITERAL("RFB 003.008\n\1\1\0\0\0\1\0\0\0\2no"), EX_UNAVAILABLE, "does not serve: no" },
        { LITERAL(GREETING "\0\0\0\2" "pixel format...." "\0\0\0\0"), EX_PROTOCOL, "0 x 2 pixels" },
        { LITERAL(GREETING "\xff\xff\0\2" "pixel format...." "\0\0\0\0"), EX_PROTOCOL, "65535 x 2 pixels" },
        { LITERAL(GREETING "\x40\0\x40\0" "pixel format...." "\0\0\0\0"), EX_PROTOCOL, "16384 x 16384 pixels" },
        { LITERAL(GREETING INIT "\0\0\0\1" RECTANGLE("\1", "\0", "\2", "\1", "\0")), EX_PROTOCOL, "rectangle" },
        { LITERAL(GREETING INIT "\0\0\0\1" RECTANGLE("\0", "\1", "\1", "\2", "\0")), EX_PROTOCOL, "rectangle" },
        { LITERAL(GREETING INIT "\0\0\0\1" "\xff\xff\xff\xff\0\1\0\1\0\0\0\0"), EX_PROTOCOL, "rectangle" },
        { LITERAL(GREETING INIT "\0\0\0\1" RECTANGLE("\0", "\0", "\1", "\1", "\1")), EX_PROTOCOL, "rectangle" },
        { LITERAL(GREETING INIT "\7"), EX_PROTOCOL, "unknown kind (7)" },
        { LITERAL(GREETING INIT "\3\0\0\0\xff\xff\xff\xff"), EX_UNAVAILABLE, "ended too early" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rfb_picture picture;
        int status = picture_of(rows[i].said, rows[i].len, &picture);
        if (status != rows[i].status || !strstr(why, rows[i].why))
            fail_msg("row %zu: status %d, %s", i, status, why);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_picture_in_pieces),
        cmocka_unit_test(a_pixel_that_came_twice_is_one),
        cmocka_unit_test(refuses_what_was_not_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
