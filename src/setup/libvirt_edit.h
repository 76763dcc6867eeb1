/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lines of libvirtd.conf (and its kin) that close the read-only socket where libvirt makes its sockets itself. Pure. */
#ifndef VG_SETUP_LIBVIRT_EDIT_H
#define VG_SETUP_LIBVIRT_EDIT_H

/* The text with a mode for the read-only socket that leaves out everybody else, and group libvirt for the sockets unless
 * there is one already. 0 and *ret, the caller's; -ENOMEM. */
int libvirt_edit(const char *text, char **ret);

#endif
