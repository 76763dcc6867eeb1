/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "unit.h"

#include "client/json_read.h"

static struct json_value *read_text(const char *text)
{
    struct json_value *value = NULL;

    assert_int_equal(json_read(text, strlen(text), &value), 0);
    return value;
}

static void reads_a_listing(void **state)
{
    struct json_value *value = read_text(" [ {\"name\": \"cards2\", \"rights\": [\"display\", \"serial\"], \"n\":-1.5e3, \"x\": null},"
                                         "{\"name\":\"a\\u0022\\\\\\n\\u00e4\\ud83d\\ude00\xc3\xa4\", \"t\": true, \"f\":false}, [], {} ] ");

    (void)state;
    assert_int_equal(value->kind, JSON_ARRAY);
    assert_string_equal(json_text(value->first, "name", NULL), "cards2");
    assert_string_equal(json_member(value->first, "rights")->first->next->text, "serial");
    assert_string_equal(json_member(value->first, "n")->text, "-1.5e3");
    assert_int_equal(json_member(value->first, "x")->kind, JSON_NULL);
    assert_string_equal(json_text(value->first, "x", "other"), "other");
    assert_null(json_member(value->first, "y"));
    assert_string_equal(json_text(value->first->next, "name", NULL), "a\"\\\n\xc3\xa4\xf0\x9f\x98\x80\xc3\xa4");
    assert_int_equal(json_member(value->first->next, "f")->kind, JSON_FALSE);
    json_free(value);
}

/* A string takes as much memory as it is long. With room for all that comes behind it each would get pages of its own. */
static void reads_a_long_listing(void **state)
{
    enum { COUNT = 300000 };
    static char text[COUNT * 5 + 3] = "[\"ab\"";
    struct json_value *value = NULL;
    size_t len = strlen(text), n = 0;

    (void)state;
    for (int i = 1; i < COUNT; i++, len += 5)
        memcpy(text + len, ",\"ab\"", 6);
    memcpy(text + len, "]", 2);
    assert_int_equal(json_read(text, strlen(text), &value), 0);
    assert_in_range(mallinfo2().hblks, 0, 100);
    for (const struct json_value *at = value->first; at; at = at->next)
        n++;
    assert_int_equal(n, COUNT);
    json_free(value);
}

static void refuses_what_is_not_json(void **state)
{
    static const char *const rows[] = {
        "", " ", "[", "]", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "[1]x", "\"", "\"a",
        "\"\\x\"", "\"\\u12\"",
        "\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"a\nb\"", "\"\xff\"", "nul", "tru", "+1",
        ".", "NAME STATE",
        "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct json_value *value;
        if (json_read(rows[i], strlen(rows[i]), &value) != -EINVAL)
            fail_msg("taken: %s", rows[i]);
    }
}

/* A host's answer that is cut anywhere is none. */
static void refuses_every_beginning(void **state)
{
    static const char text[] = "[{\"name\": \"a\\u00e4\", \"rights\": [\"x\"], \"t\": true}]";

    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        struct json_value *value;
        assert_int_equal(json_read(text, len, &value), -EINVAL);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_listing),
        cmocka_unit_test(reads_a_long_listing),
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(refuses_every_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
