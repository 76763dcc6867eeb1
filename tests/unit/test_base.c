/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/text.h"
#include "base/uuid.h"

static void expect_escaped(const char *in, size_t len, const char *want)
{
    char out[64];

    assert_int_equal(text_escape(out, sizeof out, in, len), strlen(want));
    assert_string_equal(out, want);
}

static void escapes_what_acts(void **state)
{
    (void)state;
    expect_escaped("cards2", 6, "cards2");
    expect_escaped("a\x1b]0;x\a", 7, "a\\x1b]0;x\\x07");
    expect_escaped("a\\b", 3, "a\\\\b");
    expect_escaped("a\0b", 3, "a\\x00b");
    expect_escaped("b\xc3\xbcro", 5, "b\xc3\xbcro");
    expect_escaped("\xe2\x80\xae", 3, "\\xe2\\x80\\xae"); /* U+202E turns the line around */
    expect_escaped("\xc2\x85", 2, "\\xc2\\x85");          /* U+0085, a C1 control */
    expect_escaped("\xff\xc0\xaf", 3, "\\xff\\xc0\\xaf"); /* malformed, overlong slash */
}

static void escape_cuts_at_a_character(void **state)
{
    char out[8];

    (void)state;
    assert_int_equal(text_escape(out, sizeof out, "abcdefg", 7), 7);
    assert_string_equal(out, "abcdefg");
    assert_int_equal(text_escape(out, sizeof out, "abcdefgh", 8), 7);
    assert_string_equal(out, "abcd...");
    assert_int_equal(text_escape(out, sizeof out, "\x01\x01", 2), 7);
    assert_string_equal(out, "\\x01...");
    text_escape(out, sizeof out, "abc\xc3\xbc" "defg", 9);
    assert_string_equal(out, "abc...");
    assert_int_equal(text_escape(out, 4, "\x01", 1), 3);
    assert_string_equal(out, "...");
}

static void plain_is_utf8_and_seen(void **state)
{
    (void)state;
    assert_true(text_is_plain("b\xc3\xbcro \xf0\x9f\x96\xa5", 10));
    assert_false(text_is_plain("a\tb", 3));
    assert_false(text_is_plain("\xed\xa0\x80", 3));     /* a surrogate */
    assert_false(text_is_plain("\xf4\x90\x80\x80", 4)); /* above U+10FFFF */
    assert_false(text_is_plain("\xe2\x82", 2));         /* cut short */
}

static void uuids_have_one_form(void **state)
{
    const char *text = "6b0d7b4e-52c6-4a2f-9d8e-0123456789aB";
    char out[UUID_TEXT_SIZE];
    struct uuid uuid;

    (void)state;
    assert_int_equal(uuid_parse(text, 36, &uuid), 0);
    uuid_format(&uuid, out);
    assert_string_equal(out, "6b0d7b4e-52c6-4a2f-9d8e-0123456789ab");
    assert_int_equal(uuid_parse(text, 35, &uuid), -EINVAL);
    assert_int_equal(uuid_parse("6b0d7b4e-52c6-4a2f-9d8e-0123456789ag", 36, &uuid), -EINVAL);
    assert_int_equal(uuid_parse("6b0d7b4e052c6-4a2f-9d8e-0123456789ab", 36, &uuid), -EINVAL);
}

static void numbers_are_strict(void **state)
{
    uint64_t n = 7;

    (void)state;
    assert_int_equal(io_parse_number("5904", 4, 1, 65535, &n), 0);
    assert_int_equal(n, 5904);
    assert_int_equal(io_parse_number("0", 1, 0, 9, &n), 0);
    assert_int_equal(io_parse_number("", 0, 0, 9, &n), -EINVAL);
    assert_int_equal(io_parse_number("05", 2, 0, 9, &n), -EINVAL);
    assert_int_equal(io_parse_number("+5", 2, 0, 9, &n), -EINVAL);
    assert_int_equal(io_parse_number("5 ", 2, 0, 9, &n), -EINVAL);
    assert_int_equal(io_parse_number("65536", 5, 1, 65535, &n), -ERANGE);
    assert_int_equal(io_parse_number("0", 1, 1, 9, &n), -ERANGE);
    assert_int_equal(io_parse_number("18446744073709551616", 20, 0, UINT64_MAX, &n), -ERANGE);
    assert_int_equal(n, 0);
}

static void json_escapes_and_nests(void **state)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct json json = JSON_TO(out);

    (void)state;
    json_put_open(&json, NULL, '[');
    json_put_open(&json, NULL, '{');
    json_put_string(&json, "vm", "a\"\\\x1b\xff\xe2\x80\xae");
    json_put_bool(&json, "allowed", false);
    json_put_close(&json, '}');
    json_put_open(&json, NULL, '{');
    json_put_close(&json, '}');
    json_put_string(&json, NULL, NULL);
    json_put_int(&json, NULL, -3);
    json_put_close(&json, ']');
    json_put_end(&json);
    fclose(out);
    assert_string_equal(text,
        "[{\"vm\": \"a\\\"\\\\\\u001b\\ufffd\\u202e\", \"allowed\": false}, {}, null, -3]\n");
    free(text);
}

static void trusted_files_are_roots_alone(void **state)
{
    char dir[] = "/tmp/vg_base_XXXXXX", file[64], link_[64], why[PATH_WHY_SIZE];
    int fd = -1;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/f", dir);
    snprintf(link_, sizeof link_, "%s/l", dir);
    fd = open(file, O_CREAT | O_WRONLY, 0644);
    fd_close(&fd);
    assert_int_equal(symlink(file, link_), 0);

    assert_int_equal(path_open_trusted(file, false, getuid(), &fd, why), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    fd_close(&fd);
    assert_int_equal(path_open_trusted(link_, false, getuid(), &fd, why), -ELOOP);
    assert_non_null(strstr(why, "symbolic link"));
    assert_int_equal(path_open_trusted(dir, false, getuid(), &fd, why), -EPERM);
    assert_non_null(strstr(why, "regular file"));
    chmod(file, 0664);
    assert_int_equal(path_open_trusted(file, false, getuid(), &fd, why), -EPERM);
    assert_non_null(strstr(why, "0664"));
    chmod(file, 0644);
    if (getuid() == 0) {
        assert_int_equal(chown(file, 12345, 0), 0);
        assert_int_equal(path_open_trusted(file, false, 0, &fd, why), -EPERM);
        assert_non_null(strstr(why, "12345"));
        assert_int_equal(path_open_trusted(file, false, 12345, &fd, why), 0);
        fd_close(&fd);
    }
    assert_int_equal(path_open_trusted("/nonexistent/x", false, 0, &fd, why), -ENOENT);
    unlink(link_);
    unlink(file);
    rmdir(dir);
}

static void reading_is_bounded(void **state)
{
    char *data;
    size_t len;
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(io_read_all(fd, 100000, &data, &len), -EFBIG);
    fd_close(&fd);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(io_read_all(fd, 10, &data, &len), 0);
    assert_int_equal(len, 0);
    free(data);
    fd_close(&fd);
    assert_int_equal(fd, -1);
}

static void an_exact_read_waits_no_longer(void **state)
{
    char out[4];
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    assert_int_equal(io_read_exactly(fds[0], out, 3, io_monotonic_ms() + 60000), 0);
    assert_memory_equal(out, "abc", 3);
    assert_int_equal(io_read_exactly(fds[0], out, 1, io_monotonic_ms() + 1), -ETIMEDOUT);
    assert_int_equal(io_read_exactly(fds[0], out, 1, 0), -ETIMEDOUT);
    assert_int_equal(write(fds[1], "d", 1), 1);
    close(fds[1]);
    assert_int_equal(io_read_exactly(fds[0], out, 2, io_monotonic_ms() + 60000), -EPIPE);
    close(fds[0]);
    assert_int_equal(io_read_exactly(fds[0], out, 1, io_monotonic_ms() + 60000), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_what_acts),
        cmocka_unit_test(escape_cuts_at_a_character),
        cmocka_unit_test(plain_is_utf8_and_seen),
        cmocka_unit_test(uuids_have_one_form),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(json_escapes_and_nests),
        cmocka_unit_test(trusted_files_are_roots_alone),
        cmocka_unit_test(reading_is_bounded),
        cmocka_unit_test(an_exact_read_waits_no_longer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
