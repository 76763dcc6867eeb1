/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host lock needs of libvirt's qemu.conf: where displays listen, and whom QEMU runs as. */
#ifndef VG_HOST_QEMU_CONF_H
#define VG_HOST_QEMU_CONF_H

#include <stddef.h>
#include <stdint.h>

#define QEMU_CONF_WHY_SIZE 160
#define QEMU_CONF_USER_SIZE 64

struct port_range {
    uint16_t first, last; /* first <= last */
};

struct qemu_conf {
    struct port_range display, websocket;
    char user[QEMU_CONF_USER_SIZE]; /* as written: a name, or a number perhaps after '+'; empty when not set */
};

/* libvirt gives out the lowest free port of a range that ends at 65535 unless qemu.conf says otherwise. Taken by the
 * word that would close a host's other services (X11 from 6000, 6379, 8080, ...) to everybody, so a range whose end nobody
 * chose has this many ports. */
#define QEMU_CONF_PORTS 100

#define QEMU_CONF VG_LIBVIRT_CONFDIR "/qemu.conf"

/* Reads QEMU_CONF; there being none is as an empty one. 0, or -errno with one sentence in why. */
int qemu_conf_read(struct qemu_conf *ret, char why[static QEMU_CONF_WHY_SIZE]);

/* Pure. Reads the text of a qemu.conf; an empty one gives the defaults. 0, or -EINVAL with one sentence in why that
 * begins with the line's number. What is none of libvirt's grammar is refused whatever key it belongs to: its end would
 * be a guess. */
int qemu_conf_parse(const char *text, size_t len, struct qemu_conf *ret, char why[static QEMU_CONF_WHY_SIZE]);

#endif
