/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/domain_xml.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"

static bool is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static const xmlNode *child_element(const xmlNode *parent, const char *name)
{
    for (const xmlNode *node = parent->children; node; node = node->next)
        if (is_element(node, name))
            return node;
    return NULL;
}

/* Copies the attribute; an absent one is "". False when it does not fit. */
static bool attribute(const xmlNode *node, const char *name, char *out, size_t size)
{
    xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
    bool fits = text_copy(out, size, value ? (const char *)value : "") == 0;

    xmlFree(value);
    return fits;
}

static uint16_t port_attribute(const xmlNode *node, const char *name)
{
    char text[16];
    uint64_t port;

    if (!attribute(node, name, text, sizeof text) || io_parse_number(text, strlen(text), 1, UINT16_MAX, &port) < 0)
        return 0; /* -1 is libvirt's "none yet" */
    return (uint16_t)port;
}

static bool read_listen(const xmlNode *listen, struct domain_display *display)
{
    char type[16], socket[sizeof display->socket];

    if (!attribute(listen, "type", type, sizeof type) || !attribute(listen, "socket", socket, sizeof socket))
        return false;
    if (strcmp(type, "socket") == 0)
        return text_copy(display->socket, sizeof display->socket, socket) == 0;
    if (strcmp(type, "none") == 0)
        return true;
    if (display->n_listens == DOMAIN_LISTENS_MAX)
        return false;
    return attribute(listen, "address", display->listen[display->n_listens++], sizeof display->listen[0]);
}

static bool read_display(const xmlNode *graphics, struct domain_display *display)
{
    size_t listens = 0;

    memset(display, 0, sizeof *display);
    display->port = port_attribute(graphics, "port");
    display->tls_port = port_attribute(graphics, "tlsPort");
    if (!attribute(graphics, "type", display->type, sizeof display->type) ||
        !attribute(graphics, "socket", display->socket, sizeof display->socket))
        return false;
    for (const xmlNode *node = graphics->children; node; node = node->next) {
        if (!is_element(node, "listen"))
            continue;
        listens++;
        if (!read_listen(node, display))
            return false;
    }
    if (listens == 0 && display->port) { /* the short form of old XML */
        display->n_listens = 1;
        return attribute(graphics, "listen", display->listen[0], sizeof display->listen[0]);
    }
    return true;
}

static bool add_console(const xmlNode *device, struct domain_facts *facts)
{
    const xmlNode *alias = child_element(device, "alias");

    if (!alias)
        return true; /* a domain that does not run */
    if (facts->n_consoles == DOMAIN_CONSOLES_MAX ||
        !attribute(alias, "name", facts->console[facts->n_consoles], sizeof facts->console[0]))
        return false;
    /* libvirt shows the first serial device a second time, as a console. */
    for (size_t i = 0; i < facts->n_consoles; i++)
        if (strcmp(facts->console[i], facts->console[facts->n_consoles]) == 0)
            return true;
    facts->n_consoles++;
    return true;
}

static bool read_devices(const xmlNode *devices, struct domain_facts *facts)
{
    for (const xmlNode *node = devices->children; node; node = node->next) {
        if (!is_element(node, "graphics"))
            continue;
        if (facts->n_displays == DOMAIN_DISPLAYS_MAX || !read_display(node, &facts->display[facts->n_displays++]))
            return false;
    }
    for (const xmlNode *node = devices->children; node; node = node->next)
        if (is_element(node, "serial") && !add_console(node, facts))
            return false;
    for (const xmlNode *node = devices->children; node; node = node->next)
        if (is_element(node, "console") && !add_console(node, facts))
            return false;
    return true;
}

int domain_xml_read(const char *xml, struct domain_facts *ret)
{
    size_t len = strnlen(xml, DOMAIN_XML_MAX + 1);
    const xmlNode *root, *devices;
    xmlDoc *doc;
    int r = -EINVAL;

    if (len > DOMAIN_XML_MAX)
        return -EINVAL;
    /* Entities are left alone (no XML_PARSE_NOENT) and no DTD is loaded. */
    doc = xmlReadMemory(xml, (int)len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!doc)
        return -EINVAL;
    memset(ret, 0, sizeof *ret);
    root = xmlDocGetRootElement(doc);
    if (root && is_element(root, "domain")) {
        devices = child_element(root, "devices");
        if (!devices || read_devices(devices, ret))
            r = 0;
    }
    xmlFreeDoc(doc);
    return r;
}

enum host_kind { HOST_LOOPBACK, HOST_WILDCARD, HOST_OTHER };

static enum host_kind host_kind(const char *host)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (!*host)
        return HOST_WILDCARD;
    if (strcmp(host, "localhost") == 0)
        return HOST_LOOPBACK;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        if (v4.s_addr == INADDR_ANY)
            return HOST_WILDCARD;
        return ntohl(v4.s_addr) >> 24 == 127 ? HOST_LOOPBACK : HOST_OTHER;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        if (IN6_IS_ADDR_UNSPECIFIED(&v6))
            return HOST_WILDCARD;
        return IN6_IS_ADDR_LOOPBACK(&v6) ? HOST_LOOPBACK : HOST_OTHER;
    }
    return HOST_OTHER;
}

bool domain_display_is_at(const struct domain_display *display, const char *host, uint16_t port)
{
    enum host_kind asked = host_kind(host);

    if (display->port != port && display->tls_port != port)
        return false;
    for (size_t i = 0; i < display->n_listens; i++) {
        enum host_kind listens = host_kind(display->listen[i]);
        /* Clients write a wildcard as localhost, as the wildcard itself, or as the name that they know the host by. */
        if (listens == HOST_WILDCARD || (listens == HOST_LOOPBACK && asked == HOST_LOOPBACK) ||
            strcmp(display->listen[i], host) == 0)
            return true;
    }
    return false;
}
