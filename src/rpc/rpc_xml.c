/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The document is parsed, walked once, and what rpc_xml_keep.c lets through is written anew in the manner of libvirt
 * (single quotes, no declaration), which people's scripts grep for. What is not written explicitly does not exist. */
#include "rpc/rpc_xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <limits.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc_xml_keep.h"

#define INDEX_MAX 255 /* of a display that can be asked for (COMMAND_INDEX_MAX) */
#define LIBOSINFO "http://libosinfo.org/xmlns/libvirt/domain/1.0"

struct rewrite {
    FILE *out;
    const xmlNode *devices; /* of the document; NULL: none */
    const struct uuid *uuid;
    rights allowed;
};

/* --- reading ----------------------------------------------------------------------------------------------------- */

static const char *name_of(const xmlNode *node)
{
    return (const char *)node->name;
}

static bool is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && !node->ns && strcmp(name_of(node), name) == 0;
}

static bool is_text(const xmlNode *node)
{
    return (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) && node->content;
}

/* The value, NULL when it is anything but plain text. */
static const char *value_of(const xmlAttr *attribute)
{
    const xmlNode *text = attribute->children;

    if (!text)
        return "";
    return is_text(text) && !text->next ? (const char *)text->content : NULL;
}

static const char *attribute(const xmlNode *node, const char *name)
{
    for (const xmlAttr *a = node->properties; a; a = a->next)
        if (!a->ns && strcmp((const char *)a->name, name) == 0)
            return value_of(a);
    return NULL;
}

/* The child of that name; *ret_n says how many there are. */
static const xmlNode *child(const xmlNode *parent, const char *name, size_t *ret_n)
{
    const xmlNode *found = NULL;

    *ret_n = 0;
    for (const xmlNode *node = parent->children; node; node = node->next)
        if (is_element(node, name)) {
            found = node;
            ++*ret_n;
        }
    return found;
}

/* Does the document speak of this domain, and say so once? */
static bool has_uuid(const xmlNode *domain, const struct uuid *uuid)
{
    const xmlNode *element, *text;
    struct uuid found;
    size_t n;

    element = child(domain, "uuid", &n);
    if (n != 1)
        return false;
    text = element->children;
    return text && is_text(text) && !text->next &&
           uuid_parse((const char *)text->content, strlen((const char *)text->content), &found) == 0 &&
           uuid_equal(&found, uuid);
}

/* -EINVAL: it has none, or several; -ESTALE: it has another. */
static int check_name(const xmlNode *domain, const char *name)
{
    const xmlNode *element, *text;
    size_t n;

    if (!name)
        return 0;
    element = child(domain, "name", &n);
    if (n != 1)
        return -EINVAL;
    text = element->children;
    if (!text || !is_text(text) || text->next)
        return -EINVAL;
    return strcmp((const char *)text->content, name) == 0 ? 0 : -ESTALE;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void write_escaped(FILE *out, const char *text, bool in_attribute)
{
    const char *special = in_attribute ? "&<>'\"\r\n\t" : "&<>'\"\r";

    for (size_t plain; plain = strcspn(text, special), fwrite(text, 1, plain, out), text[plain]; text += plain + 1) {
        switch (text[plain]) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '\'': /* in text needless, but so does libvirt, and what looks like an attribute then is one */
            fputs("&apos;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default: /* as it is, a parser would make it a newline or blank */
            fprintf(out, "&#%d;", text[plain]);
        }
    }
}

static void write_attribute(FILE *out, const char *name, const char *value)
{
    fputc(' ', out);
    fputs(name, out);
    fputs("='", out);
    write_escaped(out, value, true);
    fputc('\'', out);
}

static void write_attributes(FILE *out, const xmlNode *node)
{
    for (const xmlAttr *a = node->properties; a; a = a->next) {
        const char *value = value_of(a);
        if (!a->ns && value && rpc_xml_keeps_attribute(name_of(node), (const char *)a->name, value))
            write_attribute(out, (const char *)a->name, value);
    }
}

static void write_text(FILE *out, const xmlNode *node, bool *opened)
{
    for (const xmlNode *text = node->children; text; text = text->next) {
        if (!is_text(text) || !*text->content)
            continue;
        if (!*opened)
            fputc('>', out);
        *opened = true;
        write_escaped(out, (const char *)text->content, false);
    }
}

/* --- displays ---------------------------------------------------------------------------------------------------- */

/* Its place among its brothers of that name; at most INDEX_MAX + 1. */
static unsigned place_of(const xmlNode *graphics)
{
    unsigned place = 0;

    for (const xmlNode *node = graphics->prev; node && place <= INDEX_MAX; node = node->prev)
        if (is_element(node, "graphics"))
            place++;
    return place;
}

static bool keeps_graphics(const struct rewrite *rewrite, const xmlNode *graphics)
{
    const char *type = attribute(graphics, "type");

    return graphics->parent == rewrite->devices && type && (strcmp(type, "vnc") == 0 || strcmp(type, "spice") == 0) &&
           place_of(graphics) <= INDEX_MAX;
}

static void write_node(const struct rewrite *rewrite, const xmlNode *node);
static bool keeps(const struct rewrite *rewrite, const xmlNode *node);

static void write_graphics(const struct rewrite *rewrite, const xmlNode *graphics)
{
    char uuid[UUID_TEXT_SIZE], path[PATH_MAX];
    FILE *out = rewrite->out;

    uuid_format(rewrite->uuid, uuid);
    snprintf(path, sizeof path, "%s/display/%s/%u", VG_RUNDIR, uuid, place_of(graphics));
    fputs("<graphics", out);
    write_attributes(out, graphics);
    /* libvirt's schema has it here for VNC alone; clients look into <listen> first. */
    if (strcmp(attribute(graphics, "type"), "vnc") == 0)
        write_attribute(out, "socket", path);
    fputs(">\n      <listen type='socket'", out);
    write_attribute(out, "socket", path);
    fputs("/>", out);
    for (const xmlNode *node = graphics->children; node; node = node->next)
        if (keeps(rewrite, node)) {
            fputs("\n      ", out);
            write_node(rewrite, node);
        }
    fputs("\n    </graphics>", out);
}

/* --- the walk ---------------------------------------------------------------------------------------------------- */

static bool in_libosinfo(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && node->ns && strcmp((const char *)node->ns->href, LIBOSINFO) == 0 &&
           strcmp(name_of(node), name) == 0;
}

/* libosinfo's id of the system that is installed; NULL: none is noted. */
static const char *system_of(const xmlNode *metadata)
{
    for (const xmlNode *info = metadata->children; info; info = info->next) {
        if (!in_libosinfo(info, "libosinfo"))
            continue;
        for (const xmlNode *os = info->children; os; os = os->next)
            if (in_libosinfo(os, "os"))
                return attribute(os, "id");
    }
    return NULL;
}

static void write_metadata(FILE *out, const char *system)
{
    fputs("<metadata>\n    <libosinfo:libosinfo xmlns:libosinfo='" LIBOSINFO "'>\n      <libosinfo:os", out);
    write_attribute(out, "id", system);
    fputs("/>\n    </libosinfo:libosinfo>\n  </metadata>", out);
}

static bool keeps(const struct rewrite *rewrite, const xmlNode *node)
{
    if (node->type != XML_ELEMENT_NODE || node->ns || !rpc_xml_keeps_element(name_of(node->parent), name_of(node), rewrite->allowed))
        return false;
    if (strcmp(name_of(node), "graphics") == 0)
        return keeps_graphics(rewrite, node);
    if (strcmp(name_of(node), "metadata") == 0)
        return system_of(node) != NULL;
    return true;
}

static void write_child(const struct rewrite *rewrite, const xmlNode *node)
{
    if (strcmp(name_of(node), "graphics") == 0)
        write_graphics(rewrite, node);
    else if (strcmp(name_of(node), "metadata") == 0)
        write_metadata(rewrite->out, system_of(node));
    else
        write_node(rewrite, node);
}

/* Of an element that has elements, text is layout: blanks before a child go where that child goes. */
static void write_children(const struct rewrite *rewrite, const xmlNode *node, bool *opened)
{
    const char *blank = "";

    for (const xmlNode *at = node->children; at; at = at->next) {
        if (is_text(at)) {
            const char *text = (const char *)at->content;
            blank = text[strspn(text, " \t\n")] ? "" : text;
            continue;
        }
        if (keeps(rewrite, at)) {
            if (!*opened)
                fputc('>', rewrite->out);
            fputs(blank, rewrite->out);
            *opened = true;
            write_child(rewrite, at);
        }
        blank = "";
    }
    if (*opened)
        fputs(blank, rewrite->out);
}

static bool has_elements(const xmlNode *node)
{
    for (const xmlNode *at = node->children; at; at = at->next)
        if (at->type == XML_ELEMENT_NODE)
            return true;
    return false;
}

static void write_node(const struct rewrite *rewrite, const xmlNode *node)
{
    bool opened = false;

    fputc('<', rewrite->out);
    fputs(name_of(node), rewrite->out);
    write_attributes(rewrite->out, node);
    if (has_elements(node))
        write_children(rewrite, node, &opened);
    else
        write_text(rewrite->out, node, &opened);
    if (!opened) {
        fputs("/>", rewrite->out);
        return;
    }
    fputs("</", rewrite->out);
    fputs(name_of(node), rewrite->out);
    fputc('>', rewrite->out);
}

static int write_domain(struct rewrite *rewrite, const xmlNode *domain, char **ret, size_t *ret_len)
{
    char *text = NULL;
    size_t len = 0;
    int r = 0;

    rewrite->out = open_memstream(&text, &len);
    if (!rewrite->out)
        return -ENOMEM;
    __fsetlocking(rewrite->out, FSETLOCKING_BYCALLER); /* nobody else has it, and the locks take a third of the time */
    write_node(rewrite, domain);
    fputc('\n', rewrite->out);
    if (ferror(rewrite->out))
        r = -ENOMEM;
    if (fclose(rewrite->out) != 0)
        r = -ENOMEM;
    if (r == 0 && len > RPC_XML_MAX)
        r = -EINVAL; /* what was one byte may be six */
    if (r < 0) {
        free(text);
        return r;
    }
    *ret = text;
    *ret_len = len;
    return 0;
}

static int parse(const char *xml, size_t len, xmlDoc **ret)
{
    xmlParserCtxt *context = xmlNewParserCtxt();
    int r = 0;

    if (!context)
        return -ENOMEM;
    /* No XML_PARSE_NOENT, _DTDLOAD, _HUGE, _RECOVER. */
    *ret = xmlCtxtReadMemory(context, xml, (int)len, NULL, "UTF-8",
                             XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_IGNORE_ENC |
                             XML_PARSE_COMPACT); /* short text lies in its node: the tree is only read */
    if (!*ret) {
        const xmlError *error = xmlCtxtGetLastError(context);
        r = error && error->code == XML_ERR_NO_MEMORY ? -ENOMEM : -EINVAL;
    }
    xmlFreeParserCtxt(context);
    return r;
}

void rpc_xml_prepare(void)
{
    xmlInitParser();
}

int rpc_xml_rewrite(const char *xml, size_t len, const struct uuid *uuid, const char *name, rights allowed, char **ret,
                    size_t *ret_len)
{
    static const char root[] = "<domain";
    struct rewrite rewrite = { .uuid = uuid, .allowed = allowed };
    const xmlNode *domain;
    size_t n_devices;
    xmlDoc *doc;
    int r;

    /* It begins with its root, as libvirt writes it. Before that could stand a document type, with entities, which cost time
     * even when nobody uses them, or a declaration of another encoding, for which libxml2 2.9 has iconv open files although
     * it was told which one it is. */
    if (len > RPC_XML_MAX || len < strlen(root) || memcmp(xml, root, strlen(root)) != 0 || memchr(xml, '\0', len))
        return -EINVAL;
    r = parse(xml, len, &doc);
    if (r < 0)
        return r;
    r = -EINVAL;
    domain = xmlDocGetRootElement(doc);
    if (domain && !doc->intSubset && is_element(domain, "domain") && has_uuid(domain, uuid)) {
        rewrite.devices = child(domain, "devices", &n_devices);
        if (n_devices <= 1)
            r = check_name(domain, name);
        if (r == 0)
            r = write_domain(&rewrite, domain, ret, ret_len);
    }
    xmlFreeDoc(doc);
    return r;
}
