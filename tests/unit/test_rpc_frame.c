/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "rpc/rpc_codec.h"
#include "rpc/rpc_frame.h"

/* --- frames ------------------------------------------------------------------------------------------------------ */

static const struct rpc_header a_call = { RPC_PROGRAM_REMOTE, 1, 14, RPC_CALL, 7, RPC_OK };

static void give(struct rpc_buffer *buffer, const void *data, size_t len)
{
    memcpy(rpc_buffer_room(buffer, len), data, len);
    rpc_buffer_added(buffer, len);
}

static void messages_come_byte_by_byte(void **state)
{
    struct rpc_buffer out = { 0 }, in = { 0 };
    struct rpc_message message;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(rpc_frame_put(&out, &a_call, "payload.", (size_t)i * 4), 0);
    size_t len = rpc_buffer_len(&out), seen = 0;
    for (size_t i = 0; i < len; i++) {
        give(&in, out.data + out.start + i, 1);
        int r = rpc_frame_peek(&in, RPC_FROM_CLIENT_MAX, &message);
        if (r == 0)
            continue;
        assert_int_equal(r, 1);
        assert_int_equal(message.len, seen * 4);
        assert_memory_equal(message.payload, "payload.", message.len);
        assert_memory_equal(&message.header, &a_call, sizeof a_call);
        rpc_buffer_drop(&in, RPC_HEAD_SIZE + message.len);
        seen++;
    }
    assert_int_equal(seen, 3);
    assert_int_equal(rpc_buffer_len(&in), 0);
    rpc_buffer_free(&in);
    rpc_buffer_free(&out);
}

static void lengths_have_bounds(void **state)
{
    static const struct {
        unsigned char word[4];
        int peek;
    } row[] = {
        { { 0, 0, 0, 0 }, -EPROTO },
        { { 0, 0, 0, 27 }, -EPROTO },
        { { 0, 0, 0, 28 }, 0 },
        { { 0, 0x40, 0, 0 }, 0 },
        { { 0, 0x40, 0, 1 }, -EPROTO },
        { { 0xff, 0xff, 0xff, 0xff }, -EPROTO },
        { { 0x80, 0, 0, 28 }, -EPROTO },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct rpc_buffer in = { 0 };
        struct rpc_message message;
        give(&in, row[i].word, 3);
        assert_int_equal(rpc_frame_peek(&in, RPC_FROM_CLIENT_MAX, &message), 0);
        give(&in, row[i].word + 3, 1);
        assert_int_equal(rpc_frame_peek(&in, RPC_FROM_CLIENT_MAX, &message), row[i].peek);
        rpc_buffer_free(&in);
    }
}

static void an_idle_buffer_is_small(void **state)
{
    struct rpc_buffer buffer = { 0 };

    (void)state;
    assert_non_null(rpc_buffer_room(&buffer, 1 << 20));
    rpc_buffer_added(&buffer, 1 << 20);
    rpc_buffer_drop(&buffer, 1 << 20);
    assert_null(buffer.data);
    assert_null(rpc_buffer_room(&buffer, SIZE_MAX));
    assert_null(rpc_buffer_room(&buffer, SIZE_MAX / 4));
    rpc_buffer_free(&buffer);
}

/* --- structures -------------------------------------------------------------------------------------------------- */

#define DOMAIN_A "\0\0\0\1a\0\0\0" "0123456789abcdef" "\xff\xff\xff\xff"

static int decode_domain(const char *data, size_t len)
{
    struct vgr_args_domain args;
    int r = rpc_decode(RPC_CODEC(vgr_args_domain), data, len, &args, sizeof args);

    if (r == 0) {
        assert_string_equal(args.dom.name, "a");
        assert_int_equal(args.dom.id, -1);
        rpc_release(RPC_CODEC(vgr_args_domain), &args, sizeof args);
    }
    return r;
}

static void a_payload_has_one_form(void **state)
{
    static const struct {
        const char *data;
        size_t len;
    } bad[] = {
        { DOMAIN_A "\0\0\0\0", sizeof DOMAIN_A - 1 + 4 },                              /* more behind it */
        { DOMAIN_A, sizeof DOMAIN_A - 1 - 4 },                                         /* less */
        { "\0\0\0\1a\0\0\1" "0123456789abcdef" "\xff\xff\xff\xff", 28 },               /* padding that says something */
        { "\0\0\0\2a\0\0\0" "0123456789abcdef" "\xff\xff\xff\xff", 28 },               /* a NUL in the name */
        { "\0\0\x10\1a\0\0\0" "0123456789abcdef" "\xff\xff\xff\xff", 28 },             /* longer than it is, and than a name may be */
        { "\xff\xff\xff\xff" "a\0\0\0" "0123456789abcdef" "\xff\xff\xff\xff", 28 },
        { "", 0 },
    };

    (void)state;
    assert_int_equal(decode_domain(DOMAIN_A, sizeof DOMAIN_A - 1), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(decode_domain(bad[i].data, bad[i].len), -EPROTO);
}

static void a_pointer_is_0_or_1(void **state)
{
    struct vgr_args_open args;
    char data[] = "\0\0\0\1" "\0\0\0\4" "test" "\0\0\0\0";

    (void)state;
    assert_int_equal(rpc_decode(RPC_CODEC(vgr_args_open), data, 16, &args, sizeof args), 0);
    assert_string_equal(*args.name, "test");
    rpc_release(RPC_CODEC(vgr_args_open), &args, sizeof args);
    assert_null(args.name);
    data[3] = 2;
    assert_int_equal(rpc_decode(RPC_CODEC(vgr_args_open), data, 16, &args, sizeof args), -EPROTO);
}

static void arrays_have_bounds(void **state)
{
    struct vgr_args_stats args;
    const unsigned char too_many[] = { 0, 0, 0x40, 1, 0, 0, 0, 0, 0, 0, 0, 0 }, none[12] = { 0 };

    (void)state;
    assert_int_equal(rpc_decode(RPC_CODEC(vgr_args_stats), too_many, 12, &args, sizeof args), -EPROTO);
    assert_int_equal(rpc_decode(RPC_CODEC(vgr_args_stats), none, 12, &args, sizeof args), 0);
    assert_int_equal(args.doms.doms_len, 0);
    rpc_release(RPC_CODEC(vgr_args_stats), &args, sizeof args);
}

static void what_is_encoded_is_decoded(void **state)
{
    char text[] = "name";
    vgr_text name = text;
    struct vgr_error error = { .code = 42, .domain = 10, .message = &name, .level = 2, .int1 = -1, .int2 = -1 }, again;
    void *data;
    size_t len;

    (void)state;
    assert_int_equal(rpc_encode(RPC_CODEC(vgr_error), &error, &data, &len), 0);
    assert_int_equal(rpc_decode(RPC_CODEC(vgr_error), data, len, &again, sizeof again), 0);
    assert_string_equal(*again.message, "name");
    assert_null(again.str1);
    rpc_release(RPC_CODEC(vgr_error), &again, sizeof again);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_byte_by_byte), cmocka_unit_test(lengths_have_bounds),
        cmocka_unit_test(an_idle_buffer_is_small), cmocka_unit_test(a_payload_has_one_form),
        cmocka_unit_test(a_pointer_is_0_or_1), cmocka_unit_test(arrays_have_bounds),
        cmocka_unit_test(what_is_encoded_is_decoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
