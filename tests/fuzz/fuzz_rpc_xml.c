/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first byte is a set of rights, the rest a domain's XML. Either it is refused, or what comes out is accepted
 * again, has no display or console without its right, and nothing of what never may be there. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rpc/rpc_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PLACE "socket='" VG_RUNDIR "/display/5a3b1e00-0000-4000-8000-000000000001/"

static const struct uuid the_uuid = { { 0x5a, 0x3b, 0x1e, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1 } };

/* Not assert(): it must hold under NDEBUG too. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The name of an element or attribute, which ends before one of these. */
static const char *check_name(const char *at, const char *ends)
{
    static const char *const never[] = { "passw", "secret", "cookie", "token", "auth", "private" };
    size_t len = strcspn(at, ends);
    char *name = strndup(at, len);

    must(len > 0 && name);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        must(!strcasestr(name, never[i]));
    must(!strchr(name, ':') || strncmp(name, "libosinfo:", strlen("libosinfo:")) == 0 || strcmp(name, "xmlns:libosinfo") == 0);
    free(name);
    return at + len;
}

/* Behind "<": a name, attributes, ">". */
static const char *check_tag(const char *at)
{
    if (*at == '/')
        at++;
    at = check_name(at, " />");
    while (*at == ' ') {
        at = check_name(at + 1, "=");
        must(strncmp(at, "='", 2) == 0);
        at += 2;
        at += strcspn(at, "'<");
        must(*at == '\'');
        at++;
    }
    if (*at == '/')
        at++;
    must(*at == '>');
    return at + 1;
}

static void check_graphics(const char *at)
{
    static const char listen[] = ">\n      <listen type='socket' " PLACE;
    const char *end = strchr(at, '>');

    must(end && strncmp(end, listen, strlen(listen)) == 0);
    /* VNC has it twice, SPICE does not; there is no other. */
    bool vnc = memmem(at, (size_t)(end - at), " type='vnc'", strlen(" type='vnc'")) != NULL;
    must(vnc == (memmem(at, (size_t)(end - at), PLACE, strlen(PLACE)) != NULL));
    must(vnc == (memmem(at, (size_t)(end - at), " socket=", strlen(" socket=")) != NULL));
}

/* In text and values "<", ">" and quotes are references, so what looks like a tag is one. */
static void check(const char *xml, size_t len, rights allowed)
{
    uint32_t code;

    must(strlen(xml) == len && len <= RPC_XML_MAX && strncmp(xml, "<domain", strlen("<domain")) == 0);
    for (size_t at = 0, n; at < len; at += n)
        must((n = text_utf8_char(xml + at, len - at, &code)) > 0);
    for (const char *at = xml; (at = strchr(at, '<'));)
        at = check_tag(at + 1);
    for (const char *at = xml; (at = strstr(at, "<graphics")); at++)
        if (strchr(" />", at[strlen("<graphics")])) {
            must(allowed & RIGHT_DISPLAY);
            check_graphics(at);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *first = NULL, *second = NULL;
    size_t first_len, second_len;
    rights allowed;
    int r;

    if (size == 0)
        return 0;
    allowed = data[0] & RIGHT_ALL;
    r = rpc_xml_rewrite((const char *)data + 1, size - 1, &the_uuid, NULL, allowed, &first, &first_len);
    must(r == 0 || r == -EINVAL);
    if (r < 0)
        return 0;
    check(first, first_len, allowed);
    must(rpc_xml_rewrite(first, first_len, &the_uuid, NULL, allowed, &second, &second_len) == 0);
    check(second, second_len, allowed);
    /* A display's place may be another one the second time, and only shorter. */
    must(second_len <= first_len && (strstr(first, "<graphics") || strcmp(first, second) == 0));
    free(first);
    free(second);
    return 0;
}
