/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu.conf as the host lock reads it, and the table that is made of it. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/lock.h"

/* --- qemu.conf --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    unsigned ports[4]; /* display, websocket */
    const char *user;
} good[] = {
    { "", { 5900, 5999, 5700, 5799 }, "" },
    { "# remote_display_port_min = 1\n", { 5900, 5999, 5700, 5799 }, "" },
    { "remote_display_port_min = 6000", { 6000, 6099, 5700, 5799 }, "" },
    { "remote_display_port_max = 5910\r\n", { 5900, 5910, 5700, 5799 }, "" },
    /* A range that ends with the last port has no end that somebody chose. */
    { "remote_display_port_min=5900\nremote_display_port_max=65535\n", { 5900, 5999, 5700, 5799 }, "" },
    { "remote_display_port_min=65530\nremote_display_port_max=65535\n", { 65530, 65535, 5700, 5799 }, "" },
    { "remote_display_port_max=8999\n", { 5900, 8999, 5700, 5799 }, "" },
    { "remote_websocket_port_min = 7000 # here\n\tremote_websocket_port_max\t=\t7003\t#\n", { 5900, 5999, 7000, 7003 },
      "" },
    { "user = \"qemu\"\n", { 5900, 5999, 5700, 5799 }, "qemu" },
    { "user = '+107'\n", { 5900, 5999, 5700, 5799 }, "+107" },
    { "user = 107\n", { 5900, 5999, 5700, 5799 }, "107" },
    { "a.b-c_D1 = []\nd = [ \"x\", 'y' , 5 ,\n #\n ]\nuser='u'", { 5900, 5999, 5700, 5799 }, "u" },
    { "x = \"\"\"\nuser = 'no'\n\"\"\"\nuser = 'yes'\n", { 5900, 5999, 5700, 5799 }, "yes" },
    { "remote_display_port_minimum = 1\n", { 5900, 5999, 5700, 5799 }, "" },
};

static void reads(void **state)
{
    char why[QEMU_CONF_WHY_SIZE];
    struct qemu_conf conf;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(qemu_conf_parse(good[i].text, strlen(good[i].text), &conf, why), 0);
        assert_int_equal(conf.display.first, good[i].ports[0]);
        assert_int_equal(conf.display.last, good[i].ports[1]);
        assert_int_equal(conf.websocket.first, good[i].ports[2]);
        assert_int_equal(conf.websocket.last, good[i].ports[3]);
        assert_string_equal(conf.user, good[i].user);
    }
}

static const struct {
    const char *text, *why;
} bad[] = {
    { "remote_display_port_min = 0\n", "line 1: expected a port number" },
    { "remote_display_port_min = 65536\n", "line 1: expected a port number" },
    { "remote_display_port_min = -1\n", "line 1: expected a port number" },
    { "remote_display_port_min = 05900\n", "line 1: expected a port number" },
    { "remote_display_port_min = \"5900\"\n", "line 1: expected a port number" },
    { "remote_display_port_min = [ 5900 ]\n", "line 1: expected a port number" },
    { "remote_display_port_min = 5900 5901\n", "line 1: expected the end of the line" },
    { "remote_display_port_min 5900\n", "line 1: expected =" },
    { "remote_display_port_min =\n", "line 1: expected a number, a string or a list" },
    { "\n#\nremote_display_port_min = 6000\nremote_display_port_max = 5999\n",
      "line 5: remote_display_port_min is above" },
    { "remote_display_port_min = 5900\nremote_display_port_min = 5901\n",
      "line 2: remote_display_port_min is given twice" },
    { "remote_websocket_port_min = 60000\nremote_websocket_port_max = 100\n",
      "line 3: remote_websocket_port_min is above" },
    { "user = [ 'a' ]\n", "line 1: expected the name" },
    { "user = ''\n", "line 1: expected the name" },
    { "user = \"\"\"a\nb\"\"\"\n", "line 2: expected the name" },
    { "user = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'\n", "line 1: expected the name" },
    { "\n\nx = 'no end\ny = 1\n", "line 3: a string does not end" },
    { "x = \"\"\"no end\ny = 1\n", "line 1: a string does not end" },
    { "x = [ 1, 2\n", "line 2: expected , or ]" },
    { "x = [ 1 2 ]\n", "line 1: expected , or ]" },
    { "x = [ [ 1 ] ]\n", "line 1: expected a number" },
    { "x = yes\n", "line 1: expected a number" },
    { "[section]\n", "line 1: expected a key" },
    { "x = 1; y = 2\n", "line 1: expected the end" },
};

static void refuses(void **state)
{
    char why[QEMU_CONF_WHY_SIZE];
    struct qemu_conf conf;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(qemu_conf_parse(bad[i].text, strlen(bad[i].text), &conf, why), -EINVAL);
        if (strncmp(why, bad[i].why, strlen(bad[i].why)) != 0)
            fail_msg("'%s': %s", bad[i].text, why);
    }
    assert_int_equal(qemu_conf_parse("a = 1\0\n", 7, &conf, why), -EINVAL);
}

/* --- the table --------------------------------------------------------------------------------------------------- */

static char *written(const struct lock *lock)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    lock_write(out, LOCK_TABLE, lock);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void ports_become_ranges(void **state)
{
    struct lock lock = { 0 };
    static const char *const refused[] = { "", ",", "0", "65536", "5-", "-5", "6-5", "5,", "5,,6", " 5", "5-6-7", "x" };

    (void)state;
    assert_int_equal(lock_add_ports(&lock, (struct port_range){ 5900, 5999 }), 0);
    assert_int_equal(lock_add_ports(&lock, (struct port_range){ 5700, 5799 }), 0);
    assert_int_equal(lock_parse_ports(&lock, "7000,5800-5850,1-2,65535"), 0);
    assert_int_equal(lock.n_ports, 5);
    char *text = written(&lock);
    assert_non_null(strstr(text, "elements = { 1-2, 5700-5850, 5900-5999, 7000, 65535 }"));
    free(text);
    assert_int_equal(lock_parse_ports(&lock, "5851-6999"), 0); /* joins three */
    assert_int_equal(lock.n_ports, 3);
    text = written(&lock);
    assert_non_null(strstr(text, "elements = { 1-2, 5700-7000, 65535 }"));
    free(text);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(lock_parse_ports(&lock, refused[i]), -EINVAL);
}

static void room_ends(void **state)
{
    struct lock lock = { 0 };

    (void)state;
    for (unsigned i = 0; i < LOCK_MAX_PORTS; i++)
        assert_int_equal(lock_add_ports(&lock, (struct port_range){ (uint16_t)(10 * i + 1), (uint16_t)(10 * i + 1) }),
                         0);
    assert_int_equal(lock_add_ports(&lock, (struct port_range){ 5, 5 }), -E2BIG);
    assert_int_equal(lock.n_ports, LOCK_MAX_PORTS);
    for (unsigned i = 0; i < LOCK_MAX_IDS; i++)
        assert_int_equal(lock_add_uid(&lock, i), 0);
    assert_int_equal(lock_add_uid(&lock, 0), 0);
    assert_int_equal(lock_add_uid(&lock, LOCK_MAX_IDS), -E2BIG);
}

static void root_is_always_in(void **state)
{
    struct lock lock = { 0 };

    (void)state;
    assert_int_equal(lock_add_ports(&lock, (struct port_range){ 5900, 5900 }), 0);
    char *text = written(&lock);
    assert_non_null(strstr(text, "typeof meta skuid\n\t\telements = { 0 }"));
    assert_null(strstr(text, "skgid"));
    free(text);
    assert_int_equal(lock_add_uid(&lock, 107), 0);
    assert_int_equal(lock_add_uid(&lock, 0), 0);
    assert_int_equal(lock_add_uid(&lock, 107), 0);
    assert_int_equal(lock_add_gid(&lock, 36), 0);
    text = written(&lock);
    assert_non_null(strstr(text, "typeof meta skuid\n\t\telements = { 0, 107 }"));
    assert_non_null(strstr(text, "typeof meta skgid\n\t\telements = { 36 }"));
    free(text);
}

/* What the header of lock.c says of the rules, in the order that it matters in. */
static void rules_fail_closed(void **state)
{
    static const char *const order[] = {
        "table inet virtgate\ndelete table inet virtgate\ntable inet virtgate {\n",
        "meta skuid @accounts accept",
        "tcp flags & (fin | syn | rst | ack) == syn reject with tcp reset",
        "meta skuid != @accounts reject with tcp reset",
        "policy accept;",
        "oif \"lo\" tcp dport @ports goto display",
    };
    struct lock lock = { .ports = { { 5900, 5999 } }, .n_ports = 1 };
    char *text = written(&lock);
    const char *at = text;

    (void)state;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        at = strstr(at, order[i]);
        assert_non_null(at);
    }
    assert_null(strstr(text, "ct state"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),     cmocka_unit_test(refuses),           cmocka_unit_test(ports_become_ranges),
        cmocka_unit_test(room_ends), cmocka_unit_test(root_is_always_in), cmocka_unit_test(rules_fail_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
