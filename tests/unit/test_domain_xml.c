/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "session/domain_xml.h"

#define DOMAIN(devices) "<domain type='qemu' id='1'><name>x</name><devices>" devices "</devices></domain>"

static struct domain_facts facts;

static void reads_every_listen_type(void **state)
{
    (void)state;
    assert_int_equal(domain_xml_read(DOMAIN(
        "<graphics type='vnc' port='5903' autoport='no' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics>"
        "<graphics type='vnc' socket='/run/a.sock'><listen type='socket' socket='/run/a.sock'/></graphics>"
        "<graphics type='spice' port='-1'><listen type='none'/></graphics>"
        "<graphics type='spice' port='5910' tlsPort='5911' listen='::1'/>"
        "<graphics type='vnc' port='-1' autoport='yes'/>"), &facts), 0);
    assert_int_equal(facts.n_displays, 5);
    assert_string_equal(facts.display[0].type, "vnc");
    assert_int_equal(facts.display[0].port, 5903);
    assert_string_equal(facts.display[0].listen[0], "127.0.0.1");
    assert_string_equal(facts.display[1].socket, "/run/a.sock");
    assert_int_equal(facts.display[1].n_listens, 0);
    assert_int_equal(facts.display[2].port, 0);
    assert_int_equal(facts.display[3].tls_port, 5911);
    assert_string_equal(facts.display[3].listen[0], "::1");
    assert_int_equal(facts.display[4].port, 0);
}

static void consoles_are_serials_and_consoles_alone(void **state)
{
    (void)state;
    assert_int_equal(domain_xml_read(DOMAIN(
        "<console type='pty'><target type='virtio'/><alias name='console1'/></console>"
        "<console type='pty'><target type='serial'/><alias name='serial0'/></console>"
        "<serial type='pty'><target port='0'/><alias name='serial0'/></serial>"
        "<serial type='pty'><target port='1'/></serial>"
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/><alias name='channel0'/></channel>"
        "<parallel type='pty'><alias name='parallel0'/></parallel>"), &facts), 0);
    assert_int_equal(facts.n_consoles, 2);
    assert_string_equal(facts.console[0], "serial0");
    assert_string_equal(facts.console[1], "console1");
}

static void refuses_what_is_no_domain(void **state)
{
    char *big = malloc(DOMAIN_XML_MAX + 100);

    (void)state;
    assert_int_equal(domain_xml_read("", &facts), -EINVAL);
    assert_int_equal(domain_xml_read("<network/>", &facts), -EINVAL);
    assert_int_equal(domain_xml_read("<domain><devices>", &facts), -EINVAL);
    assert_int_equal(domain_xml_read("<domain/>", &facts), 0);
    assert_int_equal(facts.n_displays + facts.n_consoles, 0);
    memset(big, ' ', DOMAIN_XML_MAX + 99);
    memcpy(big, "<domain><devices>", 17);
    strcpy(big + DOMAIN_XML_MAX + 50, "</devices></domain>");
    assert_int_equal(domain_xml_read(big, &facts), -EINVAL);
    free(big);
}

static void bounds_are_refused_not_cut(void **state)
{
    char xml[8192];
    int len = snprintf(xml, sizeof xml, "<domain><devices>");

    (void)state;
    for (int i = 0; i <= DOMAIN_DISPLAYS_MAX; i++)
        len += snprintf(xml + len, sizeof xml - (size_t)len, "<graphics type='vnc'/>");
    snprintf(xml + len, sizeof xml - (size_t)len, "</devices></domain>");
    assert_int_equal(domain_xml_read(xml, &facts), -EINVAL);
    assert_int_equal(domain_xml_read(DOMAIN("<graphics type='a-type-that-is-too-long'/>"), &facts), -EINVAL);
}

static void entities_and_files_are_not_read(void **state)
{
    (void)state;
    assert_int_equal(domain_xml_read("<!DOCTYPE domain [<!ENTITY e SYSTEM '/etc/hostname'>]>"
                                     "<domain><devices><serial><alias name='&e;'/></serial></devices></domain>",
                                     &facts), -EINVAL);
    assert_int_equal(domain_xml_read("<!DOCTYPE domain [<!ENTITY e SYSTEM '/etc/hostname'>]>"
                                     "<domain><devices>&e;<graphics type='vnc'/></devices></domain>", &facts), 0);
    assert_int_equal(facts.n_displays, 1);
}

static void a_display_is_found_by_the_hosts_that_reach_it(void **state)
{
    struct domain_display display = { .port = 5903, .n_listens = 1, .listen = { "127.0.0.1" } };

    (void)state;
    assert_true(domain_display_is_at(&display, "127.0.0.1", 5903));
    assert_true(domain_display_is_at(&display, "localhost", 5903));
    assert_true(domain_display_is_at(&display, "::1", 5903));
    assert_false(domain_display_is_at(&display, "127.0.0.1", 5904));
    assert_false(domain_display_is_at(&display, "192.0.2.10", 5903));
    assert_false(domain_display_is_at(&display, "hv1.example.com", 5903));
    strcpy(display.listen[0], "0.0.0.0");
    assert_true(domain_display_is_at(&display, "localhost", 5903));
    assert_true(domain_display_is_at(&display, "hv1.example.com", 5903));
    strcpy(display.listen[0], "192.0.2.10");
    assert_true(domain_display_is_at(&display, "192.0.2.10", 5903));
    assert_false(domain_display_is_at(&display, "localhost", 5903));
    display.n_listens = 0;
    assert_false(domain_display_is_at(&display, "127.0.0.1", 5903));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_listen_type),
        cmocka_unit_test(consoles_are_serials_and_consoles_alone),
        cmocka_unit_test(refuses_what_is_no_domain),
        cmocka_unit_test(bounds_are_refused_not_cut),
        cmocka_unit_test(entities_and_files_are_not_read),
        cmocka_unit_test(a_display_is_found_by_the_hosts_that_reach_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
