/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The few facts that a session needs from a domain's XML (libvirt.org/formatdomain.html): its displays and its serial and
 * console devices. Pure: no network, no entities, no files; bounded. */
#ifndef VG_DOMAIN_XML_H
#define VG_DOMAIN_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOMAIN_DISPLAYS_MAX 16
#define DOMAIN_CONSOLES_MAX 32
#define DOMAIN_LISTENS_MAX 4
#define DOMAIN_XML_MAX (4U << 20)

struct domain_display {
    char type[16];                       /* "vnc", "spice", ... */
    uint16_t port, tls_port;             /* 0: none */
    size_t n_listens;
    char listen[DOMAIN_LISTENS_MAX][128]; /* addresses as written; "" for a wildcard that is not written */
    char socket[512];                    /* path, "" for none */
};

struct domain_facts {
    size_t n_displays;                   /* the place in the array is libvirt's index */
    struct domain_display display[DOMAIN_DISPLAYS_MAX];
    size_t n_consoles;
    char console[DOMAIN_CONSOLES_MAX][64]; /* aliases of <serial> and <console> devices, the first serial first */
};

/* 0; -EINVAL for what is not a domain's XML or over the bounds; -ENOMEM. */
int domain_xml_read(const char *xml, struct domain_facts *ret);

/* True when a client that was told of this display would ask for it by that host and port: the port is the same, and the
 * host is one that reaches an address the display listens on. Only a hint: it selects among a user's own domains. */
bool domain_display_is_at(const struct domain_display *display, const char *host, uint16_t port);

#endif
