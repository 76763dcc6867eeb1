/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#include "base/fd.h"
#include "base/io.h"
#include "rpc/rpc_xml.h"

#define UUID "5a3b1e00-0000-4000-8000-000000000001"
#define HEAD "<domain type='qemu' id='1'>\n  <name>x</name>\n  <uuid>" UUID "</uuid>\n"
#define DOMAIN(inside) HEAD inside "</domain>\n"
#define DEVICES(inside) DOMAIN("  <devices>\n" inside "  </devices>\n")
#define DISPLAY(uuid, index) VG_RUNDIR "/display/" uuid "/" index
#define LISTEN(index) ">\n      <listen type='socket' socket='" DISPLAY(UUID, index) "'/>"
#define SOCKET(index) "socket='" DISPLAY(UUID, index) "'" LISTEN(index)

static const struct uuid the_uuid = { { 0x5a, 0x3b, 0x1e, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1 } };

static int rewrite(const char *xml, rights allowed, char **ret)
{
    size_t len = 0;
    int r = rpc_xml_rewrite(xml, strlen(xml), &the_uuid, NULL, allowed, ret, &len);

    if (r == 0)
        assert_int_equal(strlen(*ret), len);
    return r;
}

static void becomes(const char *xml, rights allowed, const char *expected)
{
    char *got;

    assert_int_equal(rewrite(xml, allowed, &got), 0);
    assert_string_equal(got, expected);
    free(got);
}

static void refused(const char *xml)
{
    char *got = (char *)1;

    assert_int_equal(rewrite(xml, RIGHT_ALL, &got), -EINVAL);
    assert_ptr_equal(got, (char *)1);
}

/* --- what is refused --------------------------------------------------------------------------------------------- */

static void refuses_what_is_no_domain(void **state)
{
    (void)state;
    refused("");
    refused("x");
    refused("<network><uuid>" UUID "</uuid></network>");
    refused("<domainsnapshot><domain><uuid>" UUID "</uuid></domain></domainsnapshot>");
    refused("<domstatus><domain><uuid>" UUID "</uuid></domain></domstatus>");
    refused("<domain xmlns='http://other.example/'><uuid>" UUID "</uuid></domain>");
    refused(HEAD);
    refused(DOMAIN("") "<domain/>");
    refused(DOMAIN("<devices/><devices/>"));
    refused(DOMAIN("<title>&nothing;</title>"));
    refused(DOMAIN("<title>\xff</title>"));
}

static void refuses_another_domain(void **state)
{
    (void)state;
    refused("<domain/>");
    refused("<domain><uuid/></domain>");
    refused("<domain><uuid> " UUID "</uuid></domain>");
    refused("<domain><uuid>5a3b1e00-0000-4000-8000-000000000002</uuid></domain>");
    refused("<domain><devices><uuid>" UUID "</uuid></devices></domain>");
    refused("<domain><x:uuid xmlns:x='urn:x'>" UUID "</x:uuid></domain>");
    refused("<domain><uuid>" UUID "<!-- --></uuid></domain>");
    refused(DOMAIN("<uuid>" UUID "</uuid>"));
    refused(DOMAIN("<uuid>5a3b1e00-0000-4000-8000-000000000002</uuid>"));
}

static void refuses_what_stands_before_the_root(void **state)
{
    (void)state;
    becomes(DOMAIN(""), 0, DOMAIN(""));
    refused("<!DOCTYPE domain [<!ENTITY e 'x'>]>" DOMAIN("<title>&e;</title>"));
    refused("<!DOCTYPE domain SYSTEM '/etc/passwd'>" DOMAIN(""));
    refused("<?xml version='1.0'?>" DOMAIN(""));
    refused("<?xml version='1.0' encoding='KOI8-R'?>" DOMAIN(""));
    refused("\xef\xbb\xbf" DOMAIN(""));
    refused("<!-- -->" DOMAIN(""));
    refused("\n" DOMAIN(""));
    refused(DOMAIN("") "<!DOCTYPE domain>");
    refused(DOMAIN("<!DOCTYPE domain>"));
}

static void refuses_nul_bytes(void **state)
{
    static const char xml[] = DOMAIN("") "\0" "<x/>";
    char *got;
    size_t len;

    (void)state;
    assert_int_equal(rpc_xml_rewrite(xml, sizeof xml - 1, &the_uuid, NULL, RIGHT_ALL, &got, &len), -EINVAL);
}

static void the_name_is_looked_at(void **state)
{
    static const struct {
        const char *names;
        int says;
    } row[] = {
        { "<name>a &amp; b</name>", 0 }, { "<name>a</name>", -ESTALE }, { "<name>a &amp; b </name>", -ESTALE }, { "", -EINVAL },
        { "<name/>", -EINVAL }, { "<name>a &amp; b</name><name>a &amp; b</name>", -EINVAL },
        { "<name><name>a &amp; b</name></name>", -EINVAL },
    };
    char xml[512], *got;
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        snprintf(xml, sizeof xml, "<domain><uuid>" UUID "</uuid>%s</domain>", row[i].names);
        int r = rpc_xml_rewrite(xml, strlen(xml), &the_uuid, "a & b", RIGHT_ALL, &got, &len);
        assert_int_equal(r, row[i].says);
        if (r == 0)
            free(got);
    }
}

/* HEAD, a title of n times the byte, the end. */
static char *with_title(char byte, size_t n)
{
    static const char head[] = HEAD "<title>", tail[] = "</title></domain>\n";
    char *xml = malloc(n + sizeof head + sizeof tail);

    assert_non_null(xml);
    memcpy(xml, head, sizeof head - 1);
    memset(xml + sizeof head - 1, byte, n);
    memcpy(xml + sizeof head - 1 + n, tail, sizeof tail);
    return xml;
}

static void is_bounded(void **state)
{
    static const size_t around = sizeof(HEAD "<title></title></domain>\n") - 1;
    char *xml = with_title('a', RPC_XML_MAX - around), *got;

    (void)state;
    assert_int_equal(strlen(xml), RPC_XML_MAX);
    becomes(xml, 0, xml);
    free(xml);
    xml = with_title('a', RPC_XML_MAX - around + 1);
    refused(xml);
    free(xml);
    xml = with_title('>', RPC_XML_MAX / 2); /* four times as long, in writing */
    refused(xml);
    free(xml);
    xml = with_title('>', RPC_XML_MAX / 5);
    assert_int_equal(rewrite(xml, 0, &got), 0);
    free(got);
    free(xml);
}

static void is_bounded_in_depth(void **state)
{
    char *xml = malloc(sizeof HEAD + 3000 * 3), *at = stpcpy(xml, HEAD "<features>");

    (void)state;
    for (int i = 0; i < 2000; i++)
        at = stpcpy(at, "<a>");
    refused(xml);
    free(xml);
}

/* --- displays ---------------------------------------------------------------------------------------------------- */

static void a_display_becomes_a_socket_of_ours(void **state)
{
    (void)state;
    becomes(DEVICES("    <graphics type='vnc' port='5931' autoport='no' websocket='5700' listen='127.0.0.1' keymap='de' "
                    "sharePolicy='allow-exclusive' passwd='HUSH' passwdValidTo='2031-01-02T03:04:05' connected='keep'>\n"
                    "      <listen type='address' address='127.0.0.1'/>\n    </graphics>\n"),
            RIGHT_DISPLAY,
            DEVICES("    <graphics type='vnc' keymap='de' " SOCKET("0") "\n    </graphics>\n"));
    becomes(DEVICES("    <graphics type='spice' tlsPort='5933' port='5932' defaultMode='secure' socket='/run/other'>\n"
                    "      <listen type='socket' socket='/run/other'/>\n      <listen type='none'/>\n"
                    "      <channel name='main' mode='secure'/>\n      <image compression='off'/>\n"
                    "      <gl enable='yes' rendernode='/dev/dri/renderD128'/>\n    </graphics>\n"),
            RIGHT_DISPLAY,
            DEVICES("    <graphics type='spice'" LISTEN("0") "\n      <image compression='off'/>\n"
                    "      <gl enable='yes'/>\n    </graphics>\n"));
    becomes(DEVICES("    <graphics type='vnc'/>\n"), RIGHT_DISPLAY,
            DEVICES("    <graphics type='vnc' " SOCKET("0") "\n    </graphics>\n"));
}

static void the_index_counts_those_left_out(void **state)
{
    (void)state;
    becomes(DEVICES("    <graphics type='sdl' display=':0' xauth='/root/x'/>\n    <graphics type='vnc'/>\n    <graphics/>\n"
                    "    <graphics type='egl-headless'/>\n    <video/>\n    <graphics type='spice'/>\n    <graphics type='dbus'/>\n"),
            RIGHT_DISPLAY,
            DEVICES("    <graphics type='vnc' " SOCKET("1") "\n    </graphics>\n"
                    "    <video/>\n    <graphics type='spice'" LISTEN("4") "\n    </graphics>\n"));
}

static void no_display_without_the_right(void **state)
{
    (void)state;
    becomes(DEVICES("    <graphics type='vnc'/>\n    <video/>\n"), RIGHT_ALL & ~(rights)RIGHT_DISPLAY, DEVICES("    <video/>\n"));
    becomes(DEVICES("    <graphics type='vnc'/>\n"), 0, DOMAIN("  <devices/>\n"));
}

static void no_display_that_cannot_be_named(void **state)
{
    char *xml = malloc(100 + 300 * 40), *at = stpcpy(xml, HEAD "<devices>"), *got;

    (void)state;
    for (int i = 0; i < 300; i++)
        at = stpcpy(at, "<graphics type='vnc'/>");
    strcpy(at, "</devices></domain>");
    assert_int_equal(rewrite(xml, RIGHT_DISPLAY, &got), 0);
    assert_non_null(strstr(got, DISPLAY(UUID, "255")));
    assert_null(strstr(got, DISPLAY(UUID, "256")));
    free(got);
    free(xml);
}

static void displays_are_devices(void **state)
{
    (void)state;
    becomes(DOMAIN("  <cpu><graphics type='vnc'/><devices><graphics type='vnc'/></devices></cpu>\n  <graphics type='vnc'/>\n"),
            RIGHT_ALL, DOMAIN("  <cpu><devices/></cpu>\n"));
}

/* --- the rest ---------------------------------------------------------------------------------------------------- */

static void consoles_need_their_right(void **state)
{
    static const char xml[] = DEVICES(
        "    <serial type='pty'>\n      <source path='/dev/pts/5'/>\n    </serial>\n"
        "    <console type='pty' tty='/dev/pts/5'>\n      <source path='/dev/pts/5'/>\n    </console>\n"
        "    <channel type='spicevmc'/>\n    <disk>\n      <serial>WD-1</serial>\n    </disk>\n");
    (void)state;
    becomes(xml, RIGHT_SERIAL, xml);
    becomes(xml, RIGHT_ALL & ~(rights)RIGHT_SERIAL,
            DEVICES("    <channel type='spicevmc'/>\n    <disk>\n      <serial>WD-1</serial>\n    </disk>\n"));
}

/* Parts of a document, and what a user with every right reads of them. */
static const struct row {
    const char *before, *after;
} rows[] = {
    /* wherever it stands */
    { "<devices><disk><auth username='HUSH'><secret type='ceph' uuid='HUSH'/></auth><target/></disk></devices>",
      "<devices><disk><target/></disk></devices>" },
    { "<cpu passwd='HUSH' PassWord='HUSH' secret='HUSH' x-token='HUSH' mode='custom'/>", "<cpu mode='custom'/>" },
    { "<cpu><secrets>HUSH</secrets><myCookie/><privateKey>HUSH</privateKey><x><authToken/></x></cpu>", "<cpu><x/></cpu>" },
    { "<devices><tpm><backend type='emulator'><encryption secret='HUSH'/></backend></tpm></devices>",
      "<devices><tpm><backend type='emulator'><encryption/></backend></tpm></devices>" },
    { "<devices><parallel type='pty'><log file='HUSH'/></parallel></devices>", "<devices><parallel type='pty'/></devices>" },
    { "<cpu><!-- HUSH --><?HUSH HUSH?><a/></cpu>", "<cpu><a/></cpu>" },
    { "<cpu xmlns:q='urn:q' q:a='HUSH' b='1'><q:c>HUSH</q:c></cpu>", "<cpu b='1'/>" },
    { "<cpu><c xmlns='urn:q'>HUSH</c></cpu>", "<cpu/>" },
    { "<cpu><q:c>HUSH</q:c><d q:e='HUSH'/></cpu>", "<cpu><d/></cpu>" },
    { "<cpu>HUSH<a/>HUSH</cpu>", "<cpu><a/></cpu>" },
    /* of the document */
    { "<sysinfo type='fwcfg'><entry name='opt/x'>HUSH</entry></sysinfo>", "" },
    { "<os><type>hvm</type><kernel>/k</kernel><cmdline>HUSH</cmdline><initarg>HUSH</initarg><initenv name='HUSH'/></os>",
      "<os><type>hvm</type><kernel>/k</kernel></os>" },
    { "<bootloader_args>HUSH</bootloader_args><somethingNew>HUSH</somethingNew>", "" },
    { "<devices><lease><key>HUSH</key></lease><somethingNew>HUSH</somethingNew></devices>", "<devices/>" },
    { "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:env name='HUSH' value='HUSH'/></q:commandline>", "" },
    { "<title>a title</title><description>it &amp; that</description>", "<title>a title</title><description>it &amp; that</description>" },
    { "<metadata><n:owner xmlns:n='urn:n'>HUSH</n:owner></metadata>", "" },
    { "<metadata><libosinfo>HUSH</libosinfo></metadata>", "" },
    { "<metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0' a='HUSH'><l:more>HUSH</l:more>"
      "<l:os id='http://debian.org/debian/12' b='HUSH'>HUSH</l:os></l:libosinfo><o:ther xmlns:o='urn:o'>HUSH</o:ther></metadata>",
      "<metadata>\n    <libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>\n"
      "      <libosinfo:os id='http://debian.org/debian/12'/>\n    </libosinfo:libosinfo>\n  </metadata>" },
    /* of elements that stay */
    { "<devices><disk type='network'><source protocol='https' name='a.iso' query='token=HUSH' tls='yes' tlsHostname='HUSH'>"
      "<host name='HUSH' port='443'/><cookies><cookie name='a'>HUSH</cookie></cookies><ssl verify='no'/>"
      "<initiator><iqn name='HUSH'/></initiator><identity user='HUSH' agentsock='HUSH'/><knownHosts path='HUSH'/>"
      "<config file='HUSH'/></source></disk></devices>",
      "<devices><disk type='network'><source protocol='https' name='a.iso'/></disk></devices>" },
    { "<devices><disk><source file='json:{\"file.cookie\":\"HUSH\"}'/><backingStore><source file='nbd://u:HUSH@h/x'/></backingStore>"
      "<mirror><source file='/x' query='HUSH'/></mirror></disk></devices>",
      "<devices><disk><source/><backingStore><source/></backingStore><mirror><source file='/x'/></mirror></disk></devices>" },
    { "<devices><channel type='unix'><source mode='bind' path='/HUSH'/></channel><parallel type='file'><source path='HUSH'/></parallel>"
      "<redirdev type='tcp'><source mode='connect' host='HUSH' service='1'/></redirdev></devices>",
      "<devices><channel type='unix'><source mode='bind'/></channel><parallel type='file'><source/></parallel>"
      "<redirdev type='tcp'><source mode='connect'/></redirdev></devices>" },
    { "<devices><interface type='network'><source network='default' portid='p' bridge='virbr0'/></interface>"
      "<interface type='client'><source address='HUSH' port='1'><local address='HUSH'/></source></interface></devices>",
      "<devices><interface type='network'><source network='default' portid='p' bridge='virbr0'/></interface>"
      "<interface type='client'><source/></interface></devices>" },
    { "<devices><hostdev><source><address domain='0x0000' bus='0x06'/></source></hostdev>"
      "<hostdev><source><vendor id='0x1'/><product id='0x2'/></source></hostdev></devices>",
      "<devices><hostdev><source><address domain='0x0000' bus='0x06'/></source></hostdev>"
      "<hostdev><source><vendor id='0x1'/><product id='0x2'/></source></hostdev></devices>" },
    { "<devices><shmem name='s'><server path='HUSH'/></shmem></devices>", "<devices><shmem name='s'><server/></shmem></devices>" },
    { "<launchSecurity type='sev'><policy>0x3</policy><dhCert>HUSH</dhCert><session>HUSH</session></launchSecurity>",
      "<launchSecurity type='sev'><policy>0x3</policy></launchSecurity>" },
    /* as it was */
    { "<cpu a='&apos;&quot;&lt;&gt;&amp;&#10;&#9;&#13;'>a&#13;&lt;b&gt;&amp;'\"</cpu>",
      "<cpu a='&apos;&quot;&lt;&gt;&amp;&#10;&#9;&#13;'>a&#13;&lt;b&gt;&amp;&apos;&quot;</cpu>" },
    { "<cpu><![CDATA[<a>]]></cpu>", "<cpu>&lt;a&gt;</cpu>" },
    { "<seclabel type='dynamic'><label>+1:+1</label></seclabel>", "<seclabel type='dynamic'><label>+1:+1</label></seclabel>" },
};

static void keeps_what_the_table_keeps(void **state)
{
    char before[4096], after[4096];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(before, sizeof before, "<domain><uuid>" UUID "</uuid>%s</domain>", rows[i].before);
        snprintf(after, sizeof after, "<domain><uuid>" UUID "</uuid>%s</domain>\n", rows[i].after);
        assert_null(strstr(after, "HUSH"));
        becomes(before, RIGHT_ALL, after);
        becomes(after, RIGHT_ALL, after);
    }
}

/* --- what libvirt wrote (tests/data/domains/make.sh) -------------------------------------------------------------- */

struct sample {
    char name[256];
    char *xml;
    size_t len;
    struct uuid uuid;
};

static void load(int dir, const char *name, struct sample *ret)
{
    FD_AUTO fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    snprintf(ret->name, sizeof ret->name, "%s", name);
    assert_int_equal(io_read_all(fd, RPC_XML_MAX, &ret->xml, &ret->len), 0);
    const char *uuid = strstr(ret->xml, "<uuid>");
    assert_non_null(uuid);
    assert_int_equal(uuid_parse(uuid + 6, UUID_TEXT_SIZE - 1, &ret->uuid), 0);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

static void check_lines(const char *text)
{
    assert_int_equal(count(text, "\n\n") + count(text, " \n"), 0);
}

static void check(const struct sample *sample, rights allowed)
{
    static const char *const never[] = { "HUSH", "passw", "<auth", "<secret", "cookie", "port='59", "autoport", "tlsPort", "qemu:",
                                         "127.0.0.1", "0.0.0.0", "/run/libvirt", "/var/lib/libvirt/qemu" };
    size_t len, again_len;
    char *got, *again;

    assert_int_equal(rpc_xml_rewrite(sample->xml, sample->len, &sample->uuid, NULL, allowed, &got, &len), 0);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (strstr(got, never[i]))
            fail_msg("%s: has %s: %s", sample->name, never[i], got);
    size_t shown = count(sample->xml, "<graphics type='vnc'") + count(sample->xml, "<graphics type='spice'");
    assert_int_equal(count(got, "<graphics "), allowed & RIGHT_DISPLAY ? shown : 0);
    assert_int_equal(count(got, "<listen type='socket' socket='" VG_RUNDIR "/display/"), count(got, "<graphics "));
    assert_int_equal(count(got, "<listen "), count(got, "<graphics "));
    assert_int_equal(count(got, "    <serial type"), allowed & RIGHT_SERIAL ? count(sample->xml, "    <serial type") : 0);
    assert_int_equal(count(got, "    <console type"), allowed & RIGHT_SERIAL ? count(sample->xml, "    <console type") : 0);
    assert_int_equal(count(got, "<channel type"), count(sample->xml, "<channel type"));
    assert_int_equal(count(got, "<alias name='channel"), count(sample->xml, "<alias name='channel"));
    assert_int_equal(count(got, "<disk "), count(sample->xml, "<disk "));
    assert_int_equal(count(got, "<mac "), count(sample->xml, "<mac "));
    check_lines(got);
    assert_int_equal(rpc_xml_rewrite(got, len, &sample->uuid, NULL, allowed, &again, &again_len), 0);
    if (strcmp(sample->name, "several.xml") != 0) /* there a display was left out */
        assert_string_equal(got, again);
    free(again);
    free(got);
}

static void libvirts_own_documents(void **state)
{
    static const rights some[] = { 0, RIGHT_DISPLAY, RIGHT_SERIAL, RIGHT_ALL };
    const char *data = getenv("TEST_DATA");
    size_t n = 0, with_secrets = 0;
    char path[4096];
    DIR *dir;

    (void)state;
    assert_non_null(data);
    snprintf(path, sizeof path, "%s/data/domains", data);
    dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct sample sample;
        if (!strstr(entry->d_name, ".xml"))
            continue;
        load(dirfd(dir), entry->d_name, &sample);
        for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
            check(&sample, some[i]);
        n++;
        with_secrets += strstr(sample.xml, "HUSH") != NULL;
        free(sample.xml);
    }
    closedir(dir);
    assert_true(n >= 15 && with_secrets >= 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_no_domain),
        cmocka_unit_test(refuses_another_domain),
        cmocka_unit_test(refuses_what_stands_before_the_root),
        cmocka_unit_test(refuses_nul_bytes), cmocka_unit_test(the_name_is_looked_at),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(is_bounded_in_depth),
        cmocka_unit_test(a_display_becomes_a_socket_of_ours),
        cmocka_unit_test(the_index_counts_those_left_out),
        cmocka_unit_test(no_display_without_the_right),
        cmocka_unit_test(no_display_that_cannot_be_named),
        cmocka_unit_test(displays_are_devices),
        cmocka_unit_test(consoles_need_their_right),
        cmocka_unit_test(keeps_what_the_table_keeps),
        cmocka_unit_test(libvirts_own_documents),
    };
    rpc_xml_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
